"""The table of datasets: the built-in ones and those of torchvision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from core.datasets import array_cache, builtin, torchvision_sets
from core.datasets.array_cache import Contents, Meta, Writer
from core.datasets.spec import DataSpec, Progress, make_spec, quiet
from core.registry import Param, Registry, Source
from core.split_names import DEFAULT_VALIDATION

VERSION = "1"  # part of every fingerprint below: raise it when a builder changes what it writes


@dataclass(frozen=True)
class Dataset:
    """A row: a dataset, what is known without loading it, and the function that writes its arrays.

    about       what it is, in sentences
    kind        key of core.modality.MODALITIES
    build       (data_root, writer, progress) -> Contents
    own_validation  counts of the dataset's own validation split, None if it is drawn from the training data
    download_bytes  size of its files; 0 where nothing is downloaded
    own             the user's own data
    """

    key: str
    label: str
    about: str
    source: Source
    kind: str
    shape: tuple[int, ...]
    dtype: str
    classes: tuple[str, ...]
    pool: tuple[int, ...]
    test: tuple[int, ...]
    build: Callable[[Path, Writer, Progress], Contents]
    own_validation: tuple[int, ...] | None = None
    download_bytes: int = 0
    augment: str = "none"
    params: tuple[Param, ...] = ()
    own: ClassVar[bool] = False

    @property
    def embedded(self) -> bool:
        """Whether there is nothing to download."""
        return not self.download_bytes

    @property
    def summary(self) -> str:
        """What it is, and how large its download."""
        return self.about if self.embedded else f"{self.about} {self.download_bytes / 1e6:.0f} MB to download."

    @property
    def fingerprint(self) -> str:
        return f"{self.key}-{VERSION}"

    def spec(self, data_root: Path, validation: float = DEFAULT_VALIDATION) -> DataSpec:
        own = None if self.own_validation is None else np.array(self.own_validation)
        return make_spec(
            self.key,
            self.label,
            self.kind,
            self.shape,
            self.classes,
            pool=np.array(self.pool),
            own_validation=own,
            test=np.array(self.test),
            validation=validation,
            augment=self.augment,
            fingerprint=self.fingerprint,
        )

    def prepared(self, data_root: Path, progress: Progress = quiet) -> Meta:
        def build(writer: Writer) -> Contents:
            rows = sum(self.pool) + sum(self.own_validation or ()) + sum(self.test)
            size = rows * int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize
            array_cache.check_space(data_root, size, self.label)
            writer.begin(self.shape, self.dtype)
            return self.build(data_root, writer, progress)

        return array_cache.ensure(data_root, self.key, self.fingerprint, build, progress)

    def is_ready(self, data_root: Path) -> bool:
        meta = array_cache.read_meta(data_root, self.key)
        return meta is not None and meta.fingerprint == self.fingerprint


_DIGITS_POOL, _DIGITS_TEST = builtin.digits_counts()

_KRIZHEVSKY = Source(
    "Krizhevsky",
    2009,
    "Learning multiple layers of features from tiny images",
    "https://www.cs.toronto.edu/~kriz/cifar.html",
)
DATASETS: Registry[Dataset] = Registry(
    "dataset",
    Dataset(
        key="mnist1d",
        label="MNIST-1D",
        about="Ten digit shapes as noisy signals of 40 points: 4,000 to train, 2,000 to validate, 10,000 to test. "
        "Some classes are much harder than others, and a run takes seconds.",
        source=Source(
            "Greydanus and Kobak", 2024, "Scaling down deep learning with MNIST-1D", "https://arxiv.org/abs/2011.14439"
        ),
        kind="signal",
        shape=(1, 40),
        dtype="float32",
        classes=builtin.DIGIT_NAMES,
        pool=builtin.MNIST1D_TRAIN_COUNTS,
        test=(builtin.TEST_SAMPLES // 10,) * 10,
        build=lambda root, writer, progress: builtin.build_mnist1d(writer, progress),
        own_validation=(builtin.VALIDATION_SAMPLES // 10,) * 10,
    ),
    Dataset(
        key="digits",
        label="Digits (scikit-learn)",
        about="1,797 handwritten digits of 8 x 8 pixels; small and easy, good for a first look.",
        source=Source(
            "Alpaydin and Kaynak", 1998, "Optical recognition of handwritten digits", "https://doi.org/10.24432/C50P49"
        ),
        kind="image",
        shape=(1, 8, 8),
        dtype="uint8",
        classes=builtin.DIGIT_NAMES,
        pool=tuple(_DIGITS_POOL.tolist()),
        test=tuple(_DIGITS_TEST.tolist()),
        build=lambda root, writer, progress: builtin.build_digits(writer, progress),
    ),
    Dataset(
        key="mnist",
        label="MNIST",
        about="60,000 handwritten digits to train and 10,000 to test, 28 x 28 pixels.",
        source=Source(
            "LeCun, Bottou, Bengio and Haffner",
            1998,
            "Gradient-based learning applied to document recognition",
            "https://doi.org/10.1109/5.726791",
        ),
        download_bytes=12_000_000,
        kind="image",
        shape=(1, 28, 28),
        dtype="uint8",
        classes=torchvision_sets.MNIST.classes,
        pool=torchvision_sets.MNIST.train_counts,
        test=torchvision_sets.MNIST.test_counts,
        build=torchvision_sets.MNIST.build,
    ),
    Dataset(
        key="fashion_mnist",
        label="Fashion-MNIST",
        about="60,000 pictures of clothes to train and 10,000 to test, 28 x 28 pixels; shirts are hard.",
        source=Source(
            "Xiao, Rasul and Vollgraf", 2017, "Fashion-MNIST: a novel image dataset", "https://arxiv.org/abs/1708.07747"
        ),
        download_bytes=31_000_000,
        kind="image",
        shape=(1, 28, 28),
        dtype="uint8",
        classes=torchvision_sets.FASHION_MNIST.classes,
        pool=torchvision_sets.FASHION_MNIST.train_counts,
        test=torchvision_sets.FASHION_MNIST.test_counts,
        build=torchvision_sets.FASHION_MNIST.build,
    ),
    Dataset(
        key="cifar10",
        label="CIFAR-10",
        about="50,000 color photographs to train and 10,000 to test, 32 x 32 pixels, 10 classes.",
        source=_KRIZHEVSKY,
        download_bytes=170_000_000,
        kind="image",
        shape=(3, 32, 32),
        dtype="uint8",
        classes=torchvision_sets.CIFAR10.classes,
        pool=torchvision_sets.CIFAR10.train_counts,
        test=torchvision_sets.CIFAR10.test_counts,
        build=torchvision_sets.CIFAR10.build,
        augment="crop_flip",
    ),
    Dataset(
        key="cifar100",
        label="CIFAR-100",
        about="50,000 color photographs to train and 10,000 to test, 32 x 32 pixels, 100 classes.",
        source=_KRIZHEVSKY,
        download_bytes=169_000_000,
        kind="image",
        shape=(3, 32, 32),
        dtype="uint8",
        classes=torchvision_sets.CIFAR100.classes,
        pool=torchvision_sets.CIFAR100.train_counts,
        test=torchvision_sets.CIFAR100.test_counts,
        build=torchvision_sets.CIFAR100.build,
        augment="crop_flip",
    ),
)
