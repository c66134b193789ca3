"""Two runs on the same classes side by side: what changed, and whether it exceeds noise.

A change is judged by the best evidence available: the means over paired seeds, the means over each side's own seeds, the spread over
one side's seeds, else resampled test counts, which do not measure seed noise. The verdict names which; if it is based on
means, so are the figures (`Comparison.over_seeds`). Runs that have not finished, or that differ only in the seed, get no
verdict on a method. What makes a comparison unfair: `core.comparison.confounders`, `core.diagnostics.run_warnings`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.comparison import pairing
from core.comparison.confounders import cautions, mixed
from core.comparison.pairing import Chosen, choose
from core.comparison.seed_statistics import ClassChange, OverSeeds, SeedRow, over_seeds, weighed
from core.comparison.side import Side
from core.comparison.verdict import (
    AVERAGED,
    BOTH_SIDES,
    ENOUGH_SEEDS,
    NO_VERDICT,
    ONE_SIDE,
    PAIRED,
    SAME,
    SAMPLING,
    UNFINISHED,
    Delta,
    Noise,
    Verdict,
    fallen,
    moves,
    verdict,
)
from core.errors import EvenlyError
from core.findings import Finding
from core.metrics.classification import Summary
from core.metrics.intervals import FIGURES, REDRAWS, Floats, newcombe, sampling_intervals, t95, wilson
from core.metrics.readings import WEIGHTED, Change, Score, changes, grouping, weighted_change


@dataclass(frozen=True, kw_only=True)
class ClassRow(ClassChange):
    """A class of two runs: TPRs with 95 % Wilson limits, the gain with its 95 % Newcombe limits.

    beyond             the gain's interval excludes 0: it exceeds the sampling noise of this class's test samples
    precision_*, f1_*  NaN where the class is never predicted
    """

    support_after: int
    before_low: float
    before_high: float
    after_low: float
    after_high: float


@dataclass(frozen=True)
class ClassesBeyond(Finding):
    """Classes of those `measured` whose TPR changed beyond noise: seed noise where `averaged` over seeds, else sampling noise."""

    beyond: int
    measured: int
    averaged: bool


@dataclass(frozen=True)
class Comparison:
    """Everything the Compare page shows. `deltas` by name of FIGURES; accuracies are shares, a spread is a standard deviation.

    summary     summaries of the split of both runs, under "before" and "after"
    cautions    why the comparison is not fair; notes add to the verdict
    over_seeds  the same as means over seeds, where the verdict is based on them; else None
    fell        accuracy, mean TPR or both, where they fell by more than noise: no gain is highlighted then
    mixed       those of `cautions` that name another cause than the weighting: no gain is highlighted then either
    measures    the measures for unequal classes of the two runs, in order; over the seeds they are in `over_seeds.measures`
    """

    before: str
    after: str
    rows: tuple[ClassRow, ...]
    deltas: dict[str, Delta]
    noise: Noise
    verdict: Verdict
    notes: tuple[Finding, ...]
    summary: Mapping[str, Summary]
    cautions: tuple[Finding, ...] = ()
    over_seeds: OverSeeds | None = None
    fell: tuple[str, ...] = ()
    measures: tuple[Change, ...] = ()
    mixed: tuple[Finding, ...] = ()


def compare(before: Side, after: Side, rng: np.random.Generator | None = None, draws: int = 2000) -> Comparison:
    """Compare two runs. `rng` resamples test counts, by default from the seed `core.metrics.intervals.REDRAWS`; the
    same state gives the same result.

    Raises EvenlyError when both sides are one run, when they have different classes, or when one has no test counts.
    """
    _check(before, after)
    chosen = choose(before.runs(), after.runs(), (before.own, after.own))
    low, high, used = _resampled(before, after, np.random.default_rng(REDRAWS) if rng is None else rng, draws)
    noise = _noise(before, after, chosen, used)
    means = _means(before, after, chosen, noise)
    deltas = {
        name: _delta(name, before, after, chosen, noise, means, float(low[i]), float(high[i]))
        for i, name in enumerate(FIGURES)
    }
    rows = _rows(before, after)
    judged = means.rows if means is not None and means.rows else rows
    fair = (before, after, noise.kind == SAME, means is not None)
    return Comparison(
        before=before.label,
        after=after.label,
        rows=rows,
        deltas=deltas,
        noise=noise,
        verdict=verdict(deltas, noise, moves([r.gain for r in judged])),
        notes=(*_beyond(judged, judged is not rows), *_on_pairs(before, after, chosen, noise)),
        summary={"before": before.summary, "after": after.summary},
        cautions=cautions(*fair),
        over_seeds=means,
        fell=tuple(d.figure for d in fallen(deltas)),
        measures=changes(before.split, after.split),
        mixed=mixed(*fair),
    )


def with_score(c: Comparison, score: Score) -> Comparison:
    """The comparison with the weighted score of this alpha and positive class, of the two runs and over the seeds.

    Two classes, else EvenlyError.
    """
    names = [row.name for row in c.rows]
    positive = score.positive
    if positive is None:  # as computed before
        positive = next((names.index(m.of_after) for m in c.measures if m.key == WEIGHTED), 1)
    new = weighted_change(names, [row.before for row in c.rows], [row.after for row in c.rows], score.alpha, positive)
    measures = tuple(new if m.key == WEIGHTED else m for m in c.measures)
    return replace(
        c, measures=measures, over_seeds=None if c.over_seeds is None else weighed(c.over_seeds, score.alpha, positive)
    )


def _resampled(before: Side, after: Side, rng: np.random.Generator, draws: int) -> tuple[Floats, Floats, int]:
    """Sampling intervals of the changes of FIGURES, low and high, and the draws behind them."""
    counts = (v.astype(float) for v in (before.tp, before.support, after.tp, after.support))
    return sampling_intervals(*counts, rng, draws)


def _noise(before: Side, after: Side, chosen: Chosen, draws: int) -> Noise:
    """What the change is judged by, and what that rests on."""
    kind, seeds = _kind(before, after, chosen), (before.seed, after.seed)
    return Noise(kind, len(chosen.before), len(chosen.after), chosen.pairs, draws, seeds)


def _kind(before: Side, after: Side, chosen: Chosen) -> str:
    """What the change is judged by: the first rule that holds. Two seeds per side are enough for means, with a wide interval."""
    pairs, (fewest, most) = len(chosen.pairs), sorted((len(chosen.before), len(chosen.after)))
    rules = (
        (UNFINISHED, not (before.finished and after.finished)),
        (SAME, before.group != "" and before.group == after.group),
        (PAIRED, pairs >= ENOUGH_SEEDS),
        (BOTH_SIDES, fewest >= ENOUGH_SEEDS),
        (PAIRED, pairs >= 2),
        (BOTH_SIDES, fewest >= 2),
        (ONE_SIDE, most >= ENOUGH_SEEDS),
        (SAMPLING, True),
    )
    return next(kind for kind, holds in rules if holds)


def _means(before: Side, after: Side, chosen: Chosen, noise: Noise) -> OverSeeds | None:
    """The means over seeds where the change is judged by them: of the pairs only, or of all seeds."""
    if noise.kind not in AVERAGED:
        return None
    paired = noise.kind == PAIRED
    b, a = (
        {s: r for s, r in side.items() if not paired or s in chosen.pairs} for side in (chosen.before, chosen.after)
    )
    return over_seeds(after.classes, after.support, b, a, paired, grouping(before.counts, after.counts))


def _check(before: Side, after: Side) -> None:
    if before.label == after.label:
        raise EvenlyError(f"before and after are both {before.label}; choose another run on one side")
    b, a = list(before.classes), list(after.classes)
    if b != a:
        first = next(
            (f"class {c} is {x!r} and {y!r}" for c, (x, y) in enumerate(zip(b, a, strict=False)) if x != y),
            f"{len(b)} and {len(a)} classes",
        )
        raise EvenlyError(
            f"{before.label} and {after.label} have different classes ({first}); compare runs on the same dataset"
        )
    for side in (before, after):
        if len(side.tp) != len(b) or len(side.support) != len(b):
            raise EvenlyError(f"{side.label} has counts for {len(side.tp)} classes, expected {len(b)}")
        if not side.support.sum():
            raise EvenlyError(f"{side.label} has no test counts yet; wait for its first epoch")
    if before.dataset != after.dataset:
        raise EvenlyError(
            f"{before.label} was trained on {before.dataset} and {after.label} on {after.dataset}; compare runs on the same dataset"
        )
    if not ((before.support > 0) & (after.support > 0)).any():
        raise EvenlyError(
            f"{before.label} and {after.label} have no class with test samples on both sides; compare runs on the same test split"
        )


def _rows(before: Side, after: Side) -> tuple[ClassRow, ...]:
    b, a = before.own.metrics, after.own.metrics
    (bl, bh), (al, ah) = wilson(b.tp, b.support), wilson(a.tp, a.support)
    gl, gh = newcombe(b.tp, b.support, a.tp, a.support)
    columns = {
        "name": list(before.classes),
        "support": b.support,
        "support_after": a.support,
        "before": b.tpr,
        "before_low": bl,
        "before_high": bh,
        "after": a.tpr,
        "after_low": al,
        "after_high": ah,
        "gain": a.tpr - b.tpr,
        "gain_low": gl,
        "gain_high": gh,
        "beyond": (gl > 0) | (gh < 0),
        "precision_before": b.precision,
        "precision_after": a.precision,
        "f1_before": b.f1,
        "f1_after": a.f1,
    }
    listed = zip(*(v if isinstance(v, list) else v.tolist() for v in columns.values()), strict=True)
    return tuple(ClassRow(**dict(zip(columns, row, strict=True))) for row in listed)


def _delta(
    name: str, before: Side, after: Side, chosen: Chosen, noise: Noise, means: OverSeeds | None, low: float, high: float
) -> Delta:
    b, a = before.own.figure(name), after.own.figure(name)
    if noise.kind in NO_VERDICT:
        return Delta(name, b, a, a - b, low, high, False)
    if means is not None:
        return Delta(name, b, a, a - b, low, high, means.figures[name].beyond, means.figures[name])
    if noise.kind == ONE_SIDE:
        sd, freedom = _seed_sd(name, chosen)
        return Delta(name, b, a, a - b, low, high, abs(a - b) > t95(freedom) * math.sqrt(2) * sd)
    return Delta(name, b, a, a - b, low, high, low > 0 or high < 0)


def _seed_sd(name: str, chosen: Chosen) -> tuple[float, int]:
    """Standard deviation of a figure over the seeds of the side that has enough, with its degrees of freedom."""
    most = max((chosen.before, chosen.after), key=len)
    return float(np.std([r.figure(name) for r in most.values()], ddof=1)), len(most) - 1


def _beyond(rows: Sequence[ClassRow | SeedRow], averaged: bool) -> tuple[ClassesBeyond, ...]:
    """How many classes changed beyond noise; empty where none did."""
    beyond, measured = sum(bool(r.beyond) for r in rows), sum(not math.isnan(r.gain) for r in rows)
    return (ClassesBeyond(beyond, measured, averaged),) if beyond else ()


def _on_pairs(before: Side, after: Side, chosen: Chosen, noise: Noise) -> tuple[Finding, ...]:
    """Which runs form no pair or are left out, where the change is judged by means over seeds."""
    if noise.kind not in AVERAGED:
        return ()
    return pairing.notes(chosen, noise.kind == PAIRED, (before.own, after.own))
