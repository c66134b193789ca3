"""Weights typed by hand."""

import pytest

from core.errors import EvenlyError
from core.methods.notes import WeightsZero
from tests.core.methods.kit import SEED, terms


def test_manual_weights_are_used_as_they_are():
    found = terms("manual", {"weights": "2, 0.5;\n0"}, tpr=SEED)
    assert found.weight.tolist() == [2, 0.5, 0]
    assert found.notes == (WeightsZero(1, 3),)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("1, 2", "2 weights given, expected 3"),
        ("1, two, 3", "weight 'two' is not a number"),
        ("1, -2, 3", "weight -2 is not usable; give numbers from 0 to 1e"),
        ("0, 0, 0", "not all of them 0"),
        ("1, nan, 1", "weight nan"),
        ("1, inf, 1", "weight inf"),
        ("1, 1e39, 1", r"weight 1e\+39"),
    ],
)
def test_manual_weights_that_are_refused(typed, said):
    with pytest.raises(EvenlyError, match=f"manual: .*{said}"):
        terms("manual", {"weights": typed}, tpr=SEED)
