"""The two datasets that need no download: MNIST-1D (made by its own generator) and scikit-learn's digits.

Their libraries are imported inside the functions, so that pages do not load them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import random
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from core.datasets.array_cache import Contents, Writer
from core.datasets.spec import Counts, Progress
from core.datasets.splits import take_per_class, validation_counts

DIGIT_NAMES = tuple("0123456789")

# MNIST-1D: the package's standard set has 5,000 samples, seed 42, of which the first 4,000 are the training data.
STANDARD_SEED, STANDARD_SAMPLES, STANDARD_TRAIN = 42, 5_000, 4_000
VALIDATION_SEED, VALIDATION_SAMPLES = 43, 2_000
TEST_SEED, TEST_SAMPLES = 44, 10_000
MNIST1D_TRAIN_COUNTS = (398, 396, 411, 394, 394, 402, 401, 404, 402, 398)

DIGITS_COUNTS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
DIGITS_TEST_SHARE, DIGITS_TEST_SEED = 0.3, 20_240_101  # fixed, so the test split never depends on a run's seed


def build_mnist1d(writer: Writer, progress: Progress) -> Contents:
    """Generate MNIST-1D: the standard 4,000 training samples, then 2,000 for validation and 10,000 for testing.

    All three are centered and scaled by the mean and standard deviation of the standard set. The package does this
    with the values of each set; using one pair keeps the three splits on one scale. Rows are (1, 40) float32.
    Source: Greydanus and Kobak (2024), https://arxiv.org/abs/2011.14439
    """
    draws = []
    plan = ((STANDARD_SEED, STANDARD_SAMPLES), (VALIDATION_SEED, VALIDATION_SAMPLES), (TEST_SEED, TEST_SAMPLES))
    done, total = 0, sum(n for _, n in plan)
    for seed, samples in plan:
        progress(done / total, f"generating {samples:,} MNIST-1D signals")
        draws.append(draw_mnist1d(samples, seed))
        done += samples
    center, scale = draws[0][0].mean(), draws[0][0].std()
    parts = [(x, y) for x, y in draws]
    parts[0] = (parts[0][0][:STANDARD_TRAIN], parts[0][1][:STANDARD_TRAIN])
    for x, _ in parts:
        writer.add(((x - center) / scale).astype(np.float32)[:, None, :])
    progress(1.0, "MNIST-1D is generated")
    train, validation, test = (len(y) for _, y in parts)
    return Contents(np.concatenate([y for _, y in parts]), (train, validation, test), DIGIT_NAMES)


def draw_mnist1d(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(x [N, 40] float64 not yet centered, y [N]) in the package's own order for this seed, equally many of each class.

    The package's `make_dataset` centers its result and so hides the raw values; this is its loop around its `transform`.
    """
    data, steps = _mnist1d_modules()
    with restored_global_generators(), quick_interpolation(steps):
        args = data.get_dataset_args()
        templates = data.get_templates()
        data.set_seed(seed)
        labels = np.repeat(templates["y"], samples // len(templates["y"]))
        x = np.stack([steps.transform(templates["x"][label], templates["t"], args)[0] for label in labels])
        order = np.random.permutation(len(labels))
    return x[order], labels[order].astype(np.int64)


def _mnist1d_modules() -> tuple[ModuleType, ModuleType]:
    """(mnist1d.data, mnist1d.transform); the package hides the second behind a function of the same name."""
    import matplotlib as mpl

    mpl.use("Agg")  # the package imports pyplot, which must not open a display in a worker
    return importlib.import_module("mnist1d.data"), importlib.import_module("mnist1d.transform")


@functools.cache
def _grid(points: int) -> np.ndarray:
    return np.linspace(0, 1, points)


@contextlib.contextmanager
def quick_interpolation(steps: Any) -> Iterator[None]:
    """Let the package interpolate with numpy directly. It builds a scipy object per call, which ends in np.interp:
    the same values bit for bit, in a quarter of the time, and this dataset is what a new user waits for first."""
    slow = steps.interpolate
    steps.interpolate = lambda x, points: np.interp(_grid(points), _grid(len(x)), x)
    try:
        yield
    finally:
        steps.interpolate = slow


@contextlib.contextmanager
def restored_global_generators() -> Iterator[None]:
    """Restore the state of Python's and numpy's global generators: the mnist1d package seeds both."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def build_digits(writer: Writer, progress: Progress) -> Contents:
    """scikit-learn's 1,797 handwritten digits, (1, 8, 8) uint8: the original 0..16 times 15, so that ink is bright.

    A fixed, stratified 30 % is the test split. Source: Alpaydin and Kaynak (1998), UCI optical recognition of digits.
    """
    progress(0.0, "reading the digits of scikit-learn")
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    y = y.astype(np.int64)
    counts = validation_counts(np.bincount(y), DIGITS_TEST_SHARE)
    test, train = take_per_class(y, counts, np.random.default_rng(DIGITS_TEST_SEED))
    order = np.concatenate([train, test])
    writer.add((x[order] * 15).astype(np.uint8).reshape(-1, 1, 8, 8))
    return Contents(y[order], (len(train), 0, len(test)), DIGIT_NAMES)


def digits_counts() -> tuple[Counts, Counts]:
    """([C] training, [C] test) counts of the digits."""
    test = validation_counts(DIGITS_COUNTS, DIGITS_TEST_SHARE)
    return np.array(DIGITS_COUNTS) - test, test
