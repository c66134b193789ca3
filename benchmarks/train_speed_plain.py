"""The baseline of the speed comparison: training with an ordinary PyTorch script.

    python -m benchmarks.train_speed_plain --task lenet_mnist --epochs 1
    python -m benchmarks.train_speed_plain --task resnet32_cifar --data ../shared/data --limit 5000
    python -m benchmarks.train_speed_plain --task resnet32_cifar --arrays cifar.npz --device cuda --workers 4

A torchvision Dataset of PIL images, per-sample torchvision transforms, a DataLoader, float32, the standard optimizer,
`.item()` for the log at every step. Network, batch size, optimizer settings and schedule are those of the engine's
"sgd_cosine" recipe, so only the way of training differs. `--workers` defaults to 0: on two cores, loader processes only
take cores from the training; with a GPU and many cores also try 4.

Data, in this order: `--arrays FILE.npz` with uint8 images [N, H, W] or [N, H, W, 3] as train_x and test_x and class
ids as train_y and test_y; MNIST/raw, cifar-10-batches-py or cifar10-jpeg.zip under `--data`; generated images, which the
label states.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import math
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from core.errors import DataError, EvenlyError
from core.registry import Registry
from core.torchvision_compat import torchvision
from models import MODELS

tv = torchvision()
T = tv.transforms


ARRAYS = ("train_x", "train_y", "test_x", "test_y")


@dataclass(frozen=True)
class Arrays:
    """Images uint8 [N, H, W] or [N, H, W, 3], labels int64 [N], and their source as text."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    label: str

    @property
    def classes(self) -> int:
        return int(max(self.train_y.max(), self.test_y.max())) + 1

    def save(self, file: Path) -> None:
        """Write the .npz file that `find_arrays` reads."""
        np.savez(file, **{name: getattr(self, name) for name in (*ARRAYS, "label")})

    def first(self, limit: int | None) -> Arrays:
        """The first `limit` training images and the whole test set."""
        if limit is None or limit >= len(self.train_x):
            return self
        return replace(
            self, train_x=self.train_x[:limit], train_y=self.train_y[:limit], label=f"{self.label}, first {limit:,}"
        )


@dataclass(frozen=True)
class Task:
    """A network, a dataset and the training settings. mean and std are the usual published ones."""

    key: str
    label: str
    model: str
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: bool
    lr: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 128


TASKS = Registry(
    "task",
    Task(
        key="lenet_mnist",
        label="LeNet-5 on MNIST",
        model="lenet5",
        shape=(1, 28, 28),
        mean=(0.1307,),
        std=(0.3081,),
        augment=False,
        lr=0.02,
    ),
    Task(
        key="resnet32_cifar",
        label="ResNet-32 on CIFAR-10",
        model="resnet32",
        shape=(3, 32, 32),
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
        augment=True,
        lr=0.1,
    ),
)


class Images(tv.datasets.VisionDataset):
    """Arrays in the style of torchvision's MNIST and CIFAR classes: a PIL image and a transform per sample."""

    def __init__(self, x: np.ndarray, y: np.ndarray, transform: object) -> None:
        super().__init__(root="", transform=transform)
        self.data, self.targets = x, y.tolist()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.data[index])), self.targets[index]


def loaders(task: Task, arrays: Arrays, workers: int, seed: int) -> tuple[DataLoader, DataLoader]:
    """The DataLoaders of a usual script: shuffled and augmented for training, plain for testing."""
    plain = [T.ToTensor(), T.Normalize(task.mean, task.std)]
    augmented = [T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), *plain] if task.augment else plain
    order = torch.Generator().manual_seed(seed)
    train = Images(arrays.train_x, arrays.train_y, T.Compose(augmented))
    test = Images(arrays.test_x, arrays.test_y, T.Compose(plain))
    common = {"num_workers": workers, "pin_memory": torch.cuda.is_available(), "persistent_workers": workers > 0}
    return (
        DataLoader(train, task.batch_size, shuffle=True, generator=order, **common),
        DataLoader(test, task.batch_size, **common),
    )


def one_epoch(
    network: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer, schedule: object, device: torch.device
) -> list[tuple[float, float]]:
    """One pass over the training data; the loss and the accuracy of every step are copied to the host."""
    network.train()
    log = []
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        logits = network(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        log.append((loss.item(), (logits.argmax(1) == labels).float().mean().item()))
    return log


@torch.no_grad()
def accuracy(network: nn.Module, loader: DataLoader, device: torch.device) -> float:
    network.eval()
    correct = sum((network(x.to(device)).argmax(1) == y.to(device)).sum().item() for x, y in loader)
    return correct / len(loader.dataset)


def train(task: Task | str, arrays: Arrays, epochs: int, device: str = "cpu", seed: int = 0, workers: int = 0) -> dict:
    """Train and test; seconds_per_epoch covers training only, seconds_testing the test at the end.

    The seed decides the initial parameters, the order and, through torch's global generator as in any ordinary
    script, the augmentation.
    """
    task = TASKS[task] if isinstance(task, str) else task
    place = torch.device(device)
    torch.manual_seed(seed)
    network = MODELS[task.model].build(task.shape, arrays.classes).to(place)
    train_loader, test_loader = loaders(task, arrays, workers, seed)
    optimizer = torch.optim.SGD(
        network.parameters(), task.lr, task.momentum, weight_decay=task.weight_decay, nesterov=True
    )
    steps = epochs * len(train_loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * min(step / steps, 1))) / 2
    )
    seconds, losses = [], []
    for _ in range(epochs):
        started = time.perf_counter()
        losses.append(
            float(np.mean([loss for loss, _ in one_epoch(network, train_loader, optimizer, schedule, place)]))
        )
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    result = accuracy(network, test_loader, place)
    return {
        "seconds_per_epoch": seconds, "test_accuracy": result, "loss_per_epoch": losses,
        "seconds_testing": time.perf_counter() - started, "samples": len(arrays.train_x),
    }  # fmt: skip


# -- data ----------------------------------------------------------------------------------------------------------


def find_arrays(task: Task, data: Path | None, file: Path | None = None, samples: int = 50_000) -> Arrays:
    """The task's data: the given file, files under `data`, or `samples` generated images and a fifth more for testing.

    A file without the arrays raises DataError.
    """
    if file is not None:
        return _from_file(file)
    if data is not None:
        folder, batches, jpegs = data / "MNIST" / "raw", data / "cifar-10-batches-py", data / "cifar10-jpeg.zip"
        if task.key == "lenet_mnist" and folder.is_dir():
            return _mnist(folder)
        if task.key == "resnet32_cifar" and batches.is_dir():
            return _cifar(data)
        if task.key == "resnet32_cifar" and jpegs.is_file():
            return _jpegs(jpegs)
    return generated_images(task, samples)


def _from_file(file: Path) -> Arrays:
    with np.load(file) as given:
        missing = [name for name in ARRAYS if name not in given]
        if missing:
            raise DataError(f"{file} has no array {missing[0]}; expected {', '.join(ARRAYS)}")
        found = {name: given[name].astype(np.int64) if name.endswith("y") else given[name] for name in ARRAYS}
        return Arrays(**found, label=str(given["label"]) if "label" in given else file.name)


def _cifar(data: Path) -> Arrays:
    """CIFAR-10 in torchvision's layout."""
    parts = [tv.datasets.CIFAR10(data, train=train) for train in (True, False)]
    arrays = [array for part in parts for array in (part.data, np.array(part.targets, np.int64))]
    return Arrays(*arrays, "CIFAR-10")


def _mnist(folder: Path) -> Arrays:
    def read(name: str, header: int) -> np.ndarray:
        path = folder / name
        data = path.read_bytes() if path.is_file() else gzip.decompress((folder / f"{name}.gz").read_bytes())
        return np.frombuffer(data, np.uint8, offset=header)

    def part(stem: str) -> tuple[np.ndarray, np.ndarray]:
        return read(f"{stem}-images-idx3-ubyte", 16).reshape(-1, 28, 28), read(f"{stem}-labels-idx1-ubyte", 8).astype(
            np.int64
        )

    return Arrays(*part("train"), *part("t10k"), "MNIST")


def _jpegs(path: Path) -> Arrays:
    """Decode <split>/<class>/NNNN.jpg; takes about half a minute for CIFAR-10."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        classes = sorted({name.split("/")[1] for name in names})

        def part(split: str) -> tuple[np.ndarray, np.ndarray]:
            mine = [name for name in names if name.startswith(f"{split}/")]
            x = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in mine])
            order = np.random.default_rng(0).permutation(len(mine))  # so that the first n contain every class
            return x[order], np.array([classes.index(name.split("/")[1]) for name in mine])[order]

        return Arrays(*part("train"), *part("test"), "CIFAR-10 (JPEG copy)")


def generated_images(task: Task, samples: int) -> Arrays:
    """Noise of the task's shape over a coarse pattern for each of ten classes: for timing, and easy to learn."""
    draw = np.random.default_rng(0)
    channels, height, width = task.shape
    coarse = draw.integers(0, 128, (10, 4, 4, channels), dtype=np.uint8)
    patterns = coarse.repeat(height // 4, axis=1).repeat(width // 4, axis=2)

    def part(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = draw.integers(0, 10, n)
        x = draw.integers(0, 128, (n, *patterns.shape[1:]), dtype=np.uint8) + patterns[y]
        return x[..., 0] if channels == 1 else x, y

    return Arrays(*part(samples), *part(max(samples // 5, 20)), "generated images")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS.keys, default="lenet_mnist")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--limit", type=int, help="number of training images to use")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0, help="DataLoader worker processes")
    parser.add_argument("--threads", type=int, help="torch threads")
    parser.add_argument("--data", type=Path, help="folder with MNIST/raw or cifar10-jpeg.zip")
    parser.add_argument("--arrays", type=Path, help=".npz with train_x, train_y, test_x, test_y")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    task = TASKS[given.task]
    try:
        arrays = find_arrays(task, given.data, given.arrays).first(given.limit)
    except EvenlyError as error:
        parser.exit(1, f"{error}\n")
    result = train(task, arrays, given.epochs, given.device, given.seed, given.workers)
    print(
        json.dumps(
            {
                "task": task.label,
                "data": arrays.label,
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                **result,
            }
        )
    )


if __name__ == "__main__":
    main()
