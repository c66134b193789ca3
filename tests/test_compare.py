"""Two runs side by side: exact changes, published intervals, and verdicts that claim no more than the data hold."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from core.cautions import few_samples
from core.compare import Side, compare, config_differences
from core.enough import FEW
from core.enough import few_samples as enough
from core.errors import EvenlyError
from core.noise import FIGURES, REDRAWS, limits, mean_interval, newcombe, sampling_intervals, t95, welch_interval
from core.replicates import GONE
from core.replicates import replicate as counted

NAMES = ("car", "dog", "cat")
N = np.array([500, 400, 300])
BEFORE, AFTER = np.array([480, 280, 225]), np.array([460, 320, 240])


def rng():
    return np.random.default_rng(7)


def replicate(seed, tp, n, **origin):
    """A replicate that predicts every class as often as it occurs."""
    return counted(seed, tp, n, n, **origin)


def side(tp, label="A", seed=0, replicates=(), n=N, classes=NAMES, index_hash="", **more):
    own = replicate(seed, np.rint(tp).astype(np.int64), np.asarray(n), index_hash=index_hash)
    return Side(label, classes, own, tuple(replicates), **more)


def compared(before, after):
    """Two sides compared under names of their own."""
    return compare(replace(before, label="run 1"), replace(after, label="run 2"), rng())


def shifted(tp, seeds, spread, n=N):
    """Replicates whose counts wander by `spread` samples from seed to seed, the same way for the same seed."""
    return [replicate(s, np.clip(tp + np.random.default_rng(s).integers(-spread, spread + 1, len(tp)), 0, n), n) for s in seeds]


# ---------------------------------------------------------------- figures


def test_rows_and_deltas_by_hand():
    c = compare(side(BEFORE, "base"), side(AFTER, "even"), rng())
    b, a = BEFORE / N, AFTER / N
    assert [r.name for r in c.rows] == list(NAMES)
    assert [r.gain for r in c.rows] == pytest.approx(list(a - b))
    assert [(r.before, r.after, r.support) for r in c.rows] == [(x, y, n) for x, y, n in zip(b, a, N, strict=True)]
    wilson = stats.binomtest(280, 400).proportion_ci(method="wilson")
    assert (c.rows[1].before_low, c.rows[1].before_high) == pytest.approx((wilson.low, wilson.high), abs=1e-12)
    expected = {"accuracy": (985 / 1200, 1020 / 1200), "balanced_accuracy": (b.mean(), a.mean()), "tpr_variance": (b.var(), a.var()),
                "tpr_spread": (b.std(), a.std()), "tpr_min": (b.min(), a.min())}
    for name, (x, y) in expected.items():
        assert (c.deltas[name].before, c.deltas[name].after) == pytest.approx((x, y))
        assert c.deltas[name].change == pytest.approx(y - x)
        assert c.deltas[name].change_low < y - x < c.deltas[name].change_high
    assert tuple(c.deltas) == FIGURES


def test_tables_and_comparisons_have_the_same_limits():
    c = compared(side(BEFORE), side(AFTER))
    low, high = limits(BEFORE, N)
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
    assert c.notes == ("1 of 3 classes changed by more than the sampling noise of their test samples; that noise alone would do so to about 0.2 of them.",)


def test_class_without_test_samples():
    n = np.array([500, 400, 0])
    c = compared(side([480, 280, 0], n=n), side([460, 320, 0], n=n))
    assert math.isnan(c.rows[2].gain)
    assert not c.rows[2].beyond
    assert c.deltas["tpr_min"].before == pytest.approx(0.7)
    assert c.to_dict()["rows"][2]["gain"] is None


def test_a_comparison_has_all_that_is_reported():
    c = compared(side(BEFORE), side(AFTER))
    b, a = replicate(0, BEFORE, N), replicate(0, AFTER, N)
    assert c.summary == {"before": b.summary, "after": a.summary}
    assert [(r.precision_before, r.precision_after, r.f1_before, r.f1_after) for r in c.rows] == [
        tuple(row) for row in np.array([b.metrics.precision, a.metrics.precision, b.metrics.f1, a.metrics.f1]).T.tolist()]
    assert c.to_dict()["summary"]["after"]["macro_f1"] == pytest.approx(a.metrics.f1.mean())


def test_to_dict_is_json():
    found = compared(side(BEFORE), side(AFTER)).to_dict()
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
        low, high, _ = sampling_intervals(draw.binomial(30, p).astype(float), small, draw.binomial(3000, p).astype(float), large, draw, 300)
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
    assert t95(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-4)


def test_mean_interval_against_scipy():
    values = np.array([-0.003, -0.005, -0.001, -0.004])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((values.mean(), expected.low, expected.high), abs=1e-7)


# ---------------------------------------------------------------- verdicts


def test_verdict_within_sampling_noise():
    c = compared(side([412, 300, 240]), side([409, 303, 240]))
    assert c.verdict == ("variance 0.00095 -> 0.00064, accuracy 0.0 points; both changes may be sampling noise of the test split alone; "
                         "with one seed each, seed noise is unknown: add seeds before you judge")
    assert not any(d.beyond for d in c.deltas.values())


def test_verdict_beyond_sampling_noise_still_asks_for_seeds():
    c = compared(side([495, 240, 225]), side([480, 360, 270]))
    assert c.verdict.startswith("variance 0.0258 -> 0.00080, accuracy +12.5 points; both changes can hardly be sampling noise of the test split alone")
    assert c.verdict.endswith("with one seed each, seed noise is unknown: add seeds before you judge")


def test_verdict_that_differs_by_figure():
    c = compared(side([495, 260, 225]), side([430, 315, 230]))
    assert (c.deltas["tpr_variance"].beyond, c.deltas["accuracy"].beyond) == (True, False)
    assert "; the change of the variance can hardly be sampling noise of the test split alone, that of the accuracy may be; " in c.verdict


def test_two_seeds_are_too_few():
    c = compared(side(BEFORE, replicates=shifted(BEFORE, [0, 1], 3)), side(AFTER))
    assert c.noise.kind == "test sampling"
    assert "2 seeds before and one seed after" in c.verdict


def test_paired_seeds_more_than_noise():
    seeds = [0, 1, 2, 3]
    c = compared(side(BEFORE, replicates=shifted(BEFORE, seeds, 4)), side(AFTER, replicates=shifted(AFTER, seeds, 4)))
    assert c.noise.kind == "paired seeds"
    assert c.noise.pairs == (0, 1, 2, 3)
    over = c.deltas["tpr_variance"].seeds
    b, a = ([replicate(0, tp, N).figure("tpr_variance"), *(r.figure("tpr_variance") for r in shifted(tp, seeds[1:], 4))] for tp in (BEFORE, AFTER))
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (over.change, over.low, over.high) == pytest.approx((np.mean(a) - np.mean(b), expected.low, expected.high), abs=1e-7)
    assert (over.before, over.before_sd, over.after, over.after_sd) == pytest.approx((np.mean(b), np.std(b, ddof=1), np.mean(a), np.std(a, ddof=1)))
    assert c.verdict.startswith(f"on average over 4 seeds, each trained both ways, the variance changed by {over.change:.4f} "
                                f"(95 % interval {over.low:.4f} to {over.high:.4f}), the accuracy by +")
    assert "; both changes can hardly be seed noise alone; these two runs: variance 0.0127 -> 0.0032, accuracy +2.9 points" in c.verdict
    assert "add seeds" not in c.verdict


def figures(seed, accuracy, variance, low=0.5):
    base = replicate(seed, BEFORE, N)
    return replace(base, summary=replace(base.summary, accuracy=accuracy, tpr_variance=variance, tpr_min=low))


def test_paired_seeds_within_noise():
    """The shown pair improves, but over the seeds the change has no sign."""
    before = [figures(s, 0.82, 0.0100 + 0.004 * (s % 2)) for s in (1, 2, 3)]
    after = [figures(s, 0.82, 0.0120 - 0.004 * (s % 2)) for s in (1, 2, 3)]
    c = compared(side(BEFORE, replicates=before), side(BEFORE, replicates=after))
    assert not c.deltas["tpr_variance"].beyond
    assert "; both changes may be seed noise alone; " in c.verdict
    assert "the accuracy by 0.0 points (95 % interval" in c.verdict


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
        assert "judged by the scatter over 3 seeds before, and taking those after to scatter alike, " in c.verdict


def test_other_datasets_are_not_compared():
    with pytest.raises(EvenlyError, match=r"was trained on digits and .* on mnist1d; compare runs on the same dataset"):
        compared(side(BEFORE, dataset="digits"), side(AFTER, dataset="mnist1d"))


def test_unpaired_seeds_of_both_sides_are_two_means():
    """Welch's interval of the difference of means, against scipy."""
    b, a = shifted(BEFORE, [0, 1, 2], 40), shifted(AFTER, [10, 11, 12, 13], 40)
    c = compared(side(b[0].tpr * N, replicates=b), side(a[0].tpr * N, seed=10, replicates=a))
    assert c.noise.kind == "both sides' seeds"
    assert c.verdict.startswith("on average over 3 seeds before and 4 after, the variance changed by ")
    assert "both changes may be seed noise alone" in c.verdict
    assert (c.over_seeds.before, c.over_seeds.after, c.over_seeds.paired) == ((0, 1, 2), (10, 11, 12, 13), False)
    x, y = (np.array([r.figure("accuracy") for r in side]) for side in (b, a))
    welch = stats.ttest_ind(y, x, equal_var=False)
    over, change = c.deltas["accuracy"].seeds, y.mean() - x.mean()
    half = stats.t.ppf(0.975, math.floor(welch.df)) * abs(change / welch.statistic)  # whole degrees of freedom, rounded down: never narrower
    assert (over.change, over.low, over.high) == pytest.approx((change, change - half, change + half), rel=1e-4)
    rows = [welch_interval(np.array([r.tpr[k] for r in b]), np.array([r.tpr[k] for r in a])) for k in range(3)]
    assert [(r.gain, r.gain_low, r.gain_high) for r in c.over_seeds.rows] == rows


# ---------------------------------------------------------------- means over seeds


def test_where_the_verdict_speaks_of_means_so_do_the_classes():
    seeds = [0, 1, 2]
    before, after = shifted(BEFORE, seeds, 6), [replicate(s, AFTER + np.array([s, -3 * s, 2 * s * s]), N) for s in seeds]
    c = compared(side(before[0].tpr * N, replicates=before), side(after[0].tpr * N, replicates=after))
    assert c.over_seeds.before == (0, 1, 2)
    for k, row in enumerate(c.over_seeds.rows):
        b, a = [r.tpr[k] for r in before], [r.tpr[k] for r in after]
        wanted = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert (row.before, row.after) == pytest.approx((np.mean(b), np.mean(a)))
        assert (row.gain_low, row.gain_high) == pytest.approx((wanted.low, wanted.high), abs=1e-6)
        assert row.beyond is bool(wanted.low > 0 or wanted.high < 0)
        assert row.each_before == tuple(b)
    assert c.to_dict()["over_seeds"]["rows"][0]["name"] == "car"
    assert c.notes[0].startswith("Over the seeds, ")


def test_one_seed_a_side_has_no_means():
    assert compared(side(BEFORE), side(AFTER)).over_seeds is None
    assert compared(side(BEFORE, replicates=shifted(BEFORE, [0, 1, 2], 4)), side(AFTER, seed=9)).over_seeds is None


def test_two_pairs_have_a_mean_and_a_wide_interval():
    seeds = [0, 1]
    c = compared(side(BEFORE, replicates=shifted(BEFORE, seeds, 4)), side(AFTER, replicates=shifted(AFTER, seeds, 4)))
    assert c.noise.kind == "paired seeds"
    assert c.verdict.startswith("on average over 2 seeds, each trained both ways, ")
    assert "two seeds tell only very large effects: add seeds before you judge" in c.verdict


def test_only_the_seeds_of_both_sides_are_paired():
    c = compared(side(BEFORE, replicates=shifted(BEFORE, [0, 1, 2, 7], 4)), side(AFTER, replicates=shifted(AFTER, [0, 1, 2, 8, 9], 4)))
    assert (c.over_seeds.before, c.over_seeds.after) == ((0, 1, 2), (0, 1, 2))


def test_equal_counts_of_few_seeds_are_no_proof():
    """One test sample less for every seed has no scatter at all; that is still one sample."""
    before, after = ([replicate(s, np.array([480, 280, 225 - d]), N) for s in (0, 1, 2)] for d in (0, 1))
    c = compared(side([480, 280, 225], replicates=before), side([480, 280, 224], replicates=after))
    assert not any(r.beyond for r in c.over_seeds.rows)


def test_replicates_on_other_classes_leave_the_two_runs_to_be_drawn():
    before = [replicate(0, BEFORE, N), replicate(1, BEFORE[:2], N[:2]), replicate(2, BEFORE, N)]
    c = compared(side(BEFORE, replicates=before), side(AFTER, replicates=shifted(AFTER, [0, 1, 2], 4)))
    assert c.over_seeds.rows == ()


# ---------------------------------------------------------------- pairs


def run_of(number, seed, tp, baseline=None, baseline_seed=None, index_hash=None):
    """A replicate with an origin; its samples are drawn by the seed unless said."""
    tp = np.clip(tp + np.random.default_rng(number).integers(-4, 5, 3), 0, N)
    return replicate(seed, tp, N, run=number, index_hash=f"h{seed}" if index_hash is None else index_hash, baseline=baseline, baseline_seed=baseline_seed)


def of_runs(label, runs, shown=0):
    return Side(label, NAMES, runs[shown], tuple(runs))


BASELINES = [run_of(s - 2, s, BEFORE) for s in (3, 4, 5)]  # runs 1, 2 and 3
OWN = [run_of(s + 7, s, AFTER, s - 2, s) for s in (3, 4, 5)]  # runs 10, 11 and 12, each fed by the baseline of its seed
SHARED = [run_of(s + 17, s, AFTER // 2, 1, 3) for s in (3, 4, 5)]  # runs 20, 21 and 22, all fed by run 1


@pytest.mark.parametrize("shown", range(6))
def test_of_several_runs_a_seed_the_one_fed_by_its_pair_is_used(shown):
    """Six weighted runs in one group: the newer three were all fed by one baseline. None of seed 4 and 5 may stand for a pair."""
    c = compare(of_runs("before", BASELINES), of_runs("after", [*OWN, *SHARED], shown))
    assert (c.noise.kind, c.noise.pairs) == ("paired seeds", (3, 4, 5))
    assert c.over_seeds.runs_before == (1, 2, 3)
    first = 20 if shown == 3 else c.over_seeds.runs_after[0]
    assert c.over_seeds.runs_after == (first, 11, 12)
    assert first in (10, 20), "both of seed 3 were fed by run 1"
    assert any(n.startswith("3 runs with a seed that another run has too are left out (runs ") for n in c.notes)
    out = sorted({10, 11, 12, 20, 21, 22} - set(c.over_seeds.runs_after))
    assert f"(runs {out[0]}, {out[1]} and {out[2]}" in c.notes[-1]
    here = [*OWN, *SHARED][shown].run
    assert (f", run {here} of this page among them)" in c.notes[-1]) is (here in out)


def test_runs_fed_by_one_baseline_are_not_paired_by_seed():
    c = compare(of_runs("before", BASELINES), of_runs("after", SHARED))
    assert (c.noise.kind, c.noise.pairs, c.over_seeds.paired) == ("both sides' seeds", (3,), False)
    x, y = (np.array([r.figure("accuracy") for r in runs]) for runs in (BASELINES, SHARED))
    assert (c.deltas["accuracy"].seeds.change, c.deltas["accuracy"].seeds.low, c.deltas["accuracy"].seeds.high) == welch_interval(x, y)
    assert c.notes[-1] == ("Both sides have seeds 4 and 5, but not as pairs, so the two sides are compared as independent groups (Welch): "
                           "runs 21 and 22 take their weights from run 1, of seed 3.")
    assert "on average over 3 seeds before and 3 after" in c.verdict


def test_a_pair_stands_whichever_side_is_before():
    assert compare(of_runs("before", OWN), of_runs("after", BASELINES)).noise.pairs == (3, 4, 5)


def test_two_weighted_methods_are_pairs_where_each_was_fed_by_its_own_seed():
    other = [run_of(r.run + 30, r.seed, AFTER, r.baseline, r.baseline_seed) for r in OWN]
    assert compare(of_runs("before", OWN), of_runs("after", other)).noise.pairs == (3, 4, 5)
    assert compare(of_runs("before", OWN), of_runs("after", SHARED)).noise.pairs == (3,)


def test_methods_without_a_baseline_are_pairs_on_the_same_samples():
    plain = [run_of(s + 40, s, AFTER) for s in (3, 4, 5)]
    assert compare(of_runs("before", BASELINES), of_runs("after", plain)).noise.pairs == (3, 4, 5)
    other = [*plain[:2], run_of(45, 5, AFTER, index_hash="changed")]
    c = compare(of_runs("before", BASELINES), of_runs("after", other))
    assert c.noise.pairs == (3, 4)
    assert c.notes[-1].endswith("(Welch): runs 3 and 45 were trained on different samples.")


def test_a_deleted_baseline_makes_no_pair():
    orphans = [run_of(s + 50, s, AFTER, GONE) for s in (3, 4, 5)]
    c = compare(of_runs("before", BASELINES), of_runs("after", orphans))
    assert c.noise.pairs == ()
    assert c.notes[-1].endswith("runs 53, 54 and 55 take their weights from a baseline that was deleted.")


def test_of_runs_that_make_no_pair_the_newest_is_used():
    c = compare(of_runs("before", BASELINES), of_runs("after", [*SHARED, run_of(30, 4, AFTER, 1, 3)]))
    assert c.over_seeds.runs_after == (20, 30, 22)
    assert c.notes[-1].startswith("1 run with a seed that another run has too is left out (run 21): ")


def test_redraws_are_the_same_unless_asked_otherwise():
    """So a page and a command give the same intervals."""
    b, a = side(BEFORE, "run 1"), side(AFTER, "run 2")
    assert compare(b, a) == compare(b, a, np.random.default_rng(REDRAWS))
    assert compare(b, a) != compare(b, a, rng())


# ---------------------------------------------------------------- a fall is not evened out


def test_a_collapse_opens_with_the_collapse():
    c = compared(side([480, 200, 150]), side([12, 8, 6]))
    assert c.deltas["tpr_variance"].change < 0
    assert c.verdict.startswith("more equal because all 3 classes got worse: accuracy 69.2 % -> 2.2 %; accuracy -67.0 points, variance ")
    assert c.fell == ("accuracy", "balanced_accuracy")


def test_a_class_that_takes_all_predictions_does_not_hide_a_collapse():
    """Constant predictions: one class gains, all others are lost; over many classes the variance still falls."""
    n, names = np.full(60, 100), tuple(f"c{i}" for i in range(60))
    before, after = np.where(np.arange(60) % 2, 95, 40), np.where(np.arange(60) == 0, 100, 1)
    c = compared(side(before, n=n, classes=names), side(after, n=n, classes=names))
    assert c.verdict.startswith("more equal because 59 of 60 classes got worse: accuracy 67.5 % -> 2.6 %")


def test_a_price_that_hard_classes_gained_from_is_a_price_and_comes_first():
    n = np.array([5000, 5000, 5000])
    c = compared(side([4950, 3000, 4000], n=n), side([4100, 3600, 3950], n=n))
    assert c.fell == ("accuracy", "balanced_accuracy")
    assert c.verdict.startswith("accuracy -2.0 points, variance 0.0")


def test_a_fall_within_noise_leaves_the_usual_order():
    c = compared(side([470, 280, 225]), side([458, 285, 226]))
    assert c.fell == ()
    assert c.verdict.startswith("variance ")


def test_a_mean_tpr_that_falls_where_accuracy_does_not_is_named():
    """A rare class is lost and a common one gains: the test split's accuracy hides it."""
    n = np.array([5000, 300, 300])
    c = compared(side([4000, 270, 270], n=n), side([4500, 30, 200], n=n))
    assert c.fell == ("balanced_accuracy",)
    assert c.verdict.startswith("mean TPR -")


def test_a_collapse_over_seeds_is_one_of_the_means():
    before, after = ([replicate(s, tp + s, N) for s in (0, 1, 2)] for tp in (np.array([480, 200, 150]), np.array([12, 8, 6])))
    c = compared(side([480, 200, 150], replicates=before), side([12, 8, 6], replicates=after))
    assert c.verdict.startswith("more equal because all 3 classes got worse: accuracy 69.4 % -> 2.4 %; on average over 3 seeds, each trained both ways, the accuracy changed by -67.0")


def test_no_change_is_never_beyond():
    seeds = [0, 1, 2]
    same = shifted(BEFORE, seeds, 5)
    for a in (side(BEFORE), side(BEFORE, replicates=same), side(BEFORE, seed=9)):
        c = compared(side(BEFORE, replicates=same), a)
        assert not any(d.beyond for d in c.deltas.values())


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
    with pytest.raises(EvenlyError, match=r"before and after are both run 3, .* choose another run on one side"):
        compare(side(BEFORE, "run 3"), side(BEFORE, "run 3"), rng())


# ---------------------------------------------------------------- cautions

SETTINGS = {"seed": 0, "imbalance": 1.0, "profile": "exponential", "validation": 0.1, "method": "none"}


def trained(label, tp=BEFORE, index_hash="a", n=N, **settings):
    return side(tp, label, settings.get("seed", 0), n=n, settings={**SETTINGS, **settings}, index_hash=index_hash)


def test_a_fair_comparison_has_no_cautions():
    assert compare(trained("run 1"), trained("run 2", AFTER, method="tpr_ratio"), rng()).cautions == ()


@pytest.mark.parametrize(("status", "words"), [
    ("running", "Run 2 is at epoch 3 of 20: let it finish before you judge."),
    ("queued", "Run 2 waits in the queue after epoch 3 of 20: let it finish before you judge."),
    ("paused", "Run 2 is paused after epoch 3 of 20: resume it and let it finish, or choose another run."),
    ("cancelled", "Run 2 was stopped after epoch 3 of 20: resume it and let it finish, or choose another run."),
    ("failed", "Run 2 failed after epoch 3 of 20: its error says what to mend; try it again, or choose another run."),
])
def test_a_run_that_has_not_finished_gets_no_verdict(status, words):
    """Not even where finished seeds would give one: its own figures would count as one of them."""
    seeds = [0, 1, 2, 3]
    after = side(AFTER // 2, "run 2", replicates=shifted(AFTER, seeds[1:], 4), status=status, epoch=3, epochs=20)
    c = compare(side(BEFORE, "run 1", replicates=shifted(BEFORE, seeds, 4)), after, rng())
    assert c.cautions == (words,)
    assert c.verdict.endswith("; no verdict: not both runs have finished")
    assert not any(d.beyond or d.seeds for d in c.deltas.values())


def test_runs_of_the_same_settings_get_no_verdict_on_a_method():
    seeds = shifted(BEFORE, [0, 1, 2], 4)
    c = compare(side(BEFORE, "run 1", 0, seeds, group="g"), side(AFTER, "run 2", 1, seeds, group="g"), rng())
    assert "no setting but the seed or the device differs, so this difference is chance" in c.verdict
    assert not any(d.beyond for d in c.deltas.values())


@pytest.mark.parametrize(("settings", "names"), [
    ({"seed": 1}, "the seed differs"),
    ({"imbalance": 10.0}, "the imbalance factor differs"),
    ({"seed": 1, "imbalance": 10.0, "profile": "step"}, "the seed, imbalance factor and long-tail profile differ"),
])
def test_other_splits_through_other_settings_are_said(settings, names):
    c = compare(trained("run 1"), trained("run 2", AFTER, "b", **settings), rng())
    assert len(c.cautions) == 1
    assert f"trained on different samples, because {names}: part of the difference may come from the samples" in c.cautions[0]
    assert "compare two runs with the same" in c.cautions[0]


def test_runs_of_two_methods_with_different_seeds_say_so():
    """A run of seed 2 against a baseline of seed 0."""
    c = compare(trained("run 1"), trained("run 6", AFTER, seed=2, method="tpr_ratio"), rng())
    assert c.cautions == ("Run 1 has seed 0 and run 6 has seed 2: part of the difference may come from the seed. To judge a method, compare two runs with the same seed.",)
    assert "with one seed each (seed 0 before, 2 after), seed noise is unknown" in c.verdict


def test_means_over_seeds_are_fair_whatever_two_runs_stand_for_them():
    seeds = [0, 1, 2]
    before = replace(trained("run 1"), replicates=shifted(BEFORE, seeds, 4))
    after = replace(trained("run 6", AFTER, "b", seed=2, method="tpr_ratio"), replicates=shifted(AFTER, seeds, 4))
    c = compare(before, after, rng())
    assert c.cautions == ()
    assert "these two runs (seed 0 before, 2 after): " in c.verdict


@pytest.mark.parametrize(("method", "facts", "words"), [
    ("tpr_ratio", {"evidence": {"support": [2.0, 2.0, 2.0]}}, "3 classes have fewer than 10 validation samples. Class 0 has 2 validation samples: its TPR is known only to about ±41 points (95 %)."),
    ("tpr_ratio", {"evidence": {"support": [9.0, 10.0, 500.0]}, "classes": ["ant", "bee", "cow"]}, "Class ant has 9 validation samples: its TPR is known only to about ±27 points (95 %)."),
    ("tpr_ratio", {"evidence": {"support": [0.0, 10.0, 1.0]}}, "2 classes have fewer than 10 validation samples. Class 0 has 0 validation samples: its TPR cannot be measured"),
    ("cdb", {"counts": {"validation": [40, 1, 40]}}, "Class 1 has 1 validation sample: "),
])
def test_weights_from_few_validation_samples_are_said(method, facts, words):
    c = compare(trained("run 1"), replace(trained("run 2", AFTER, method=method), facts=facts), rng())
    assert len(c.cautions) == 1
    assert c.cautions[0].startswith(f"The weights of run 2 rest on TPRs of few validation samples. {words}")
    assert c.cautions[0].endswith("Hold out a larger validation share, or compare several seeds.")


def test_new_run_and_compare_say_few_samples_in_the_same_words_from_the_same_number_on():
    for n in (FEW - 1, FEW):
        text = enough([n, 500], ["ant", "bee"])
        assert bool(text) is (n < FEW)
        assert text in few_samples("run 2", {"method": "tpr_ratio"}, {"evidence": {"support": [n, 500]}, "classes": ["ant", "bee"]})


@pytest.mark.parametrize(("method", "facts"), [
    ("tpr_ratio", {"evidence": {"support": [10.0, 10.0, 10.0]}}), ("tpr_ratio", {"evidence": {"support": None}}), ("tpr_ratio", {}),
    ("inverse_frequency", {"evidence": {"support": [2.0, 2.0, 2.0]}, "counts": {"validation": [2, 2, 2]}}), ("gone", {"counts": {"validation": [2, 2, 2]}}),
])
def test_enough_samples_unknown_ones_or_other_methods_need_no_word(method, facts):
    assert few_samples("run 2", {"method": method}, facts) == ""


def test_a_profile_without_a_tail_explains_nothing():
    c = compare(trained("run 1"), trained("run 2", AFTER, "b", profile="step"), rng())
    assert c.cautions[0].startswith("The data changed between the two runs: they were trained on different samples")


def test_data_that_changed_is_said():
    for after in (trained("run 2", AFTER, "b"), trained("run 2", AFTER // 2, n=N // 2), trained("run 2", AFTER // 2, "b", n=N // 2, seed=1)):
        c = compare(trained("run 1"), after, rng())
        assert len(c.cautions) == 1
        assert c.cautions[0].startswith("The data changed between the two runs: they were ")
        assert "Train the older one again" in c.cautions[0]


def test_an_unknown_hash_says_nothing():
    assert compare(trained("run 1", index_hash=""), trained("run 2", AFTER), rng()).cautions == ()


def test_config_differences():
    a = {"method": "none", "epochs": 20, "params": {}, "seed": 0, "tpr": None, "recipe_params": {"lr": 0.1}}
    b = {"method": "tpr_ratio", "epochs": 20.0, "params": {"exponent": 2}, "seed": 0, "tpr": (0.5, 0.7), "recipe_params": {"lr": 0.1}}
    assert config_differences(a, b) == [("method", "none", "tpr_ratio"), ("tpr", None, [0.5, 0.7]), ("params.exponent", None, 2)]
    assert config_differences(b, {**b, "tpr": [0.5, 0.7]}) == []
