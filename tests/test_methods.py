"""Every method: golden vectors computed elsewhere, the limits of section 1.3, and what each row of the table owes."""

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import EvenlyError
from core.evidence import ClassTerms, Evidence
from core.methods import METHODS, answer, dynamic_tau, formula_with, grid, grid_values, slider_param, what_if

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())["cases"]
CASES = [c for c in GOLDEN if c["method"] in METHODS]
SEED = [0.9560878243512974, 0.7365384615384616, 0.7807933194154488]
FIVE = [0.9, 0.7, 0.5, 0.3, 0.1]
COUNTS = [1000, 300, 100, 30, 10]
ROWS = list(METHODS)
WEIGHTED = [m for m in ROWS if answer(m.key, what_if(2, tpr=[0.5, 0.9], counts=[1, 2])).weight is not None]


def names(rows):
    return [r.key for r in rows]


def evidence(classes, seed=0, **changes):
    rng = np.random.default_rng(seed)
    given = {"tpr": rng.uniform(0.05, 0.99, classes), "support": np.full(classes, 200.0), "counts": rng.integers(1, 1000, classes), **changes}
    return what_if(classes, **given)


# ---------------------------------------------------------------- golden vectors


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['method']}-{len(next(iter(c['given'].values())))}-{c['params']}")
def test_golden(case):
    vectors = case["given"]
    terms = answer(case["method"], what_if(len(next(iter(vectors.values()))), **vectors), case["params"])
    found = {**terms.set(), **{k: np.array([v]) for k, v in (terms.info or {}).items()}}
    for name, expected in case["expect"].items():
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-9)
    assert (terms.notes, terms.clipped) == ((), ())


def test_golden_covers_the_methods_with_a_formula():
    assert {c["method"] for c in CASES} == set(METHODS.keys) - {"none", "focal"}


def test_the_copied_example_prints_exponent_two():
    """The list that the example shows as its output, though its code says 4; and its own algebra, (1 - (A - mean)/A)^p."""
    printed = [0.743631046434835, 1.2530321887900169, 1.1150155156144919]
    raw = {"normalize": "none"}
    np.testing.assert_allclose(answer("tpr_ratio", what_if(3, tpr=SEED), {**raw, "exponent": 2}).weight, printed, rtol=0, atol=1e-15)
    a = np.array(SEED)
    np.testing.assert_allclose(answer("tpr_ratio", what_if(3, tpr=SEED), {**raw, "exponent": 4}).weight, (1 - (a - a.mean()) / a) ** 4, rtol=1e-14)
    assert "exponent 2" in METHODS["tpr_ratio"].caveat


@pytest.mark.parametrize(
    ("tpr", "variant", "tau"),
    [(FIVE, "paper", 1.999323244), (FIVE, "imagenet_code", 1.998480587), (FIVE, "cifar_code", 0.999720385),
     ([0.99, 0.98], "paper", 1.00505046211), ([0.99, 0.98], "imagenet_code", 1.0), ([0.99, 0.98], "cifar_code", 0.73105857863),
     ([0.8, 0.8, 0.8], "paper", 0.999937507812), ([0, 0, 0], "paper", 0.53788284274), ([0, 0, 0], "cifar_code", 0.5), ([1, 0.5, 0], "paper", 2.0)],
)
def test_dynamic_tau_of_each_variant(tpr, variant, tau):
    """Section 2 of the reference sheet, also where TPRs are 0 or 1: tau looks at the raw ones."""
    assert dynamic_tau(np.array(tpr, float), variant) == pytest.approx(tau, abs=1e-9)
    found = answer("cdb", what_if(len(tpr), tpr=tpr), {"variant": variant}).info["tau"]
    assert found == pytest.approx(tau, abs=1e-9)


@pytest.mark.parametrize(("tau", "expected"), [
    (1.5, [0.0794953615527, 0.413070015526, 0.888785161639, 1.47227469936, 2.14637476192]),
    (5, [6.31113916062e-05, 0.0153360681603, 0.197223098769, 1.06071315873, 3.72666456295]),
])
def test_cdb_and_deficit_share_their_formula(tau, expected):
    for key in ("cdb", "tpr_deficit"):
        np.testing.assert_allclose(answer(key, what_if(5, tpr=FIVE), {"tau": tau}).weight, expected, rtol=1e-11)


@pytest.mark.parametrize(("beta", "ratio"), [(0.9, 1.00518), (0.99, 2.5317), (0.999, 20.356), (0.9999, 78.890)])
def test_class_balanced_between_50_and_5000_samples(beta, ratio):
    head, tail = answer("class_balanced", what_if(2, counts=[5000, 50]), {"beta": beta}).weight
    assert tail / head == pytest.approx(ratio, rel=1e-4)


def test_class_balanced_at_its_ends():
    assert answer("class_balanced", what_if(5, counts=COUNTS), {"beta": 0}).weight.tolist() == [1] * 5
    near = answer("class_balanced", what_if(5, counts=[5, 4, 3, 2, 1]), {"beta": 0.999999}).weight
    np.testing.assert_allclose(near, answer("inverse_frequency", what_if(5, counts=[5, 4, 3, 2, 1])).weight, rtol=1e-5)
    few = answer("class_balanced", what_if(2, counts=[1, 2]), {"beta": 0.999999}).weight
    assert few[0] / few[1] == pytest.approx(1 + 0.999999, rel=1e-14)  # (1 - b^2) / (1 - b) = 1 + b


def test_focal_sets_focus_only():
    assert {k: v.tolist() for k, v in answer("focal", what_if(3)).set().items()} == {"focus": [2, 2, 2]}
    assert answer("none", what_if(3)).set() == {}


# ---------------------------------------------------------------- floors


def test_floor_is_half_a_validation_sample():
    """(mean/A)^1 with A = 1/400 for the class at 0 of 200; the class at 1 of 50 counts as .99."""
    terms = answer("tpr_ratio", what_if(3, tpr=[0, 0.5, 1], support=[200, 100, 50]), {"exponent": 1, "normalize": "none"})
    clamped = np.array([0.0025, 0.5, 0.99])
    np.testing.assert_allclose(terms.weight, clamped.mean() / clamped, rtol=1e-14)
    assert terms.clipped == (0, 2)
    assert terms.notes == ("The TPR of classes 0 and 2 is kept away from 0 and 1 by half a validation sample.",)


def test_a_tpr_without_samples_is_no_tpr():
    """A support of 0 outweighs a number given for the TPR."""
    given = answer("tpr_ratio", what_if(3, tpr=[0.9, 0.1, 0.5], support=[50, 0, 50]))
    absent = answer("tpr_ratio", what_if(3, tpr=[0.9, np.nan, 0.5], support=[50, 0, 50]))
    assert given.weight.tolist() == absent.weight.tolist()
    assert given.weight[1] == pytest.approx(1)


def test_unknown_support_is_said_only_when_it_bites():
    assert answer("tpr_deficit", what_if(2, tpr=[0.4, 0.9])).notes == ()
    terms = answer("tpr_deficit", what_if(2, tpr=[0.4, 1.0]))
    np.testing.assert_allclose(terms.weight[1] / terms.weight[0], 0.001 / 0.6, rtol=1e-12)
    assert "0.001, because the number of validation samples is unknown" in terms.notes[0]


@pytest.mark.parametrize("key", ["tpr_ratio", "tpr_deficit", "cdb"])
def test_class_without_validation_samples_gets_the_mean(key):
    tpr, support = np.array([0.9, np.nan, 0.5, 0.4]), [100, 0, 100, 100]
    terms = answer(key, what_if(4, tpr=tpr, support=support), {} if key == "tpr_ratio" else {"tau": 1})
    np.testing.assert_allclose(np.delete(terms.weight, 1), answer(key, what_if(3, tpr=[0.9, 0.5, 0.4]), {} if key == "tpr_ratio" else {"tau": 1}).weight)
    assert terms.weight[1] == pytest.approx(1)
    assert any(n.startswith("Class 1: no TPR") for n in terms.notes)
    raw = answer("tpr_ratio", what_if(4, tpr=tpr), {"normalize": "none"}).weight
    assert raw[1] == pytest.approx(np.delete(raw, 1).mean())


@pytest.mark.parametrize("key", ["inverse_frequency", "class_balanced"])
def test_class_without_training_samples_weighs_one(key):
    terms = answer(key, what_if(4, counts=[100, 0, 10, 1]))
    assert terms.weight[1] == pytest.approx(1)
    np.testing.assert_allclose(np.delete(terms.weight, 1), answer(key, what_if(3, counts=[100, 10, 1])).weight)
    assert terms.notes[0].startswith("Class 1: no training samples")


@pytest.mark.parametrize("value", [0.0, 0.37, 1.0])
@pytest.mark.parametrize("key", ["tpr_ratio", "tpr_deficit", "cdb"])
def test_equal_tprs_weigh_one_whatever_the_supports(key, value):
    for support in (None, [10, 200, 3000]):
        np.testing.assert_allclose(answer(key, what_if(3, tpr=[value] * 3, support=support)).weight, 1, rtol=1e-12)


def test_nothing_known_of_any_class_is_refused():
    nan = [np.nan, np.nan]
    for key, e in (("tpr_ratio", what_if(2, tpr=nan)), ("cdb", what_if(2, tpr=nan)), ("inverse_frequency", what_if(2, counts=[0, 0]))):
        with pytest.raises(EvenlyError, match="for every class"):
            answer(key, e)


def test_largest_ratio_is_capped_and_said():
    terms = answer("tpr_ratio", what_if(3, tpr=[0.9, 0.5, 0.01]), {"exponent": 4, "max_ratio": 100})
    assert terms.weight.max() / terms.weight.min() == pytest.approx(100)
    assert terms.weight.mean() == pytest.approx(1)
    assert terms.clipped == (2,)
    assert terms.notes[0] == "The weight of class 2 is capped at 100 times the smallest."
    assert answer("tpr_ratio", what_if(3, tpr=[0.9, 0.5, 0.01]), {"max_ratio": 1}).weight.tolist() == [1, 1, 1]


def test_a_class_next_to_no_gradient_is_named():
    terms = answer("tpr_deficit", what_if(3, tpr=[0.999, 0.5, 0.2]), {"tau": 8})
    assert "class 0 is below 1/10000" in terms.notes[0]
    least = answer("tpr_deficit", what_if(3, tpr=[1, 0.5, 0.2], support=[10**6] * 3), {"tau": 8})
    assert least.weight.astype(np.float32).min() > 0  # what training in single precision sees
    assert 0 in least.clipped


def test_many_classes_are_not_all_named():
    notes = answer("tpr_deficit", what_if(1000, tpr=np.r_[0.5, np.ones(999)])).notes
    assert "classes 1, 2, 3, 4, 5, 6, 7, 8 and 991 more" in notes[0]


def test_cdb_before_the_first_epoch():
    terms = answer("cdb", Evidence(3, tpr=SEED))
    assert terms.weight.tolist() == [1, 1, 1]
    assert terms.notes


# ---------------------------------------------------------------- what every row owes


@pytest.mark.parametrize("method", ROWS, ids=names(ROWS))
@pytest.mark.parametrize("classes", [2, 1000])
@pytest.mark.parametrize("tpr", ["spread", 0.0, 1.0, "ends", "nan"])
def test_contract(method, classes, tpr):
    """Finite, positive, of shape [C], for any TPRs, and the same again for the same evidence, which stays as it was."""
    vectors = {"spread": np.linspace(0.01, 0.99, classes), "ends": np.arange(classes) % 2.0, "nan": np.r_[np.nan, np.full(classes - 1, 0.4)]}
    values = vectors[tpr] if isinstance(tpr, str) else np.full(classes, tpr)
    e = what_if(classes, tpr=values, support=np.where(np.isnan(values), 0, 20), counts=np.r_[0, np.full(classes - 1, 10**6)])
    before = [None if v is None else v.copy() for v in (e.tpr, e.counts, e.last_tpr)]
    terms, again = answer(method.key, e), answer(method.key, e)
    for name, v in terms.set().items():
        assert v.shape == (classes,)
        assert v.dtype == np.float64
        assert (v > 0).all()
        np.testing.assert_array_equal(v, getattr(again, name))
    if terms.weight is not None:
        assert terms.weight.mean() == pytest.approx(1)
    for old, new in zip(before, (e.tpr, e.counts, e.last_tpr), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("method", ROWS, ids=names(ROWS))
def test_row_is_complete(method):
    for param in method.params:
        assert param.check(param.default, method.key) == param.default
        assert param.help
    assert method.group in {"From TPRs", "From counts", "While training", "Loss shape", "No weighting"}
    assert method.needs <= {"counts", "tpr", "last_tpr"}
    assert method.slider is None or method.slider in {p.key for p in method.params}
    assert method.summary.endswith(".")
    assert method.source.authors
    assert not any(c in formula_with(method) for c in "<>")


@pytest.mark.parametrize("method", ROWS, ids=names(ROWS))
def test_bad_parameters_are_refused(method):
    e = evidence(3)
    with pytest.raises(EvenlyError, match=f"{method.key}: unknown parameter 'speed'"):
        answer(method.key, e, {"speed": 1})
    for param in method.params:
        bad = ["sideways"] if param.choices else [param.low - 0.1, param.high * 1.1 + 1, math.nan, "fast", True]
        for value in bad:
            with pytest.raises(EvenlyError, match=rf"{method.key}: {param.key} is .*, expected"):
                answer(method.key, e, {param.key: value})


@pytest.mark.parametrize(("key", "message"), [
    ("tpr_ratio", "tpr_ratio needs the TPRs of an earlier run: choose a baseline or paste TPRs"),
    ("tpr_deficit", "tpr_deficit needs the TPRs of an earlier run: choose a baseline or paste TPRs"),
    ("inverse_frequency", "inverse_frequency needs the training counts"),
    ("class_balanced", "class_balanced needs the training counts"),
    ("magic", "unknown method 'magic'; known: none, tpr_ratio"),
])
def test_missing_evidence_and_unknown_method(key, message):
    with pytest.raises(EvenlyError, match=message):
        answer(key, Evidence(3))


@pytest.mark.parametrize(("vectors", "message"), [
    ({"tpr": [0.5, 1.2]}, r"tpr of class 1 is 1\.2, expected a finite number in \[0, 1\]"),
    ({"tpr": [0.5]}, "tpr has 1 value, expected 2"),
    ({"counts": [1, -1]}, "counts of class 1 is -1"),
    ({"counts": [1, math.inf]}, "counts of class 1 is inf, expected a finite number"),
    ({"tpr": ["a", "b"]}, "tpr must be numbers"),
])
def test_bad_evidence(vectors, message):
    with pytest.raises(EvenlyError, match=message):
        what_if(2, **vectors)


# ---------------------------------------------------------------- properties

tprs = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, math.nan])), min_size=2, max_size=30).filter(
    lambda v: not all(map(math.isnan, v)))


def chosen(method, data):
    """Random valid parameters."""
    values = {}
    for p in method.params:
        numbers = st.floats(p.low, p.high)
        values[p.key] = data.draw(st.sampled_from(p.choices) if p.choices else st.one_of(numbers, st.sampled_from(p.words)) if p.words else numbers)
    return values


@pytest.mark.parametrize("method", WEIGHTED, ids=names(WEIGHTED))
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_weights_finite_positive_mean_one_and_equivariant(method, data):
    """Whatever the evidence and parameters; renumbering the classes renumbers the weights and changes nothing else."""
    tpr = np.array(data.draw(tprs))
    n = len(tpr)
    counts = np.array(data.draw(st.lists(st.integers(0, 10**6), min_size=n, max_size=n).filter(any)), dtype=float)
    support = data.draw(st.one_of(st.none(), st.lists(st.integers(1, 5000), min_size=n, max_size=n).map(np.array)))
    params = chosen(method, data)
    terms = answer(method.key, what_if(n, tpr=tpr, support=support, counts=counts), params)
    assert np.isfinite(terms.weight).all()
    assert (terms.weight.astype(np.float32) > 0).all() or params.get("normalize") == "none"
    if params.get("normalize") != "none":
        assert terms.weight.mean() == pytest.approx(1, rel=1e-9)
    order = np.array(data.draw(st.permutations(range(n))))
    turned = answer(method.key, what_if(n, tpr=tpr[order], support=None if support is None else support[order], counts=counts[order]), params)
    np.testing.assert_allclose(turned.weight, terms.weight[order], rtol=1e-9)
    assert sorted(order[list(turned.clipped)]) == sorted(terms.clipped)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=20), st.floats(0.05, 4))
def test_harder_never_weighs_less(values, power):
    order = np.argsort(values)
    for key, name in (("tpr_ratio", "exponent"), ("tpr_deficit", "tau"), ("cdb", "tau")):
        w = answer(key, what_if(len(values), tpr=values), {name: power}).weight[order]
        assert (np.diff(w) <= 1e-12 * w[:-1]).all()


# ---------------------------------------------------------------- formula and grid


def test_formula_shows_the_present_values():
    assert formula_with(METHODS["tpr_ratio"], {"exponent": 2.5}).endswith("^{2.5}")
    assert r"\propto" in formula_with(METHODS["tpr_ratio"])
    assert formula_with(METHODS["tpr_ratio"], {"normalize": "none"}).startswith("w_c = ")
    assert "0.9999" in formula_with(METHODS["class_balanced"])
    assert r"^{\tau_t}" in formula_with(METHODS["cdb"])
    assert "^{1.5}" in formula_with(METHODS["cdb"], {"tau": 1.5})


def test_grid_of_the_exponent():
    e = evidence(5, counts=[50, 40, 30, 20, 10])
    g = grid("tpr_ratio", e, {"normalize": "none"})
    assert g.values.tolist() == pytest.approx(np.arange(0, 8.01, 0.05))
    assert g.weight.shape == g.share.shape == (161, 5)
    at = int(np.argmin(np.abs(g.values - 2)))
    expected = answer("tpr_ratio", e, {"exponent": 2, "normalize": "none"}).weight
    np.testing.assert_allclose(g.weight[at], expected)
    assert g.ratio[at] == pytest.approx(expected.max() / expected.min())
    np.testing.assert_allclose(g.share[at], expected * e.counts / (expected * e.counts).sum())
    assert g.formula[at].endswith("^{2}")
    assert g.weight[0].tolist() == [1] * 5
    assert all(isinstance(t, ClassTerms) for t in g.frames)


def test_grid_shares_without_counts_and_lists_of_clipped():
    g = grid("tpr_deficit", what_if(3, tpr=[1, 0.5, 0.2]))
    np.testing.assert_allclose(g.share, g.weight / 3)
    assert set(map(tuple, g.clipped)) == {(0,)}


def test_grid_always_holds_the_present_value():
    """Also one between the stops, and when thinned for many classes."""
    assert 2.03 in grid("tpr_ratio", evidence(3), {"exponent": 2.03}).values
    assert 0.9999 in grid_values(METHODS["class_balanced"])
    thin = grid_values(METHODS["tpr_ratio"], {"exponent": 3.35}, limit=11)
    assert 3.35 in thin
    assert (thin[0], thin[-1]) == (0.0, 8.0)
    assert len(thin) <= 12


def test_grid_of_what_cannot_be_dragged():
    """No slider, or a slider set to a word: one frame."""
    for key, params in (("inverse_frequency", {}), ("none", {}), ("focal", {}), ("cdb", {"tau": "dynamic"})):
        assert slider_param(METHODS[key], params) is None
        g = grid(key, evidence(4), params)
        assert g.weight.shape == (1, 4)
        assert np.isnan(g.values).all()


def test_grid_of_cdb_shows_the_baselines_tprs():
    """A run has no last epoch when it is planned: the preview takes the TPRs of the baseline for it."""
    g = grid("cdb", Evidence(3, tpr=SEED), {"tau": 1})
    at = int(np.argmin(np.abs(g.values - 1)))
    np.testing.assert_allclose(g.weight[at], answer("tpr_deficit", Evidence(3, tpr=SEED), {"tau": 1}).weight)


def test_grid_is_fast():
    """160 steps of 1,000 classes, some clipped: under 100 ms on an idle core; the best of five counts."""
    rng = np.random.default_rng(0)
    e = evidence(1000, tpr=rng.integers(0, 21, 1000) / 20, support=np.full(1000, 20))
    took = []
    for _ in range(5):
        start = time.perf_counter()
        assert grid("tpr_ratio", e).weight.shape == (161, 1000)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.1
