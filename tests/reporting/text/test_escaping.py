"""Typed names and errors' texts, escaped for Markdown and Plotly."""

import re

import pytest

from reporting.text import drawn, message, plain, sentence
from reporting.text.escaping import WORD_JOINER


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "**bold** [a](javascript:x)", ":material/home: $x$", "a\n# b"]
)
def test_typed_names_never_become_markup(name):
    shown = plain(name)
    for sign in "<>*[]$#":
        assert sign not in shown.replace("\\" + sign, "")
    assert "\n" not in shown


def test_a_name_is_cut_before_it_is_escaped():
    assert drawn("<<<<<<", 4) == "&lt;&lt;&lt;…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "of an older Evenly; `make run` or `python -m storage.db.migrate` mends it",
            "Of an older Evenly; `make run` or `python -m storage.db.migrate` mends it",
        ),
        ("run <b> is `odd", "Run \\<b\\> is odd"),
        ("`make run` helps", "`make run` helps"),
    ],
)
def test_a_message_keeps_its_commands_apart(text, shown):
    assert message(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("there is no run 3; it may have been deleted", "There is no run 3; it may have been deleted."),
        ("it ended. Start again.", "It ended. Start again."),
        ("start it with `make run`", "Start it with `make run`."),
        ("which one?", "Which one?"),
        ("", ""),
    ],
)
def test_an_error_is_a_sentence(text, shown):
    assert sentence(text) == shown


@pytest.mark.parametrize("name", ["lr .1 -> .2", "a -- b", "x <-> y", "x >= 2", "x ~= 2"])
def test_signs_in_names_are_not_replaced(name):
    """Streamlit turns these pairs of signs into arrows, dashes and relations; an invisible character separates them."""
    shown = plain(name).replace("\\", "")
    assert not re.search(r"->|<-|--|>=|<=|~=", shown)
    assert shown.replace(WORD_JOINER, "") == name
