"""The optimizer of a recipe, and its learning rate at a point of the run."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from core.experiment.config import RunConfig
from core.experiment.recipes import RECIPES
from core.training.device import Device


def _flags(device: Device) -> dict[str, bool]:
    """The optimizer flags that depend on this hardware; those in a checkpoint from other hardware are ignored."""
    return {"fused": device.device.type != "mps"}


def _rate(value: float, device: Device) -> float | torch.Tensor:
    return torch.tensor(float(value), device=device.device) if device.graphs else float(value)


def _groups(model: nn.Module, feature_rate: float) -> list[dict[str, Any]]:
    """The trainable parameters: two groups if the model's `body` has its own learning rate, and a last one without weight decay
    for the parameters that layers list in `undecayed`. `share` scales a group's rate."""
    undecayed = [
        getattr(layer, name)
        for layer in model.modules()
        for name in getattr(layer, "undecayed", ())
        if getattr(layer, name).requires_grad
    ]
    apart = {id(p) for p in undecayed}
    learning = [p for p in model.parameters() if p.requires_grad and id(p) not in apart]
    last = [{"params": undecayed, "share": 1.0, "weight_decay": 0.0}] if undecayed else []
    if feature_rate == 1:
        return [{"params": learning, "share": 1.0}, *last]
    body = {id(p) for p in model.body.parameters()}
    parts = ([p for p in learning if id(p) in body], feature_rate), ([p for p in learning if id(p) not in body], 1.0)
    return [*({"params": params, "share": share} for params, share in parts), *last]


def build_optimizer(
    config: RunConfig, model: nn.Module, device: Device, feature_rate: float = 1.0
) -> torch.optim.Optimizer:
    """AdamW or Nesterov SGD, fused. On CUDA the rate is a tensor, so that a captured graph reads the new value in each step."""
    groups = _groups(model, feature_rate)
    recipe, given = RECIPES[config.recipe], config.recipe_params
    common = {"lr": _rate(given["lr"], device), "weight_decay": given["weight_decay"], **_flags(device)}
    if recipe.optimizer == "sgd":
        momentum = given["momentum"]
        return torch.optim.SGD(groups, momentum=momentum, nesterov=momentum > 0, **common)
    return torch.optim.AdamW(groups, capturable=device.graphs, **common)


def load_state(optimizer: torch.optim.Optimizer, state: dict[str, Any], device: Device) -> None:
    """Load an optimizer's state; flags for the hardware it was saved on are replaced by those of this one."""
    optimizer.load_state_dict(state)
    for group in optimizer.param_groups:
        group.update(_flags(device), lr=_rate(float(group["lr"]), device))
        if "capturable" in group:
            group["capturable"] = device.graphs


def learning_rate(config: RunConfig, t: float) -> float:
    """lr * factor(t) of the config's recipe, t in [0, 1) the share of the run done."""
    return float(config.recipe_params["lr"]) * RECIPES[config.recipe].factor(t)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group, times its share; in place if it is a tensor on the device."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate * group["share"])
        else:
            group["lr"] = rate * group["share"]
