"""What the preview of a slider shows: the formula with its values, and the terms at every stop."""

import math

import numpy as np
import pytest

from core.methods import METHODS, answer, formula_with, grid, grid_values, slider_param, what_if
from core.methods.types import ClassTerms, Evidence
from tests.core.methods.kit import RAW, SEED, close, terms


def spread(classes, seed=0, **changes):
    rng = np.random.default_rng(seed)
    return what_if(
        classes,
        **{
            "tpr": rng.uniform(0.05, 0.99, classes),
            "support": np.full(classes, 200.0),
            "counts": rng.integers(1, 1000, classes),
            **changes,
        },
    )


def test_formula_shows_the_present_values():
    assert formula_with(METHODS["tpr_ratio"], {"exponent": 2.5}).endswith("^{2.5}")
    assert r"\propto" in formula_with(METHODS["tpr_ratio"])
    assert formula_with(METHODS["tpr_ratio"], {"normalize": "none"}).startswith("w_c = ")
    assert "0.9999" in formula_with(METHODS["class_balanced"])
    assert r"^{\tau_t}" in formula_with(METHODS["cdb"])
    assert "^{1.5}" in formula_with(METHODS["cdb"], {"tau": 1.5})
    assert r"z_c - (-0.5)\,\log" in formula_with(METHODS["logit_adjusted_posthoc"], {"tau": -0.5})


def test_grid_of_the_exponent():
    e = spread(5, counts=[50, 40, 30, 20, 10])
    g = grid("tpr_ratio", e, RAW)
    assert g.values.tolist() == pytest.approx(np.arange(0, 8.01, 0.05))
    assert g.weight.shape == g.share.shape == (161, 5)
    at = int(np.argmin(np.abs(g.values - 2)))
    expected = answer("tpr_ratio", e, {"exponent": 2, **RAW}).weight
    close(g.weight[at], expected)
    assert g.ratio[at] == pytest.approx(expected.max() / expected.min())
    close(g.share[at], expected * e.counts / (expected * e.counts).sum())
    assert g.formula[at].endswith("^{2}")
    assert g.weight[0].tolist() == [1] * 5
    assert all(isinstance(t, ClassTerms) for t in g.frames)


def test_grid_shares_without_counts_and_lists_of_clipped():
    g = grid("tpr_deficit", what_if(3, tpr=[1, 0.5, 0.2]))
    close(g.share, g.weight / 3)
    assert set(map(tuple, g.clipped)) == {(0,)}


def test_grid_shares_count_the_sampling_of_a_sampler():
    g = grid("tpr_ratio", spread(5), RAW, sampling=np.full(5, 0.2))
    close(g.share, g.weight / g.weight.sum(axis=1, keepdims=True))
    assert all(t.sampling is None for t in g.frames), "the terms are the method's"


def test_grid_of_a_weight_of_zero_has_no_finite_ratio():
    assert grid("manual", spread(3), {"weights": "0, 1, 2"}).ratio.tolist() == [math.inf]


def test_grid_always_holds_the_present_value():
    """Also one between the stops, and when thinned for many classes."""
    assert 2.03 in grid("tpr_ratio", spread(3), {"exponent": 2.03}).values
    assert 0.9999 in grid_values(METHODS["class_balanced"])
    thin = grid_values(METHODS["tpr_ratio"], {"exponent": 3.35}, limit=11)
    assert 3.35 in thin
    assert (thin[0], thin[-1]) == (0.0, 8.0)
    assert len(thin) <= 12


@pytest.mark.parametrize(
    ("key", "params"), [("inverse_frequency", {}), ("none", {}), ("focal", {}), ("cdb", {"tau": "dynamic"})]
)
def test_grid_of_what_cannot_be_dragged(key, params):
    """No slider, or a slider set to a word: one frame."""
    assert slider_param(METHODS[key], params) is None
    g = grid(key, spread(4), params)
    assert g.weight.shape == (1, 4)
    assert np.isnan(g.values).all()


def test_grid_of_cdb_shows_the_baselines_tprs():
    """A run has no last epoch when it is planned: the preview takes the TPRs of the baseline for it."""
    g = grid("cdb", Evidence(3, tpr=SEED), {"tau": 1})
    at = int(np.argmin(np.abs(g.values - 1)))
    close(g.weight[at], terms("tpr_deficit", {"tau": 1}, tpr=SEED).weight)


@pytest.mark.parametrize("method", [m for m in METHODS if m.slider and "network" not in m.needs], ids=lambda m: m.key)
def test_grid_of_every_slider(method):
    """Every frame is the answer at its stop, for 1,000 classes too."""
    g = grid(method.key, spread(1000), limit=5)
    assert g.weight.shape == (len(g.frames), 1000)
    assert np.isfinite(g.share).all()
