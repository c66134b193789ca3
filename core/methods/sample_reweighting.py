"""Methods whose weights are renewed with every step. The step itself is in core/training/objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from core.methods.method import Golden, Method, class_even_meta
from core.methods.types import ClassTerms, Evidence
from core.registry import Param, Source


def group_dro(evidence: Evidence, *, eta: float, adjustment: float) -> ClassTerms:
    """q_c <- q_c exp(eta l_c), normalised; loss = sum_c q_c l_c, l_c the mean loss of the class in the batch (+ adjustment / sqrt n_c)."""
    return ClassTerms(objective="group_dro", knobs={"eta": eta, "adjustment": adjustment})


def l2rw(evidence: Evidence) -> ClassTerms:
    """Sample weights from one gradient: how much each sample would have lowered the loss on meta samples."""
    return ClassTerms(objective="l2rw")


MWN_RATES = {"noise_code": 1e-3, "imbalance_code": 1e-5}  # of the weight network, in the authors' codes


def meta_weight_net(evidence: Evidence, *, hidden: int, lr: float | str, variant: str) -> ClassTerms:
    """Sample weights from a small network that looks at the sample's loss and learns from meta samples."""
    other = {"summed": 1.0, "sgd": 1.0} if variant == "imbalance_code" else {}
    return ClassTerms(
        objective="meta_weight_net",
        knobs={"hidden": hidden, "lr": MWN_RATES[variant] if lr == "published" else float(lr), **other},
    )


def _mwn_latex(params: Mapping[str, Any]) -> str:
    share = (
        r"\frac{V_\theta(\ell_i)}{\sum_j V_\theta(\ell_j)}"
        if params["variant"] == "imbalance_code"
        else r"\tfrac{1}{B}\, V_\theta(\ell_i)"
    )
    return rf"w_i = {share},\quad V_\theta = \sigma \circ \mathrm{{MLP}}_{{1-<hidden>-1}}"


_ETA = Param(
    key="eta",
    label="Eta",
    default=0.01,
    low=0.0,
    high=10.0,
    step=0.01,
    help="Step size of the weights; the authors use 0.01. 0 keeps them equal.",
)
_ADJUSTMENT = Param(
    key="adjustment",
    label="Adjustment",
    default=0.0,
    low=0.0,
    high=100.0,
    step=0.5,
    help="K of the summand K / sqrt(n_c) on each class's loss; 0 as published by default.",
)
_HIDDEN = Param(
    key="hidden",
    label="Hidden units",
    default=100,
    low=1,
    high=1000,
    step=1,
    integer=True,
    help="Width of the hidden layer.",
)
_LR = Param(
    key="lr",
    label="Rate of the weight network",
    default="published",
    low=1e-7,
    high=1.0,
    step=1e-4,
    words=("published",),
    help="published: 0.001 for noise_code, 0.00001 for imbalance_code.",
)
_MWN_VARIANT = Param(
    "variant",
    "Variant",
    "noise_code",
    choices=tuple(MWN_RATES),
    help="noise_code, the authors' code for noisy labels: the mean of weight times loss over the batch, "
    "a network that learns by Adam. imbalance_code, their code for "
    "imbalance: the weights are divided by their sum, and the network learns by Nesterov SGD. Neither looks at the reduction of the run.",
)

META = frozenset({"meta"})
_FROM_VALIDATION = (
    "The meta samples are taken from the validation split: its figures then flatter the run; "
    "judge it by the test split. A step costs about three times a plain one."
)

ORDER = 70
ROWS = (
    Method(
        key="group_dro",
        label="Group DRO over classes",
        group="Per step",
        terms=group_dro,
        params=(_ETA, _ADJUSTMENT),
        formula=r"q_c \leftarrow \frac{q_c\, e^{<eta> \ell_c}}{\sum_k q_k\, e^{<eta> \ell_k}},\quad L = \sum_c q_c \ell_c,"
        r"\quad \ell_c = \frac{1}{B_c}\sum_{y_i = c} \mathrm{CE}_i + \frac{<adjustment>}{\sqrt{n_c}}",
        needs=frozenset(),
        slider=None,
        summary="Weighs the classes by how large their loss has been: a step towards the worst class, every step.",
        caveat="A class absent from a batch has loss 0 there, before the adjustment, and falls back. "
        "The authors always add a balanced sampler, strong weight decay or early stopping: "
        "without them an over-parameterised network brings every loss to 0.",
        source=Source(
            "Sagawa, Koh, Hashimoto and Liang",
            2020,
            "Distributionally robust neural networks for group shifts",
            "https://arxiv.org/abs/1911.08731",
        ),
        when="The worst class is what counts.",
        weighs=True,
        evens=lambda p: float(p["adjustment"] > 0 and p["eta"] > 0),
        decided="Decided in every step: a class whose loss is high gets more weight in the next step.",
        objective="core.training.objectives.group_dro:GroupDRO",
        golden=(
            Golden(
                given={"logits": ((0, 0), (math.log(3), 0)), "labels": (0, 0)},
                expect={"loss": math.log(8 / 3) / 2 / (1 + math.sqrt(3 / 8))},
                params={"eta": 1},
            ),
        ),
    ),
    Method(
        key="l2rw",
        label="Learning to reweight (L2RW)",
        group="Per step",
        terms=l2rw,
        params=(),
        formula=r"w_i \propto \max\left(-\frac{\partial}{\partial \epsilon_i} L_\mathrm{meta}"
        r"(\theta - \eta \nabla \textstyle\sum_j \epsilon_j \ell_j)\Big|_{\epsilon = 0}, 0\right)",
        needs=META,
        slider=None,
        summary="Before every step it asks which samples of the batch lower the loss on balanced meta samples, and counts only those.",
        caveat=_FROM_VALIDATION,
        source=Source(
            "Ren, Zeng, Yang and Urtasun",
            2018,
            "Learning to reweight examples for robust deep learning",
            "https://arxiv.org/abs/1803.09050",
        ),
        when="Small, clean and balanced validation data beside biased or noisy training data.",
        weighs=True,
        evens=class_even_meta,
        decided="Decided in every step: a sample counts as far as learning from it lowers the loss on validation samples.",
        objective="core.training.objectives.l2rw:LearningToReweight",
        golden=(Golden(given={"counts": (3, 1)}, expect={}, knobs={}),),
    ),
    Method(
        key="meta_weight_net",
        label="Meta-Weight-Net",
        group="Per step",
        terms=meta_weight_net,
        params=(_HIDDEN, _LR, _MWN_VARIANT),
        formula=r"w_i = \tfrac{1}{B}\, V_\theta(\ell_i),\quad V_\theta = \sigma \circ \mathrm{MLP}_{1-<hidden>-1}",
        needs=META,
        slider=None,
        summary="A small network turns a sample's loss into its weight; it learns from a virtual step "
        "whose result is tried on meta samples.",
        caveat="It sees the loss of a sample, not its class. "
        "Its two public codes differ in the divisor and the optimiser (variant); "
        "which of them the paper's own figures come from "
        "we could not check. " + _FROM_VALIDATION,
        source=Source(
            "Shu, Xie, Yi, Zhao, Zhou, Xu and Meng",
            2019,
            "Meta-Weight-Net: learning an explicit mapping for sample weighting",
            "https://arxiv.org/abs/1902.07379",
        ),
        when="Imbalance or noise of unknown form, and clean validation data.",
        latex=_mwn_latex,
        weighs=True,
        evens=class_even_meta,
        decided="Decided in every step: a small network turns the loss of a sample into its weight; it learns from validation samples.",
        objective="core.training.objectives.meta_weight_net:MetaWeightNet",
        golden=(
            Golden(given={"counts": (3, 1)}, expect={}, knobs={"hidden": 100, "lr": 1e-3}),
            Golden(
                given={"counts": (3, 1)},
                expect={},
                params={"variant": "imbalance_code"},
                knobs={"hidden": 100, "lr": 1e-5, "summed": 1, "sgd": 1},
            ),
        ),
    ),
)
