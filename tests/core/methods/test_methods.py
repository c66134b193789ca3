"""Every method that is a pure map, held to its source: vectors computed elsewhere, identities, and the limits of each map.

What every row owes, whatever it computes, is in test_method_rows.py; samplers are in test_samplers.py.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import EvenlyError
from core.methods import METHODS, answer, formula_with, grid, grid_values, slider_param, what_if
from core.methods.class_difficulty import dynamic_tau, smoothed
from core.methods.normalization import NEGLIGIBLE
from core.methods.notes import (
    CountsFilled,
    ShiftsZero,
    TprsClamped,
    WeightsCapped,
    WeightsFilled,
    WeightsNegligible,
    WeightsZero,
)
from core.methods.samplers import SAMPLERS
from core.methods.types import ClassTerms, Evidence

SEED = [0.9560878243512974, 0.7365384615384616, 0.7807933194154488]
FIVE = [0.9, 0.7, 0.5, 0.3, 0.1]
COUNTS = [1000, 300, 100, 30, 10]
MANY = 1e9  # validation samples: so many that the floors are out of sight


def terms(key, params=None, **vectors):
    """The answer for these vectors: tpr stands for an earlier run and for the last epoch alike."""
    return answer(key, what_if(len(next(iter(vectors.values()))), **vectors), params)


def close(found, expected, digits=11):
    np.testing.assert_allclose(found, expected, rtol=10.0**-digits, atol=1e-12)


# ---------------------------------------------------------------- the vectors of the reference sheet


# Vectors of the reference sheet, section by section. raw means: rescaled here to mean 1.
RAW_LOG = np.array([1, 2.20397280433, 3.30258509299, 4.50655789732, 5.60517018599])
SHIFT = [-0.364643113588, -1.56861591791, -2.66722820658, -3.87120101091, -4.96981329958]
SCALE = [1, 0.696845301936, 0.501187233627, 0.349249969143, 0.251188643151]
RAW = {"normalize": "none"}
FROM_TPRS = [
    ("tpr_ratio", {"exponent": 1, **RAW}, [0.862340446944, 1.119389203445, 1.055942950928]),
    ("tpr_ratio", {"exponent": 2, **RAW}, [0.743631046435, 1.253032188790, 1.115015515614]),
    ("tpr_ratio", {"exponent": 3, **RAW}, [0.641263128944, 1.402630703701, 1.177392773888]),
    ("tpr_ratio", {"exponent": 4, **RAW}, [0.552987133222, 1.570089666144, 1.243259600061]),
    ("tpr_ratio", {"exponent": 2}, [0.716941984677, 1.208060621732, 1.074997393591]),
    ("tpr_ratio", {"exponent": 4}, [0.492809155956, 1.399227064543, 1.107963779502]),
    ("tpr_inverse", {}, [0.851645875105, 1.105506764909, 1.042847359986]),
    ("tpr_deficit", {"tau": 0.5}, [0.527825199178, 1.292874157075, 1.179300643747]),
    ("tpr_deficit", {"tau": 1}, [0.250173626427, 1.500976153589, 1.248850219984]),
    ("tpr_deficit", {"tau": 2}, [0.048452540675, 1.744138994616, 1.207408464708]),
    ("tpr_softmax", {"temperature": 1}, [0.872825683094, 1.087117767470, 1.040056549436]),
    ("tpr_softmax", {"temperature": 0.1}, [0.190403532762, 1.710668150955, 1.098928316283]),
    ("tpr_neglog", {}, [0.225224164464, 1.533713075508, 1.241062760028]),
]
FROM_COUNTS = [
    (
        "inverse_frequency",
        {},
        "weight",
        [0.0338600451467, 0.112866817156, 0.338600451467, 1.12866817156, 3.38600451467],
    ),
    ("balanced", {}, "weight", [0.288, 0.96, 2.88, 9.6, 28.8]),
    (
        "sqrt_inverse_frequency",
        {},
        "weight",
        [0.22976333878, 0.419488545125, 0.72657547335, 1.32653925495, 2.2976333878],
    ),
    ("log_frequency", {}, "weight", RAW_LOG / RAW_LOG.mean()),
    (
        "class_balanced",
        {"beta": 0.9},
        "weight",
        [0.896116090969, 0.896116090969, 0.896139893698, 0.935785105487, 1.37584281888],
    ),
    (
        "class_balanced",
        {"beta": 0.99},
        "weight",
        [0.27888987696, 0.293259547332, 0.439892844844, 1.07137240482, 2.91658532605],
    ),
    (
        "class_balanced",
        {"beta": 0.999},
        "weight",
        [0.0526429895735, 0.128373721192, 0.349618252612, 1.12571836412, 3.34364667251],
    ),
    (
        "class_balanced",
        {"beta": 0.9999},
        "weight",
        [0.0355209182295, 0.114373795592, 0.339718426866, 1.12844238401, 3.3819444753],
    ),
    ("ldam", {}, "margin", [0.158113883008, 0.213643503198, 0.281170662595, 0.379917842826, 0.5]),
    (
        "label_aware_smoothing",
        {"head": 0.4, "tail": 0.1, "shape": "concave"},
        "smoothing",
        [0.4, 0.233219983782, 0.142694451482, 0.109518380049, 0.1],
    ),
    (
        "label_aware_smoothing",
        {"head": 0.4, "tail": 0.1, "shape": "linear"},
        "smoothing",
        [0.4, 0.187878787879, 0.127272727273, 0.106060606061, 0.1],
    ),
    (
        "label_aware_smoothing",
        {"head": 0.4, "tail": 0.1, "shape": "convex"},
        "smoothing",
        [0.4, 0.131201867713, 0.103053567436, 0.100151037285, 0.1],
    ),
    (
        "label_aware_smoothing",
        {"head": 0.4, "tail": 0.1, "shape": "exp", "power": 1},
        "smoothing",
        [0.4, 0.187878787879, 0.127272727273, 0.106060606061, 0.1],
    ),
    (
        "label_aware_smoothing",
        {"head": 0.4, "tail": 0.1, "shape": "exp", "power": 2},
        "smoothing",
        [0.1 + 0.3 * ((n - 10) / 990) ** 2 for n in COUNTS],
    ),
    ("balanced_softmax", {}, "shift", SHIFT),
    ("logit_adjusted", {"tau": 1}, "shift", SHIFT),
    ("cdt", {"gamma": 0.3}, "scale", SCALE),
    ("vs", {"gamma": 0.3, "tau": 1}, "scale", SCALE),
    ("vs", {"gamma": 0.3, "tau": 1}, "shift", SHIFT),
]
CDB = [  # TPRs, parameters, weights, tau
    (FIVE, {}, [0.0303432573982, 0.272886352295, 0.757755640716, 1.48486289992, 2.45415184967], 1.999323244),
    (
        FIVE,
        {"variant": "imagenet_code"},
        [0.0303934183948, 0.273084539569, 0.757979627231, 1.48488074427, 2.45366167053],
        1.998480587,
    ),
    (
        FIVE,
        {"variant": "cifar_code"},
        [0.200100101428, 0.600115927441, 1.00005036063, 1.39993878881, 1.79979482169],
        0.999720385,
    ),
    (FIVE, {"tau": 0.5}, [0.471081702971, 0.815937444062, 1.0533707108, 1.24636503325, 1.41324510891], 0.5),
    (FIVE, {"tau": 1}, [0.2, 0.6, 1, 1.4, 1.8], 1),
    (FIVE, {"tau": 1.5}, [0.0794953615527, 0.413070015526, 0.888785161639, 1.47227469936, 2.14637476192], 1.5),
    (FIVE, {"tau": 2}, [0.030303030303, 0.272727272727, 0.757575757576, 1.48484848485, 2.45454545455], 2),
    (FIVE, {"tau": 5}, [6.31113916062e-05, 0.0153360681603, 0.197223098769, 1.06071315873, 3.72666456295], 5),
    ([0.99, 0.98], {}, [0.665111702804, 1.3348882972], 1.00505046211),
    ([0.99, 0.98], {"variant": "cifar_code"}, [0.751920244714, 1.24807975529], 0.73105857863),
    (SEED, {}, [0.198002881733, 1.548315415941, 1.253681702326], 1.147861312217),
    (SEED, {"variant": "cifar_code"}, [0.349525039227, 1.420429576238, 1.230045384535], 0.782568000446),
    ([0.8, 0.8, 0.8], {}, [1, 1, 1], 0.999937507812),
    ([0, 0, 0], {}, [1, 1, 1], 0.53788284274),
    ([0, 0, 0], {"variant": "cifar_code"}, [1, 1, 1], 0.5),
    (
        [1, 0.5, 0],
        {},
        [0, 0.6, 2.4],
        2,
    ),  # the floors keep the 0 off 0; with enough validation samples they are out of sight
    ([1, 0.5, 0], {"variant": "cifar_code"}, [0, 1, 2], 1),
]


@pytest.mark.parametrize(("key", "params", "expected"), FROM_TPRS)
def test_maps_of_the_tprs_of_the_copied_example(key, params, expected):
    close(terms(key, params, tpr=SEED).weight, expected)


@pytest.mark.parametrize(("key", "params", "name", "expected"), FROM_COUNTS)
def test_maps_of_counts_from_1000_to_10(key, params, name, expected):
    close(getattr(terms(key, params, counts=COUNTS), name), expected)


@pytest.mark.parametrize(("tpr", "params", "expected", "tau"), CDB)
def test_cdb(tpr, params, expected, tau):
    found = terms("cdb", params, tpr=tpr, support=np.full(len(tpr), MANY))
    np.testing.assert_allclose(found.weight, expected, rtol=1e-8, atol=1e-8)
    assert found.info["tau"] == pytest.approx(tau, abs=1e-9)


@pytest.mark.parametrize(
    ("tpr", "variant", "tau"),
    [
        ([0.99, 0.98], "imagenet_code", 1.0),
        ([0, 0, 0], "paper", 0.53788284274),
        ([1, 0.5, 0], "paper", 2.0),
        ([0.9, math.nan, 0.1], "paper", 1.999323244),
    ],
)
def test_dynamic_tau_looks_at_the_raw_tprs(tpr, variant, tau):
    """Also where TPRs are 0 or 1, and over the classes that have one."""
    assert dynamic_tau(np.array(tpr, float), variant) == pytest.approx(tau, abs=1e-9)


def test_the_copied_example_prints_exponent_two():
    """The list that the example shows as its output, though its code says 4; and its own algebra, (1 - (A - mean)/A)^p."""
    printed = [0.743631046434835, 1.2530321887900169, 1.1150155156144919]
    np.testing.assert_allclose(terms("tpr_ratio", {**RAW, "exponent": 2}, tpr=SEED).weight, printed, rtol=0, atol=1e-15)
    a = np.array(SEED)
    np.testing.assert_allclose(
        terms("tpr_ratio", {**RAW, "exponent": 4}, tpr=SEED).weight, (1 - (a - a.mean()) / a) ** 4, rtol=1e-14
    )
    assert "exponent 2" in METHODS["tpr_ratio"].caveat


@pytest.mark.parametrize(("beta", "ratio"), [(0.9, 1.00518), (0.99, 2.5317), (0.999, 20.356), (0.9999, 78.890)])
def test_class_balanced_between_50_and_5000_samples(beta, ratio):
    head, tail = terms("class_balanced", {"beta": beta}, counts=[5000, 50]).weight
    assert tail / head == pytest.approx(ratio, rel=1e-4)


def test_class_balanced_is_stable_towards_1():
    few = terms("class_balanced", {"beta": 0.999999}, counts=[1, 2]).weight
    assert few[0] / few[1] == pytest.approx(1 + 0.999999, rel=1e-14)  # (1 - b^2) / (1 - b) = 1 + b


@pytest.mark.parametrize(
    ("key", "imbalance", "threshold", "spared"),
    [
        ("seql", 100, 0.03, 10),
        ("seql", 50, 0.03, 8),
        ("seql", 10, 0.03, 0),
        ("seql", 100, 0.005, 48),
        ("seql", 50, 0.005, 53),
        ("eql", 10, 0.005, 71),
    ],
)
def test_equalization_spares_the_frequent_classes_of_long_tailed_cifar_100(key, imbalance, threshold, spared):
    """Counts int(475 mu^c) as in the sheet's section 9.2. The mask is gamma for rare classes and 0 for the others."""
    n = np.floor(475 * (1 / imbalance) ** (np.arange(100) / 99))
    mask = terms(key, {"threshold": threshold, "gamma": 0.8}, counts=n).mask
    assert mask.tolist() == [0.0] * spared + [0.8] * (100 - spared)


@pytest.mark.parametrize(
    ("key", "defaults"),
    [
        ("class_balanced", {"beta": 0.9999}),
        ("focal", {"gamma": 2, "form": "softmax", "alpha": "off"}),
        ("ghm", {"bins": 10, "momentum": 0}),
        ("seql", {"gamma": 0.9, "threshold": 0.005}),
        ("logit_adjusted", {"tau": 1}),
        ("logit_adjusted_posthoc", {"tau": 1}),
        ("ldam", {"max_margin": 0.5, "s": 30}),
        ("cdb", {"tau": "dynamic", "variant": "paper", "ema": 0}),
        ("group_dro", {"eta": 0.01, "adjustment": 0}),
        ("meta_weight_net", {"hidden": 100, "lr": "published"}),
        ("difficulty_net", {"driver": 0.3, "lr": 1e-5}),
        ("oltr", {"scale": 16, "memory": 0.01, "repel": 0.01}),
        ("ncm", {"features": "cl2n", "distance": "l2"}),
        ("vs", {"gamma": 0.3, "tau": 1}),
        ("label_aware_smoothing", {"head": 0.3, "tail": 0, "shape": "concave"}),
        ("eql", {"prior": 0.001}),
        ("tau_norm", {"bias": "drop"}),
        ("sampler:class_aware", {"run": 4}),
        ("sampler:smote", {"k": 5}),
        ("sampler:share", {"rho": 0.5}),
    ],
)
def test_defaults_are_those_of_the_source(key, defaults):
    row = SAMPLERS[key.removeprefix("sampler:")] if key.startswith("sampler:") else METHODS[key]
    assert {p.key: p.default for p in row.params if p.key in defaults} == defaults


def test_defaults_without_a_source_of_their_own_lie_among_the_published_values():
    assert 0.1 <= METHODS["cdt"].params[0].default <= 0.3  # published values
    assert METHODS["tau_norm"].params[0].default in np.linspace(0, 2, 21).round(10)  # the sweep of the authors' code


def test_focal_sets_focus_only_and_its_form():
    assert {k: v.tolist() for k, v in terms("focal", tpr=SEED).set().items()} == {"focus": [2, 2, 2]}
    assert (terms("focal", tpr=SEED).objective, terms("focal", {"form": "sigmoid"}, tpr=SEED).objective) == (
        "terms",
        "sigmoid",
    )
    assert terms("focal", {"alpha": 0.25, "variant": "detached"}, tpr=SEED).knobs == {"alpha": 0.25, "detached": 1}
    assert terms("focal", tpr=SEED).knobs == {}
    assert terms("none", tpr=SEED).set() == {}


# ---------------------------------------------------------------- identities

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


# ---------------------------------------------------------------- CDB along the epochs

PAST = np.array([[0.2, 0.9, math.nan], [0.6, 0.7, 0.4], [0.4, 0.8, 0.5]])


def test_moving_average_by_hand():
    """A <- .75 A + .25 new; a class's average begins with its first value, and a missing value changes nothing."""
    assert smoothed(PAST, 0.75) == pytest.approx(
        [
            0.75 * (0.75 * 0.2 + 0.25 * 0.6) + 0.25 * 0.4,
            0.75 * (0.75 * 0.9 + 0.25 * 0.7) + 0.25 * 0.8,
            0.75 * 0.4 + 0.25 * 0.5,
        ]
    )
    assert smoothed(np.vstack([PAST, [math.nan] * 3]), 0.75) == pytest.approx(smoothed(PAST, 0.75))


def test_cdb_with_a_moving_average():
    def cdb(**params):
        return answer("cdb", Evidence(3, last_tpr=PAST[-1], past=PAST, epoch=3, epochs=9), params)

    published = answer("cdb", Evidence(3, last_tpr=PAST[-1]))
    assert cdb(ema=0).weight.tolist() == published.weight.tolist()
    assert cdb(ema=0.75).weight.tolist() == answer("cdb", Evidence(3, last_tpr=smoothed(PAST, 0.75))).weight.tolist()
    assert cdb(ema=0.75).info["tau"] == pytest.approx(dynamic_tau(smoothed(PAST, 0.75), "paper"))


def test_cdb_before_the_first_epoch():
    found = answer("cdb", Evidence(3, tpr=SEED))
    assert found.weight.tolist() == [1, 1, 1]
    assert found.notes


# ---------------------------------------------------------------- floors and missing evidence


def test_floor_is_half_a_validation_sample():
    """(mean/A)^1 with A = 1/400 for the class at 0 of 200; the class at 1 of 50 counts as .99."""
    found = terms("tpr_ratio", {"exponent": 1, **RAW}, tpr=[0, 0.5, 1], support=[200, 100, 50])
    clamped = np.array([0.0025, 0.5, 0.99])
    close(found.weight, clamped.mean() / clamped)
    assert found.clipped == (0, 2)
    assert found.notes == (TprsClamped((0, 2)),)


def test_a_tpr_without_samples_is_no_tpr():
    """A support of 0 outweighs a number given for the TPR."""
    with_number = terms("tpr_ratio", tpr=[0.9, 0.1, 0.5], support=[50, 0, 50])
    assert (
        with_number.weight.tolist() == terms("tpr_ratio", tpr=[0.9, np.nan, 0.5], support=[50, 0, 50]).weight.tolist()
    )
    assert with_number.weight[1] == pytest.approx(1)


def test_unknown_support_is_said_only_when_it_bites():
    assert terms("tpr_deficit", tpr=[0.4, 0.9]).notes == ()
    found = terms("tpr_deficit", tpr=[0.4, 1.0])
    assert found.weight[1] / found.weight[0] == pytest.approx(0.001 / 0.6)
    assert found.notes == (TprsClamped((1,), 0.001),)


@pytest.mark.parametrize(
    ("key", "params"),
    [
        ("tpr_ratio", {}),
        ("tpr_inverse", {}),
        ("tpr_deficit", {}),
        ("tpr_softmax", {}),
        ("tpr_neglog", {}),
        ("cdb", {"tau": 1}),
    ],
)
def test_class_without_validation_samples_gets_the_mean(key, params):
    found = terms(key, params, tpr=[0.9, np.nan, 0.5, 0.4], support=[100, 0, 100, 100])
    close(np.delete(found.weight, 1), terms(key, params, tpr=[0.9, 0.5, 0.4]).weight)
    assert found.weight[1] == pytest.approx(1)
    assert WeightsFilled((1,), ("tpr",)) in found.notes


def test_class_without_a_tpr_gets_no_shift():
    found = terms("tpr_logit_adjusted", tpr=[0.9, np.nan, 0.3])
    close(found.shift, [math.log(1.5), 0, math.log(0.5)])
    assert found.notes == (ShiftsZero(1, 3),)


@pytest.mark.parametrize(
    "key",
    [
        "inverse_frequency",
        "sqrt_inverse_frequency",
        "smooth_inverse_frequency",
        "log_frequency",
        "class_balanced",
        "poly_tail",
        "ldam",
        "label_aware_smoothing",
        "cdt",
        "vs",
        "logit_adjusted",
        "balanced_softmax",
    ],
)
def test_class_without_training_samples_leaves_the_others_alone(key):
    """Up to the common summand of a shift, which changes nothing; and a note says what was assumed."""
    found, without = terms(key, counts=[100, 0, 10, 2]), terms(key, counts=[100, 10, 2])
    for name, vector in without.set().items():
        others = np.delete(getattr(found, name), 1) - vector
        assert np.ptp(others) < 1e-12 if name == "shift" else np.abs(others).max() < 1e-12, name
    assert isinstance(found.notes[0], (CountsFilled, WeightsFilled))
    assert found.notes[0].classes == (1,)


@pytest.mark.parametrize("value", [0.0, 0.37, 1.0])
@pytest.mark.parametrize("key", ["tpr_ratio", "tpr_inverse", "tpr_deficit", "tpr_softmax", "tpr_neglog", "cdb"])
def test_equal_tprs_weigh_one_whatever_the_supports(key, value):
    for support in (None, [10, 200, 3000]):
        close(terms(key, tpr=[value] * 3, support=support).weight, 1)


@pytest.mark.parametrize(
    ("key", "vectors"),
    [
        *(
            (key, {"tpr": [np.nan, np.nan]})
            for key in (
                "tpr_ratio",
                "tpr_inverse",
                "tpr_deficit",
                "tpr_softmax",
                "tpr_neglog",
                "tpr_logit_adjusted",
                "cdb",
            )
        ),
        *((m.key, {"counts": [0, 0]}) for m in METHODS if m.needs == {"counts"}),
    ],
)
def test_nothing_known_of_any_class_is_refused(key, vectors):
    with pytest.raises(EvenlyError, match=r"no class has"):
        terms(key, **vectors)


def test_largest_ratio_is_capped_and_said():
    found = terms("tpr_ratio", {"exponent": 4, "max_ratio": 100}, tpr=[0.9, 0.5, 0.01])
    assert found.weight.max() / found.weight.min() == pytest.approx(100)
    assert found.weight.mean() == pytest.approx(1)
    assert found.clipped == (2,)
    assert found.notes[0] == WeightsCapped((2,), 100)
    assert terms("tpr_ratio", {"max_ratio": 1}, tpr=[0.9, 0.5, 0.01]).weight.tolist() == [1, 1, 1]


def test_a_class_next_to_no_gradient_is_named():
    assert terms("tpr_deficit", {"tau": 8}, tpr=[0.999, 0.5, 0.2]).notes == (WeightsNegligible((0,), NEGLIGIBLE),)
    least = terms("tpr_deficit", {"tau": 8}, tpr=[1, 0.5, 0.2], support=[10**6] * 3)
    assert least.weight.astype(np.float32).min() > 0  # what training in single precision sees
    assert 0 in least.clipped


# ---------------------------------------------------------------- weights typed by hand


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


# ---------------------------------------------------------------- bad evidence


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("tpr_ratio", "tpr_ratio needs the TPRs of an earlier run: choose a baseline or paste TPRs"),
        ("inverse_frequency", "inverse_frequency needs the training counts"),
        ("magic", "unknown method 'magic'; known: none, tpr_ratio"),
    ],
)
def test_missing_evidence_and_unknown_method(key, message):
    with pytest.raises(EvenlyError, match=message):
        answer(key, Evidence(3))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({"tpr": [0.5, 1.2]}, r"tpr of class 1 is 1\.2, expected a finite number in \[0, 1\]"),
        ({"tpr": [0.5]}, "tpr has 1 value, expected 2"),
        ({"counts": [1, -1]}, "counts of class 1 is -1"),
        ({"counts": [1, math.inf]}, "counts of class 1 is inf, expected a finite number"),
        ({"tpr": ["a", "b"]}, "tpr must be numbers"),
    ],
)
def test_bad_evidence(vectors, message):
    with pytest.raises(EvenlyError, match=message):
        what_if(2, **vectors)


def test_past_tprs_of_another_shape():
    with pytest.raises(EvenlyError, match=r"past TPRs have the shape \(3, 2\), expected epochs x 3"):
        Evidence(3, past=np.ones((3, 2)))


# ---------------------------------------------------------------- order


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


# ---------------------------------------------------------------- formula and grid


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
