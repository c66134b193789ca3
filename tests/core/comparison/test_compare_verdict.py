"""The verdict of a comparison within noise, beyond it, over seeds, and of a fall. Its words: tests/reporting/text/test_verdicts.py."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from core.comparison.verdict import SAMPLING
from core.errors import EvenlyError
from core.metrics.intervals import welch_interval
from tests.core.comparison.kit import AFTER, BEFORE, N, compared, replicate, shifted, side


def figures_of(c):
    """The figures of the verdict, the first first."""
    return [d.figure for d in c.verdict.shown]


# ---------------------------------------------------------------- verdicts


def test_verdict_within_sampling_noise():
    c = compared(side([412, 300, 240]), side([409, 303, 240]))
    assert (c.noise.kind, figures_of(c)) == (SAMPLING, ["tpr_variance", "accuracy"])
    assert not any(d.beyond for d in c.deltas.values())


def test_verdict_beyond_sampling_noise_still_asks_for_seeds():
    c = compared(side([495, 240, 225]), side([480, 360, 270]))
    assert c.noise.kind == SAMPLING
    assert [d.beyond for d in c.verdict.shown] == [True, True]


def test_verdict_that_differs_by_figure():
    c = compared(side([495, 260, 225]), side([430, 315, 230]))
    assert (c.deltas["tpr_variance"].beyond, c.deltas["accuracy"].beyond) == (True, False)


def test_two_seeds_are_too_few():
    c = compared(side(BEFORE, replicates=shifted(BEFORE, [0, 1], 3)), side(AFTER))
    assert (c.noise.kind, c.noise.seeds_before, c.noise.seeds_after) == (SAMPLING, 2, 1)


def test_paired_seeds_more_than_noise():
    seeds = [0, 1, 2, 3]
    c = compared(side(BEFORE, replicates=shifted(BEFORE, seeds, 4)), side(AFTER, replicates=shifted(AFTER, seeds, 4)))
    assert c.noise.kind == "paired seeds"
    assert c.noise.pairs == (0, 1, 2, 3)
    over = c.deltas["tpr_variance"].seeds
    b, a = (
        [replicate(0, tp, N).figure("tpr_variance"), *(r.figure("tpr_variance") for r in shifted(tp, seeds[1:], 4))]
        for tp in (BEFORE, AFTER)
    )
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (over.change, over.low, over.high) == pytest.approx(
        (np.mean(a) - np.mean(b), expected.low, expected.high), abs=1e-7
    )
    assert (over.before, over.before_sd, over.after, over.after_sd) == pytest.approx(
        (np.mean(b), np.std(b, ddof=1), np.mean(a), np.std(a, ddof=1))
    )
    assert [d.beyond for d in c.verdict.shown] == [True, True]
    assert c.verdict.shown[0].judged is over
    assert c.noise.fewest == 4


def figures(seed, accuracy, variance, low=0.5):
    base = replicate(seed, BEFORE, N)
    return replace(base, summary=replace(base.summary, accuracy=accuracy, tpr_variance=variance, tpr_min=low))


def test_paired_seeds_within_noise():
    """The shown pair improves, but over the seeds the change has no sign."""
    before = [figures(s, 0.82, 0.0100 + 0.004 * (s % 2)) for s in (1, 2, 3)]
    after = [figures(s, 0.82, 0.0120 - 0.004 * (s % 2)) for s in (1, 2, 3)]
    c = compared(side(BEFORE, replicates=before), side(BEFORE, replicates=after))
    assert not c.deltas["tpr_variance"].beyond
    assert not c.deltas["accuracy"].beyond


def test_one_sides_seeds_judge_both():
    """|change| against t(2 degrees of freedom) sqrt(2) sd of the side that has three seeds: 4.303 from a printed t table."""
    variance = compared(side(BEFORE), side(AFTER)).deltas["tpr_variance"]
    for factor, beyond in ((0.9, True), (1.1, False)):
        sd = factor * abs(variance.change) / (4.303 * math.sqrt(2))
        around = variance.before
        spread = [figures(s, 985 / 1200, around + k * sd) for s, k in ((1, -1), (2, 1))]
        c = compared(side(BEFORE, replicates=spread), side(AFTER, seed=9))
        assert c.noise.kind == "one side's seeds"
        assert c.deltas["tpr_variance"].beyond is beyond


def test_other_datasets_are_not_compared():
    with pytest.raises(EvenlyError, match=r"was trained on digits and .* on mnist1d; compare runs on the same dataset"):
        compared(side(BEFORE, dataset="digits"), side(AFTER, dataset="mnist1d"))


def test_unpaired_seeds_of_both_sides_are_two_means():
    """Welch's interval of the difference of means, against scipy."""
    b, a = shifted(BEFORE, [0, 1, 2], 40), shifted(AFTER, [10, 11, 12, 13], 40)
    c = compared(side(b[0].tpr * N, replicates=b), side(a[0].tpr * N, seed=10, replicates=a))
    assert c.noise.kind == "both sides' seeds"
    assert (c.noise.seeds_before, c.noise.seeds_after, c.noise.fewest) == (3, 4, 3)
    assert [d.beyond for d in c.verdict.shown] == [False, False]
    assert (c.over_seeds.before, c.over_seeds.after, c.over_seeds.paired) == ((0, 1, 2), (10, 11, 12, 13), False)
    x, y = (np.array([r.figure("accuracy") for r in side]) for side in (b, a))
    welch = stats.ttest_ind(y, x, equal_var=False)
    over, change = c.deltas["accuracy"].seeds, y.mean() - x.mean()
    half = stats.t.ppf(0.975, math.floor(welch.df)) * abs(
        change / welch.statistic
    )  # whole degrees of freedom, rounded down: never narrower
    assert (over.change, over.low, over.high) == pytest.approx((change, change - half, change + half), rel=1e-9)
    rows = [welch_interval(np.array([r.tpr[k] for r in b]), np.array([r.tpr[k] for r in a])) for k in range(3)]
    assert [(r.gain, r.gain_low, r.gain_high) for r in c.over_seeds.rows] == rows


# ---------------------------------------------------------------- a fall is not evened out


def test_a_collapse_opens_with_the_collapse():
    c = compared(side([480, 200, 150]), side([12, 8, 6]))
    assert c.deltas["tpr_variance"].change < 0
    assert c.verdict.leveled
    assert figures_of(c) == ["accuracy", "tpr_variance"]
    assert (c.verdict.moved.losing, c.verdict.moved.measured) == (3, 3)
    assert c.fell == ("accuracy", "balanced_accuracy")


def test_a_class_that_takes_all_predictions_does_not_hide_a_collapse():
    """Constant predictions: one class gains, all others are lost; over many classes the variance still falls."""
    n, names = np.full(60, 100), tuple(f"c{i}" for i in range(60))
    before, after = np.where(np.arange(60) % 2, 95, 40), np.where(np.arange(60) == 0, 100, 1)
    c = compared(side(before, n=n, classes=names), side(after, n=n, classes=names))
    assert c.verdict.leveled
    assert (c.verdict.moved.losing, c.verdict.moved.measured) == (59, 60)


def test_a_price_that_hard_classes_gained_from_is_a_price_and_comes_first():
    n = np.array([5000, 5000, 5000])
    c = compared(side([4950, 3000, 4000], n=n), side([4100, 3600, 3950], n=n))
    assert c.fell == ("accuracy", "balanced_accuracy")
    assert (figures_of(c), c.verdict.leveled) == (["accuracy", "tpr_variance"], False)


def test_a_fall_within_noise_leaves_the_usual_order():
    c = compared(side([470, 280, 225]), side([458, 285, 226]))
    assert c.fell == ()
    assert figures_of(c) == ["tpr_variance", "accuracy"]


def test_a_mean_tpr_that_falls_where_accuracy_does_not_is_named():
    """A rare class is lost and a common one gains: the test split's accuracy hides it."""
    n = np.array([5000, 300, 300])
    c = compared(side([4000, 270, 270], n=n), side([4500, 30, 200], n=n))
    assert c.fell == ("balanced_accuracy",)
    assert figures_of(c) == ["balanced_accuracy", "tpr_variance"]


def test_a_collapse_over_seeds_is_one_of_the_means():
    before, after = (
        [replicate(s, tp + s, N) for s in (0, 1, 2)] for tp in (np.array([480, 200, 150]), np.array([12, 8, 6]))
    )
    c = compared(side([480, 200, 150], replicates=before), side([12, 8, 6], replicates=after))
    assert (c.noise.kind, c.verdict.leveled) == ("paired seeds", True)
    fall = c.verdict.shown[0].judged
    assert (fall.before, fall.after) == pytest.approx((0.694, 0.024), abs=5e-4)


def test_no_change_is_never_beyond():
    seeds = [0, 1, 2]
    same = shifted(BEFORE, seeds, 5)
    for a in (side(BEFORE), side(BEFORE, replicates=same), side(BEFORE, seed=9)):
        c = compared(side(BEFORE, replicates=same), a)
        assert not any(d.beyond for d in c.deltas.values())
