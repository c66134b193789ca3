"""The operations on a dataset from any source: describe, prepare, load.

`describe` is cheap and never loads data; `prepare` downloads, generates or decodes once into one array file under
<data_root>/cache; `load` splits that file for a run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.datasets import array_cache
from core.datasets.image_folder import ImageSet
from core.datasets.sources import find_dataset
from core.datasets.spec import DataSpec, DataSplits, Progress, quiet
from core.datasets.splits import index_hash, split_rows
from core.errors import DataError
from core.split_names import DEFAULT_VALIDATION, PROFILES


def describe(name: str, data_root: Path | str, validation: float = DEFAULT_VALIDATION) -> DataSpec:
    """Shape, classes and counts, without loading data. Raises DataError for an image set that is not prepared."""
    return find_dataset(name, data_root).spec(Path(data_root), validation)


def is_ready(name: str, data_root: Path | str) -> bool:
    """Whether `load` would start at once because the array file exists. Cheap."""
    return find_dataset(name, data_root).is_ready(Path(data_root))


def prepare(name: str, data_root: Path | str, progress: Progress = quiet, size: int | None = None) -> DataSpec:
    """Download, generate or decode into the array file, once; a second call is instant. Safe with several processes.

    `size` sets the pixels per side for an image set, instead of the size that fits most of its images; the spec's key
    then includes it ("photos@64"). Raises DataError: missing without internet, refused files, disk full.
    """
    dataset = find_dataset(name, data_root)
    if size is not None:
        if not isinstance(dataset, ImageSet):
            raise DataError(
                f"{dataset.label} has a fixed size; an image size can be chosen for image folders and zips only"
            )
        dataset = dataset.at_size(size)
    dataset.prepared(Path(data_root), progress)
    return dataset.spec(Path(data_root), DEFAULT_VALIDATION)


def load(
    name: str,
    data_root: Path | str,
    *,
    seed: int,
    validation: float = DEFAULT_VALIDATION,
    imbalance: float = 1.0,
    profile: str = PROFILES[0],
    progress: Progress = quiet,
) -> DataSplits:
    """The three splits of a run: prepared if needed, validation held out and the long tail subsampled by `seed`.

    The same arguments give the same samples. The long tail subsamples the training split only and does not change the
    validation split; the test split never depends on any argument.
    """
    dataset = find_dataset(name, data_root)
    entry = array_cache.open_entry(Path(data_root), dataset.prepared(Path(data_root), progress))
    spec = dataset.spec(Path(data_root), validation)
    train, val, test = split_rows(
        entry.y,
        entry.meta.sizes,
        len(spec.classes),
        seed=seed,
        validation=validation,
        imbalance=imbalance,
        profile=profile,
    )
    mean, std = entry.mean_std(train)
    return DataSplits(
        spec,
        array_cache.take(entry.x, train),
        entry.y[train],
        array_cache.take(entry.x, val),
        entry.y[val],
        array_cache.take(entry.x, test),
        entry.y[test],
        mean,
        std,
        train,
        val,
        test,
        index_hash(entry.meta.fingerprint, train, val, test),
        np.bincount(entry.y[train], minlength=len(spec.classes)),
        entry.meta.skipped,
    )
