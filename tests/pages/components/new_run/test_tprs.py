"""New run, own TPRs: what is parsed and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from core.datasets import describe
from core.errors import EvenlyError
from core.experiment.tpr_file import parse
from pages.components.new_run import evidence
from reporting.text import message
from tests.pages.components.new_run.kit import started, visit


def test_pasted_tprs_and_a_file_together_are_refused(monkeypatch):
    said = []
    monkeypatch.setattr(evidence.st, "error", lambda text, **_: said.append(text))
    spec = describe("digits", Path())
    text, data = "\n".join(["0.5"] * 10), b"0.9\n" * 10
    assert evidence.read_given(spec, text, "mine.csv", data).tpr is None
    assert "Both pasted TPRs and the file mine.csv are given" in said[0]
    assert evidence.read_given(spec, text, None, b"").name == "pasted TPRs"
    assert evidence.read_given(spec, "", "mine.csv", data).tpr.tolist() == [0.9] * 10


def test_a_printed_array_is_read(empty):
    at = visit()
    at.selectbox(key="new_baseline").set_value("given").run()
    at.text_area(key="new_tpr_text").set_value(str(np.linspace(0.5, 0.95, 10))).run()
    assert not at.error
    assert started(at, empty)[0].config.tpr == pytest.approx(np.linspace(0.5, 0.95, 10).tolist())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("notzip.zip is not a zip archive", "notzip.zip is not a zip archive"),
        ("tpr_ratio needs counts", "tpr\\_ratio needs counts"),
        ("insects: no images found", "insects\\: no images found"),
        ("no images found", "No images found"),
        ("line 3: 'x' is", "Line 3\\: 'x' is"),
    ],
)
def test_a_name_at_the_head_of_a_message_keeps_its_letters(text, shown):
    assert message(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "0.6 0.7 0.95",
        "[0.6  0.7  0.95]",
        "[0.6 0.7\n 0.95]",
        "array([0.6 , 0.7 , 0.95])",
        "array([0.6, 0.7, 0.95], dtype=float32)",
        "60% 70% 95%",
        "[0.6, 0.7, 0.95]",
        "0.6   0.7\n0.95\n",
    ],
)
def test_numbers_with_blanks_between_them(text):
    assert parse(text, ("cat", "dog", "car"))[0].tolist() == [0.6, 0.7, 0.95]


@pytest.mark.parametrize(
    ("text", "classes"),
    [("0.9 " * 500 + "x", 3), ("y" * 500 + ",0.5\nb,0.5", ("a", "b")), ("a,0.5\nb,0.5", ("n" * 500, "m" * 500))],
)
def test_an_error_repeats_forty_characters_at_most(text, classes):
    with pytest.raises(EvenlyError) as caught:
        parse(text, classes)
    assert max(map(len, re.findall(r"'([^']*)'", str(caught.value)))) <= 40
