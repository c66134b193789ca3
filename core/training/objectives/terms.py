"""The objective of every method that only sets terms: the loss of core.training.losses."""

from __future__ import annotations

from torch import Tensor

from core.training.losses import class_loss
from core.training.objectives.base import Batch, Objective


class Terms(Objective):
    """Weights, logit terms, smoothing, focus and mask on cross entropy; knobs s, alpha and detached. See core.training.losses."""

    takes = frozenset({"weight", "scale", "shift", "margin", "smoothing", "focus", "mask"})

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = batch.logits()
        return class_loss(logits, batch.labels, batch.terms, batch.reduction, self.knobs, batch.generator), logits
