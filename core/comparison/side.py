"""One side of a comparison: a run, its figures and its replicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.comparison.pairing import Replicate
from core.experiment.config import NO_CONFIG, RunConfig
from core.experiment.facts import NOT_STARTED, Facts
from core.metrics.classification import Counts, Summary
from core.metrics.readings import MeasuredSplit


@dataclass(frozen=True)
class Side:
    """One run: class names, its own figures of the test split, and its replicates (itself may be among them).

    label     its name in messages, unique to the run
    status    as stored; unless "succeeded", the counts are those of `epoch`, not of the last of `epochs`
    group     equal for runs with the same settings but the seed; "" where unknown
    config    its settings
    facts     what its worker recorded at the start, with the evidence of the weights
    weight    [E, C] class weights by epoch where they change; None where they do not, or where there are none
    """

    label: str
    classes: Sequence[str]
    own: Replicate
    replicates: Sequence[Replicate] = ()
    dataset: str = ""
    status: str = "succeeded"
    epoch: int = 0
    epochs: int = 0
    group: str = ""
    config: RunConfig = NO_CONFIG
    facts: Facts = NOT_STARTED
    weight: NDArray[np.float64] | None = None

    @property
    def finished(self) -> bool:
        return self.status == "succeeded"

    @property
    def seed(self) -> int:
        return self.own.seed

    @property
    def index_hash(self) -> str:
        """Hash of its data and splits; "" where unknown."""
        return self.own.index_hash

    @property
    def support(self) -> Counts:
        return self.own.metrics.support

    @property
    def tp(self) -> Counts:
        return self.own.metrics.tp

    @property
    def summary(self) -> Summary:
        return self.own.summary

    @property
    def counts(self) -> Counts | None:
        """[C] training samples; None where unknown."""
        return self.facts.training_counts

    @property
    def split(self) -> MeasuredSplit:
        """The run's test split, as the measures take it."""
        return MeasuredSplit(self.own.metrics, self.classes, self.counts, self.own.ece)

    def runs(self) -> list[Replicate]:
        """Every run of these settings once: this one as it is now, and the other replicates."""
        return [*(r for r in self.replicates if (r.run, r.seed) != (self.own.run, self.own.seed)), self.own]
