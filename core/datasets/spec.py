"""What a dataset is (DataSpec) and what a run trains on (DataSplits). Plain values; nothing here touches a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.datasets.splits import long_tail_counts, validation_counts
from core.errors import DataError
from core.modality import MODALITIES

Counts = NDArray[np.int64]  # [C]
Progress = Callable[[float, str], None]  # share done in [0, 1], current step in words


def quiet(share: float, text: str) -> None:
    """A Progress that reports nothing."""


@dataclass(frozen=True, eq=False)
class DataSpec:
    """A dataset's shape, classes and class counts; known without loading it.

    shape         one sample: (1, L) for a signal, (channels, height, width) for an image, see core.modality
    classes       [C] names in the order of the class ids; data, so show them as text
    train_counts  [C] training samples after the validation split is taken out, before any long tail
    val_counts    [C] validation samples
    test_counts   [C] test samples
    pool_counts   [C] training samples before the validation split is taken out
    own_validation  the dataset has its own validation split, so the validation share has no effect
    fingerprint     of the current data, independent of the splits; "" if unknown
    """

    key: str
    label: str
    kind: str  # key of MODALITIES
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    train_counts: Counts
    val_counts: Counts
    test_counts: Counts
    pool_counts: Counts
    own_validation: bool = False
    augment: str = "none"  # one of its modality's
    skipped: tuple[str, ...] = ()
    fingerprint: str = ""


def make_spec(
    key: str,
    label: str,
    kind: str,
    shape: tuple[int, ...],
    classes: tuple[str, ...],
    *,
    pool: Counts,
    own_validation: Counts | None,
    test: Counts,
    validation: float,
    augment: str = "none",
    skipped: tuple[str, ...] = (),
    fingerprint: str = "",
) -> DataSpec:
    """A DataSpec for one validation share; `own_validation` are the counts of the data's own validation split, or None."""
    if augment not in (known := MODALITIES[kind].augmentations):
        raise ValueError(f"{key}: augmentation is {augment!r}, expected one of {', '.join(known)} for {kind}")
    held = validation_counts(pool, validation) if own_validation is None else own_validation
    train = pool - held if own_validation is None else pool
    return DataSpec(
        key,
        label,
        kind,
        shape,
        classes,
        train,
        held,
        test,
        pool,
        own_validation is not None,
        augment,
        skipped,
        fingerprint,
    )


def train_counts(spec: DataSpec, validation: float, imbalance: float, profile: str) -> Counts:
    """[C] training samples that `core.datasets.loading.load` gives for these settings, without loading anything."""
    left = (
        spec.pool_counts if spec.own_validation else spec.pool_counts - validation_counts(spec.pool_counts, validation)
    )
    return long_tail_counts(left, imbalance, profile)


@dataclass(eq=False)
class DataSplits:
    """The three splits of one run.

    train_x, val_x, test_x   [N, *spec.shape] uint8 or float32; numpy, or `core.datasets.array_cache.Rows` if
    a copy would not fit in memory
    train_y, val_y, test_y   [N] int64 class ids
    mean, std                [channels] float32, to apply after / 255 for uint8; 0 and 1 if the data is already normalized
    train_index, ...         [N] rows of the prepared array file
    index_hash               sha256 over the dataset's fingerprint and the three index lists
    counts                   [C] training samples per class, after the long tail
    skipped                  files that could not be read and were left out
    """

    spec: DataSpec
    train_x: np.ndarray
    train_y: np.ndarray
    val_x: np.ndarray
    val_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    train_index: np.ndarray
    val_index: np.ndarray
    test_index: np.ndarray
    index_hash: str
    counts: Counts
    skipped: tuple[str, ...] = field(default=())


def check_validation(spec: DataSpec, train_samples: int) -> None:
    """Raise DataError if there are no validation samples: no run can start on such data."""
    if not spec.val_counts.sum():
        raise DataError(
            f"{train_samples:,} training samples but no validation samples, on which TPRs are measured; "
            "give every class at least 3 images, or put some into a val folder beside train"
        )
