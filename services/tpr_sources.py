"""Source of the TPRs, or the network, of runs to be queued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.methods.types import Vector
from storage.results.runs import RunRow

RUN, TRAIN_FIRST, GIVEN, NOTHING, OTHERS = "run", "first", "given", "nothing", "others"


@dataclass(frozen=True)
class TprSource:
    """The evidence of one submission. `tpr` [C] is None until a baseline has finished or numbers were given.

    kind    RUN, TRAIN_FIRST, GIVEN (the config holds the TPRs) or NOTHING
    run     of kind RUN: the baseline
    takes   of kind RUN: seed -> the baseline it takes, a replicate of `run` with that seed; None: it is trained first
    absent  why no run is suitable for a method that needs one; "" where one is
    """

    kind: str = NOTHING
    run: RunRow | None = None
    tpr: Vector | None = None
    support: Vector | None = None
    name: str = ""
    takes: Mapping[int, int | None] = field(default_factory=dict)
    absent: str = ""

    def trained_first(self, seeds: list[int]) -> list[int]:
        """The seeds whose baseline is trained first."""
        if self.kind == TRAIN_FIRST:
            return seeds
        return [seed for seed in seeds if self.kind == RUN and self.takes.get(seed) is None]
