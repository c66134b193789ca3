"""Methods that are the same map by another name, plain at the end of their slider, and in the order of the evidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.methods.kit import COUNTS, FIVE, SEED, close, terms

SAME = [  # key, parameters, key, parameters: the same terms
    ("balanced_softmax", {}, "logit_adjusted", {"tau": 1}),
    ("tpr_ratio", {"exponent": 1}, "tpr_inverse", {}),
    ("smooth_inverse_frequency", {"gamma": 1}, "inverse_frequency", {}),
    ("smooth_inverse_frequency", {"gamma": 0.5}, "sqrt_inverse_frequency", {}),
    ("vs", {"gamma": 0, "tau": 1.5}, "logit_adjusted", {"tau": 1.5}),
    ("vs", {"gamma": 0.3, "tau": 0}, "cdt", {"gamma": 0.3}),
    ("cdb", {"tau": 1.5}, "tpr_deficit", {"tau": 1.5}),
    ("poly_tail", {"reweight": 1}, "inverse_frequency", {}),
    ("poly_tail", {"reweight": 0.5}, "sqrt_inverse_frequency", {}),
    ("ldam", {"reweight": 0.99, "max_margin": 0}, "class_balanced", {"beta": 0.99}),
    ("eql", {"threshold": 0.1}, "seql", {"threshold": 0.1}),
    ("custom", {"formula": "1/n"}, "inverse_frequency", {}),
    ("custom", {"formula": "1/tpr"}, "tpr_inverse", {}),
]
NEUTRAL = {"weight": 1, "scale": 1, "shift": 0, "margin": 0, "mask": 0, "smoothing": 0, "focus": 0}
PLAIN = [  # parameters at which a method is plain cross entropy
    ("none", {}),
    ("tpr_ratio", {"exponent": 0}),
    ("tpr_deficit", {"tau": 0}),
    ("tpr_logit_adjusted", {"tau": 0}),
    ("cdb", {"tau": 0}),
    ("smooth_inverse_frequency", {"gamma": 0}),
    ("class_balanced", {"beta": 0}),
    ("logit_adjusted", {"tau": 0}),
    ("cdt", {"gamma": 0}),
    ("vs", {"gamma": 0, "tau": 0}),
    ("focal", {"gamma": 0}),
    ("seql", {"gamma": 0}),
    ("seql", {"threshold": 0}),
    ("manual", {"weights": "1,1,1,1,1"}),
    ("label_aware_smoothing", {"head": 0, "tail": 0}),
]


@pytest.mark.parametrize(("one", "its", "other", "theirs"), SAME)
def test_the_same_by_another_name(one, its, other, theirs):
    a, b = (terms(key, params, tpr=FIVE, counts=COUNTS).set() for key, params in ((one, its), (other, theirs)))
    for name in a.keys() | b.keys():
        neutral = np.full(5, float(NEUTRAL[name]))
        close(a.get(name, neutral), b.get(name, neutral))


@pytest.mark.parametrize("reduction", ["weighted_mean", "batch_mean"])
@pytest.mark.parametrize(("key", "params"), PLAIN)
def test_plain_cross_entropy_at_the_end_of_the_slider(key, params, reduction):
    import torch
    from torch.nn.functional import cross_entropy

    from core.training.losses import class_loss, tensor_terms

    found = terms(key, params, tpr=FIVE, counts=COUNTS)
    g = torch.Generator().manual_seed(0)
    z, y = torch.randn(32, 5, generator=g, dtype=torch.float64), torch.randint(0, 5, (32,), generator=g)
    acting = tensor_terms(found, torch.device("cpu"), torch.float64) or {"weight": torch.ones(5, dtype=torch.float64)}
    assert class_loss(z, y, acting, reduction, found.knobs, g).item() == pytest.approx(
        cross_entropy(z, y).item(), rel=1e-12
    )


def test_balanced_softmax_is_the_log_counts_up_to_a_constant():
    assert np.ptp(terms("balanced_softmax", counts=COUNTS).shift - np.log(COUNTS)) < 1e-12


def test_balanced_has_mean_1_over_the_samples():
    n = np.array([*COUNTS, 0])
    assert (terms("balanced", counts=n).weight * n).sum() == pytest.approx(n.sum())
    close(np.delete(terms("balanced", counts=n).weight, 5), terms("balanced", counts=COUNTS).weight)


def test_inverse_max_and_mean_of_the_tprs_are_one_map():
    a = np.array(SEED)
    for raw in (1 / a, a.max() / a, a.mean() / a):
        close(terms("tpr_inverse", tpr=SEED).weight, raw / raw.mean())


def test_ldam_margins_do_not_depend_on_s_or_the_weights():
    drw = terms("ldam", {"reweight": 0.9999, "s": 10, "max_margin": 0.3}, counts=COUNTS)
    close(drw.margin, 0.3 * (np.array(COUNTS) / 10.0) ** -0.25)
    close(drw.weight, terms("class_balanced", counts=COUNTS).weight)
    assert drw.knobs == {"s": 10}
    assert terms("ldam", counts=COUNTS).weight is None


def test_tpr_logit_adjustment_adds_up_like_its_formula():
    a = np.array(FIVE)
    close(terms("tpr_logit_adjusted", {"tau": 2}, tpr=FIVE).shift, 2 * np.log(a / a.mean()))


@settings(max_examples=40)
@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=20), st.floats(0.05, 4))
def test_harder_never_weighs_less(values, power):
    order = np.argsort(values)
    for key, params in (
        ("tpr_ratio", {"exponent": power}),
        ("tpr_inverse", {}),
        ("tpr_deficit", {"tau": power}),
        ("tpr_softmax", {"temperature": power}),
        ("tpr_neglog", {}),
        ("cdb", {"tau": power}),
    ):
        w = terms(key, params, tpr=values).weight[order]
        assert (np.diff(w) <= 1e-12 * w[:-1]).all(), key


@settings(max_examples=40)
@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=20), st.floats(0, 1))
def test_rarer_is_never_helped_less(counts, power):
    """A larger weight, margin and mask, a lower shift and scale, and less smoothing, the rarer a class is."""
    order = np.argsort(counts)
    for key, params in (
        ("inverse_frequency", {}),
        ("balanced", {}),
        ("smooth_inverse_frequency", {"gamma": power}),
        ("log_frequency", {}),
        ("class_balanced", {"beta": min(power, 0.999999)}),
        ("ldam", {"max_margin": power}),
        ("seql", {"gamma": power}),
        ("logit_adjusted", {"tau": power}),
        ("vs", {"gamma": power}),
        ("label_aware_smoothing", {"head": 0.4, "tail": 0.1}),
    ):
        for name, v in terms(key, params, counts=counts).set().items():
            rising = np.diff(v[order]) * (-1 if name in ("weight", "margin", "mask") else 1)
            assert (rising >= -1e-12 * np.abs(v).max()).all(), (key, name)
