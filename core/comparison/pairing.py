"""Which run represents each seed on the two sides of a comparison, and which of them are pairs.

A pair is two runs of one seed that differ only in the method: they have the same samples, and where one takes its
weights from the TPRs of an earlier run, that run is the other one of the pair (or, where neither side holds it, a run of the
same seed). Several runs whose weights come from one baseline are not paired with the baselines of other seeds: they share
the noise of that baseline's TPRs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.experiment.baseline import GONE
from core.findings import Finding
from core.metrics.classification import ClassMetrics, Summary, metrics_from_counts, summary_from_counts

OTHER_SAMPLES, BASELINE_DELETED, OTHER_BASELINE = (
    "other samples",
    "baseline deleted",
    "other baseline",
)  # why two runs are not a pair


@dataclass(frozen=True, eq=False)
class Replicate:
    """The test figures of one run of a side: same settings, another seed.

    summary, metrics  of the whole split and per class
    run               its number; 0 where unknown
    index_hash        of its data and splits; "" where unknown
    baseline          the run whose TPRs made its weights; None where it takes none from a run, GONE where that run was deleted
    baseline_seed     that run's seed; None where there is no such run
    ece               calibration error of the split; None where not recorded
    """

    seed: int
    summary: Summary
    metrics: ClassMetrics
    run: int = 0
    index_hash: str = ""
    baseline: int | None = None
    baseline_seed: int | None = None
    ece: float | None = None

    @property
    def tpr(self) -> NDArray[np.float64]:
        """[C], NaN where the split holds no sample of the class."""
        return self.metrics.tpr

    def figure(self, name: str) -> float:
        """One of the figures of its summary; NaN where it was not recorded."""
        value = getattr(self.summary, name)
        return float("nan") if value is None else float(value)


def replicate(
    seed: int,
    tp: ArrayLike,
    support: ArrayLike,
    predicted: ArrayLike,
    top5: int | None = None,
    **more: int | float | str | None,
) -> Replicate:
    """A Replicate from test counts [C]; `more` gives its run, index_hash, baseline, baseline_seed and ece."""
    return Replicate(
        seed, summary_from_counts(tp, support, predicted, top5), metrics_from_counts(tp, support, predicted), **more
    )


@dataclass(frozen=True)
class Apart(Finding):
    """Why runs of one seed are not a pair; for OTHER_BASELINE the run their weights come from and its seed."""

    runs: tuple[int, ...]
    why: str
    baseline: int | None = None
    baseline_seed: int | None = None


@dataclass(frozen=True)
class Unpaired(Finding):
    """Seeds that both sides have, but not as pairs; `dropped`: other seeds are pairs, so these are left out."""

    seeds: tuple[int, ...]
    dropped: bool
    reasons: tuple[Apart, ...]


@dataclass(frozen=True)
class LeftOut(Finding):
    """Runs left out because another run of their side has their seed; `shown`: those of them that are being compared."""

    runs: tuple[int, ...]
    shown: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Chosen:
    """One run per seed on each side, the seeds that form pairs, the runs left out, and why common seeds do not form pairs."""

    before: Mapping[int, Replicate]
    after: Mapping[int, Replicate]
    pairs: tuple[int, ...]
    left_out: tuple[Replicate, ...]
    reasons: tuple[Apart, ...]

    @property
    def unpaired(self) -> tuple[int, ...]:
        """The seeds that both sides have without a pair."""
        return tuple(sorted((self.before.keys() & self.after.keys()) - set(self.pairs)))


def choose(before: Sequence[Replicate], after: Sequence[Replicate], shown: Sequence[Replicate] = ()) -> Chosen:
    """For every seed the pair, else each side's run that is `shown`, else its newest. Of several pairs the one with runs `shown`,
    else the newest."""
    b, a = _by_seed(before), _by_seed(after)
    chosen_b, chosen_a, pairs, apart = {}, {}, [], []
    for seed in sorted(b.keys() | a.keys()):
        fair = [(x, y) for x in b.get(seed, ()) for y in a.get(seed, ()) if not _apart(x, y, before, after)]
        if fair:
            chosen_b[seed], chosen_a[seed] = max(
                fair, key=lambda two: (sum(r in shown for r in two), two[1].run, two[0].run)
            )
            pairs.append(seed)
            continue
        for found, chosen in ((b, chosen_b), (a, chosen_a)):
            if seed in found:
                chosen[seed] = max(found[seed], key=lambda r: (r in shown, r.run))
        if seed in b and seed in a:
            apart.append(_apart(chosen_b[seed], chosen_a[seed], before, after))
    used = [*chosen_b.values(), *chosen_a.values()]
    return Chosen(
        chosen_b,
        chosen_a,
        tuple(pairs),
        tuple(sorted((r for r in (*before, *after) if r not in used), key=lambda r: r.run)),
        _reasons(apart),
    )


def _by_seed(runs: Sequence[Replicate]) -> dict[int, list[Replicate]]:
    out: dict[int, list[Replicate]] = {}
    for r in runs:
        out.setdefault(r.seed, []).append(r)
    return out


def _apart(x: Replicate, y: Replicate, before: Sequence[Replicate], after: Sequence[Replicate]) -> list[Apart]:
    """Why two runs of one seed are not a pair; empty where they are. An unknown hash is not a reason."""
    found = [_fed(y, x, before), _fed(x, y, after)]
    if x.index_hash and y.index_hash and x.index_hash != y.index_hash:
        found.append(Apart((x.run, y.run), OTHER_SAMPLES))
    return [f for f in found if f is not None]


def _fed(run: Replicate, other: Replicate, others: Sequence[Replicate]) -> Apart | None:
    """Why a run's weights come from a run other than its partner; None where they do not."""
    if run.baseline is None or run.baseline == other.run:
        return None
    if run.baseline == GONE:
        return Apart((run.run,), BASELINE_DELETED)
    if run.baseline_seed == run.seed and run.baseline not in [r.run for r in others]:
        return None
    return Apart((run.run,), OTHER_BASELINE, run.baseline, run.baseline_seed)


def _reasons(apart: Sequence[Sequence[Apart]]) -> tuple[Apart, ...]:
    """Each reason once, with all the runs it holds for."""
    by: dict[Apart, list[int]] = {}
    for reason in (r for reasons in apart for r in reasons):
        by.setdefault(replace(reason, runs=()), []).extend(reason.runs)
    return tuple(replace(reason, runs=tuple(runs)) for reason, runs in by.items())


def notes(chosen: Chosen, paired: bool, shown: Sequence[Replicate] = ()) -> tuple[Unpaired | LeftOut, ...]:
    """With means over seeds: why seeds of both sides are not paired, and which runs are left out."""
    found: list[Unpaired | LeftOut] = []
    if chosen.unpaired:
        found.append(Unpaired(chosen.unpaired, paired, chosen.reasons))
    if chosen.left_out:
        here = tuple(r.run for r in chosen.left_out if r in shown)
        found.append(LeftOut(tuple(r.run for r in chosen.left_out), here))
    return tuple(found)
