"""The sampler `share` at the ends of its range: classes that are never drawn are named."""

from __future__ import annotations

import numpy as np
import pytest

from core.methods import answer
from core.methods.notes import NeverDrawn
from core.methods.samplers import SAMPLERS
from core.methods.types import Evidence


def shares(counts, rho):
    return answer("share", Evidence(len(counts), counts=counts), {"rho": rho}, table=SAMPLERS)


@pytest.mark.parametrize(
    ("counts", "rho", "named"),
    [
        ([100, 10], 1.0, (0,)),
        ([100, 10], 0.0, (1,)),
        ([90, 50, 4], 1.0, (0, 1)),
        ([90, 9, 4], 0.0, (1, 2)),
        ([500, 0, 4], 0.0, (2,)),
        (np.r_[np.full(10, 900), np.full(990, 9)], 0.0, tuple(range(10, 1000))),
    ],
)
def test_classes_that_are_never_drawn_are_named(counts, rho, named):
    terms = shares(counts, rho)
    assert terms.notes == (NeverDrawn(named),)
    assert terms.sampling.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("counts", [[100, 10], [90, 50, 4], [500, 0, 4]])
@pytest.mark.parametrize("rho", [0.05, 0.5, 0.95])
def test_between_the_ends_every_class_with_samples_is_drawn(counts, rho):
    terms = shares(counts, rho)
    assert terms.notes == ()
    assert ((terms.sampling > 0) == (np.array(counts) > 0)).all()
