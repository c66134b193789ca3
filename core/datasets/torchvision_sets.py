"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100 through torchvision: from the data folder, or downloaded once.

The folder layout is torchvision's own, so existing files are used unchanged:
<data_root>/MNIST/raw, FashionMNIST/raw, cifar-10-batches-py, cifar-100-python, or their archives beside them.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets.array_cache import Contents, Writer
from core.datasets.download import fetch, unpack
from core.datasets.file_io import attended, file_md5
from core.datasets.spec import Progress
from core.errors import DataError
from core.torchvision_compat import torchvision

CHUNK_ROWS = 8_192
# what torchvision raises on truncated or wrong files; some checks are assertions
READ_ERRORS = (
    RuntimeError,
    OSError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AssertionError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True)
class VisionSet:
    """One of torchvision's dataset classes and where its files are."""

    class_name: str
    folder: str  # the unpacked files, under the data root
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    classes: tuple[str, ...]

    def build(self, data_root: Path, writer: Writer, progress: Progress) -> Contents:
        """Find or download the files, read both parts, append them. Raises DataError naming what is missing or wrong."""
        dataset = getattr(torchvision().datasets, self.class_name)
        self._obtain(dataset, Path(data_root), progress)
        labels = []
        for train, share in ((True, 0.5), (False, 0.75)):
            look = partial(progress, share, f"reading {self.class_name}")
            look()
            part = attended(partial(self._read, dataset, Path(data_root), train), look)
            x, y = _as_arrays(part)
            self._check(y, train, Path(data_root))
            for start in range(0, len(x), CHUNK_ROWS):
                writer.add(x[start : start + CHUNK_ROWS])
                look()
            labels.append(y)
        progress(1.0, f"{self.class_name} is ready")
        return Contents(np.concatenate(labels), (len(labels[0]), 0, len(labels[1])), self.classes)

    def _obtain(self, dataset: Any, data_root: Path, progress: Progress) -> None:
        """Download and unpack what is missing, so that torchvision itself never accesses the network."""
        missing = [a for a in _archives(dataset) if not all((data_root / f).is_file() for f in a.files)]
        for i, archive in enumerate(missing):
            archive.obtain(data_root, partial(_part_of, progress, 0.5 * i / len(missing), 0.5 / len(missing)))

    def _read(self, dataset: Any, data_root: Path, train: bool) -> Any:
        try:
            return dataset(str(data_root), train=train, download=False)
        except READ_ERRORS as error:
            raise self._broken(data_root, f"{type(error).__name__}: {error}") from error

    def _check(self, y: np.ndarray, train: bool, data_root: Path) -> None:
        expected = self.train_counts if train else self.test_counts
        found = tuple(int(n) for n in np.bincount(y, minlength=len(expected)))
        if found != expected:
            raise self._broken(data_root, f"class counts are {found}, expected {expected}")

    def _broken(self, data_root: Path, reason: str) -> DataError:
        line = " ".join(str(reason).split())
        return DataError(
            f"{self.class_name} in {data_root / self.folder} cannot be read ({line}); delete that folder to download it again"
        )


@dataclass(frozen=True)
class Archive:
    """A file to download, where it goes, and the files in it; paths are under the data root."""

    path: str
    urls: list[str]
    md5: str
    files: list[str]

    def obtain(self, data_root: Path, progress: Progress) -> None:
        """Unpack it; download it first if it is missing. Raises DataError."""
        path = data_root / self.path
        if not path.is_file():
            fetch(self.urls, path, self.md5, progress)
        elif file_md5(path, partial(progress, 0.5, f"checking {path.name}")) != self.md5:
            raise DataError(
                f"{path} does not have the md5 {self.md5}: it is damaged or another file; delete or replace it"
            )
        unpack(path, partial(progress, 1.0, f"unpacking {path.name}"))


def _part_of(progress: Progress, start: float, width: float, share: float, text: str) -> None:
    """Report `share` of one step as a share of the whole, where the step covers `start` to `start + width`."""
    progress(start + width * share, text)


def _archives(dataset: Any) -> list[Archive]:
    """The archives of a torchvision class, as the class itself lists them."""
    if hasattr(dataset, "resources"):
        raw = f"{dataset.__name__}/raw"
        return [
            Archive(
                f"{raw}/{name}",
                [mirror + name for mirror in dataset.mirrors],
                md5,
                [f"{raw}/{name.removesuffix('.gz')}"],
            )
            for name, md5 in dataset.resources
        ]
    names = [name for name, _ in (*dataset.train_list, *dataset.test_list)] + [dataset.meta["filename"]]
    files = [f"{dataset.base_folder}/{name}" for name in names]
    return [Archive(dataset.filename, [dataset.url], dataset.tgz_md5, files)]


def _as_arrays(part: Any) -> tuple[np.ndarray, np.ndarray]:
    """(x [N, channels, H, W] uint8, y [N] int64) of a torchvision dataset that holds its data in memory."""
    x = np.asarray(part.data)
    x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)
    return x, np.asarray(part.targets, dtype=np.int64)


MNIST = VisionSet(
    "MNIST",
    "MNIST/raw",
    (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    tuple("0123456789"),
)
FASHION_MNIST = VisionSet(
    "FashionMNIST",
    "FashionMNIST/raw",
    (6000,) * 10,
    (1000,) * 10,
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
CIFAR10 = VisionSet(
    "CIFAR10",
    "cifar-10-batches-py",
    (5000,) * 10,
    (1000,) * 10,
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
CIFAR100 = VisionSet(
    "CIFAR100",
    "cifar-100-python",
    (500,) * 100,
    (100,) * 100,
    tuple(
        "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
        "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant "
        "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man "
        "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree "
        "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail "
        "snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout "
        "tulip turtle wardrobe whale willow_tree wolf woman worm".split()
    ),
)
