"""The datasets, what people bring, and how either becomes three splits."""

from core.datasets.image_folder import ImageSet, image_sets
from core.datasets.registry import DATASETS, Dataset, describe, find_dataset, is_ready, load, prepare
from core.datasets.spec import DEFAULT_VALIDATION, DataSpec, DataSplits, train_counts

__all__ = [
    "DATASETS",
    "DEFAULT_VALIDATION",
    "DataSpec",
    "DataSplits",
    "Dataset",
    "ImageSet",
    "describe",
    "find_dataset",
    "image_sets",
    "is_ready",
    "load",
    "prepare",
    "train_counts",
]
