"""How much faster the engine trains than an ordinary PyTorch script, in turns.

    python -m benchmarks.train_speed --task lenet_mnist --pairs 3 --epochs 2 --data ../shared/data
    python -m benchmarks.train_speed --task resnet32_cifar --limit 10000 --threads 2

Each pair trains both ways on the same images with the same network, batch size, optimizer, schedule and seed, each in its
own process: the engine with the worker's settings (core.training.host.tune), the script with the defaults of Python and
torch. Times are of training only; the test follows. Prints seconds per epoch, images per second and their ratio as median
(min to max) over the pairs, and both test accuracies with their spread, which must agree within seed noise; on a CPU without
bf16 also the limit set by float32 arithmetic.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from core.training import host

if "engine" in sys.argv:  # as the worker does, before torch is imported
    host.tune()

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.train_speed_plain import TASKS, Arrays, Task, find_arrays
from benchmarks.train_speed_plain import train as train_plain
from core.experiment.config import RunConfig, checked
from core.methods.types import ClassTerms
from core.training.crop import CropFlip
from core.training.device import Device, choose, precision_of, versions
from core.training.device_data import Split
from core.training.trainer import Trainer
from models import MODELS

SIDES = ("plain", "engine")
ROOT = Path(__file__).resolve().parents[1]


def channels_first(x: np.ndarray) -> np.ndarray:
    """[N, H, W] or [N, H, W, C] -> [N, C, H, W]."""
    return np.ascontiguousarray(x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2))


def train_engine(task: Task, arrays: Arrays, epochs: int, device: Device, seed: int) -> dict:
    """The same training by the engine, in the precision of an ordinary run; returns seconds per epoch and the test accuracy."""
    device = device.training(precision(task, device))
    config = checked(
        RunConfig(
            "arrays",
            task.model,
            recipe="sgd_cosine",
            epochs=epochs,
            seed=seed,
            recipe_params={
                "lr": task.lr,
                "batch_size": task.batch_size,
                "momentum": task.momentum,
                "weight_decay": task.weight_decay,
            },
        )
    )
    mean, std = np.array(task.mean, np.float32), np.array(task.std, np.float32)
    x, y = channels_first(arrays.train_x), arrays.train_y
    few = slice(0, 100)  # the engine evaluates after every epoch, the plain script does not: make that negligible
    splits = {"train": Split(x, y, mean, std, device, CropFlip() if task.augment else None)}
    splits |= {name: Split(x[few], y[few], mean, std, device) for name in ("validation", "test")}
    torch.manual_seed(seed)
    trainer = Trainer(
        config,
        splits,
        MODELS[task.model].build(task.shape, arrays.classes),
        lambda *_: ClassTerms(),
        arrays.classes,
        device,
    )
    seconds = [result.seconds for result in trainer.run()]
    confusion = trainer.evaluate(Split(channels_first(arrays.test_x), arrays.test_y, mean, std, device)).confusion
    return {"seconds_per_epoch": seconds, "test_accuracy": float(np.trace(confusion) / confusion.sum())}


def train_side(side: str, task: Task, arrays: Arrays, epochs: int, device: Device, seed: int, workers: int = 0) -> dict:
    """One side of a pair, in this process."""
    if side == "engine":
        return train_engine(task, arrays, epochs, device, seed)
    return train_plain(task, arrays, epochs, device.device.type, seed, workers)


def precision(task: Task, device: Device) -> str:
    """The precision in which the engine trains this task on this device."""
    return precision_of("auto", MODELS[task.model].bf16, device)


def arithmetic(task: Task, classes: int) -> float:
    """Floating point operations of convolutions and matrix products per sample, forward and backward, by torch's counter."""
    network, x = MODELS[task.model].build(task.shape, classes), torch.zeros(2, *task.shape)
    with FlopCounterMode(display=False) as counted:
        network(x).sum().backward()
    return counted.get_total_flops() / len(x)


def matrix_speed(side: int = 2048, times: int = 20) -> float:
    """float32 operations per second of a large matrix product, best of `times`: float32 convolutions are hardly faster."""
    a, seconds = torch.rand(side, side), []
    for _ in range(times):
        begin = time.perf_counter()
        _ = a @ a
        seconds.append(time.perf_counter() - begin)
    return 2 * side**3 / min(seconds)


def floor(task: Task, classes: int, n: int, plain: Sequence[float]) -> str:
    """The limit of float32 on a CPU: seconds per epoch at the speed of a large matrix product, and the ratio then."""
    each, speed = arithmetic(task, classes), matrix_speed()
    least = n * each / speed
    return (
        f"float32 floor {each / 1e9:.3f} GFLOP per sample at {speed / 1e9:.0f} GFLOP/s (large matrix product) is {least:.2f} s per epoch: "
        f"a ratio of {statistics.median(plain) / least:.1f} if all else took no time"
    )


def in_process(options: Sequence[str], side: str, seed: int, seconds: float | None = None) -> dict:
    """One side of a pair in a fresh process; its stderr goes to this one's.

    Raises subprocess.SubprocessError when it fails or takes longer than `seconds`.
    """
    command = [sys.executable, "-m", "benchmarks.train_speed", *options, "--side", side, "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds)
    return json.loads(done.stdout.splitlines()[-1])


def per_epoch(found: dict) -> float:
    """Median seconds per epoch, so that one-time costs of the first do not count."""
    return statistics.median(found["seconds_per_epoch"])


def spread(values: Sequence[float], form: str) -> str:
    """Median (min to max)."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def mean_sd(values: Sequence[float]) -> str:
    sd = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.2f}{sd} %"


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS.keys, required=True)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--limit", type=int, help="number of training images to use")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with MNIST/raw or cifar10-jpeg.zip"
    )
    parser.add_argument("--arrays", type=Path, help="an .npz file instead")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--workers", type=int, default=0, help="DataLoader workers of the plain script")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def trained_in_turns(pairs: int) -> tuple[list[dict], list[dict]]:
    """What the plain script and the engine have reached, a pair for each seed, each in a process of its own."""
    plain, ours = [], []
    for seed in range(pairs):
        for name, side in (("plain", plain), ("engine", ours)):
            side.append(in_process(sys.argv[1:], name, seed))
        print(
            f"  pair {seed + 1}: plain {min(plain[-1]['seconds_per_epoch']):.2f} s, engine {min(ours[-1]['seconds_per_epoch']):.2f} s",
            flush=True,
        )
    return plain, ours


def main() -> None:
    given = options()
    torch.set_num_threads(given.threads)
    task, device = TASKS[given.task], choose(given.device)
    arrays = find_arrays(task, given.data, given.arrays).first(given.limit)
    if given.side:
        print(json.dumps(train_side(given.side, task, arrays, given.epochs, device, given.seed, given.workers)))
        return
    n = len(arrays.train_x)
    print(
        f"{task.label}, {arrays.label}: {n:,} images, batch {task.batch_size}, {given.epochs} epochs, {given.pairs} pairs"
    )
    print(
        f"{device.name}, {given.threads} threads, engine in {precision(task, device)}; {platform.machine()}; {versions()}"
    )
    plain, ours = trained_in_turns(given.pairs)
    per = [[per_epoch(r) for r in side] for side in (plain, ours)]
    for name, seconds, side in zip(("plain script", "engine"), per, (plain, ours), strict=True):
        rate = spread([n / s for s in seconds], ",.0f")
        print(
            f"{name:<13} {spread(seconds, '.2f')} s an epoch, {rate} images/s, test accuracy {mean_sd([r['test_accuracy'] for r in side])}"
        )
    print(f"ratio         {spread([a / b for a, b in zip(*per, strict=True)], '.2f')}")
    if device.device.type == "cpu" and not device.bf16:
        print(floor(task, arrays.classes, n, per[0]))


if __name__ == "__main__":
    main()
