"""The verdict on a comparison: what changed, and whether it exceeds noise. `reporting.text` has the sentences.

Where accuracy or the mean TPR falls by more than noise, that comes first and no gain is highlighted. Where the variance falls
too, and the losing classes lost more than twice what the others gained, the verdict is that the classes became more equal by
getting worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.comparison.seed_statistics import SeedChange
from core.findings import Finding

ENOUGH_SEEDS = 3
PAIRED, BOTH_SIDES, ONE_SIDE, SAMPLING = "paired seeds", "both sides' seeds", "one side's seeds", "test sampling"
UNFINISHED, SAME = "unfinished run", "same settings"
NO_VERDICT = (UNFINISHED, SAME)  # nothing is judged
AVERAGED = (PAIRED, BOTH_SIDES)  # the verdict is based on means over seeds
LEVEL = ("accuracy", "balanced_accuracy")  # overall quality of the classifier
ROUNDING = 1e-9  # differences below this are rounding errors


@dataclass(frozen=True)
class Delta:
    """A figure before and after. change_low and change_high: 95 % interval of the change under resampled test counts.

    beyond  whether the change exceeds the noise that `Noise.kind` names; False where nothing is judged
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
    def judged(self) -> SeedChange | Delta:
        """What the verdict is based on: the means where available, else the two runs; has before, after and change."""
        return self if self.seeds is None else self.seeds


@dataclass(frozen=True)
class Noise:
    """What the change is judged by, or why it is not (NO_VERDICT).

    Also the seeds of each side, the pairs among them, the number of resamples, and the two runs' own seeds.
    """

    kind: str
    seeds_before: int
    seeds_after: int
    pairs: tuple[int, ...]
    draws: int
    shown: tuple[int, int] = (0, 0)

    @property
    def fewest(self) -> int:
        """The seeds behind the means: pairs, or those of the side that has fewer."""
        return len(self.pairs) if self.kind == PAIRED else min(self.seeds_before, self.seeds_after)


def fallen(deltas: Mapping[str, Delta]) -> list[Delta]:
    """Accuracy and mean TPR, where they fell by more than noise."""
    return [deltas[name] for name in LEVEL if deltas[name].beyond and deltas[name].judged.change < 0]


@dataclass(frozen=True)
class Moves:
    """Changes of the classes: how many lost, how many were measured, and the total TPR lost and gained."""

    losing: int
    measured: int
    lost: float
    gained: float


def moves(gains: Sequence[float]) -> Moves:
    """Moves from a column of gains; NaN is a class that was not measured."""
    known = [g for g in gains if not math.isnan(g)]
    down = [g for g in known if g < -ROUNDING]
    return Moves(len(down), len(known), -sum(down), sum(g for g in known if g > 0))


@dataclass(frozen=True)
class Verdict(Finding):
    """The two judged changes, the most important first, the noise they are judged by, and the changes of the classes.

    leveled  whether the classes became more equal by getting worse
    """

    shown: tuple[Delta, Delta]
    noise: Noise
    moved: Moves
    leveled: bool


def verdict(deltas: Mapping[str, Delta], noise: Noise, moved: Moves) -> Verdict:
    """Variance and accuracy; accuracy or mean TPR comes first where it fell beyond noise."""
    fell, variance = fallen(deltas), deltas["tpr_variance"]
    shown = (fell[0], variance) if fell else (variance, deltas["accuracy"])
    leveled = bool(fell) and variance.judged.change < 0 and moved.lost > 2 * moved.gained
    return Verdict(shown, noise, moved, leveled)
