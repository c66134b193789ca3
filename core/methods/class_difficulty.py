"""Weights that follow the difficulty of the classes while the run trains. A_c is TPR_c of the last epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.methods.method import NO_TPR, Golden, Method, class_even_meta
from core.methods.normalization import clipped_tpr, weight_terms
from core.methods.notes import EqualBeforeFirstEpoch
from core.methods.tpr_weights import CDB_PAPER
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import Param, Source

CDB_VARIANTS = {  # epsilon, offset of the bias, factor of the sigmoid
    "paper": (1e-4, 1.0, 2.0),
    "imagenet_code": (1e-2, 1.0, 2.0),
    "cifar_code": (1e-2, 0.0, 1.0),
}


def dynamic_tau(tpr: Vector, variant: str) -> float:
    """tau = factor / (1 + exp(-b)), b = max A / (min A + epsilon) - offset, over the defined raw TPRs [C]."""
    epsilon, offset, factor = CDB_VARIANTS[variant]
    bias = np.nanmax(tpr) / (np.nanmin(tpr) + epsilon) - offset
    return float(factor / (1 + math.exp(-bias)))


def smoothed_tprs(past: NDArray[np.float64], ema: float) -> Vector:
    """Moving average of TPRs [E, C] over the epochs: A <- ema A + (1 - ema) new, starting at a class's first defined value."""
    value = past[0].copy()
    for new in past[1:]:
        mixed = ema * value + (1 - ema) * new
        value = np.where(np.isnan(value), new, np.where(np.isnan(new), value, mixed))
    return value


def _kept(past: NDArray[np.float64], params: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """The moving average [1, C] of the TPRs [E, C] so far, from which later epochs continue bit for bit; None without smoothing."""
    return smoothed_tprs(past, params["ema"])[None] if params["ema"] > 0 else None


def cdb(evidence: Evidence, *, tau: float | str, variant: str, normalize: str, ema: float) -> ClassTerms:
    """w_c ~ (1 - A_c)^tau, rescaled to mean 1 or not, A_c the last epoch's validation TPR; all 1 before the first epoch.

    "dynamic" computes tau from the raw TPRs and the weights from the clipped ones. With `ema` > 0 A_c is a moving
    average over the epochs so far. Uses last_tpr [C], and past for the average.
    """
    if evidence.last_tpr is None:
        return ClassTerms(weight=np.ones(evidence.classes), notes=(EqualBeforeFirstEpoch("weight"),))
    seen = smoothed_tprs(evidence.past, ema) if ema > 0 and evidence.past is not None else evidence.last_tpr
    tpr, clipped, notes = clipped_tpr(seen, evidence.last_support)
    if np.isnan(tpr).all():
        raise EvenlyError("cdb: no class has validation samples, so there is no TPR; check the validation split")
    power = dynamic_tau(np.where(np.isnan(tpr), np.nan, seen), variant) if tau == "dynamic" else float(tau)
    return weight_terms(
        (1 - tpr) ** power,
        missing=NO_TPR,
        mean_one=normalize == "mean_one",
        clipped=clipped,
        notes=notes,
        info={"tau": power},
    )


def difficulty_net(evidence: Evidence, *, driver: float, lr: float, variant: str) -> ClassTerms:
    """A small network maps last_tpr [C] to weights and is trained in every step: core/training/objectives."""
    copied = {"copied": 1.0} if variant == "cifar_code" else {}
    return ClassTerms(objective="difficulty_net", knobs={"driver": driver, "lr": lr, **copied})


_NET_FORMULA = (
    r"w_c = \frac{C\,D_{\theta,c}(\mathrm{TPR}_{t-1})}{\sum_k D_{\theta,k}(\mathrm{TPR}_{t-1})},\quad "
    r"\min_\theta\ META\frac{<driver>}{C}\sum_c "
    r"\left(D_{\theta,c} - \left(1 - \tfrac{\mathrm{TPR}_c}{\sum_k \mathrm{TPR}_k}\right)\right)^2"
)


def _net_latex(params: Mapping[str, Any]) -> str:
    """The formula, with the meta loss where the network learns from it."""
    return _NET_FORMULA.replace("META", "" if params["variant"] == "cifar_code" else r"\mathrm{CE}_\mathrm{meta} + ")


_CDB_TAU = Param(
    key="tau",
    label="Tau",
    default="dynamic",
    low=0.0,
    high=8.0,
    step=0.05,
    words=("dynamic",),
    help="A fixed exponent, or dynamic: 2 / (1 + exp(-b)) with b = max TPR / (min TPR + eps) - 1, updated after every epoch.",
)
_VARIANT = Param(
    "variant",
    "Variant",
    "paper",
    choices=tuple(CDB_VARIANTS),
    help="Constants of dynamic tau. paper: eps 0.0001. imagenet_code: eps 0.01. cifar_code: eps 0.01, no - 1 in b and no factor 2, "
    "so tau approaches 1 instead of 2. A fixed tau gives the same weights in all three.",
)
_NORMALIZE = Param(
    "normalize",
    "Normalize",
    "mean_one",
    choices=("none", "mean_one"),
    help="mean_one: as in both codes. none: as in the paper, which states no rescaling. "
    "With the weighted mean reduction both give the same loss; with the batch mean the paper's "
    "weights, all at most 1, also lower the learning rate.",
)
_EMA = Param(
    key="ema",
    label="Smoothing of the TPRs",
    default=0.0,
    low=0.0,
    high=0.99,
    step=0.01,
    help="Moving average of the validation TPRs over the epochs: 0 uses the last epoch alone, as published; 0.9 averages about ten.",
)
_DRIVER = Param(
    key="driver",
    label="Driver weight",
    default=0.3,
    low=0.0,
    high=10.0,
    step=0.05,
    help="Weight of the driver loss, which pulls the network's output toward the relative difficulty 1 - TPR / sum TPR.",
)
_NET_VARIANT = Param(
    "variant",
    "Variant",
    "paper",
    choices=("paper", "cifar_code"),
    help="paper: the network learns from the meta loss after a virtual step and from the driver loss. "
    "cifar_code: the released CIFAR code copies the weights "
    "of the virtual step without their gradient, so the network learns from the driver loss alone.",
)
_META_LR = Param(
    key="lr",
    label="Rate of the difficulty network",
    default=1e-5,
    low=1e-7,
    high=1.0,
    step=1e-5,
    help="Adam's learning rate: 0.00001 in the authors' CIFAR code, 0.001 in their ImageNet configuration.",
)

ORDER = 40
ROWS = (
    Method(
        key="cdb",
        label="Class-wise difficulty (CDB)",
        group="While training",
        terms=cdb,
        params=(_CDB_TAU, _VARIANT, _NORMALIZE, _EMA),
        formula=r"w_{c,t} <normalize> (1 - \mathrm{TPR}_{c,t-1})^{<tau>}",
        needs=frozenset({"last_tpr"}),
        slider="tau",
        summary="Weights from the run's own validation TPRs, updated after every epoch; all 1 in the first.",
        caveat="The released code differs from the paper: both codes use eps 0.01 and rescale to mean 1 (normalize), "
        "and the CIFAR code's dynamic tau has half the paper's range (variant). "
        "The ImageNet code divides by the sum of the weights, the CIFAR code by the batch size: "
        "choose the reduction to match. "
        "With few epochs or a constant learning rate the weights can oscillate between classes and cost accuracy. "
        "A smaller tau, smoothing of the TPRs "
        "or a learning rate that decays to zero helps.",
        source=CDB_PAPER,
        when="Classes differ in difficulty, the counts do not show which are hard, and the run has many epochs.",
        keeps=_kept,
        tested_with={"ema": 0.5},
    ),
    Method(
        key="difficulty_net",
        label="Difficulty-Net",
        group="While training",
        terms=difficulty_net,
        params=(_DRIVER, _META_LR, _NET_VARIANT),
        formula=_net_latex({"variant": "paper"}),
        needs=frozenset({"last_tpr", "meta"}),
        slider=None,
        summary="A small network maps the last epoch's validation TPRs to weights; "
        "it learns from the loss on meta samples after a virtual step.",
        caveat="TPRs are 0 before the first epoch and for a class without validation samples. "
        "The loss is divided by the batch size, as published, whatever the reduction. "
        "The meta samples come from the validation split, which the weights therefore use twice. "
        "Its figures are too optimistic: judge it by the test split. "
        "A step costs about three times as much as an ordinary one. "
        "The published figures are from 12,800 epochs: do not compare them with runs of 200.",
        source=Source(
            "Sinha and Ohashi",
            2023,
            "Difficulty-Net: learning to predict difficulty for long-tailed recognition",
            "https://arxiv.org/abs/2209.02960",
        ),
        when="Classes differ in difficulty and a run has very many epochs.",
        weighs=True,
        evens=class_even_meta,
        latex=_net_latex,
        decided="Computed during training: a small network, trained alongside, maps the run's last validation TPRs to weights.",
        objective="core.training.objectives.difficulty_net:DifficultyNet",
        tested_with={"variant": "cifar_code"},
        golden=(Golden(given={"tpr": (0.5, 0.25)}, expect={}, knobs={"driver": 0.3, "lr": 1e-5}),),
    ),
)
