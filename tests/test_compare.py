"""Two runs side by side: exact changes, published intervals, and verdicts that claim no more than the data hold."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from core.compare import Replicate, Side, compare, config_differences, order, replicate
from core.errors import EvenlyError
from core.noise import FIGURES, limits, mean_interval, newcombe, sampling_intervals, t95

NAMES = ("car", "dog", "cat")
N = np.array([500, 400, 300])
BEFORE, AFTER = np.array([480, 280, 225]), np.array([460, 320, 240])


def rng():
    return np.random.default_rng(7)


def side(tp, label="A", seed=0, replicates=(), n=N, classes=NAMES, **more):
    return Side(label, classes, np.asarray(n), np.asarray(tp), seed, tuple(replicates), **more)


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
    assert c.verdict == ("variance 0.0010 -> 0.0006, accuracy 0.0 points; both changes may be sampling noise of the test split alone; "
                         "with one seed each, seed noise is unknown: add seeds before you judge")
    assert not any(d.beyond for d in c.deltas.values())


def test_verdict_beyond_sampling_noise_still_asks_for_seeds():
    c = compared(side([495, 240, 225]), side([480, 360, 270]))
    assert c.verdict.startswith("variance 0.0258 -> 0.0008, accuracy +12.5 points; both changes can hardly be sampling noise of the test split alone")
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
    mean, low, high = c.deltas["tpr_variance"].paired
    changes = [replicate(0, AFTER, N).tpr_variance - replicate(0, BEFORE, N).tpr_variance] + [
        a.tpr_variance - b.tpr_variance for b, a in zip(shifted(BEFORE, seeds[1:], 4), shifted(AFTER, seeds[1:], 4), strict=True)]
    assert mean == pytest.approx(np.mean(changes))
    assert low < mean < high < 0
    assert c.verdict.startswith(f"on average over 4 seeds, each trained both ways, the variance changed by {mean:.4f} (95 % interval {low:.4f} to {high:.4f}), "
                                "the accuracy by +")
    assert "; both changes can hardly be seed noise alone; these two runs: variance 0.0127 -> 0.0032, accuracy +2.9 points" in c.verdict
    assert "add seeds" not in c.verdict


def figures(seed, accuracy, variance, low=0.5):
    return Replicate(seed, accuracy, variance, low)


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


def test_unpaired_seeds_of_both_sides_are_pooled():
    c = compared(side(BEFORE, replicates=shifted(BEFORE, [0, 1, 2], 40)), side(AFTER, seed=10, replicates=shifted(AFTER, [10, 11, 12], 40)))
    assert c.noise.kind == "one side's seeds"
    assert "judged by the scatter over 3 seeds before and 3 after, both changes may be seed noise alone" in c.verdict


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
    return side(tp, label, n=n, settings={**SETTINGS, **settings}, index_hash=index_hash)


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
    assert not any(d.beyond or d.paired for d in c.deltas.values())


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


def test_order_from_hardest():
    assert order([0.9, np.nan, 0.5, 0.7, 0.5]).tolist() == [2, 4, 3, 0, 1]


def test_config_differences():
    a = {"method": "none", "epochs": 20, "params": {}, "seed": 0, "tpr": None, "recipe_params": {"lr": 0.1}}
    b = {"method": "tpr_ratio", "epochs": 20.0, "params": {"exponent": 2}, "seed": 0, "tpr": (0.5, 0.7), "recipe_params": {"lr": 0.1}}
    assert config_differences(a, b) == [("method", "none", "tpr_ratio"), ("tpr", None, [0.5, 0.7]), ("params.exponent", None, 2)]
    assert config_differences(b, {**b, "tpr": [0.5, 0.7]}) == []
