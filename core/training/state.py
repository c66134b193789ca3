"""The result of an epoch and the state of a run between epochs: counts, losses and what the next epoch may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from core.methods.types import ClassTerms, Vector


@dataclass(frozen=True)
class Seen:
    """A run's own results before an epoch: validation TPRs after the last epoch [C], their supports [C], and the kept TPRs
    of the epochs so far [E, C]. None before the first."""

    tpr: Vector | None = None
    support: Vector | None = None
    past: np.ndarray | None = None


TermsFor = Callable[[int, Seen], ClassTerms]  # of an epoch


@dataclass(frozen=True)
class SplitResult:
    """Counts of one split after an epoch: confusion [C, C] (rows: true class), mean loss, top-5 hits.

    calibration [3, bins]: samples, hits and the sum of the confidences in equal bins of the confidence; None for training.
    Loss and calibration are None if scores are not logits, such as the distances of a post-hoc step.
    """

    confusion: np.ndarray
    loss: float | None
    top5: int | None
    calibration: np.ndarray | None = None


@dataclass(frozen=True)
class EpochResult:
    """The result of one epoch. `lr` is the learning rate of its first step; `terms` are those it trained with; `weight` [C]
    are its class weights: the terms' weight, or the mean over the steps if the weights change with every step."""

    epoch: int
    seconds: float
    lr: float
    splits: dict[str, SplitResult]
    terms: ClassTerms
    weight: Vector | None = None


@dataclass
class Progress:
    """The position of a run: whole epochs done, steps done in the next one, and that epoch's sums so far."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    loss_sum: Tensor | None = None
    confusion: Tensor | None = None
    top5: Tensor | None = None
    seen: Seen = field(default_factory=Seen)


def seen_after(before: Seen, confusion: np.ndarray, kept: Callable[[np.ndarray], np.ndarray | None]) -> Seen:
    """The run's own results after one more epoch, from the validation split's confusion matrix [C, C].

    `kept` selects what of the past is kept.
    """
    support = confusion.sum(axis=1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        tpr = np.diag(confusion) / support
    past = tpr[None] if before.past is None else np.concatenate([before.past, tpr[None]])
    return Seen(tpr, support, kept(past))
