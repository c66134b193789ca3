"""From command-line options to runs that can be queued: numbers, parameters, TPR files, datasets, baselines.

Everything is checked here, before a run exists; invalid input raises EvenlyError with the value and what to do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.experiment.baseline import DrawnRun, differences, refusal
from core.experiment.config import SETTINGS, RunConfig, checked, given_tprs, usual_epochs
from core.experiment.tpr_file import LARGEST, parse
from core.methods import METHODS
from core.registry import Param
from reporting.code_snippet import cli_command

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from core.datasets.spec import DataSpec
    from services.tpr_sources import TprSource
    from storage.results.runs import RunRow

LONGEST_NAME = 1000
SEEDS = Param(key="seeds", label="Seeds", default=1, low=1, high=100, step=1, integer=True)
LISTS = {"--tpr": "0.9,0.7"}  # option -> an example of its list of shares; the others take numbers of samples
QUOTED = 40  # characters of a bad value that a message repeats


def numbers(text: str, option: str) -> NDArray[np.float64]:
    """ "0.9,0.7" as an array [C], shares as percentages too ("90%,70%"); anything else raises EvenlyError naming the value."""
    return np.array([_number(part.strip(), option) for part in text.split(",")])


def _number(part: str, option: str) -> float:
    percent = option in LISTS and part.endswith("%")
    try:
        return float(part.removesuffix("%")) / 100 if percent else float(part)
    except ValueError:
        raise EvenlyError(
            f"{option}: {part[:QUOTED]!r} is not a number; give comma-separated numbers, as in {LISTS.get(option, '10,20')}"
        ) from None


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """["tau=1", ...] as a dict; a missing "=" or a name given twice raises EvenlyError."""
    out: dict[str, str] = {}
    for item in given or []:
        name, equals, value = item.partition("=")
        if not (equals and name):
            raise EvenlyError(f"{option} {item[:QUOTED]!r}: expected NAME=VALUE, as in exponent=2")
        if name in out:
            raise EvenlyError(f"{option} {name} is given twice ({out[name]} and {value}); give it once")
        out[name] = value
    return out


_held: ContextVar[list[str] | None] = ContextVar("notes held back", default=None)


def note(text: str) -> None:
    """A line on stderr about what will be queued, also with --json."""
    held = _held.get()
    if text and held is None:
        print(f"note: {text}", file=sys.stderr)
    elif text:
        held.append(text)


@contextmanager
def notes_held() -> Iterator[None]:
    """Hold notes back until the block succeeds: if it raises, the error is the only line on stderr."""
    token = _held.set([])
    try:
        yield
        notes = _held.get() or []
    finally:
        _held.reset(token)
    for text in notes:
        note(text)


def parsed(given: Mapping[str, str | None], method: str, recipe: str) -> dict[str, float | int | str]:
    """The options of SETTINGS as values: numbers from text; without --epochs the usual number.

    An unknown method or recipe, and a value that is not allowed, raise EvenlyError.
    """
    usual = {"epochs": usual_epochs(method, recipe)}
    return usual | {key: SETTINGS[key].check(text, "run") for key, text in given.items() if text is not None}


def fitted(config: RunConfig, progress: Callable[[float, str], None]) -> tuple[RunConfig, DataSpec]:
    """The checked config with its dataset's stored name, and the dataset's spec.

    Downloads or decodes the data first if needed. Raises EvenlyError for a missing dataset, a model that does not fit it,
    an empty validation split and a batch larger than the training split. A validation share without effect is reported
    and reset to its default, so that replicates still match.
    """
    from core import datasets
    from core.diagnostics.sample_size import few_validation
    from models import MODELS
    from reporting import text
    from services.preflight import too_few_samples
    from storage.db.paths import data_root

    config, model = checked(config), MODELS[config.model]
    row = datasets.find_dataset(config.dataset, data_root())
    if not row.embedded:
        datasets.prepare(config.dataset, data_root(), progress)
    spec = datasets.describe(config.dataset, data_root(), config.validation)
    if reason := model.fits(spec.kind, spec.shape, len(spec.classes)):
        raise EvenlyError(f"model {model.key} does not fit {spec.label}: {reason}")
    if reason := too_few_samples(config, spec):
        raise EvenlyError(f"{spec.label}: {reason}")
    if few := few_validation(spec):
        note(text.of(few))
    if spec.own_validation and config.validation != RunConfig.validation:
        note(f"--validation {config.validation:g} has no effect: {spec.label} has its own validation split")
        config = replace(config, validation=RunConfig.validation)
    return replace(config, dataset=row.key), spec


def with_tprs(config: RunConfig, path: Path, classes: tuple[str, ...]) -> RunConfig:
    """The config with the TPRs of a CSV file, put in the order of the classes."""
    if "tpr" not in METHODS[config.method].needs_with(config.params):
        raise EvenlyError(
            f"--tpr: {config.method} does not use the TPRs of a baseline; leave it out or choose another method"
        )
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)  # one byte more than allowed, so that parse refuses it
    except OSError as error:
        raise EvenlyError(f"--tpr {path}: {error.strerror or error}; give a CSV file with a TPR per class") from error
    try:
        tprs, support = parse(data, classes)
    except EvenlyError as error:
        raise EvenlyError(f"--tpr {path}: {error}") from error
    return replace(config, **given_tprs(tprs, support, path.name))


def source_of(
    engine: Engine,
    config: RunConfig,
    spec: DataSpec,
    seeds: list[int],
    baseline: int | None,
    *,
    same: bool,
    waits: bool,
) -> TprSource:
    """The baseline of each seed: the replicate of run `baseline` with that seed on the current data, or that run for all (`same`).

    A run that cannot be a baseline is refused; differences that matter less are reported.
    `waits`: the command waits for the run, so a paused baseline is refused too.
    """
    from reporting import text
    from services.baselines import READY
    from services.preflight import known_tprs
    from services.tpr_sources import GIVEN, NOTHING, RUN, TprSource
    from storage.results import get_run

    needs = METHODS[config.method].needs_with(config.params)
    if baseline is None:
        _without(config, needs, same)
        kind = NOTHING if config.tpr is None else GIVEN
        return TprSource(kind, None, *known_tprs(engine, config, None))
    if config.tpr is not None:
        raise EvenlyError("--baseline and --tpr both provide TPRs; give one of them")
    row = get_run(engine, baseline)
    if found := refusal(row, config, spec, needs, READY if waits else (*READY, "paused")):
        raise EvenlyError(f"--baseline {row.id}: {text.of(found)}")
    if differing := differences(config, spec, DrawnRun.of(row)):
        unlike = ", so its TPRs are not those of a baseline with these settings" if "tpr" in needs else ""
        note(f"run {row.id} differs from this run ({text.of(differing)}){unlike}")
    takes = _takes(engine, row, seeds, spec, same)
    return TprSource(RUN, row, *known_tprs(engine, config, takes[seeds[0]]), takes=takes)


def _without(config: RunConfig, needs: frozenset[str], same: bool) -> None:
    """No baseline is given: raise EvenlyError if the method needs one."""
    if same:
        raise EvenlyError("--same-baseline says how to use --baseline RUN; give that too, or leave it out")
    if "network" in needs:
        raise EvenlyError(f"{config.method} continues from a finished run; give --baseline RUN")
    if "tpr" in needs and config.tpr is None:
        raise EvenlyError(f"{config.method} needs the TPRs of a baseline; give --baseline RUN or --tpr FILE.csv")


def named(name: str) -> str:
    """The name of a run as stored, without line breaks; one that is too long raises EvenlyError."""
    name = " ".join(name.split())
    if len(name) > LONGEST_NAME:
        raise EvenlyError(f"--name has {len(name):,} characters, expected at most {LONGEST_NAME:,}")
    return name


def _takes(engine: Engine, row: RunRow, seeds: list[int], spec: DataSpec, same: bool) -> dict[int, int]:
    """Seed -> the run whose TPRs it uses; reported on stderr if it is not simply the given baseline."""
    from reporting import text
    from services.baselines import another_seed, per_seed
    from storage.results import list_runs
    from storage.results.runs import drawn_by

    if same:
        if other := another_seed(row.id, row.seed, seeds, spec.own_validation):
            note(text.of(other))
        return dict.fromkeys(seeds, row.id)
    every, about = list_runs(engine, archived=None), drawn_by(engine, row.dataset)
    found = per_seed(every, about, row, seeds, spec)
    takes = {seed: number for seed, number in found.items() if number is not None}
    missing = [seed for seed in seeds if seed not in takes]
    if missing:
        more = f" --seeds {len(missing)}" if len(missing) > 1 and missing[-1] - missing[0] == len(missing) - 1 else ""
        command = cli_command(replace(row.config, seed=0), row.baseline_id)
        raise EvenlyError(
            f"--baseline {row.id}: run {row.id} has seed {row.seed}, and no replicate of it has {text.numbered('seed', missing)}; "
            f"train that first with `{command} --seed {missing[0]}{more}`, "
            f"or give --same-baseline to use run {row.id} for every seed"
        )
    if set(takes.values()) != {row.id}:
        note(text.baselines(takes))
    return takes
