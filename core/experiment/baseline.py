"""What a run takes from its baseline, TPRs, a network or only the comparison, and why a run cannot be one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.experiment.config import RunConfig
from core.experiment.facts import Facts
from core.findings import Finding
from core.methods import METHODS, trains

DONE = ("succeeded",)
GONE = 0  # a deleted baseline; run numbers start at 1


class Recorded(Protocol):
    """A run as it is stored: `storage.results.runs.RunRow`."""

    @property
    def id(self) -> int: ...
    @property
    def status(self) -> str: ...
    @property
    def baseline_id(self) -> int | None: ...
    @property
    def config(self) -> RunConfig: ...
    @property
    def facts(self) -> Facts: ...


class Data(Protocol):
    """A dataset as it is now: `core.datasets.spec.DataSpec`."""

    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def own_validation(self) -> bool: ...
    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True)
class DrawnRun:
    """What decides, with the seed, which samples a run has in which split; and its model.

    `fingerprint` of its data is None or "" if it has not started, or started before fingerprints were recorded.
    """

    model: str
    fingerprint: str | None
    imbalance: float
    profile: str
    validation: float

    @classmethod
    def of(cls, run: Recorded) -> DrawnRun:
        """That of one run; `storage.results.runs.drawn_by` reads many at once."""
        c = run.config
        return cls(c.model, run.facts.fingerprint, c.imbalance, c.profile, c.validation)


@dataclass(frozen=True)
class NotSucceeded(Finding):
    """A run with this status, which has no TPRs and no network, or will have none."""

    run: int
    status: str


@dataclass(frozen=True)
class OtherDataset(Finding):
    """A run on another dataset, `theirs`."""

    run: int
    theirs: str
    ours: str


@dataclass(frozen=True)
class OtherClasses(Finding):
    """A run on the same dataset when it had other classes."""

    run: int
    dataset: str


@dataclass(frozen=True)
class OlderData(Finding):
    """A run on another version of the dataset, by the fingerprints: its TPRs may be of test samples, so they make no weights."""

    run: int
    dataset: str
    theirs: str
    ours: str


@dataclass(frozen=True)
class NoNetwork(Finding):
    """A post-hoc step, which has no network of its own; `applied_to`: the run that it was applied to, None if deleted."""

    run: int
    applied_to: int | None


@dataclass(frozen=True)
class OtherHead(Finding):
    """A run whose last layer is of kind `head`, where the method needs a linear one."""

    run: int
    method: str
    head: str


@dataclass(frozen=True)
class BaselineDiffers(Finding):
    """Why another run cannot be the baseline: older data, its tail (imbalance, profile), its validation share, its model.

    None: the same. False where nothing differs.
    """

    older: bool = False
    tail: tuple[float, str] | None = None
    validation: float | None = None
    model: str | None = None

    def __bool__(self) -> bool:
        return self != BaselineDiffers()


@dataclass(frozen=True)
class OtherNetwork(Finding):
    """A run whose network the method cannot continue from, since it differs in data or model."""

    run: int
    method: str
    differs: BaselineDiffers


@dataclass(frozen=True)
class OtherSeedsBaseline(Finding):
    """Seeds that take the TPRs of a baseline with another seed; `own_validation`: the validation split is the same for all seeds."""

    baseline: int
    seed: int
    others: tuple[int, ...]
    own_validation: bool


def same_data(theirs: str | None, ours: str | None) -> bool:
    """Whether two fingerprints are of the same data; an unknown one (a run from before they were recorded) counts as the same."""
    return not theirs or not ours or theirs == ours


def refusal(
    run: Recorded, config: RunConfig, data: Data, needs: Collection[str], statuses: Collection[str] = DONE
) -> Finding | None:
    """Why a run cannot be the baseline of `config`; None where it can. The seed is not judged.

    data      the config's dataset
    needs     what the config's method uses, see `Method.needs_with`
    statuses  those that the run may have
    """
    theirs = run.facts.fingerprint
    if run.status not in statuses:
        return NotSucceeded(run.id, run.status)
    if run.config.dataset != config.dataset:
        return OtherDataset(run.id, run.config.dataset, config.dataset)
    if run.facts.classes and run.facts.classes != tuple(data.classes):
        return OtherClasses(run.id, config.dataset)
    if "tpr" in needs and not same_data(theirs, data.fingerprint):
        return OlderData(run.id, config.dataset, theirs, data.fingerprint)
    if "network" not in needs:
        return None
    differs = differences(config, data, DrawnRun.of(run))
    return no_network(run, config.method, statuses) or (
        OtherNetwork(run.id, config.method, differs) if differs else None
    )


def no_network(
    run: Recorded, method: str, statuses: Collection[str] = DONE
) -> NoNetwork | OtherHead | NotSucceeded | None:
    """Why a run has no network that the method could continue from; None where it has. `statuses`: those that it may have."""
    if not trains(run.config.method):
        return NoNetwork(run.id, run.baseline_id)
    heads = run.facts.heads
    if METHODS[method].linear and heads and heads[-1][0] != "linear":
        return OtherHead(run.id, method, heads[-1][0])
    return None if run.status in statuses else NotSucceeded(run.id, run.status)


def differences(config: RunConfig, data: Data, theirs: DrawnRun) -> BaselineDiffers:
    """How a run's data and model differ from those of `config`; the seed is ignored.

    The validation share has no effect where the data has its own validation split.
    """
    tail, mine = _tail(theirs.imbalance, theirs.profile), _tail(config.imbalance, config.profile)
    return BaselineDiffers(
        older=not same_data(theirs.fingerprint, data.fingerprint),
        tail=None if tail == mine else tail,
        validation=None if data.own_validation or theirs.validation == config.validation else theirs.validation,
        model=None if theirs.model == config.model else theirs.model,
    )


def _tail(imbalance: float, profile: str) -> tuple[float, str]:
    """The effective tail: without imbalance the profile has no effect."""
    return (imbalance, profile) if imbalance > 1 else (1.0, RunConfig.profile)
