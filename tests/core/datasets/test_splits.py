"""Splits and long tails: exact published counts, and what must hold for any counts and seed."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.datasets.splits import index_hash, long_tail, long_tail_counts, stratified_split, validation_counts
from core.errors import DataError

class_counts = st.lists(st.integers(0, 60), min_size=2, max_size=12)


def labels(counts: list[int]) -> np.ndarray:
    y = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(0).permutation(y)


@pytest.mark.parametrize(
    ("factor", "total", "last"), [(200, 9502, 2), (100, 10847, 5), (50, 12608, 10), (20, 15907, 25), (10, 19573, 50)]
)
def test_cifar100_long_tail_counts_are_the_published_ones(factor: int, total: int, last: int) -> None:
    counts = long_tail_counts([500] * 100, factor)
    assert (counts.sum(), counts[0], counts[-1]) == (total, 500, last)


@pytest.mark.parametrize(("n_max", "total", "last"), [(475, 10302, 4), (450, 9754, 4)])
def test_cifar100_long_tail_after_a_validation_split(n_max: int, total: int, last: int) -> None:
    counts = long_tail_counts([n_max] * 100, 100)
    assert (counts.sum(), counts[-1]) == (total, last)


def test_cifar10_long_tail_counts_are_the_published_ones() -> None:
    counts = long_tail_counts([5000] * 10, 100)
    assert counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert counts.sum() == 12406
    assert [long_tail_counts([5000] * 10, f).sum() for f in (50, 10, 200, 20)] == [13996, 20431, 11203, 17023]


def test_step_profile_keeps_the_first_half() -> None:
    assert long_tail_counts([500] * 4, 10, "step").tolist() == [500, 500, 50, 50]
    assert long_tail_counts([500] * 5, 10, "step").tolist() == [500, 500, 500, 50, 50]


def test_no_class_gets_more_than_it_has_nor_less_than_one() -> None:
    assert long_tail_counts([100, 3, 100, 0], 1000).tolist() == [100, 3, 1, 0]


def test_factor_one_keeps_everything() -> None:
    assert long_tail_counts([7, 3, 0], 1).tolist() == [7, 3, 0]


@pytest.mark.parametrize("factor", [0.5, 0, -3, float("nan"), float("inf")])
def test_a_factor_below_one_is_refused_by_value(factor: float) -> None:
    with pytest.raises(DataError, match=f"imbalance factor is {factor!r}, expected"):
        long_tail_counts([5, 5], factor)


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(DataError, match="unknown long-tail profile 'cliff'; known: exponential, step"):
        long_tail_counts([5, 5], 10, "cliff")


def test_validation_counts_round_half_up_and_leave_one_on_each_side() -> None:
    assert validation_counts([0, 1, 2, 5, 15, 5000], 0.1).tolist() == [0, 0, 1, 1, 2, 500]
    assert validation_counts([2, 3], 0.9).tolist() == [1, 2]


@pytest.mark.parametrize("share", [0, 1, -0.1, 2, float("nan")])
def test_a_validation_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="validation share"):
        validation_counts([5, 5], share)


@settings(max_examples=60)
@given(class_counts, st.floats(0.01, 0.5), st.integers(0, 2**31 - 1))
def test_a_split_is_a_partition_with_the_promised_counts(counts: list[int], share: float, seed: int) -> None:
    y = labels(counts)
    kept, held = stratified_split(y, len(counts), share, seed)
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(y)))
    assert (np.bincount(y[held], minlength=len(counts)) == validation_counts(counts, share)).all()
    for n, left, out in zip(
        counts, np.bincount(y[kept], minlength=len(counts)), validation_counts(counts, share), strict=True
    ):
        assert n < 2 or (left >= 1 and out >= 1)
    again = stratified_split(y, len(counts), share, seed)
    assert np.array_equal(kept, again[0])


@settings(max_examples=60)
@given(class_counts, st.floats(1, 1000), st.sampled_from(["exponential", "step"]), st.integers(0, 2**31 - 1))
def test_a_long_tail_has_the_previewed_counts(counts: list[int], factor: float, profile: str, seed: int) -> None:
    y = labels(counts)
    kept = long_tail(y, len(counts), factor, profile, seed)
    assert (np.bincount(y[kept], minlength=len(counts)) == long_tail_counts(counts, factor, profile)).all()
    assert (np.diff(kept) > 0).all()


def test_the_seed_decides_which_samples_not_how_many() -> None:
    y = labels([50, 50])
    a, b = stratified_split(y, 2, 0.2, 0)[1], stratified_split(y, 2, 0.2, 1)[1]
    assert len(a) == len(b)
    assert not np.array_equal(a, b)


def test_a_stronger_tail_of_the_same_seed_is_a_subset() -> None:
    y = labels([100] * 5)
    assert set(long_tail(y, 5, 100, "exponential", 3)) <= set(long_tail(y, 5, 10, "exponential", 3))


def test_global_generators_are_left_alone() -> None:
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    stratified_split(labels([20, 20]), 2, 0.1, 0)
    assert np.array_equal(before, np.random.get_state()[1])


def test_index_hash_is_plain_sha256_and_sees_every_change() -> None:
    a, b = np.array([1, 2, 3]), np.array([4])
    by_hand = hashlib.sha256(
        b"set"
        + (3).to_bytes(8, "little")
        + a.astype("<i8").tobytes()
        + (1).to_bytes(8, "little")
        + b.astype("<i8").tobytes()
    )
    assert index_hash("set", a, b) == by_hand.hexdigest()
    others = [
        index_hash("set2", a, b),
        index_hash("set", b, a),
        index_hash("set", np.array([1, 2]), np.array([3, 4])),
        index_hash("set", a[::-1], b),
    ]
    assert len({by_hand.hexdigest(), *others}) == 5
