"""Which runs of a seed are a pair: the run that was fed by its baseline, and what is done without one."""

import numpy as np
import pytest

from core.comparison.compare import compare
from core.comparison.pairing import BASELINE_DELETED, OTHER_BASELINE, OTHER_SAMPLES, Apart, LeftOut, Unpaired
from core.comparison.side import Side
from core.experiment.baseline import GONE
from core.metrics.intervals import REDRAWS, welch_interval
from tests.core.comparison.kit import AFTER, BEFORE, NAMES, N, replicate, rng, side


def run_of(number, seed, tp, baseline=None, baseline_seed=None, index_hash=None):
    """A replicate with an origin; its samples are drawn by the seed unless said."""
    tp = np.clip(tp + np.random.default_rng(number).integers(-4, 5, 3), 0, N)
    return replicate(
        seed,
        tp,
        N,
        run=number,
        index_hash=f"h{seed}" if index_hash is None else index_hash,
        baseline=baseline,
        baseline_seed=baseline_seed,
    )


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
    out = sorted({10, 11, 12, 20, 21, 22} - set(c.over_seeds.runs_after))
    here = [*OWN, *SHARED][shown].run
    assert c.notes[-1] == LeftOut(tuple(out), (here,) if here in out else ())


def test_runs_fed_by_one_baseline_are_not_paired_by_seed():
    c = compare(of_runs("before", BASELINES), of_runs("after", SHARED))
    assert (c.noise.kind, c.noise.pairs, c.over_seeds.paired) == ("both sides' seeds", (3,), False)
    x, y = (np.array([r.figure("accuracy") for r in runs]) for runs in (BASELINES, SHARED))
    assert (
        c.deltas["accuracy"].seeds.change,
        c.deltas["accuracy"].seeds.low,
        c.deltas["accuracy"].seeds.high,
    ) == welch_interval(x, y)
    assert c.notes[-1] == Unpaired((4, 5), False, (Apart((21, 22), OTHER_BASELINE, 1, 3),))
    assert (c.noise.seeds_before, c.noise.seeds_after) == (3, 3)


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
    assert c.notes[-1] == Unpaired((5,), False, (Apart((3, 45), OTHER_SAMPLES),))


def test_a_deleted_baseline_makes_no_pair():
    orphans = [run_of(s + 50, s, AFTER, GONE) for s in (3, 4, 5)]
    c = compare(of_runs("before", BASELINES), of_runs("after", orphans))
    assert c.noise.pairs == ()
    assert c.notes[-1].reasons == (Apart((53, 54, 55), BASELINE_DELETED),)


def test_of_runs_that_make_no_pair_the_newest_is_used():
    c = compare(of_runs("before", BASELINES), of_runs("after", [*SHARED, run_of(30, 4, AFTER, 1, 3)]))
    assert c.over_seeds.runs_after == (20, 30, 22)
    assert c.notes[-1] == LeftOut((21,))


def test_redraws_are_the_same_unless_asked_otherwise():
    """So a page and a command give the same intervals."""
    b, a = side(BEFORE, "run 1"), side(AFTER, "run 2")
    assert compare(b, a) == compare(b, a, np.random.default_rng(REDRAWS))
    assert compare(b, a) != compare(b, a, rng())
