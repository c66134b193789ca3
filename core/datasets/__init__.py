"""The datasets, built-in and your own, and how each becomes three splits."""

from core.datasets.image_folder import ImageSet
from core.datasets.loading import describe, is_ready, load, prepare
from core.datasets.registry import DATASETS, Dataset
from core.datasets.sources import find_dataset, image_sets, known_as, offered
from core.datasets.spec import DataSpec, DataSplits, train_counts

__all__ = [
    "DATASETS",
    "DataSpec",
    "DataSplits",
    "Dataset",
    "ImageSet",
    "describe",
    "find_dataset",
    "image_sets",
    "is_ready",
    "known_as",
    "load",
    "offered",
    "prepare",
    "train_counts",
]
