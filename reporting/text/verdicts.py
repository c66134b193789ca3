"""The verdict of core.comparison.verdict as sentences."""

from __future__ import annotations

from core.comparison.verdict import (
    BOTH_SIDES,
    ENOUGH_SEEDS,
    ONE_SIDE,
    PAIRED,
    SAME,
    SAMPLING,
    UNFINISHED,
    Delta,
    Noise,
    Verdict,
)
from core.formatting import count
from reporting import numbers
from reporting.text.finding import of
from reporting.text.phrases import capitalized

FIGURES = {"tpr_variance": "variance", "accuracy": "accuracy", "balanced_accuracy": "mean TPR"}
ADD_SEEDS = "add seeds before you judge"


def verdict(v: Verdict) -> list[str]:
    """The verdict as sentences; the first is the headline. With means over seeds these come first, the two runs themselves last."""
    return [*([_leveled(v)] if v.leveled else []), *VERDICTS[v.noise.kind](v)]


@of.register
def _(f: Verdict) -> str:
    return " ".join(verdict(f))


def _leveled(v: Verdict) -> str:
    moved, fell = v.moved, v.shown[0]
    which = "all" if moved.losing == moved.measured else f"{moved.losing} of"
    return (
        f"More equal because {which} {moved.measured} classes got worse: {FIGURES[fell.figure]} "
        f"{numbers.percent(fell.judged.before)} -> {numbers.percent(fell.judged.after)}."
    )


def _by_means(v: Verdict) -> list[str]:
    noise = v.noise
    over = (
        f"{len(noise.pairs)} paired seeds"
        if noise.kind == PAIRED
        else f"{noise.seeds_before} seeds before and {noise.seeds_after} after"
    )
    few = [] if noise.fewest >= ENOUGH_SEEDS else [f"Two seeds show only very large effects: {ADD_SEEDS}."]
    means = ", ".join(f"{FIGURES[d.figure]} {_mean_change(d)}" for d in v.shown)
    return [
        f"Mean change over {over}: {means}.",
        f"{_judged(v, 'seed noise')}.",
        *few,
        f"These two runs{_own_seeds(noise)}: {_pair(v)}.",
    ]


def _by_one_side(v: Verdict) -> list[str]:
    b, a = v.noise.seeds_before, v.noise.seeds_after
    most, here, there = (b, "before", "after") if b > a else (a, "after", "before")
    return [
        f"{capitalized(_pair(v))}.",
        f"Judged by the spread over {most} seeds {here}, assuming the same spread {there}: "
        f"{_judged(v, 'seed noise', start=False)}.",
    ]


def _by_sampling(v: Verdict) -> list[str]:
    b, a = v.noise.seeds_before, v.noise.seeds_after
    seeds = (
        f"one seed each{_own_seeds(v.noise)}"
        if max(a, b) == 1
        else f"{count(b, 'seed')} before and {count(a, 'seed')} after"
    )
    return [
        f"{capitalized(_pair(v))}.",
        f"{_judged(v, 'the sampling noise of the test split')}.",
        f"With {seeds}, seed noise is unknown: {ADD_SEEDS}.",
    ]


def _unfinished(v: Verdict) -> list[str]:
    return [f"{capitalized(_pair(v))}.", "No verdict: not both runs have finished."]


def _same(v: Verdict) -> list[str]:
    return [
        f"{capitalized(_pair(v))}.",
        "No verdict on a method: only the seed or the device differs, so this difference is noise.",
    ]


VERDICTS = {
    PAIRED: _by_means,
    BOTH_SIDES: _by_means,
    ONE_SIDE: _by_one_side,
    SAMPLING: _by_sampling,
    UNFINISHED: _unfinished,
    SAME: _same,
}


def _own_seeds(noise: Noise) -> str:
    """The two runs' seeds, where they differ: the pair then differs by more than the method."""
    b, a = noise.shown
    return "" if b == a else f" (seed {b} before, {a} after)"


def _judged(v: Verdict, noise: str, start: bool = True) -> str:
    """The judgment of both changes, in one clause where it is the same."""
    first, second = ("exceeds" if d.beyond else "is within" for d in v.shown)
    names = [FIGURES[d.figure] for d in v.shown]
    if first == second:
        text = f"both changes {'exceed' if v.shown[0].beyond else 'are within'} {noise} (95 %)"
    else:
        text = f"the change in {names[0]} {first} {noise} (95 %), the change in {names[1]} {second} it"
    return capitalized(text) if start else text


def _pair(v: Verdict) -> str:
    return ", ".join(_change(d) for d in v.shown)


def _change(delta: Delta) -> str:
    if delta.figure == "tpr_variance":
        return f"variance {numbers.variance(delta.before)} -> {numbers.variance(delta.after)}"
    return f"{FIGURES[delta.figure]} {numbers.signed(100 * delta.change, 1)} points"


def _mean_change(delta: Delta) -> str:
    s = delta.seeds
    if s is None:
        raise ValueError(f"{delta.figure} has no means over seeds")
    values = (s.change, s.low, s.high)
    unit = "" if delta.figure == "tpr_variance" else " points"
    mean, low, high = numbers.alike([100 * v for v in values], 1) if unit else numbers.variances(values)
    return f"{mean}{unit} (95 % interval {low} to {high})"
