"""Gradient harmonizing (GHM-C): binary losses divided by the density of their gradient norm."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from core.training.losses import in_full
from core.training.objectives.base import Batch, Objective
from core.training.objectives.sigmoid import signs


class GradientHarmonizing(Objective):
    """loss = 1/(B C) sum_i beta_i BCE_i over all B x C outputs, beta_i = B C / (S_k M) for the bin k of output i.

    The gradient norm g = |sigmoid(z) - y| falls into one of `bins` equal bins of [0, 1]; R_k outputs are in bin k, M bins
    are not empty. S_k is R_k, or with `momentum` m > 0 the moving average S_k <- m S_k + (1 - m) R_k, which starts at 0 (so
    the first weights are 1 / (1 - m) times too large) and does not change while its bin is empty, as in the authors' code.
    Source: Li, Liu and Wang (2019).
    """

    memory: Tensor
    edges: Tensor

    def __init__(
        self, classes: int, knobs: Mapping[str, float], counts: Tensor | None, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(classes, knobs, counts, generator)
        bins = int(knobs["bins"])
        self.register_buffer("memory", torch.zeros(bins))
        self.register_buffer("edges", torch.arange(1, bins) / bins, persistent=False)

    @torch.no_grad()
    def _beta(self, z: Tensor) -> Tensor:
        """Weight of every output, from its logit times +1 for the true class and -1 for the others. [B, C]"""
        g = torch.sigmoid(-z)  # |sigmoid(logit) - y|
        at = torch.bucketize(g, self.edges.to(g.dtype), right=True).flatten()
        number = torch.zeros_like(self.memory).scatter_add_(0, at, torch.ones_like(at, dtype=self.memory.dtype))
        filled = number > 0
        momentum = self.knobs["momentum"]
        if momentum > 0:
            self.memory.copy_(torch.where(filled, momentum * self.memory + (1 - momentum) * number, self.memory))
            number = self.memory
        beta = torch.where(filled, z.numel() / number.clamp_min(1e-12), 0.0) / filled.sum()
        return beta[at].view_as(z).to(z.dtype)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = batch.logits()
        z = in_full(logits)
        z = z * signs(z, batch.labels)
        return -(self._beta(z) * logsigmoid(z)).sum() / z.numel(), logits
