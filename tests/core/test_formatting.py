"""Lists of names, counts with their nouns, and short numbers."""

import pytest

from core.formatting import count, listed, number, plural


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d"], "a, b, c and 1 more"),
        (range(2000), "0, 1, 2 and 1,997 more"),
    ],
)
def test_a_long_list_is_cut_and_the_rest_is_counted(names, text):
    assert listed(names, most=3) == text


def test_the_last_word_of_a_whole_list_may_be_another():
    assert listed("abc", last="or") == "a, b or c"
    assert listed("abc", most=2, last="or") == "a, b and 1 more"


def test_a_noun_follows_its_number():
    assert [count(n, "class") for n in (0, 1, 1000)] == ["0 classes", "1 class", "1,000 classes"]
    assert [plural("run", n) for n in (1, 2)] == ["run", "runs"]


def test_a_value_is_as_short_as_possible():
    assert [number(v) for v in (2.0, 0.9999, 1e-7)] == ["2", "0.9999", "1e-07"]
