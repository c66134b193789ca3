"""Which samples are in which split: seeded stratified splits and long-tail subsampling. numpy only, no files.

Legend: N samples, C classes. Every count is a pure function of the class counts; the seed only decides which samples.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError
from core.split_names import PROFILES

Index = NDArray[np.int64]  # [N] positions
Counts = NDArray[np.int64]  # [C]

_VALIDATION_STREAM, _TAIL_STREAM = (
    1,
    2,
)  # separate random streams of one seed, so that the long tail never changes the validation split


def validation_counts(counts: ArrayLike, share: float) -> Counts:
    """[C] samples held out of `counts`: round(share * n), half up, but at least 1 and at most n - 1; 0 if n < 2.

    Raises DataError for a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise DataError(f"validation share is {share!r}, expected a number above 0 and below 1")
    n = np.asarray(counts, dtype=np.int64)
    held = np.floor(n * share + 0.5).astype(np.int64)
    return np.where(n < 2, 0, np.clip(held, 1, np.maximum(n - 1, 1)))


def long_tail_counts(counts: ArrayLike, factor: float, profile: str = PROFILES[0]) -> Counts:
    """[C] training samples kept per class, in the order of the class ids. Pure: used for previews as well as for the subsampling.

    exponential  n_c = int(n_max * mu^c), mu = (1 / factor)^(1 / (C - 1))
    step         n_max for the first half of the classes (rounded up), int(n_max / factor) for the rest

    with n_max = max(counts). A class keeps at most what it has, and at least 1 if it has any. factor 1 keeps every sample.
    Raises DataError for a factor below 1 or an unknown profile.
    Source: Cui et al. (2019), Class-balanced loss; Cao et al. (2019), LDAM; Buda et al. (2018) for the step.
    """
    n = np.asarray(counts, dtype=np.int64)
    if not (math.isfinite(factor) and factor >= 1):
        raise DataError(
            f"imbalance factor is {factor!r}, expected a number of at least 1 (largest over smallest class)"
        )
    if profile not in PROFILES:
        raise DataError(f"unknown long-tail profile {profile!r}; known: {', '.join(PROFILES)}")
    if factor == 1 or n.size < 2:
        return n.copy()
    c = np.arange(n.size)
    fall = (
        float(factor) ** -(c / (n.size - 1))
        if profile == "exponential"
        else np.where(c < (n.size + 1) // 2, 1.0, 1.0 / factor)
    )
    wanted = np.floor(n.max() * fall + 1e-9).astype(np.int64)  # 1e-9: 500 * 0.01 must not become 4 by rounding
    return np.minimum(n, np.maximum(wanted, 1))


def take_per_class(y_N: NDArray[np.int64], counts: Counts, rng: np.random.Generator) -> tuple[Index, Index]:
    """Positions split into (taken, left), both ascending: counts[c] samples of class c drawn without replacement.

    Each class is shuffled and its first counts[c] are taken, so with the same generator a smaller count draws a subset.
    """
    taken = np.zeros(len(y_N), dtype=bool)
    by_class = np.argsort(y_N, kind="stable")
    edges = np.searchsorted(y_N[by_class], np.arange(len(counts) + 1))
    for c, wanted in enumerate(counts):
        members = by_class[edges[c] : edges[c + 1]]
        taken[rng.permutation(members)[:wanted]] = True
    return np.flatnonzero(taken), np.flatnonzero(~taken)


def stratified_split(y_N: NDArray[np.int64], classes: int, share: float, seed: int) -> tuple[Index, Index]:
    """(kept, held out) positions; `validation_counts` of each class are held out, chosen by the seed."""
    held_counts = validation_counts(np.bincount(y_N, minlength=classes), share)
    held, kept = take_per_class(y_N, held_counts, np.random.default_rng([seed, _VALIDATION_STREAM]))
    return kept, held


def long_tail(y_N: NDArray[np.int64], classes: int, factor: float, profile: str, seed: int) -> Index:
    """Ascending positions of the samples that `long_tail_counts` keeps, chosen by the seed."""
    counts = long_tail_counts(np.bincount(y_N, minlength=classes), factor, profile)
    return take_per_class(y_N, counts, np.random.default_rng([seed, _TAIL_STREAM]))[0]


def split_rows(
    y_N: NDArray[np.int64],
    sizes: tuple[int, int, int],
    classes: int,
    *,
    seed: int,
    validation: float,
    imbalance: float,
    profile: str,
) -> tuple[Index, Index, Index]:
    """Rows of training, validation and test split in an array file, each ascending. The long tail acts on the training split.

    sizes  of the file's three parts, one after another; if the second is empty, the share `validation` of the first is held out
    """
    n_train, n_val, n_test = sizes
    kept, held = np.arange(n_train), np.arange(n_train, n_train + n_val)
    if not n_val:
        kept, held = stratified_split(y_N[:n_train], classes, validation, seed)
    train = kept[long_tail(y_N[kept], classes, imbalance, profile, seed)]
    return train, held, np.arange(n_train + n_val, n_train + n_val + n_test)


def index_hash(fingerprint: str, *indices: Index) -> str:
    """sha256 hex over the dataset's fingerprint and the index lists with their lengths (little-endian int64)."""
    digest = hashlib.sha256(fingerprint.encode())
    for index in indices:
        digest.update(len(index).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(index, dtype="<i8").tobytes())
    return digest.hexdigest()
