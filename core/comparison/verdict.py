"""A comparison in one plain sentence: what changed, and whether chance could have done it.

The rule of praise: where accuracy or the mean TPR falls by more than noise, that comes first and nothing is praised. Where the
variance falls too, and the classes that lost have lost more than twice what the others gained, the sentence says that the
classes became more equal by getting worse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core import formatting
from core.comparison.seed_statistics import SeedChange

ENOUGH_SEEDS = 3
PAIRED, BOTH_SIDES, ONE_SIDE, SAMPLING = "paired seeds", "both sides' seeds", "one side's seeds", "test sampling"
UNFINISHED, SAME = "unfinished run", "same settings"
NO_VERDICT = (UNFINISHED, SAME)  # nothing is judged
AVERAGED = (PAIRED, BOTH_SIDES)  # the verdict speaks of means over seeds
HEADLINE = ("tpr_variance", "accuracy")  # what the verdict speaks of
LEVEL = ("accuracy", "balanced_accuracy")  # how good the classifier is as a whole
NAMES = {"tpr_variance": "variance", "accuracy": "accuracy", "balanced_accuracy": "mean TPR"}
ROUNDING = 1e-9  # a mean of differences that is not quite 0
ADD_SEEDS = "add seeds before you judge"


@dataclass(frozen=True)
class Delta:
    """A figure before and after. change_low and change_high: 95 % interval of the change under redrawn test counts.

    beyond  whether the change is more than the noise that `Noise.kind` names; never where nothing is judged
    seeds   the figure over the seeds, where the change is judged by means (AVERAGED); else None
    """

    figure: str
    before: float
    after: float
    change: float
    change_low: float
    change_high: float
    beyond: bool
    seeds: SeedChange | None = None

    @property
    def told(self) -> SeedChange | Delta:
        """What the verdict speaks of: the means where there are some, else the two runs; has before, after and change."""
        return self if self.seeds is None else self.seeds


@dataclass(frozen=True)
class Noise:
    """What the change is judged by, or why it is not (NO_VERDICT).

    Seeds there are, pairs among them, redraws made, the two runs' own seeds.
    """

    kind: str
    seeds_before: int
    seeds_after: int
    pairs: tuple[int, ...]
    draws: int
    shown: tuple[int, int] = (0, 0)


def fallen(deltas: Mapping[str, Delta]) -> list[Delta]:
    """Accuracy and mean TPR, where they fell by more than noise."""
    return [deltas[name] for name in LEVEL if deltas[name].beyond and deltas[name].told.change < 0]


@dataclass(frozen=True)
class Moves:
    """How the classes moved: those that lost, those measured, and the TPR lost and gained by all of them together."""

    losing: int
    measured: int
    lost: float
    gained: float


def moves(gains: Sequence[float]) -> Moves:
    """Moves from a column of gains; NaN is a class that was not measured."""
    known = [g for g in gains if not math.isnan(g)]
    down = [g for g in known if g < -ROUNDING]
    return Moves(len(down), len(known), -sum(down), sum(g for g in known if g > 0))


def verdict(deltas: Mapping[str, Delta], noise: Noise, moved: Moves) -> str:
    """Parts with "; " between them: "variance 0.0128 -> 0.0093, accuracy -0.4 points", then what chance has to do with it.

    With means over seeds they come first, and the two runs at hand last. Accuracy or mean TPR opens the sentence where it fell
    beyond noise.
    """
    fell = fallen(deltas)
    shown = [deltas[name] for name in HEADLINE]
    if fell:
        shown = [fell[0], deltas["tpr_variance"]]
    levelled = bool(fell) and shown[1].told.change < 0 and moved.lost > 2 * moved.gained
    return "; ".join([*([_levelled(shown[0], moved)] if levelled else []), *PARTS[noise.kind](shown, noise)])


def _levelled(fell: Delta, moved: Moves) -> str:
    """How the classes became more equal at a loss."""
    which = (
        f"all {moved.measured} classes"
        if moved.losing == moved.measured
        else f"{moved.losing} of {moved.measured} classes"
    )
    return f"more equal because {which} got worse: {NAMES[fell.figure]} {100 * fell.told.before:.1f} % -> {100 * fell.told.after:.1f} %"


def _by_means(shown: list[Delta], noise: Noise) -> list[str]:
    if noise.kind == PAIRED:
        over, fewest = f"{len(noise.pairs)} seeds, each trained both ways", len(noise.pairs)
    else:
        over, fewest = (
            f"{noise.seeds_before} seeds before and {noise.seeds_after} after",
            min(noise.seeds_before, noise.seeds_after),
        )
    means = ", ".join(
        f"the {NAMES[d.figure]} {'' if i else 'changed '}by {_mean_change(d)}" for i, d in enumerate(shown)
    )
    few = [] if fewest >= ENOUGH_SEEDS else [f"two seeds tell only very large effects: {ADD_SEEDS}"]
    return [
        f"on average over {over}, {means}",
        _judged(shown, "seed noise alone"),
        *few,
        f"these two runs{_apart(noise)}: {_pair(shown)}",
    ]


def _by_one_side(shown: list[Delta], noise: Noise) -> list[str]:
    b, a = noise.seeds_before, noise.seeds_after
    most, here, there = (b, "before", "after") if b > a else (a, "after", "before")
    return [
        _pair(shown),
        f"judged by the scatter over {most} seeds {here}, and taking those {there} to scatter alike, {_judged(shown, 'seed noise alone')}",
    ]


def _by_sampling(shown: list[Delta], noise: Noise) -> list[str]:
    b, a = noise.seeds_before, noise.seeds_after
    seeds = f"one seed each{_apart(noise)}" if max(a, b) == 1 else f"{_seeds(b)} before and {_seeds(a)} after"
    return [
        _pair(shown),
        _judged(shown, "sampling noise of the test split alone"),
        f"with {seeds}, seed noise is unknown: {ADD_SEEDS}",
    ]


def _unfinished(shown: list[Delta], noise: Noise) -> list[str]:
    return [_pair(shown), "no verdict: not both runs have finished"]


def _same(shown: list[Delta], noise: Noise) -> list[str]:
    return [
        _pair(shown),
        "no verdict on a method: no setting but the seed or the device differs, so this difference is chance",
    ]


PARTS: dict[str, Callable[[list[Delta], Noise], list[str]]] = {
    PAIRED: _by_means,
    BOTH_SIDES: _by_means,
    ONE_SIDE: _by_one_side,
    SAMPLING: _by_sampling,
    UNFINISHED: _unfinished,
    SAME: _same,
}


def _apart(noise: Noise) -> str:
    """The two runs' seeds, where they differ: then the pair differs by more than the method."""
    b, a = noise.shown
    return "" if b == a else f" (seed {b} before, {a} after)"


def _judged(shown: list[Delta], noise: str) -> str:
    """Both changes in one breath where they are judged alike."""
    first, second = ("can hardly be" if d.beyond else "may be" for d in shown)
    if first == second:
        return f"both changes {first} {noise}"
    return f"the change of the {NAMES[shown[0].figure]} {first} {noise}, that of the {NAMES[shown[1].figure]} {second}"


def _pair(shown: list[Delta]) -> str:
    return ", ".join(_change(d) for d in shown)


def _change(delta: Delta) -> str:
    if delta.figure == "tpr_variance":
        return f"variance {formatting.variance(delta.before)} -> {formatting.variance(delta.after)}"
    return f"{NAMES[delta.figure]} {formatting.signed(100 * delta.change, 1)} points"


def _mean_change(delta: Delta) -> str:
    s = delta.seeds
    if s is None:
        raise ValueError(f"{delta.figure} has no means over seeds")
    values = (s.change, s.low, s.high)
    unit = "" if delta.figure == "tpr_variance" else " points"
    mean, low, high = formatting.alike([100 * v for v in values], 1) if unit else formatting.variances(values)
    return f"{mean}{unit} (95 % interval {low} to {high})"


def _seeds(n: int) -> str:
    return "one seed" if n == 1 else f"{n} seeds"
