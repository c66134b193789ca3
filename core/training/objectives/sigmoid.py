"""Per-class binary losses, summed over the classes: sigmoid focal loss and equalization loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from core.training.losses import NO_KNOBS, in_full, left_out, reduced
from core.training.objectives.base import Batch, Objective


def signs(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """1 for a sample's own class, -1 for the others. [B, C]"""
    return torch.full_like(logits_BC, -1.0).scatter(1, labels_B[:, None], 1.0)


def sigmoid_losses(
    logits_BC: Tensor,
    labels_B: Tensor,
    terms: Mapping[str, Tensor],
    knobs: Mapping[str, float] = NO_KNOBS,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Loss of each sample before its weight: sum_c w_c alpha_c (1 - pt_c)^focus_y BCE_c. [B]

    pt is sigmoid(z) for the true class and 1 - sigmoid(z) for the others. alpha_c is the knob alpha for the true class and
    1 - alpha for the others, 1 without the knob. The knob detached keeps (1 - pt)^focus out of the gradient.
    w_c = 1 - beta_c (1 - y_c), beta_c is 1 with probability mask_c, drawn per sample and class, or with the knob together per batch.
    With alpha .25 and focus 2 it is torchvision's sigmoid_focal_loss. Sources: Lin et al. (2017), Tan et al. (2020).
    """
    z = in_full(logits_BC, terms)
    side = signs(z, labels_B)
    z = z * side
    losses = -logsigmoid(z)
    if (focus := terms.get("focus")) is not None:
        factor = torch.exp(focus[labels_B][:, None] * logsigmoid(-z))  # (1 - pt)^focus, with a finite slope everywhere
        losses = losses * (factor.detach() if knobs.get("detached") else factor)
    if "alpha" in knobs:
        losses = losses * (0.5 + side * (knobs["alpha"] - 0.5))
    if (mask := terms.get("mask")) is not None:
        losses = losses.masked_fill(left_out(labels_B, mask, generator, knobs), 0.0)
    return losses.sum(dim=1)


class Sigmoid(Objective):
    """`sigmoid_losses`, times the weight of the sample's class. Divided by the number of samples, which is the number of
    positives, or with weighted_mean by the sum of the weights."""

    takes = frozenset({"weight", "focus", "mask"})

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = batch.logits()
        losses = sigmoid_losses(logits, batch.labels, batch.terms, self.knobs, batch.generator)
        return reduced(losses, batch.labels, batch.terms.get("weight"), batch.reduction), logits
