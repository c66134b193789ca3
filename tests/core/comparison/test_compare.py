"""Two runs compared: figures by hand, how often equal runs look different, what is refused."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from core.comparison.compare import ClassesBeyond, compare
from core.errors import EvenlyError
from core.experiment.config import RunConfig
from core.experiment.config_diff import config_differences
from core.metrics.intervals import FIGURES, mean_interval, newcombe, sampling_intervals, t95, wilson
from reporting.csv_json import comparison_dict
from tests.core.comparison.kit import AFTER, BEFORE, NAMES, N, compared, replicate, rng, side

# ---------------------------------------------------------------- figures


def test_rows_and_deltas_by_hand():
    c = compare(side(BEFORE, "base"), side(AFTER, "even"), rng())
    b, a = BEFORE / N, AFTER / N
    assert [r.name for r in c.rows] == list(NAMES)
    assert [r.gain for r in c.rows] == pytest.approx(list(a - b))
    assert [(r.before, r.after, r.support) for r in c.rows] == [(x, y, n) for x, y, n in zip(b, a, N, strict=True)]
    wilson = stats.binomtest(280, 400).proportion_ci(method="wilson")
    assert (c.rows[1].before_low, c.rows[1].before_high) == pytest.approx((wilson.low, wilson.high), abs=1e-12)
    expected = {
        "accuracy": (985 / 1200, 1020 / 1200),
        "balanced_accuracy": (b.mean(), a.mean()),
        "tpr_variance": (b.var(), a.var()),
        "tpr_spread": (b.std(), a.std()),
        "tpr_min": (b.min(), a.min()),
    }
    for name, (x, y) in expected.items():
        assert (c.deltas[name].before, c.deltas[name].after) == pytest.approx((x, y))
        assert c.deltas[name].change == pytest.approx(y - x)
        assert c.deltas[name].change_low < y - x < c.deltas[name].change_high
    assert tuple(c.deltas) == FIGURES


def test_tables_and_comparisons_have_the_same_limits():
    c = compared(side(BEFORE), side(AFTER))
    low, high = wilson(BEFORE, N)
    assert [(r.before_low, r.before_high) for r in c.rows] == list(zip(low, high, strict=True))


def test_newcombe_against_the_paper():
    """Newcombe (1998), table II, method 10: 56/70 - 48/80 and 9/10 - 3/10; and ends where a share is 0."""
    low, high = newcombe(np.array([48, 3, 0]), np.array([80, 10, 10]), np.array([56, 9, 10]), np.array([70, 10, 10]))
    assert low[:2].round(4).tolist() == [0.0524, 0.1705]
    assert high[:2].round(4).tolist() == [0.3339, 0.8090]
    assert high[2] == pytest.approx(1.0)


def test_a_class_that_clearly_moved_is_marked_and_one_that_did_not_is_not():
    c = compared(side([480, 280, 225]), side([478, 340, 228]))
    assert [r.beyond for r in c.rows] == [False, True, False]
    assert c.notes == (ClassesBeyond(1, 3, averaged=False),)


def test_class_without_test_samples():
    n = np.array([500, 400, 0])
    c = compared(side([480, 280, 0], n=n), side([460, 320, 0], n=n))
    assert math.isnan(c.rows[2].gain)
    assert not c.rows[2].beyond
    assert c.deltas["tpr_min"].before == pytest.approx(0.7)
    assert comparison_dict(c)["classes"][2]["gain"] is None


def test_a_comparison_has_all_that_is_reported():
    c = compared(side(BEFORE), side(AFTER))
    b, a = replicate(0, BEFORE, N), replicate(0, AFTER, N)
    assert c.summary == {"before": b.summary, "after": a.summary}
    assert [(r.precision_before, r.precision_after, r.f1_before, r.f1_after) for r in c.rows] == [
        tuple(row)
        for row in np.array([b.metrics.precision, a.metrics.precision, b.metrics.f1, a.metrics.f1]).T.tolist()
    ]
    assert comparison_dict(c)["summary"]["after"]["macro_f1"] == pytest.approx(a.metrics.f1.mean())


def test_a_comparison_as_json():
    found = comparison_dict(compared(side(BEFORE), side(AFTER)))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["deltas"]["accuracy"]["change"] == pytest.approx(35 / 1200)
    assert found["noise"]["kind"] == "test sampling"


def test_same_generator_same_answer():
    assert compared(side(BEFORE), side(AFTER)) == compared(side(BEFORE), side(AFTER))


def test_thousand_classes():
    n = np.full(1000, 50)
    tp = np.random.default_rng(1).binomial(n, 0.6)
    names = tuple(f"c{i}" for i in range(1000))
    c = compared(side(tp, n=n, classes=names), side(np.minimum(tp + 1, n), n=n, classes=names))
    assert len(c.rows) == 1000
    assert c.noise.draws == 200


# ---------------------------------------------------------------- chance


@pytest.mark.parametrize(("classes", "n"), [(2, 500), (10, 1000), (10, 25), (100, 50)])
def test_equal_runs_rarely_look_different(classes, n):
    """Two draws from the same TPRs: at most one in ten is called beyond sampling noise, for every figure (nominal 5 %)."""
    draw = np.random.default_rng(classes + n)
    p, support = np.linspace(0.6, 0.97, classes), np.full(classes, float(n))
    alarms = np.zeros(len(FIGURES))
    for _ in range(200):
        before, after = draw.binomial(n, p).astype(float), draw.binomial(n, p).astype(float)
        low, high, _ = sampling_intervals(before, support, after, support, draw, 300)
        alarms += (low > 0) | (high < 0)
    assert (alarms / 200).max() <= 0.12
    assert (alarms / 200)[0] <= 0.09


def test_test_splits_of_other_sizes_are_no_difference():
    """A small test split makes every variance look larger and every minimum smaller; the interval takes that out."""
    draw, p = np.random.default_rng(5), np.linspace(0.6, 0.95, 10)
    small, large = np.full(10, 30.0), np.full(10, 3000.0)
    alarms = np.zeros(len(FIGURES))
    for _ in range(200):
        low, high, _ = sampling_intervals(
            draw.binomial(30, p).astype(float), small, draw.binomial(3000, p).astype(float), large, draw, 300
        )
        alarms += (low > 0) | (high < 0)
    assert alarms[2] / 200 <= 0.1


def test_a_real_difference_is_found():
    """Variance .0169 against .0025 on 1,000 samples per class: found nearly always."""
    draw = np.random.default_rng(3)
    support = np.full(10, 1000.0)
    wide, narrow = 0.8 + np.linspace(-0.195, 0.195, 10), 0.8 + np.linspace(-0.075, 0.075, 10)
    found = 0
    for _ in range(50):
        before, after = draw.binomial(1000, wide).astype(float), draw.binomial(1000, narrow).astype(float)
        found += sampling_intervals(before, support, after, support, draw, 300)[1][2] < 0
    assert found >= 48


@pytest.mark.parametrize("freedom", [1, 2, 5, 10, 30, 31, 40, 100, 1000])
def test_t_quantile(freedom):
    assert t95(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-12)


def test_mean_interval_against_scipy():
    values = np.array([-0.003, -0.005, -0.001, -0.004])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((values.mean(), expected.low, expected.high), rel=1e-12)


# ---------------------------------------------------------------- refusals and helpers


def test_other_classes_are_refused():
    with pytest.raises(EvenlyError, match=r"different classes.*'cat' and 'cow'"):
        compared(side(BEFORE), side(AFTER, classes=("car", "dog", "cow")))
    with pytest.raises(EvenlyError, match="3 and 2 classes"):
        compared(side(BEFORE), side([1, 2], n=[3, 3], classes=("car", "dog")))


def test_a_run_without_test_counts_is_refused():
    with pytest.raises(EvenlyError, match="run 2 has no test counts yet"):
        compared(side(BEFORE), side([0, 0, 0], "even", n=[0, 0, 0]))
    with pytest.raises(EvenlyError, match="counts for 2 classes, expected 3"):
        compared(side([1, 2], n=[3, 3]), side(AFTER))
    with pytest.raises(EvenlyError, match="no class with test samples on both sides"):
        compared(side([1, 0, 0], n=[2, 0, 0]), side([0, 1, 0], n=[0, 2, 0]))


def test_a_run_is_not_compared_with_itself():
    with pytest.raises(EvenlyError, match=r"before and after are both run 3; choose another run on one side"):
        compare(side(BEFORE, "run 3"), side(BEFORE, "run 3"), rng())


def test_config_differences():
    a = RunConfig("mnist1d", "cnn1d", recipe_params={"lr": 0.1})
    b = replace(a, method="tpr_ratio", params={"exponent": 2}, epochs=20.0, tpr=(0.5, 0.7))
    assert config_differences(a, b) == [
        ("method", "none", "tpr_ratio"),
        ("tpr", None, [0.5, 0.7]),
        ("params.exponent", None, 2),
    ]
    assert config_differences(b, replace(b, tpr=[0.5, 0.7])) == []
