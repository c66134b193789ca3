"""Group DRO with the classes as groups: class weights that follow the losses of the classes in every step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from core.errors import EvenlyError
from core.training.losses import in_full
from core.training.objectives.base import Batch, Objective
from core.training.objectives.tally import Tally


class GroupDRO(Objective):
    """q_c <- q_c exp(eta l_c), normalized; loss = sum_c q_c l_c with the new q.

    l_c is the mean cross entropy of class c in the batch, 0 for a class that is not in it, whose q then decreases.
    With the knob adjustment K > 0, K / sqrt(n_c) is added to every l_c; as in the authors' code it is also part of the
    trained loss, although it has no gradient. A class without training samples gets no adjustment.

    The logarithms of q are stored, so that a q near 0 can still grow again. The reduction has no effect.
    Source: Sagawa, Koh, Hashimoto and Liang (2020), eta .01, and their code.
    """

    log_q: Tensor
    adjustment: Tensor

    def __init__(
        self, classes: int, knobs: Mapping[str, float], counts: Tensor | None, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(classes, knobs, counts, generator)
        self.register_buffer("log_q", torch.full((classes,), -math.log(classes)))
        self.register_buffer("adjustment", self._adjustment(knobs["adjustment"], counts), persistent=False)
        self.tally = Tally(classes)

    def _adjustment(self, k: float, counts: Tensor | None) -> Tensor:
        if k == 0:
            return torch.zeros(self.classes)
        if counts is None:
            raise EvenlyError(
                f"group_dro: adjustment {k:g} needs the training counts of the classes; give them, or set adjustment to 0"
            )
        n = counts.detach().cpu().to(torch.float32)
        return torch.where(n > 0, k / n.clamp_min(1).sqrt(), 0.0)

    @property
    def q(self) -> Tensor:
        """The current class weights [C], sum 1."""
        return self.log_q.exp()

    @torch.no_grad()
    def _renew(self, losses_C: Tensor) -> None:
        step = self.log_q + self.knobs["eta"] * losses_C.to(self.log_q.dtype)
        self.log_q.copy_(torch.log_softmax(step, dim=0))

    def class_losses(self, losses_B: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss of each class in the batch, including the adjustment, and its samples there, at least 1. [C], [C]"""
        empty = losses_B.new_zeros(self.classes)
        number = empty.scatter_add(0, labels_B, torch.ones_like(losses_B)).clamp_min(1)
        return empty.scatter_add(0, labels_B, losses_B) / number + self.adjustment, number

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = batch.logits()
        losses, number = self.class_losses(cross_entropy(in_full(logits), batch.labels, reduction="none"), batch.labels)
        self._renew(losses)
        q = self.q.to(losses.dtype)
        self.tally.add(batch.labels, (len(batch.labels) * q / number)[batch.labels])
        return (q * losses).sum(), logits

    def class_weight(self) -> Tensor:
        """Mean weight of a sample of each class, q_c / (samples of the class in the batch), mean 1 over the classes. [C]"""
        return self.tally.mean()

    def new_epoch(self, last_tpr: Tensor | None) -> None:
        self.tally.clear()
