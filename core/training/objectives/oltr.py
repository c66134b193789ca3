"""The loss of memory and modulated attention (OLTR): the one loss plus the loss of the head's memory."""

from __future__ import annotations

from torch import Tensor

from core.training.losses import class_loss
from core.training.objectives.base import Batch, Objective


class MemoryLoss(Objective):
    """class_loss + memory * head.memory_loss(labels, repel). Source: Liu et al. (2019).

    The model's `head` has the features of its last forward pass and its centroids; see models/networks/oltr.py.
    Knobs: memory, the weight of the centroid loss; repel, the weight of its part that keeps other centroids away.
    """

    takes = frozenset({"weight", "scale", "shift", "margin", "smoothing", "focus", "mask"})

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = batch.logits()
        loss = class_loss(logits, batch.labels, batch.terms, batch.reduction, generator=batch.generator)
        return loss + self.knobs["memory"] * batch.model.head.memory_loss(batch.labels, self.knobs["repel"]), logits
