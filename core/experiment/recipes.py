"""Optimiser recipes: which optimiser, and how the learning rate moves over a run.

A recipe is a row; its schedule is a pure function of progress t in [0, 1): learning rate = lr * factor(t).
The engine builds the optimiser from `optimiser`; nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from core.registry import Param, Source, Table


def constant(t: float) -> float:
    """1 throughout."""
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
    """optimiser is "adamw" or "sgd"; `params` always hold lr, batch_size and weight_decay; sgd uses momentum too."""

    key: str
    label: str
    optimiser: str
    factor: Callable[[float], float]
    epochs: int
    params: tuple[Param, ...]
    summary: str
    source: Source


def _params(lr: float, batch_size: int, weight_decay: float, momentum: float | None = None) -> tuple[Param, ...]:
    rows = (
        Param("lr", "Learning rate", lr, 1e-6, 1e6, 0.001, help="Peak learning rate; the schedule scales it."),
        Param("batch_size", "Batch size", batch_size, 1, 65536, 1, integer=True, help="Samples per step."),
        Param(
            "weight_decay",
            "Weight decay",
            weight_decay,
            0.0,
            10.0,
            1e-4,
            help="L2 penalty; restores part of what class weights lose.",
        ),
    )
    if momentum is None:
        return rows
    return (*rows, Param("momentum", "Momentum", momentum, 0.0, 0.999, 0.01, help="Nesterov momentum of SGD."))


RECIPES = Table(
    "recipe",
    Recipe(
        "adam_cycle",
        "AdamW, one cycle",
        "adamw",
        one_cycle,
        20,
        _params(0.01, 100, 0.01),
        "Warm-up, then cosine to zero: quick and steady on small data.",
        Source("Smith and Topin", 2018, "Super-convergence", "https://arxiv.org/abs/1708.07120"),
    ),
    Recipe(
        "sgd_cosine",
        "SGD, cosine",
        "sgd",
        cosine,
        30,
        _params(0.1, 128, 5e-4, 0.9),
        "Nesterov SGD with the rate falling to zero along a cosine.",
        Source(
            "Loshchilov and Hutter",
            2017,
            "SGDR: stochastic gradient descent with warm restarts",
            "https://arxiv.org/abs/1608.03983",
        ),
    ),
    Recipe(
        "sgd_steps",
        "SGD, CIFAR-LT steps",
        "sgd",
        long_tail_steps,
        200,
        _params(0.1, 128, 2e-4, 0.9),
        "Warm-up, then x .01 at 80 % and x .0001 at 90 % of the epochs, as in LDAM-DRW.",
        Source(
            "Cao, Wei, Gaidon, Arechiga and Ma",
            2019,
            "Learning imbalanced datasets with label-distribution-aware margin loss",
            "https://arxiv.org/abs/1906.07413",
        ),
    ),
    Recipe(
        "sgd_constant",
        "SGD, constant rate",
        "sgd",
        constant,
        30,
        _params(0.01, 128, 5e-4, 0.9),
        "No schedule. TPRs swing from epoch to epoch; compare only averages over seeds.",
        Source("Robbins and Monro", 1951, "A stochastic approximation method"),
    ),
)
