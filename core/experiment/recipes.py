"""Optimizer recipes: the optimizer and the learning-rate schedule of a run.

A recipe is a row; its schedule is a pure function of progress t in [0, 1): learning rate = lr * factor(t).
The engine builds the optimizer from `optimizer`; nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.registry import Param, Registry, Source


def constant(t: float) -> float:
    """The learning-rate schedule that is 1 throughout."""
    return 1.0


def cosine(t: float) -> float:
    """(1 + cos(pi t)) / 2, from 1 to 0. Source: Loshchilov & Hutter (2017)."""
    return (1 + math.cos(math.pi * t)) / 2


def one_cycle(t: float) -> float:
    """Linear from .04 to 1 in the first 30 %, cosine to 0 in the rest. Source: Smith & Topin (2018), simplified."""
    if t < 0.3:
        return 0.04 + 0.96 * t / 0.3
    return cosine((t - 0.3) / 0.7)


def long_tail_steps(t: float) -> float:
    """Linear warm-up over 2.5 %, then 1, .01 from 80 %, .0001 from 90 %: the usual CIFAR-LT schedule (Cao et al., 2019)."""
    if t < 0.025:
        return max(t / 0.025, 0.02)
    return 1.0 if t < 0.8 else 0.01 if t < 0.9 else 0.0001


@dataclass(frozen=True)
class Recipe:
    """optimizer is "adamw" or "sgd"; `params` always hold lr, batch_size and weight_decay; sgd uses momentum too."""

    key: str
    label: str
    optimizer: str
    factor: Callable[[float], float]
    epochs: int
    params: tuple[Param, ...]
    summary: str
    source: Source


_LR = Param(
    key="lr",
    label="Learning rate",
    default=0.01,
    low=1e-6,
    high=1e6,
    step=0.001,
    help="Peak learning rate; the schedule scales it.",
)
_BATCH_SIZE = Param(
    key="batch_size",
    label="Batch size",
    default=128,
    low=1,
    high=65536,
    step=1,
    integer=True,
    help="Samples per step.",
)
_WEIGHT_DECAY = Param(
    key="weight_decay",
    label="Weight decay",
    default=5e-4,
    low=0.0,
    high=10.0,
    step=1e-4,
    help="L2 penalty; restores part of the effect that class weights lose.",
)
_MOMENTUM = Param(
    key="momentum",
    label="Momentum",
    default=0.9,
    low=0.0,
    high=0.999,
    step=0.01,
    help="Nesterov momentum of SGD.",
)


def _params(lr: float, batch_size: int, weight_decay: float, *more: Param) -> tuple[Param, ...]:
    """The parameters that every recipe has, with these defaults, and more of its own."""
    given = ((_LR, lr), (_BATCH_SIZE, batch_size), (_WEIGHT_DECAY, weight_decay))
    return (*(replace(param, default=default) for param, default in given), *more)


RECIPES = Registry(
    "recipe",
    Recipe(
        key="adam_cycle",
        label="AdamW, one cycle",
        optimizer="adamw",
        factor=one_cycle,
        epochs=20,
        params=_params(0.01, 100, 0.01),
        summary="Warm-up, then cosine to zero: fast and stable on small data.",
        source=Source("Smith and Topin", 2018, "Super-convergence", "https://arxiv.org/abs/1708.07120"),
    ),
    Recipe(
        key="sgd_cosine",
        label="SGD, cosine",
        optimizer="sgd",
        factor=cosine,
        epochs=30,
        params=_params(0.1, 128, 5e-4, _MOMENTUM),
        summary="Nesterov SGD with a cosine schedule to zero.",
        source=Source(
            "Loshchilov and Hutter",
            2017,
            "SGDR: stochastic gradient descent with warm restarts",
            "https://arxiv.org/abs/1608.03983",
        ),
    ),
    Recipe(
        key="sgd_steps",
        label="SGD, CIFAR-LT steps",
        optimizer="sgd",
        factor=long_tail_steps,
        epochs=200,
        params=_params(0.1, 128, 2e-4, _MOMENTUM),
        summary="Warm-up, then x .01 at 80 % and x .0001 at 90 % of the epochs, as in LDAM-DRW.",
        source=Source(
            "Cao, Wei, Gaidon, Arechiga and Ma",
            2019,
            "Learning imbalanced datasets with label-distribution-aware margin loss",
            "https://arxiv.org/abs/1906.07413",
        ),
    ),
    Recipe(
        key="sgd_constant",
        label="SGD, constant rate",
        optimizer="sgd",
        factor=constant,
        epochs=30,
        params=_params(0.01, 128, 5e-4, _MOMENTUM),
        summary="No schedule. TPRs vary strongly from epoch to epoch; compare only means over seeds.",
        source=Source("Robbins and Monro", 1951, "A stochastic approximation method"),
    ),
)
