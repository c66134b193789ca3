"""From the command line's words to runs that can be queued: numbers, parameters, TPR files, datasets, baselines.

Everything is checked here, before a run exists; what is wrong raises EvenlyError naming the value and the remedy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.config import SETTINGS, RunConfig, checked, given_tprs
from core.errors import EvenlyError
from core.methods import METHODS
from core.recipes import RECIPES
from core.rows import Param
from core.tprs import LARGEST, parse

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from core.dataspec import DataSpec
    from storage.queue import NewRun
    from storage.runs import RunRow

LONGEST_NAME = 1000
SEEDS = Param("seeds", "Seeds", 1, 1, 100, 1, integer=True)
EPOCHS = next(p for p in SETTINGS if p.key == "epochs")
GONE = {"failed": "has failed", "cancelled": "was cancelled"}  # a baseline that will not bring TPRs by itself


def numbers(text: str, option: str) -> NDArray[np.float64]:
    """"0.9,0.7" as an array [C]; anything else raises EvenlyError naming the value."""
    return np.array([_number(part.strip(), option) for part in text.split(",")])


def _number(part: str, option: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise EvenlyError(f"{option}: {part[:40]!r} is not a number; give numbers with commas between them, as in 0.9,0.7") from None


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """["tau=1", ...] as a dict; a missing "=" or a name given twice raises EvenlyError."""
    out: dict[str, str] = {}
    for item in given or []:
        name, equals, value = item.partition("=")
        if not (equals and name):
            raise EvenlyError(f"{option} {item!r}: expected NAME=VALUE, as in exponent=2")
        if name in out:
            raise EvenlyError(f"{option} {name} is given twice ({out[name]} and {value}); give it once")
        out[name] = value
    return out


def default_epochs(recipe: str) -> int:
    """What the recipe trains for unless told otherwise."""
    return RECIPES[recipe].epochs


def fitted(config: RunConfig, progress: Callable[[float, str], None]) -> tuple[RunConfig, DataSpec]:
    """The checked config with its dataset's stored name, and the dataset's spec.

    Data that must be downloaded or decoded first is; refused are a dataset that is absent, a model that does
    not fit it and a batch that is larger than it.
    """
    from core import datasets
    from models import MODELS
    from storage.engine import data_root

    config, model = checked(config), MODELS[config.model]
    row = datasets.find_dataset(config.dataset, data_root())
    if not (row.key in datasets.DATASETS and datasets.DATASETS[row.key].embedded):
        datasets.prepare(config.dataset, data_root(), progress)
    spec = datasets.describe(config.dataset, data_root(), config.validation)
    if reason := model.fits(spec.shape, len(spec.classes)):
        raise EvenlyError(f"model {model.key} does not fit {spec.label}: {reason}")
    samples = int(datasets.train_counts(spec, config.validation, config.imbalance, config.profile).sum())
    if (batch := config.recipe_params["batch_size"]) > samples:
        raise EvenlyError(f"batch size {batch} is larger than the training split of {samples} samples; give --recipe-param batch_size={samples} or less")
    return replace(config, dataset=row.key), spec


def with_tprs(config: RunConfig, path: Path, classes: tuple[str, ...]) -> RunConfig:
    """The config with the TPRs of a CSV file, put in the order of the classes."""
    if "tpr" not in METHODS[config.method].needs_with(config.params):
        raise EvenlyError(f"--tpr: {config.method} does not look at the TPRs of an earlier run; leave it out or choose another method")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)  # enough to be refused as too large
    except OSError as error:
        raise EvenlyError(f"--tpr {path}: {error.strerror or error}; give a CSV file with a TPR per class") from error
    try:
        tprs, support = parse(data, classes)
    except EvenlyError as error:
        raise EvenlyError(f"--tpr {path}: {error}") from error
    return replace(config, **given_tprs(tprs, support, path.name))


def baseline_group(engine: Engine, config: RunConfig, baseline: int | None, classes: tuple[str, ...], *, waits: bool) -> str:
    """The baseline's group, "" without one. Refused: TPRs needed and none named, named twice, or of a run that has none.

    `waits`: somebody sits there until the run is over, so a paused baseline is refused too.
    """
    from storage.results import get_run

    if baseline is None:
        needs = METHODS[config.method].needs_with(config.params)
        if "network" in needs:
            raise EvenlyError(f"{config.method} goes on from a finished run; give --baseline RUN")
        if "tpr" in needs and config.tpr is None:
            raise EvenlyError(f"{config.method} needs the TPRs of an earlier run; give --baseline RUN or --tpr FILE.csv")
        return ""
    if config.tpr is not None:
        raise EvenlyError("--baseline and --tpr both name TPRs; give one of them")
    row = get_run(engine, baseline)
    if row.status in GONE:
        raise EvenlyError(f"--baseline {baseline}: run {baseline} {GONE[row.status]}; resume it, or choose a run that has succeeded")
    if row.status == "paused" and waits:
        raise EvenlyError(f"--baseline {baseline}: run {baseline} is paused, so --wait would not end; resume it first")
    if row.dataset != config.dataset:
        raise EvenlyError(f"--baseline {baseline}: run {baseline} was trained on {row.dataset}, not on {config.dataset}; choose a baseline on the same dataset")
    known = _classes(row)
    if known != tuple(classes):
        raise EvenlyError(
            f"--baseline {baseline}: run {baseline} was trained on {row.dataset} with {len(known)} classes, not on the {len(classes)} "
            f"of {config.dataset}; choose a baseline on the same dataset"
        )
    return row.group_sha


def _classes(row: RunRow) -> tuple[str, ...]:
    """The class names of a run; of one that has not started, those of its dataset."""
    if "classes" in row.facts:
        return tuple(row.facts["classes"])
    from core.datasets import describe
    from storage.engine import data_root

    return tuple(describe(row.dataset, data_root()).classes)


def replicas(
    config: RunConfig, seeds: int, dataset_label: str, *, baseline: int | None, group: str, name: str = "",
) -> list[NewRun]:
    """`seeds` runs that differ in the seed alone, counted up from the config's."""
    from storage.launch import new_run

    name = " ".join(name.split())
    if len(name) > LONGEST_NAME:
        raise EvenlyError(f"--name has {len(name):,} characters, expected at most {LONGEST_NAME:,}")
    out = []
    for seed in range(config.seed, config.seed + seeds):
        called = f"{name}, seed {seed}" if name and seeds > 1 else name
        out.append(new_run(replace(config, seed=seed), dataset_label, baseline=baseline, baseline_group=group, name=called))
    return out
