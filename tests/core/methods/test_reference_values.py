"""Methods that are pure maps, held to vectors computed elsewhere and to the values of their sources."""

import numpy as np
import pytest

from core.methods import METHODS
from core.methods.samplers import SAMPLERS
from tests.core.methods.kit import COUNTS, RAW, SEED, close, terms

# Vectors of the reference sheet, section by section. raw means: rescaled here to mean 1.
RAW_LOG = np.array([1, 2.20397280433, 3.30258509299, 4.50655789732, 5.60517018599])
SHIFT = [-0.364643113588, -1.56861591791, -2.66722820658, -3.87120101091, -4.96981329958]
SCALE = [1, 0.696845301936, 0.501187233627, 0.349249969143, 0.251188643151]
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


@pytest.mark.parametrize(("key", "params", "expected"), FROM_TPRS)
def test_maps_of_the_tprs_of_the_copied_example(key, params, expected):
    close(terms(key, params, tpr=SEED).weight, expected)


@pytest.mark.parametrize(("key", "params", "name", "expected"), FROM_COUNTS)
def test_maps_of_counts_from_1000_to_10(key, params, name, expected):
    close(getattr(terms(key, params, counts=COUNTS), name), expected)


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
