"""The influence of a training sample's weight on the loss on meta samples: the gradient that L2RW, Meta-Weight-Net and
Difficulty-Net learn from.

A virtual step moves the parameters, theta' = theta - step sum_i a_i grad l_i(theta), and the meta loss is evaluated there:

    d L_meta(theta') / d a_i = -step < grad L_meta(theta'), grad l_i(theta) >

The inner products, one per sample, are the derivatives of the losses l_i along grad L_meta: one forward-mode pass.
A second backward pass through the virtual step would give the same, with more time and memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from core.errors import EvenlyError
from core.training.losses import in_full
from core.training.objectives.base import Batch


def plain_losses(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Cross entropy of each sample. [B]"""
    return cross_entropy(in_full(logits_BC), labels_B, reduction="none")


def influence(batch: Batch, losses_B: Tensor, weights_B: Tensor | None, step: float) -> Tensor:
    """d L_meta / d a_i for every sample of the batch, at the given weights a_i, or at 0. [B], without a graph.

    `losses_B` are the batch's cross entropies with their graph, which is kept. Neither the model's parameters nor its
    buffers change: the extra passes use copies of the running statistics of batch norm.
    """
    if batch.meta is None:
        raise EvenlyError(
            "this objective learns from meta samples but was given none; take them from the validation split"
        )
    theta = {name: p for name, p in batch.model.named_parameters() if p.requires_grad}
    moved = {name: p.detach() for name, p in theta.items()}
    if weights_B is not None:
        grads = torch.autograd.grad(
            (weights_B.detach() * losses_B).sum(), theta.values(), retain_graph=True, materialize_grads=True
        )
        moved = {name: p - step * g for (name, p), g in zip(moved.items(), grads, strict=True)}
    return -step * _along(batch, theta, _meta_gradient(batch, moved))


def _beside(batch: Batch, theta: dict[str, Tensor], x: Tensor) -> Tensor:
    """Logits of the model with other parameters and copied buffers."""
    buffers = {name: b.clone() for name, b in batch.model.named_buffers()}
    with batch.autocast():
        return functional_call(batch.model, (theta, buffers), (x,))


def _meta_gradient(batch: Batch, theta: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradient of the mean cross entropy on meta samples at `theta`."""
    x, labels = batch.meta()
    leaves = {name: p.requires_grad_() for name, p in theta.items()}
    loss = plain_losses(_beside(batch, leaves, x), labels).mean()
    grads = torch.autograd.grad(loss, leaves.values(), materialize_grads=True)
    return dict(zip(leaves, grads, strict=True))


@torch.no_grad()
def _along(batch: Batch, theta: dict[str, Tensor], direction: dict[str, Tensor]) -> Tensor:
    """Derivative of every sample's loss along a direction of the parameters. [B]"""
    with forward_ad.dual_level():
        dual = {name: forward_ad.make_dual(p.detach(), direction[name]) for name, p in theta.items()}
        losses = plain_losses(_beside(batch, dual, batch.x), batch.labels)
        return forward_ad.unpack_dual(losses).tangent.clone()


def normalized(v_B: Tensor) -> Tensor:
    """v / sum v; all 0 if the sum is 0. [B]"""
    total = v_B.sum()
    return v_B / (total + (total == 0).to(v_B.dtype))


def drawn_linear(inputs: int, outputs: int, bias: bool, generator: torch.Generator) -> nn.Linear:
    """A linear layer with torch's own initial distribution, drawn from `generator`; torch's global generator is not used."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)
    bound = inputs**-0.5
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer
