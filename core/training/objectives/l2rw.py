"""Learning to reweight (L2RW): sample weights from one virtual step and its loss on meta samples."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from core.training.objectives.base import Batch, Objective
from core.training.objectives.influence import influence, normalized, plain_losses
from core.training.objectives.tally import Tally


class LearningToReweight(Objective):
    """u_i = -d L_meta(theta - grad sum_j eps_j l_j) / d eps_i at eps = 0; w_i = max(u_i, 0) / sum; loss = sum_i w_i l_i.

    The weights of a batch sum to 1, or are all 0 if no sample helps, so the reduction has no effect. The length of the
    virtual step cancels in the normalization and is 1, as in the authors' code. Source: Ren, Zeng, Yang and Urtasun (2018).
    """

    graph = False
    meta = True

    def __init__(
        self, classes: int, knobs: Mapping[str, float], counts: Tensor | None, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(classes, knobs, counts, generator)
        self.tally = Tally(classes)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = batch.logits()
        losses = plain_losses(logits, batch.labels)
        weights = normalized((-influence(batch, losses, None, step=1.0)).clamp_min(0))
        self.tally.add(batch.labels, len(weights) * weights)
        return (weights * losses).sum(), logits

    def class_weight(self) -> Tensor:
        return self.tally.mean()

    def new_epoch(self, last_tpr: Tensor | None) -> None:
        self.tally.clear()
