"""The one loss: every method of the table acts through it.

    reduce_i[ weight_y (1 - p_y)^focus_y CE_smoothing_y( scale_c z_c + shift_c - margin_y 1[c=y] ) ]

Shapes: B samples, C classes; logits_BC float, labels_B int64, terms [C].
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from core.errors import EvenlyError
from core.evidence import ClassTerms

REDUCTIONS = ("weighted_mean", "batch_mean")


def tensor_terms(terms: ClassTerms, device: torch.device, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """The terms the method sets as [C] tensors on the device. `sampling` is left out: the sampler acts on it."""
    return {k: torch.as_tensor(v, dtype=dtype, device=device) for k, v in terms.set().items() if k != "sampling"}


def sample_losses(logits_BC: Tensor, labels_B: Tensor, terms: Mapping[str, Tensor]) -> Tensor:
    """Loss of each sample before its weight: smoothed, focused cross entropy of the adjusted logits. [B]

    Smoothing spreads its mass over all C classes, the true one included, as torch's label_smoothing does.
    The focusing factor is differentiated through (Lin et al., 2017); 1 - p is kept above 1e-6, because
    its power has an infinite slope at 0 when the exponent is below 1.
    """
    z = logits_BC.to(next(iter(terms.values())).dtype if terms else torch.float32)
    if (scale := terms.get("scale")) is not None:
        z = z * scale
    if (shift := terms.get("shift")) is not None:
        z = z + shift
    if (margin := terms.get("margin")) is not None:
        z = z.scatter_add(1, labels_B[:, None], -margin[labels_B][:, None])
    log_p = torch.log_softmax(z, dim=1)
    true = log_p.gather(1, labels_B[:, None]).squeeze(1)
    losses = -true
    if (smoothing := terms.get("smoothing")) is not None:
        share = smoothing[labels_B]
        losses = (1 - share) * losses - share * log_p.mean(dim=1)
    if (focus := terms.get("focus")) is not None:
        losses = losses * (-torch.expm1(true)).clamp_min(1e-6) ** focus[labels_B]
    return losses


def class_loss(logits_BC: Tensor, labels_B: Tensor, terms: Mapping[str, Tensor], reduction: str) -> Tensor:
    """The scalar to minimise.

    weighted_mean divides by the sum of the weights in the batch: what torch's CrossEntropyLoss(weight=w) does, so a
    common factor on the weights changes nothing. batch_mean divides by B: a common factor acts as a learning rate.
    An unknown reduction raises EvenlyError.
    """
    if reduction not in REDUCTIONS:
        raise EvenlyError(f"unknown reduction {reduction!r}; known: {', '.join(REDUCTIONS)}")
    losses = sample_losses(logits_BC, labels_B, terms)
    weight = terms.get("weight")
    if weight is None:
        return losses.mean()
    w = weight[labels_B]
    total = (w * losses).sum()
    return total / w.sum() if reduction == "weighted_mean" else total / len(labels_B)
