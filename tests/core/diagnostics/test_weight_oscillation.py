"""Weights that oscillate: the measure against plain loops, the caution, and the smoothing that ends it."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from core.diagnostics import run_warnings
from core.diagnostics.weight_oscillation import oscillation, smoothable
from core.experiment.config import RunConfig, checked


def swing(epochs=20, classes=4, factor=3.0, moving=None):
    """Weights [E, C] that go up and down by `factor` in the first `moving` classes; equal in the first epoch."""
    w = np.ones((epochs, classes))
    for t in range(1, epochs):
        for c in range(classes if moving is None else moving):
            w[t, c] = factor ** (0.5 if (t + c) % 2 else -0.5)
    return w


def by_loop(w):
    """Change and reversal of weights [E, C] that move from the second epoch on, as written."""
    steps = [[math.log(w[t][c] / w[t - 1][c]) for c in range(len(w[0]))] for t in range(2, len(w))]
    steps = steps[len(steps) // 2 :]
    change = sum(abs(d) for row in steps for d in row) / (len(steps) * len(steps[0]))
    pairs = [a * b for first, second in pairwise(steps) for a, b in zip(first, second, strict=True) if a * b != 0]
    return change, sum(p < 0 for p in pairs) / len(pairs)


@pytest.mark.parametrize("seed", range(5))
def test_the_measure_is_the_written_formula(seed):
    w = np.exp(np.random.default_rng(seed).normal(size=(25, 6)))
    w[0] = 1.0
    found = oscillation(w)
    assert (found.change, found.reversal) == pytest.approx(by_loop(w.tolist()), abs=1e-12)
    assert found.factor == pytest.approx(math.exp(found.change))


def test_a_swing_between_two_states_is_one():
    found = oscillation(swing(factor=3.0))
    assert found.oscillates
    assert found.factor == pytest.approx(3.0)
    assert (found.reversal, set(found.classes), found.among) == (1.0, {0, 1, 2, 3}, 4)


def test_the_classes_that_swing_are_named_the_most_first():
    w = swing(classes=5, factor=30.0, moving=3)
    w[:, 1] **= 0.5
    assert oscillation(w).classes == (0, 2, 1)


def test_a_drift_is_no_swing_however_fast():
    found = oscillation(np.exp(np.outer(np.arange(20), [1.0, -1.0])))
    assert found.reversal == 0
    assert not found.oscillates


def test_small_changes_are_no_swing():
    assert not oscillation(swing(factor=1.5)).oscillates


def test_a_run_that_has_settled_does_not_swing():
    w = swing(epochs=40)
    w[20:] = w[20]
    assert not oscillation(w).oscillates


@pytest.mark.parametrize(
    "w",
    [
        np.ones((30, 4)),
        np.tile([0.5, 1.5], (30, 1)),
        swing(epochs=4),
        np.full((30, 3), np.nan),
        np.ones((1, 3)),
        np.empty((0, 3)),
    ],
    ids=["equal", "steady", "few epochs", "no weights", "one epoch", "none"],
)
def test_where_nothing_moves_or_little_is_known_there_is_nothing_to_tell(w):
    assert oscillation(w) is None


def test_weights_start_late():
    late = np.vstack([np.ones((10, 4)), swing(epochs=20)])
    assert oscillation(late).factor == pytest.approx(oscillation(swing(epochs=20)).factor)


def test_a_class_of_weight_0_is_left_out():
    w = swing(classes=4)
    w[:, 1] = 0.0
    found = oscillation(w)
    assert (found.among, set(found.classes)) == (3, {0, 2, 3})


# -- the caution ----------------------------------------------------------------------------------------------------


def config(**settings):
    return checked(RunConfig(dataset="mnist1d", model="cnn1d", **settings))


@pytest.mark.parametrize("params", [{"ema": 0.0}, {"ema": 0.5}, {}])
def test_a_method_that_can_smooth_its_tprs_and_does_not(params):
    assert smoothable("cdb", params)


def test_no_smoothing_where_it_is_there_or_the_method_has_none():
    assert not smoothable("cdb", {"ema": 0.9})
    assert not smoothable("group_dro", {})
    assert not smoothable("of another version", {})


def test_the_caution_holds_the_measure_and_whether_smoothing_helps():
    found = run_warnings.oscillating("run 7", config(method="cdb", params={"tau": 2.0}), swing())
    assert found == run_warnings.Oscillating("run 7", oscillation(swing()), smoothable=True)
    assert not run_warnings.oscillating("run 7", config(method="group_dro"), swing()).smoothable
    assert run_warnings.oscillating("run 7", config(method="cdb"), swing(factor=1.2)) is None
    assert run_warnings.oscillating("run 7", config(), None) is None
