"""Second stages, which continue from a finished run's network and train part of it, and post-hoc steps, which train nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from core.methods.logit_adjustment import logit_adjusted
from core.methods.method import CLASSIFIER, FINETUNE, POSTHOC, Golden, Method
from core.methods.types import ClassTerms, Evidence
from core.registry import Param, Source


def crt(evidence: Evidence) -> ClassTerms:
    """A new last layer on frozen features, every class drawn equally often."""
    return ClassTerms(sampling=_equal(evidence), knobs={"fresh": 1.0})


def lws(evidence: Evidence) -> ClassTerms:
    """One factor per class on the logits of the finished last layer, learned on samples drawn equally often from every class."""
    return ClassTerms(sampling=_equal(evidence))


def oltr(evidence: Evidence, *, scale: float, feature_rate: float, memory: float, repel: float) -> ClassTerms:
    """Memory of class centroids, modulated attention and a cosine classifier; see models/networks/heads.py."""
    return ClassTerms(
        sampling=_equal(evidence),
        objective="oltr",
        knobs={"scale": scale, "feature_rate": feature_rate, "memory": memory, "repel": repel},
    )


def tau_norm(evidence: Evidence, *, tau: float, bias: str) -> ClassTerms:
    """w_c / |w_c|^tau in the last layer."""
    return ClassTerms(objective="tau_norm", knobs={"tau": tau, "bias": float(bias == "keep")})


def ncm(evidence: Evidence, *, features: str, distance: str) -> ClassTerms:
    """The class whose mean feature is nearest."""
    return ClassTerms(
        objective="ncm", knobs={"features": float(FEATURES.index(features)), "cosine": float(distance == "cosine")}
    )


def logit_adjusted_posthoc(evidence: Evidence, *, tau: float) -> ClassTerms:
    """argmax of z + shift, shift_c = -tau log pi_c, added once, by core.methods.posthoc, from the same counts. Needs counts [C]."""
    return replace(logit_adjusted(evidence, tau=-tau), objective="logit_adjusted_posthoc", knobs={"tau": tau})


def equal_tpr_bias(evidence: Evidence, *, strength: float) -> ClassTerms:
    """argmax of z + strength b, b fitted on the validation split to make the TPRs as equal as possible."""
    return ClassTerms(objective="equal_tpr_bias", knobs={"strength": strength})


_EQUAL_BIAS = (
    r"\hat y = \arg\max_c\ z_c + <strength>\, b_c,\quad "
    r"b_c \leftarrow b_c + \eta_t\left(\overline{\mathrm{TPR}}(z + b) - \mathrm{TPR}_c(z + b)\right)"
)


def _tau_norm_latex(params: Mapping[str, Any]) -> str:
    return r"z_c = \frac{w_c^\top f(x)}{\lVert w_c \rVert^{<tau>}}" + (" + b_c" if params["bias"] == "keep" else "")


def _equal(evidence: Evidence) -> np.ndarray:
    """The same probability for every class with training samples [C]."""
    there = np.ones(evidence.classes) if evidence.counts is None else (evidence.counts > 0).astype(float)
    return there / there.sum()


FEATURES = ("unc", "l2n", "cl2n")
_KANG = Source(
    "Kang, Xie, Rohrbach, Yan, Gordo, Feng and Kalantidis",
    2020,
    "Decoupling representation and classifier for long-tailed recognition",
    "https://arxiv.org/abs/1910.09217",
)
_MENON = Source(
    "Menon, Jayasumana, Rawat, Jain, Veit and Kumar",
    2021,
    "Long-tail learning via logit adjustment",
    "https://arxiv.org/abs/2007.07314",
)
_NARASIMHAN = Source(
    "Evenly, after Narasimhan and Menon",
    2021,
    "Training over-parameterized models with non-decomposable objectives",
    "https://arxiv.org/abs/2107.04641",
)

_NORM_TAU = Param(
    key="tau",
    label="Tau",
    default=0.7,
    low=0.0,
    high=2.0,
    step=0.05,
    help="0 leaves the weight vectors as they are, 1 gives every class the same norm. "
    "At 0 with the bias dropped the logits still change, by that bias; with the bias kept "
    "nothing changes. Choose it on the validation split.",
)
_BIAS = Param(
    "bias",
    "Bias of the layer",
    "drop",
    choices=("drop", "keep"),
    help="drop: removed, at tau 0 too, as in the authors' evaluation. keep: added unchanged.",
)
_FEATURES = Param(
    "features",
    "Features",
    "cl2n",
    choices=FEATURES,
    help="unc: unchanged. l2n: scaled to length 1. cl2n: centered by the overall mean, then scaled to length 1.",
)
_DISTANCE = Param("distance", "Distance", "l2", choices=("l2", "cosine"), help="How far a sample is from a class mean.")
_LA_TAU = Param(
    key="tau",
    label="Tau",
    default=1.0,
    low=-1.0,
    high=4.0,
    step=0.05,
    help="0 changes nothing, 1 is consistent with balanced accuracy.",
)
_STRENGTH = Param(
    key="strength",
    label="Strength",
    default=1.0,
    low=0.0,
    high=1.0,
    step=0.01,
    help="Share of the fitted bias: 0 changes nothing, 1 equalizes as far as the validation split allows.",
)
_SCALE = Param(
    key="scale",
    label="Scale of the cosines",
    default=16.0,
    low=1.0,
    high=100.0,
    step=1.0,
    help="Factor of the cosine classifier.",
)
_FEATURE_RATE = Param(
    key="feature_rate",
    label="Rate of the features",
    default=0.1,
    low=0.0,
    high=1.0,
    step=0.05,
    help="Learning rate of the features as a share of the last layer's: 0.01 against 0.1 in the paper.",
)
_MEMORY = Param(
    key="memory",
    label="Centroid loss",
    default=0.01,
    low=0.0,
    high=1.0,
    step=0.01,
    help="Weight of the loss that pulls features to their class centroid.",
)
_REPEL = Param(
    key="repel",
    label="Repel",
    default=0.01,
    low=0.0,
    high=1.0,
    step=0.01,
    help="Weight, inside the centroid loss, of the part that pushes other centroids away.",
)

NETWORK = frozenset({"network"})
STAGE_EPOCHS = 10  # in addition to the finished run's; Kang et al. retrain the classifier for 10
_TAILED = "Long-tailed data, after ordinary training."
_SECONDS = "Nothing is trained; it takes seconds. "
_DRAWN_EQUALLY = (
    "Every class is drawn with the same probability, with replacement; "
    "the authors' code draws four samples per class in turn, as the sampler class_aware does here. "
)

ORDER = 80
ROWS = (
    Method(
        key="crt",
        label="Classifier re-training (cRT)",
        group="Second stage",
        terms=crt,
        params=(),
        formula=r"\min_{W, b}\ \mathrm{CE}(W f(x) + b),\quad P(c) = \tfrac{1}{C}",
        needs=NETWORK,
        slider=None,
        summary="Freezes the features of a finished run and trains a new last layer on samples drawn equally from every class.",
        caveat="Features are computed once, without augmentation. "
        + _DRAWN_EQUALLY
        + "Its epochs are in addition to the baseline's.",
        source=_KANG,
        when=_TAILED,
        stage=CLASSIFIER,
        epochs=STAGE_EPOCHS,
        golden=(Golden(given={"counts": (3, 0, 1)}, expect={"sampling": (0.5, 0, 0.5)}, knobs={"fresh": 1}),),
    ),
    Method(
        key="lws",
        label="Learnable weight scaling (LWS)",
        group="Second stage",
        terms=lws,
        params=(),
        formula=r"z_c = s_c\,(w_c^\top f(x) + b_c)",
        needs=NETWORK,
        slider=None,
        summary="Freezes the network of a finished run and learns one factor per class on its logits.",
        caveat="The factor scales the bias too, as in the authors' code. " + _DRAWN_EQUALLY.strip(),
        source=_KANG,
        when=_TAILED,
        stage=CLASSIFIER,
        head="scaled",
        epochs=STAGE_EPOCHS,
        golden=(Golden(given={"counts": (3, 0, 1)}, expect={"sampling": (0.5, 0, 0.5)}, knobs={}),),
    ),
    Method(
        key="oltr",
        label="Memory and modulated attention (OLTR)",
        group="Second stage",
        terms=oltr,
        params=(_SCALE, _FEATURE_RATE, _MEMORY, _REPEL),
        formula=r"\hat x = \frac{r}{d_{\min}}\left(v + \tanh(W_s v)\odot \mathrm{softmax}(W_h v)\,M\right)",
        needs=NETWORK,
        slider=None,
        summary="Adds attention, a memory of class centroids that rare classes borrow from, "
        "and a cosine classifier to a finished run, and continues training.",
        caveat="One of the methods that the CDB paper compares. "
        + _DRAWN_EQUALLY
        + "Its epochs are in addition to the baseline's. The open-set part of the paper is left out: every test sample has a known class.",
        source=Source(
            "Liu, Miao, Zhan, Wang, Gong and Yu",
            2019,
            "Large-scale long-tailed recognition in an open world",
            "https://arxiv.org/abs/1904.05160",
        ),
        when=_TAILED,
        stage=FINETUNE,
        head="oltr",
        epochs=STAGE_EPOCHS,
        decided="Learned during training: attention, a memory of class centroids and a cosine classifier "
        "on top of the finished run.",
        objective="core.training.objectives.oltr:MemoryLoss",
        golden=(
            Golden(
                given={"counts": (3, 0, 1)},
                expect={"sampling": (0.5, 0, 0.5)},
                knobs={"scale": 16, "feature_rate": 0.1, "memory": 0.01, "repel": 0.01},
            ),
        ),
    ),
    Method(
        key="tau_norm",
        label="Tau-normalized classifier",
        group="Post-hoc",
        terms=tau_norm,
        params=(_NORM_TAU, _BIAS),
        formula=r"z_c = \frac{w_c^\top f(x)}{\lVert w_c \rVert^{<tau>}}",
        needs=NETWORK,
        slider="tau",
        summary="Shortens the weight vectors of the last layer, which are longer for frequent classes.",
        caveat=_SECONDS + "Choose tau on the validation split.",
        source=_KANG,
        when=_TAILED,
        stage=POSTHOC,
        latex=_tau_norm_latex,
        linear=True,
        decided="Applied after training: the weight vectors of the finished run's last layer are shortened.",
        golden=(Golden(given={"counts": (3, 1)}, expect={}, params={"bias": "keep"}, knobs={"tau": 0.7, "bias": 1}),),
    ),
    Method(
        key="ncm",
        label="Nearest class mean (NCM)",
        group="Post-hoc",
        terms=ncm,
        params=(_FEATURES, _DISTANCE),
        formula=r"\hat y = \arg\min_c\ d\left(f(x), \mu_c\right)",
        needs=NETWORK,
        slider=None,
        summary="Replaces the last layer: predicts the class whose mean training feature is nearest.",
        caveat=_SECONDS
        + "It often costs accuracy on frequent classes. Distances are not logits: such a run has no loss and no calibration error.",
        source=_KANG,
        when=_TAILED,
        stage=POSTHOC,
        decided="Applied after training: the class whose mean training feature is nearest is the prediction.",
        golden=(
            Golden(
                given={"counts": (3, 1)}, expect={}, params={"distance": "cosine"}, knobs={"features": 2, "cosine": 1}
            ),
        ),
    ),
    Method(
        key="logit_adjusted_posthoc",
        label="Post-hoc logit adjustment",
        group="Post-hoc",
        terms=logit_adjusted_posthoc,
        params=(_LA_TAU,),
        formula=r"\hat y = \arg\max_c\ z_c - <tau>\,\log \pi_c",
        needs=NETWORK | {"counts"},
        slider="tau",
        summary="Lowers the logits of frequent classes at prediction time.",
        caveat=_SECONDS + "On balanced data it changes nothing.",
        source=_MENON,
        when=_TAILED,
        stage=POSTHOC,
        decided="Applied after training: the finished run's logits are lowered by how frequent a class is.",
        golden=(Golden(given={"counts": (3, 1)}, expect={"shift": (math.log(4 / 3), math.log(4))}, knobs={"tau": 1}),),
    ),
    Method(
        key="equal_tpr_bias",
        label="Equal-TPR bias",
        group="Post-hoc",
        terms=equal_tpr_bias,
        params=(_STRENGTH,),
        formula=_EQUAL_BIAS,
        needs=NETWORK | {"validation"},
        slider="strength",
        summary="One bias per class on the logits, fitted on the validation split "
        "so that the worst TPR rises and the TPRs become equal; strength is the share of it that is applied.",
        caveat=_SECONDS
        + "b starts at 0 and takes 400 steps on the validation split: each raises b where the TPR of argmax z + b "
        "is below the mean, lowers it where it is above, and subtracts the mean of b; "
        "eta decays geometrically from 1 to 1/100 of the scale of the logits "
        "(the median over the samples of the distance from the true logit to the largest other). "
        "Of these b, the one with the highest minimum TPR is used; ties go to the highest "
        "second lowest, and so on; no b whose TPR variance is above that of the unchanged logits. "
        "Use it as a reference: a retraining that equalizes less, or costs more accuracy, is not worth its time. "
        "It is fitted on few samples per class, so the test "
        "split is equalized less than the validation split; the run's log gives its cost there.",
        source=_NARASIMHAN,
        when="Any finished run: what would equal TPRs cost?",
        stage=POSTHOC,
        decided="Applied after training: one bias per class on the finished run's logits, fitted on the validation split.",
        golden=(Golden(given={"counts": (3, 1)}, expect={}, params={"strength": 0.5}, knobs={"strength": 0.5}),),
    ),
)
