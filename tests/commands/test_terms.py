"""What `cli.py terms` says beside the numbers: aligned names, and that some numbers are of the first epoch alone."""

from __future__ import annotations

import math
import re

import pytest


def test_its_terms_are_printed(call):
    done = call("terms", "logit_adjusted_posthoc", "--counts", "100,10", "--json")
    assert done.data == {"shift": pytest.approx([-math.log(100 / 110), -math.log(10 / 110)])}


def test_long_names_do_not_touch_their_numbers(call):
    text = call("terms", "sampler:share", "--counts", "101,100,10").out
    assert re.search(r"^minority classes +\d", text, re.M)
    assert len({re.match(r"(.*?\S)  +", line).end() for line in text.splitlines()}) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("sampler:progressive", "--counts", "100,10"),
            "note: these are the terms of epoch 1, and they change from epoch to epoch; "
            "in a run of two epochs the last one has sampling 0.5, 0.5",
        ),
        (("sampler:balanced", "--counts", "100,10"), ""),
        (("cdb", "--tpr", "0.9,0.5"), ""),
        (("inverse_frequency", "--counts", "10,20"), ""),
    ],
)
def test_terms_that_move_say_that_they_are_of_the_first_epoch(call, words, said):
    assert call("terms", *words).err.strip() == said


def test_a_formula_that_ends_after_its_first_epoch_says_so(call):
    done = call("terms", "custom", "--tpr", "0.9,0.5", "--param", "formula=sqrt(1.5 - epoch)")
    assert done.code == 0
    assert "a later epoch fails" in done.err
