"""Two runs on the same classes side by side: what changed, and whether chance could have done it.

A change is judged by the best there is: paired seeds (at least three that both sides have), the scatter over one side's seeds,
and else redrawn test counts, which say nothing about seeds. The verdict names which. Runs that have not finished, or that
differ in nothing but the seed, get no verdict on a method. What makes a comparison unfair is said apart: `core.cautions`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.cautions import cautions
from core.errors import EvenlyError
from core.metrics import Summary, share, summary_from_counts
from core.noise import FIGURES, limits, mean_interval, newcombe, sampling_intervals, t95
from core.verdict import ENOUGH_SEEDS, NO_VERDICT, ONE_SIDE, PAIRED, SAME, SAMPLING, UNFINISHED, Delta, Noise, verdict


@dataclass(frozen=True)
class Replicate:
    """The test figures of one finished run of a side: same settings, another seed. tpr is [C], NaN without samples."""

    seed: int
    accuracy: float
    tpr_variance: float
    tpr_min: float
    tpr: NDArray[np.float64] | None = None
    balanced_accuracy: float = math.nan

    def figure(self, name: str) -> float:
        """One of FIGURES."""
        return math.sqrt(self.tpr_variance) if name == "tpr_spread" else float(getattr(self, name))


def replicate(seed: int, tp: ArrayLike, support: ArrayLike) -> Replicate:
    """A Replicate from test counts [C]."""
    s = summary_from_counts(tp, support)
    return Replicate(seed, s.accuracy, s.tpr_variance, s.tpr_min, share(tp, support), s.balanced_accuracy)


@dataclass(frozen=True)
class Side:
    """One run: class names, whole-number test counts [C], its seed, and its replicates (itself may be among them).

    label       what messages call it, unlike any other run's
    status      as stored; anything but "succeeded" means that the counts are those of `epoch` and not of the end, `epochs`
    group       equal for runs with the same settings but the seed; "" where unknown
    settings    the run's config
    index_hash  of its data and splits; "" where unknown
    """

    label: str
    classes: Sequence[str]
    support: NDArray[np.int64]
    tp: NDArray[np.int64]
    seed: int = 0
    replicates: Sequence[Replicate] = ()
    dataset: str = ""
    status: str = "succeeded"
    epoch: int = 0
    epochs: int = 0
    group: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    index_hash: str = ""

    @property
    def finished(self) -> bool:
        return self.status == "succeeded"

    @property
    def summary(self) -> Summary:
        return summary_from_counts(self.tp, self.support)

    def seeds(self) -> dict[int, Replicate]:
        """Every seed once, this run included."""
        return {**{r.seed: r for r in self.replicates}, self.seed: replicate(self.seed, self.tp, self.support)}


@dataclass(frozen=True)
class ClassRow:
    """A class before and after: TPRs with 95 % Wilson limits, the gain with its 95 % Newcombe limits (shares, NaN if undefined).

    beyond  the gain's interval leaves out 0: more than the sampling noise of this class's test samples
    """

    name: str
    support: int
    support_after: int
    before: float
    before_low: float
    before_high: float
    after: float
    after_low: float
    after_high: float
    gain: float
    gain_low: float
    gain_high: float
    beyond: bool


@dataclass(frozen=True)
class Comparison:
    """Everything the compare page shows. `deltas` by name of FIGURES; accuracies are shares, a spread is a standard deviation.

    cautions  why the comparison is not a fair one, each with what to do next; notes add to the verdict
    """

    before: str
    after: str
    rows: tuple[ClassRow, ...]
    deltas: dict[str, Delta]
    noise: Noise
    verdict: str
    notes: tuple[str, ...]
    cautions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; undefined numbers are None."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def order(before_tpr: ArrayLike) -> NDArray[np.int64]:
    """Indices from the hardest to the easiest class of the baseline; undefined ones last, ties in class order."""
    return np.argsort(np.asarray(before_tpr, dtype=np.float64), kind="stable")


def compare(before: Side, after: Side, rng: np.random.Generator, draws: int = 2000) -> Comparison:
    """Compare two runs. `rng` redraws test counts; the same generator state gives the same answer.

    Raises EvenlyError when both sides are one run, when they have different classes, or when one has no test counts.
    """
    _check(before, after)
    pairs = tuple(sorted(before.seeds().keys() & after.seeds().keys()))
    low, high, used = sampling_intervals(
        before.tp.astype(float), before.support.astype(float), after.tp.astype(float), after.support.astype(float), rng, draws)
    noise = Noise(_kind(before, after, pairs), len(before.seeds()), len(after.seeds()), pairs, used)
    deltas = {name: _delta(name, before, after, noise, float(low[i]), float(high[i])) for i, name in enumerate(FIGURES)}
    rows = _rows(before, after)
    return Comparison(before.label, after.label, rows, deltas, noise, verdict(deltas, noise), _notes(rows), cautions(before, after))


def _kind(before: Side, after: Side, pairs: Sequence[int]) -> str:
    """What the change is judged by: the first that holds."""
    rules = (
        (UNFINISHED, not (before.finished and after.finished)),
        (SAME, before.group != "" and before.group == after.group),
        (PAIRED, len(pairs) >= ENOUGH_SEEDS),
        (ONE_SIDE, max(len(before.seeds()), len(after.seeds())) >= ENOUGH_SEEDS),
        (SAMPLING, True),
    )
    return next(kind for kind, holds in rules if holds)


def _check(before: Side, after: Side) -> None:
    if before.label == after.label:
        raise EvenlyError(f"before and after are both {before.label}, and a run does not differ from itself; choose another run on one side")
    b, a = list(before.classes), list(after.classes)
    if b != a:
        first = next((f"class {c} is {x!r} and {y!r}" for c, (x, y) in enumerate(zip(b, a, strict=False)) if x != y), f"{len(b)} and {len(a)} classes")
        raise EvenlyError(f"{before.label} and {after.label} have different classes ({first}); compare runs on the same dataset")
    for side in (before, after):
        if len(side.tp) != len(b) or len(side.support) != len(b):
            raise EvenlyError(f"{side.label} has counts for {len(side.tp)} classes, expected {len(b)}")
        if not side.support.sum():
            raise EvenlyError(f"{side.label} has no test counts yet; wait for its first epoch")
    if before.dataset != after.dataset:
        raise EvenlyError(f"{before.label} was trained on {before.dataset} and {after.label} on {after.dataset}; compare runs on the same dataset")
    if not ((before.support > 0) & (after.support > 0)).any():
        raise EvenlyError(f"{before.label} and {after.label} have no class with test samples on both sides; nothing can be compared")


def _rows(before: Side, after: Side) -> tuple[ClassRow, ...]:
    b, a = share(before.tp, before.support), share(after.tp, after.support)
    (bl, bh), (al, ah) = limits(before.tp, before.support), limits(after.tp, after.support)
    gl, gh = newcombe(before.tp, before.support, after.tp, after.support)
    columns = zip(before.classes, before.support, after.support, b, bl, bh, a, al, ah, a - b, gl, gh, (gl > 0) | (gh < 0), strict=True)
    return tuple(ClassRow(name, int(n), int(m), *map(float, numbers), bool(beyond)) for name, n, m, *numbers, beyond in columns)


def _figure(summary: Summary, name: str) -> float:
    return math.sqrt(summary.tpr_variance) if name == "tpr_spread" else float(getattr(summary, name))


def _delta(name: str, before: Side, after: Side, noise: Noise, low: float, high: float) -> Delta:
    b, a = _figure(before.summary, name), _figure(after.summary, name)
    if noise.kind in NO_VERDICT:
        return Delta(name, b, a, a - b, low, high, False)
    if noise.kind == PAIRED:
        x, y = before.seeds(), after.seeds()
        paired = mean_interval(np.array([y[s].figure(name) - x[s].figure(name) for s in noise.pairs]))
        return Delta(name, b, a, a - b, low, high, paired[1] > 0 or paired[2] < 0, paired)
    if noise.kind == ONE_SIDE:
        sd, freedom = _seed_sd(name, before, after)
        return Delta(name, b, a, a - b, low, high, abs(a - b) > t95(freedom) * math.sqrt(2) * sd)
    return Delta(name, b, a, a - b, low, high, low > 0 or high < 0)


def _seed_sd(name: str, before: Side, after: Side) -> tuple[float, int]:
    """Standard deviation of a figure over seeds with its degrees of freedom: of the side that has enough, or both pooled."""
    groups = [[r.figure(name) for r in side.seeds().values()] for side in (before, after)]
    used = [g for g in groups if len(g) >= ENOUGH_SEEDS]
    freedom = sum(len(g) - 1 for g in used)
    return math.sqrt(sum((len(g) - 1) * float(np.var(g, ddof=1)) for g in used) / freedom), freedom


def _notes(rows: Sequence[ClassRow]) -> tuple[str, ...]:
    beyond = sum(r.beyond for r in rows)
    if not beyond:
        return ()
    measured = sum(not math.isnan(r.gain) for r in rows)
    return (f"{beyond} of {measured} classes changed by more than the sampling noise of their test samples; "
            f"that noise alone would do so to about {0.05 * measured:.1f} of them.",)


# ---------------------------------------------------------------- settings


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings on one level, under keys like "params.exponent"."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return found


def config_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(setting, in a, in b) for the settings that differ; nested ones as "params.exponent", an absent one as None."""
    x, y = flat(a), flat(b)
    return [(key, x.get(key), y.get(key)) for key in {**x, **y} if x.get(key) != y.get(key)]
