"""From command-line options to runs that can be queued: numbers, parameters, TPR files, datasets, baselines.

The options are checked here; samples, evidence and baselines in `services.submission.plan`. Invalid input raises
EvenlyError with the value and what to do.
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
from core.experiment.baseline import DrawnRun, differences
from core.experiment.config import SETTINGS, RunConfig, checked, usual_epochs, with_given_tprs
from core.experiment.tpr_file import LARGEST, parse
from core.methods import METHODS, takes_tprs
from core.registry import Param
from reporting.code_snippet import cli_command

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from core.datasets.spec import DataSpec
    from services.submission import Plan
    from services.tpr_sources import TprSource
    from storage.results.runs import RunRow

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


def with_data(config: RunConfig, progress: Callable[[float, str], None]) -> tuple[RunConfig, DataSpec]:
    """`services.preflight.config_and_spec`, with few validation samples and a validation share without effect reported."""
    from core.diagnostics.sample_size import few_validation
    from reporting import text
    from services import preflight

    asked = checked(config).validation
    config, spec = preflight.config_and_spec(config, progress)
    if few := few_validation(spec):
        note(text.of(few))
    if config.validation != asked:
        note(f"--validation {asked:g} has no effect: {spec.label} has its own validation split")
    return config, spec


def with_tprs(config: RunConfig, path: Path, classes: tuple[str, ...]) -> RunConfig:
    """The config with the TPRs of a CSV file, put in the order of the classes."""
    if not takes_tprs(config.method, config.params):
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
    return with_given_tprs(config, tprs, support, path.name)


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
    from services.baselines import GROUPED, READY, DatasetRuns
    from services.tpr_sources import GIVEN, NOTHING, STARTABLE, TprSource, from_run, known_tprs
    from storage.results import get_run, list_runs
    from storage.results.runs import drawn_by

    needs = METHODS[config.method].needs_with(config.params)
    if baseline is None:
        _without(config, needs, same)
        kind = NOTHING if config.tpr is None else GIVEN
        return TprSource(kind, None, *known_tprs(engine, config, None))
    if config.tpr is not None:
        raise EvenlyError("--baseline and --tpr both provide TPRs; give one of them")
    row = get_run(engine, baseline)
    every = list_runs(engine, archived=None, dataset=row.dataset, columns=GROUPED)
    runs = DatasetRuns(every, drawn_by(engine, row.dataset), spec)
    try:
        source = from_run(engine, runs, row, config, needs, seeds, same=same, statuses=READY if waits else STARTABLE)
    except EvenlyError as error:
        raise EvenlyError(f"--baseline {row.id}: {error}") from error
    if differing := differences(config, spec, DrawnRun.of(row)):
        unlike = ", so its TPRs are not those of a baseline with these settings" if "tpr" in needs else ""
        note(f"run {row.id} differs from this run ({text.of(differing)}){unlike}")
    _note_takes(row, source, spec, same)
    return source


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
    from storage.db.schema import LONGEST_NAME

    name = " ".join(name.split())
    if len(name) > LONGEST_NAME:
        raise EvenlyError(f"--name has {len(name):,} characters, expected at most {LONGEST_NAME:,}")
    return name


def _note_takes(row: RunRow, source: TprSource, spec: DataSpec, same: bool) -> None:
    """Report which run each seed takes if it is not simply the given baseline `row`; EvenlyError for a seed without one."""
    from reporting import text
    from services.baselines import another_seed

    seeds = list(source.takes)
    if same:
        if other := another_seed(row.id, row.seed, seeds, spec.own_validation):
            note(text.of(other))
        return
    if missing := source.trained_first(seeds):
        more = f" --seeds {len(missing)}" if len(missing) > 1 and missing[-1] - missing[0] == len(missing) - 1 else ""
        command = cli_command(replace(row.config, seed=0), row.baseline_id)
        raise EvenlyError(
            f"--baseline {row.id}: run {row.id} has seed {row.seed}, and no replicate of it has {text.numbered('seed', missing)}; "
            f"train that first with `{command} --seed {missing[0]}{more}`, "
            f"or give --same-baseline to use run {row.id} for every seed"
        )
    if set(source.takes.values()) != {row.id}:
        note(text.baselines(source.takes))


def note_findings(planned: Plan, label: str) -> None:
    """Report what a plan found, after the dataset's label where several runs are planned."""
    from reporting import text

    about = f"{label}: " if len(planned.rows) > 1 else ""
    for finding in planned.findings:
        note(f"{about}{text.of(finding)}")
