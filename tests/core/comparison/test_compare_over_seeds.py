"""Means over seeds: when classes are compared by them, and which seeds count."""

import numpy as np
import pytest
from scipy import stats

from reporting.csv_json import comparison_dict
from tests.core.comparison.kit import AFTER, BEFORE, N, compared, replicate, shifted, side


def test_where_the_verdict_speaks_of_means_so_do_the_classes():
    seeds = [0, 1, 2]
    before, after = (
        shifted(BEFORE, seeds, 6),
        [replicate(s, AFTER + np.array([s, -3 * s, 2 * s * s]), N) for s in seeds],
    )
    c = compared(side(before[0].tpr * N, replicates=before), side(after[0].tpr * N, replicates=after))
    assert c.over_seeds.before == (0, 1, 2)
    for k, row in enumerate(c.over_seeds.rows):
        b, a = [r.tpr[k] for r in before], [r.tpr[k] for r in after]
        wanted = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert (row.before, row.after) == pytest.approx((np.mean(b), np.mean(a)))
        assert (row.gain_low, row.gain_high) == pytest.approx((wanted.low, wanted.high), abs=1e-6)
        assert row.beyond is bool(wanted.low > 0 or wanted.high < 0)
        assert row.each_before == tuple(b)
    assert comparison_dict(c)["over_seeds"]["rows"][0]["name"] == "car"
    assert c.notes[0].averaged


def test_one_seed_a_side_has_no_means():
    assert compared(side(BEFORE), side(AFTER)).over_seeds is None
    assert compared(side(BEFORE, replicates=shifted(BEFORE, [0, 1, 2], 4)), side(AFTER, seed=9)).over_seeds is None


def test_two_pairs_have_a_mean_and_a_wide_interval():
    seeds = [0, 1]
    c = compared(side(BEFORE, replicates=shifted(BEFORE, seeds, 4)), side(AFTER, replicates=shifted(AFTER, seeds, 4)))
    assert c.noise.kind == "paired seeds"
    assert (c.noise.pairs, c.noise.fewest) == ((0, 1), 2)


def test_only_the_seeds_of_both_sides_are_paired():
    c = compared(
        side(BEFORE, replicates=shifted(BEFORE, [0, 1, 2, 7], 4)),
        side(AFTER, replicates=shifted(AFTER, [0, 1, 2, 8, 9], 4)),
    )
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
