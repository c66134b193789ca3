"""Tests and measures GPU training on this machine in under ten minutes; without a GPU the same steps, tiny, on the CPU.

    make gpu
    make gpu GPU_ARGS="--minutes 5 --out gpu.md"
    python -m benchmarks.gpu --device cpu

In order: the tests that need a GPU; ResNet-32 and LeNet-5 against the plain script (benchmarks/train_speed.py), on the
images under `--data` or generated ones of the same shape; a run through the worker that is paused, killed and resumed,
against an uninterrupted one (benchmarks/broken_run.py). A failing step does not affect the others. Prints one table;
`--out FILE.md` also writes it as Markdown, with its rows as JSON next to it. Exit status 0 if every step that could run
succeeded; a missed target is reported but is no failure.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.broken_run import ROOT, runs
from benchmarks.gpu_table import Row, as_text, machine, write
from benchmarks.train_speed import SIDES, in_process, mean_sd, per_epoch, precision, spread, train_side
from benchmarks.train_speed_plain import TASKS, Arrays, find_arrays
from core.errors import EvenlyError
from core.training.device import Device, choose
from core.training.host import cores

log = logging.getLogger("evenly.gpu")
PAIRS = 3  # of plain script and engine, at most
LOADERS, CORES_FOR_LOADERS = 4, 6  # of a second plain script, and the least number of cores for it
TEST_IMAGES = {"cuda": 5_000, "cpu": 40}


@dataclass(frozen=True)
class Place:
    """Where the steps run: device, scratch folder, folder of images, and the time as a share of ten minutes."""

    device: Device
    scratch: Path
    data: Path
    share: float = 1.0

    @property
    def kind(self) -> str:
        return self.device.device.type

    @property
    def gpu(self) -> bool:
        return self.kind == "cuda"


@dataclass(frozen=True)
class Until:
    """A step's time (time.monotonic): its share, after which it starts nothing new, and the end, at which it is stopped."""

    share: float
    end: float

    @property
    def left(self) -> float:
        return max(self.end - time.monotonic(), 1.0)


@dataclass(frozen=True)
class Step:
    """A part of the script: `run(place, until)` yields its rows; `seconds` is its approximate duration."""

    name: str
    run: Callable[[Place, Until], Iterator[Row]]
    seconds: float


def say(text: str) -> None:
    print(text, flush=True)


# -- the steps -----------------------------------------------------------------------------------------------------


def gpu_tests(place: Place, until: Until) -> Iterator[Row]:
    """`pytest -m gpu` on the files with such tests. Without a GPU they are imported and skipped."""
    files = [str(p) for p in sorted((ROOT / "tests").rglob("test_*.py")) if "pytest.mark.gpu" in p.read_text()]
    report, hidden = place.scratch / "tests.xml", {} if place.gpu else {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", f"--junitxml={report}", *files]
    code = subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, **hidden}, timeout=until.left).returncode
    if not report.is_file():
        raise EvenlyError(f"pytest ended with status {code} without a report; see its message above")
    found = next(ET.parse(report).iter("testsuite"))
    total, skipped, failed, errors = (int(found.get(k, 0)) for k in ("tests", "skipped", "failures", "errors"))
    bad = failed + errors
    text = f"{total - bad - skipped} passed, {bad} failed, {skipped} skipped" + ("" if place.gpu else ": no GPU")
    clean = code == bad == skipped == 0 and total > 0
    yield Row("GPU tests (pytest -m gpu)", text, (), "all pass", clean if place.gpu else None, failed=code != 0)


@dataclass(frozen=True)
class Race:
    """A task of train_speed with its size on a GPU; on the CPU `tiny` images and one epoch. `target` is for the ratio.

    `apart`: the sides that run in a process of their own, which is fair but takes seconds to start.
    """

    task: str
    images: int
    epochs: int
    tiny: int
    target: float | None = None
    apart: Sequence[str] = SIDES


def images_of(race: Race, place: Place) -> tuple[Arrays, Path]:
    """The images of a race, limited to the available time, and the file that both sides read."""
    n = max(int(race.images * place.share), 2_000) if place.gpu else race.tiny
    found = find_arrays(TASKS[race.task], place.data, samples=50_000 if place.gpu else n).first(n)
    kept = slice(0, TEST_IMAGES[place.kind])
    found = replace(found, test_x=found.test_x[kept], test_y=found.test_y[kept])
    found.save(file := place.scratch / f"{race.task}.npz")
    return found, file


def against_plain(race: Race, place: Place, until: Until) -> Iterator[Row]:
    """The engine against the plain script, in turns; with enough cores also against one with several loaders."""
    task, (arrays, file), epochs = TASKS[race.task], images_of(race, place), race.epochs if place.gpu else 1
    options = ["--task", race.task, "--arrays", str(file), "--epochs", str(epochs)]
    options += ["--threads", str(min(cores(), 4)), "--device", place.kind]
    several = (LOADERS,) if place.gpu and cores() >= CORES_FOR_LOADERS else ()
    sides = {"engine": ("engine", 0), **{f"{n} loaders": ("plain", n) for n in several}, "plain": ("plain", 0)}
    found: dict[str, list[dict]] = {name: [] for name in sides}
    for pair in range(PAIRS if place.gpu else 1):
        began = time.monotonic()
        for name, (side, workers) in sides.items():
            if side in race.apart:
                result = in_process([*options, "--workers", str(workers)], side, pair, until.left)
            else:
                result = train_side(side, task, arrays, epochs, place.device, pair, workers)
            found[name].append(result)
        took, each = time.monotonic() - began, {name: per_epoch(results[-1]) for name, results in found.items()}
        say(
            f"  turn {pair + 1}: "
            + ", ".join(f"{k} {s:.2f} s" for k, s in each.items())
            + f" an epoch; took {took:.0f} s"
        )
        if time.monotonic() + took > until.share:
            break
    n, ours = len(arrays.train_x), [per_epoch(r) for r in found["engine"]]
    for name in [name for name in sides if name != "engine"]:
        theirs = [per_epoch(r) for r in found[name]]
        ratios = tuple(a / b for a, b in zip(theirs, ours, strict=True))
        rates = " and ".join(f"{n / statistics.median(s):,.0f}" for s in (theirs, ours))
        right = " and ".join(mean_sd([r["test_accuracy"] for r in found[k]]) for k in (name, "engine"))
        target = f"at least {race.target:g} on a GPU" if race.target else ""
        yield Row(
            f"{task.model} in {precision(task, place.device)}, {n:,} {arrays.label.split(',')[0]}, times as fast as plain script"
            + (f" with {name}" if name != "plain" else ""),
            f"{spread(ratios, '.2f')}; {rates} images/s; test accuracy {right}",
            ratios,
            target,
            statistics.median(ratios) >= race.target if place.gpu and race.target else None,
        )


def survives(place: Place, until: Until) -> Iterator[Row]:
    """Pause, kill -9 and resume: on a CPU the counts equal those of an uninterrupted run, on CUDA they are about as close as
    those of two uninterrupted runs."""
    with runs(place.scratch / "data", place.kind, until.end) as on:
        broken, whole = on.broken_and_whole(epochs=250 if place.gpu else 5, whole=2 if place.gpu else 1)
        apart, support = on.difference(broken, whole[0]), on.support(broken)
        usual = on.difference(*whole) if place.gpu else 0
    ended = all(run.status == "succeeded" and run.last_epoch == run.config.epochs for run in (broken, *whole))
    accuracy = " and ".join(f"{100 * run.accuracy:.2f} %" for run in (broken, whole[0]))
    yield Row(
        f"cnn1d, MNIST-1D, {broken.config.epochs} epochs, paused, killed, resumed: largest difference of a class's counts",
        f"{apart} of {support:,}; test accuracy {accuracy} uninterrupted",
        (apart,),
        f"close; two uninterrupted runs: {usual}" if place.gpu else "0",
        None if place.gpu else apart == 0,
        failed=not ended or (apart != 0 and not place.gpu),
    )


# -- the script -----------------------------------------------------------------------------------------------------


def steps(gpu: bool) -> list[Step]:
    resnet = Race("resnet32_cifar", 20_000, 3, 128, target=15, apart=SIDES if gpu else ())
    lenet = Race("lenet_mnist", 60_000, 3, 256, apart=SIDES if gpu else ("engine",))
    return [
        Step("the GPU tests", gpu_tests, 90 if gpu else 10),
        Step("ResNet-32 against the plain script", partial(against_plain, resnet), 240 if gpu else 10),
        Step("LeNet-5 against the plain script", partial(against_plain, lenet), 130 if gpu else 15),
        Step("a run that is paused, killed and resumed", survives, 130 if gpu else 30),
    ]


def run_steps(todo: Sequence[Step], place: Place, seconds: float) -> Iterator[Row]:
    """The rows of all steps in order; each gets its share of the remaining time and at most half of the
    others'. A failing step adds a row that says so."""
    end = time.monotonic() + seconds
    for i, step in enumerate(todo):
        left, rest = max(end - time.monotonic(), 1), sum(s.seconds for s in todo[i:])
        say(f"[{i + 1}/{len(todo)}] {step.name}; about {min(left, rest) / 60:.1f} min left for all")
        try:
            share = time.monotonic() + left * step.seconds / rest
            yield from step.run(place, Until(share, (share + end) / 2 if i + 1 < len(todo) else end))
        except Exception as error:  # any error: the next steps must still run
            log.exception("%s", step.name)
            yield Row(step.name, f"{type(error).__name__}: {' '.join(str(error).split())[-200:]}", failed=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="for all steps together; they are shortened to fit")
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto", help="cpu: the tiny version")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("EVENLY_DATA") or "../shared/data"))
    parser.add_argument(
        "--out", type=Path, metavar="FILE.md", help="also write the table as Markdown, and its rows as FILE.json"
    )
    given = parser.parse_args()
    if not 1 <= given.minutes <= 60 or (given.out and given.out.suffix != ".md"):
        parser.error(f"--minutes {given.minutes:g} --out {given.out}: expected 1 to 60 minutes and a file named *.md")
    gpu = given.device == "cuda" or (given.device == "auto" and torch.cuda.is_available())
    try:
        device = choose("cuda" if gpu else "cpu")
    except EvenlyError as error:
        parser.error(str(error))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the worker and the scratch folder are removed too
    about, rows = machine(device), []
    none = "No GPU is used (torch finds none, or --device cpu): the same steps, tiny, on the CPU; not GPU figures."
    say(f"GPU: {device.name}" if gpu else none)
    say(", ".join(f"{k} {v}" for k, v in about.items()))
    with tempfile.TemporaryDirectory(prefix="evenly-gpu-") as scratch:
        place = Place(device, Path(scratch), given.data, min(given.minutes / 10, 1.0))
        rows += run_steps(steps(gpu), place, 60 * given.minutes)
    say("\n" + as_text(rows))
    if given.out:
        write(given.out, rows, about)
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
