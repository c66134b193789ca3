"""The one loss through which every method that sets terms acts.

    reduce_i[ weight_y alpha (1 - p_y)^focus_y CE_smoothing_y( s (scale_c z_c + shift_c - margin_y 1[c=y]) ) ]

Shapes: B samples, C classes; logits_BC float, labels_B int64, terms [C]. Three knobs of
a method act here as well: s is a common factor inside the softmax (LDAM), alpha a common factor of the loss (focal), and
detached keeps the focusing factor out of the gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from core.errors import EvenlyError
from core.methods.types import ClassTerms

# The choices of the setting `reduction`, stated again because reporting.loss_source evaluates this file by itself; a test compares.
REDUCTIONS = ("weighted_mean", "batch_mean")
NO_KNOBS: Mapping[str, float] = MappingProxyType({})


def tensor_terms(terms: ClassTerms, device: torch.device, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """The terms the method sets as [C] tensors on the device. `sampling` is left out: the sampler uses it."""
    return {k: torch.as_tensor(v, dtype=dtype, device=device) for k, v in terms.set().items() if k != "sampling"}


def in_full(logits_BC: Tensor, terms: Mapping[str, Tensor] = NO_KNOBS) -> Tensor:
    """The logits in the precision of the loss: float32, or float64 if logits or terms are float64."""
    given = next((v.dtype for v in terms.values()), torch.float32)
    return logits_BC.to(torch.promote_types(logits_BC.dtype, given))


def left_out(
    labels_B: Tensor, mask: Tensor, generator: torch.Generator | None, knobs: Mapping[str, float] = NO_KNOBS
) -> Tensor:
    """Which classes are left out for which sample: each class but the sample's own with probability mask_c. bool [B, C]

    Each sample and class has its own random number; with the knob together, one is used for the whole batch.

    The numbers come from `generator`, on the CPU whatever the device, so that a step can be repeated; without one,
    EvenlyError. Source: equalization loss, Tan et al. (2020), drawn per sample and class.
    """
    if generator is None:
        raise EvenlyError(
            "the term mask is drawn in every step and needs a generator; give one seeded by the run's seed and the step"
        )
    shape = (1, 1) if knobs.get("together") else (len(labels_B), len(mask))
    draw = torch.rand(shape, generator=generator).to(mask.device).expand(len(labels_B), -1)
    return (draw < mask).scatter(1, labels_B[:, None], False)


def sample_losses(
    logits_BC: Tensor,
    labels_B: Tensor,
    terms: Mapping[str, Tensor],
    knobs: Mapping[str, float] = NO_KNOBS,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Loss of each sample before its weight: smoothed, focused cross entropy of the adjusted logits. [B]

    Smoothing spreads its mass over all C classes, including the true one, as torch's label_smoothing does.
    The gradient flows through the focusing factor (Lin et al., 2017) unless the knob `detached` is set; 1 - p is clamped
    above 1e-6, because its power has an infinite slope at 0 for exponents below 1. A class that the mask leaves out for
    a sample is neither in that sample's softmax nor in its smoothing.
    """
    z = in_full(logits_BC, terms)
    if (scale := terms.get("scale")) is not None:
        z = z * scale
    if (shift := terms.get("shift")) is not None:
        z = z + shift
    if (margin := terms.get("margin")) is not None:
        z = z.scatter_add(1, labels_B[:, None], -margin[labels_B][:, None])
    if "s" in knobs:
        z = z * knobs["s"]
    out = None
    if (mask := terms.get("mask")) is not None:
        out = left_out(labels_B, mask, generator, knobs)
        z = z.masked_fill(out, -torch.inf)
    log_p = torch.log_softmax(z, dim=1)
    true = log_p.gather(1, labels_B[:, None]).squeeze(1)
    losses = -true
    if (smoothing := terms.get("smoothing")) is not None:
        share = smoothing[labels_B]
        losses = (1 - share) * losses - share * _mean(log_p, out)
    if (focus := terms.get("focus")) is not None:
        factor = (-torch.expm1(true)).clamp_min(1e-6) ** focus[labels_B]
        losses = losses * (factor.detach() if knobs.get("detached") else factor)
    return losses * knobs["alpha"] if "alpha" in knobs else losses


def _mean(log_p: Tensor, out: Tensor | None) -> Tensor:
    """Mean over the classes that are in the softmax. [B]"""
    if out is None:
        return log_p.mean(dim=1)
    return log_p.masked_fill(out, 0.0).sum(dim=1) / (~out).sum(dim=1)


def reduced(losses_B: Tensor, labels_B: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """The scalar to minimize, from the loss of each sample and the class weights [C].

    weighted_mean divides by the sum of the weights in the batch, as torch's CrossEntropyLoss(weight=w) does, so a
    common factor of the weights has no effect. A batch with only classes of weight 0 has loss 0 and gradient 0, where
    torch divides 0 by 0. batch_mean divides by B: a common factor acts like a learning rate. An unknown reduction raises EvenlyError.
    """
    if reduction not in REDUCTIONS:
        raise EvenlyError(f"unknown reduction {reduction!r}; known: {', '.join(REDUCTIONS)}")
    if weight is None:
        return losses_B.mean()
    w = weight[labels_B]
    total = (w * losses_B).sum()
    if reduction == "batch_mean":
        return total / len(labels_B)
    norm = w.sum()
    return total / (norm + (norm == 0))  # no `if`: it would wait for the device and cannot be in a captured graph


def class_loss(
    logits_BC: Tensor,
    labels_B: Tensor,
    terms: Mapping[str, Tensor],
    reduction: str,
    knobs: Mapping[str, float] = NO_KNOBS,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The scalar to minimize: `sample_losses`, then `reduced`. Errors as there."""
    return reduced(
        sample_losses(logits_BC, labels_B, terms, knobs, generator), labels_B, terms.get("weight"), reduction
    )
