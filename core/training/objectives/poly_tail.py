"""Polynomially tailed loss: cross entropy whose tail falls as a power of the margin."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from core.training.losses import in_full, reduced
from core.training.objectives.base import Batch, Objective


def margins(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """z_y - log sum_{j != y} exp z_j: cross entropy is softplus(-margin). [B]"""
    own = labels_B[:, None]
    true = logits_BC.gather(1, own).squeeze(1)
    return true - logits_BC.scatter(1, own, -torch.inf).logsumexp(dim=1)


def tailed(margin: Tensor, alpha: float, beta: float) -> Tensor:
    """log(1 + e^-m) / log(1 + e^-beta) below m = beta, 1 / (m - (beta - 1))^alpha from there on; both are 1 at m = beta.

    Each branch gets clamped input, so that it cannot put NaN into the gradient of the other.
    """
    head = softplus(-margin.clamp_max(beta)) / math.log1p(math.exp(-beta))
    tail = (margin.clamp_min(beta) - (beta - 1)) ** -alpha
    return torch.where(margin < beta, head, tail)


class PolynomialTail(Objective):
    """`tailed` margins, weighted and reduced as in the one loss. Knobs: alpha, beta.

    Source: Wang, Chatterji, Haque and Hashimoto (2022), for two classes. Their code uses the largest other logit for the
    margin of C classes; log-sum-exp keeps cross entropy below beta. It also divides by log(1 + e^-1) for any beta, which
    makes the loss discontinuous at any beta other than 1.
    """

    takes = frozenset({"weight"})

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = batch.logits()
        losses = tailed(margins(in_full(logits, batch.terms), batch.labels), self.knobs["alpha"], self.knobs["beta"])
        return reduced(losses, batch.labels, batch.terms.get("weight"), batch.reduction), logits
