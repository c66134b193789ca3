"""Methods whose weights are updated in every step. The step itself is in core/training/objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from core.methods.method import Golden, Method, class_even_meta
from core.methods.types import ClassTerms, Evidence
from core.registry import Param, Source


def group_dro(evidence: Evidence, *, eta: float, adjustment: float) -> ClassTerms:
    """q_c <- q_c exp(eta l_c), normalized; loss = sum_c q_c l_c, l_c the mean loss of the class in the batch (+ adjustment / sqrt n_c)."""
    return ClassTerms(objective="group_dro", knobs={"eta": eta, "adjustment": adjustment})


def l2rw(evidence: Evidence) -> ClassTerms:
    """Sample weights from one gradient: how much training on each sample would lower the loss on meta samples."""
    return ClassTerms(objective="l2rw")


MWN_RATES = {"noise_code": 1e-3, "imbalance_code": 1e-5}  # of the weight network, in the authors' codes


def meta_weight_net(evidence: Evidence, *, hidden: int, lr: float | str, variant: str) -> ClassTerms:
    """Sample weights from a small network whose input is the sample's loss and which learns from meta samples."""
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
    help="K of the term K / sqrt(n_c) added to each class's loss; 0 is the published default.",
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
    "the weight network trained by Adam. imbalance_code, their code for "
    "imbalance: the weights are divided by their sum, and the network is trained by Nesterov SGD. Neither uses the run's reduction.",
)

META = frozenset({"meta"})
_FROM_VALIDATION = (
    "The meta samples come from the validation split, so its figures are too optimistic: "
    "judge it by the test split. A step costs about three times as much as an ordinary one."
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
        summary="Weights the classes by how large their loss has been: every step shifts weight to the worst class.",
        caveat="A class missing from a batch has loss 0 there, before the adjustment, and loses weight. "
        "The authors always add a balanced sampler, strong weight decay or early stopping: "
        "without them an over-parameterized network brings every loss to 0.",
        source=Source(
            "Sagawa, Koh, Hashimoto and Liang",
            2020,
            "Distributionally robust neural networks for group shifts",
            "https://arxiv.org/abs/1911.08731",
        ),
        when="Only the worst class matters.",
        weighs=True,
        evens=lambda p: float(p["adjustment"] > 0 and p["eta"] > 0),
        decided="Computed in every step: a class with a high loss gets more weight in the next step.",
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
        summary="Before every step, finds the samples of the batch that lower the loss on balanced meta samples, and counts only those.",
        caveat=_FROM_VALIDATION,
        source=Source(
            "Ren, Zeng, Yang and Urtasun",
            2018,
            "Learning to reweight examples for robust deep learning",
            "https://arxiv.org/abs/1803.09050",
        ),
        when="Biased or noisy training data, with small, clean and balanced validation data.",
        weighs=True,
        evens=class_even_meta,
        decided="Computed in every step: a sample counts as much as training on it lowers the loss on validation samples.",
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
        summary="A small network maps a sample's loss to its weight; it learns from the loss on meta samples "
        "after a virtual step.",
        caveat="It sees the loss of a sample, not its class. "
        "Its two public codes differ in the divisor and the optimizer (variant); "
        "we could not verify which of them produced the paper's figures. " + _FROM_VALIDATION,
        source=Source(
            "Shu, Xie, Yi, Zhao, Zhou, Xu and Meng",
            2019,
            "Meta-Weight-Net: learning an explicit mapping for sample weighting",
            "https://arxiv.org/abs/1902.07379",
        ),
        when="Imbalance or noise of unknown form, with clean validation data.",
        latex=_mwn_latex,
        weighs=True,
        evens=class_even_meta,
        decided="Computed in every step: a small network maps the loss of a sample to its weight; it learns from validation samples.",
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
