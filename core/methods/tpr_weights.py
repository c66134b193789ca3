r"""Weights and logit shifts from the TPRs of an earlier run. A_c is TPR_c, \bar A its mean over the classes."""

from __future__ import annotations

import math

import numpy as np

from core.methods.method import NO_TPR, NORMALIZE, Golden, Method, given
from core.methods.normalization import clipped_tpr, weight_terms
from core.methods.notes import ShiftsZero
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import Param, Source


def mean_tpr(tpr: Vector) -> float:
    """Mean over the classes that have a TPR; NaN where none has one, which `weight_terms` rejects."""
    defined = tpr[~np.isnan(tpr)]
    return float(defined.mean()) if len(defined) else math.nan


def tpr_ratio(evidence: Evidence, *, exponent: float, normalize: str, max_ratio: float) -> ClassTerms:
    """w_c = (mean A / A_c)^exponent. Equal to the source's (1 - (A_c - mean A) / A_c)^exponent. Needs tpr [C]."""
    tpr, clipped, notes = clipped_tpr(given(evidence.tpr), evidence.support)
    raw = (mean_tpr(tpr) / tpr) ** exponent
    return weight_terms(
        raw, missing=NO_TPR, mean_one=normalize == "mean_one", max_ratio=max_ratio, clipped=clipped, notes=notes
    )


def tpr_inverse(evidence: Evidence, *, max_ratio: float) -> ClassTerms:
    """w_c ~ 1 / A_c at mean 1. Needs tpr [C]."""
    tpr, clipped, notes = clipped_tpr(given(evidence.tpr), evidence.support)
    return weight_terms(1 / tpr, missing=NO_TPR, max_ratio=max_ratio, clipped=clipped, notes=notes)


def tpr_deficit(evidence: Evidence, *, tau: float) -> ClassTerms:
    """w_c ~ (1 - A_c)^tau at mean 1: CDB's difficulty, computed once from an earlier run. Needs tpr [C]."""
    tpr, clipped, notes = clipped_tpr(given(evidence.tpr), evidence.support)
    return weight_terms((1 - tpr) ** tau, missing=NO_TPR, clipped=clipped, notes=notes)


def tpr_softmax(evidence: Evidence, *, temperature: float) -> ClassTerms:
    """w = C softmax((1 - A) / temperature), over the classes with a TPR. Never 0, never infinite. Needs tpr [C].

    A TPR of 0 or 1 needs no clipping here.
    """
    tpr = given(evidence.tpr)
    tpr = tpr if evidence.support is None else np.where(evidence.support > 0, tpr, np.nan)
    logits = (1 - tpr) / temperature
    raw = np.exp(logits - np.nanmax(logits)) if not np.isnan(logits).all() else logits
    return weight_terms(raw, missing=NO_TPR)


def tpr_neglog(evidence: Evidence) -> ClassTerms:
    """w_c ~ -log A_c at mean 1. Needs tpr [C]."""
    tpr, clipped, notes = clipped_tpr(given(evidence.tpr), evidence.support)
    return weight_terms(-np.log(tpr), missing=NO_TPR, clipped=clipped, notes=notes)


def tpr_logit_adjusted(evidence: Evidence, *, tau: float) -> ClassTerms:
    """shift_c = tau log(A_c / mean A): the logit of an easy class is raised during training, so the network learns to lower it.

    A class without a TPR gets shift 0. Needs tpr [C].
    """
    tpr, clipped, notes = clipped_tpr(given(evidence.tpr), evidence.support)
    mean = mean_tpr(tpr)
    if np.isnan(mean):
        weight_terms(tpr, missing=NO_TPR)  # raises: no class has a TPR
    missing = np.isnan(tpr)
    shift = tau * np.log(np.where(missing, 1.0, tpr / mean))
    if missing.any():
        notes = (*notes, ShiftsZero(int(missing.sum()), len(tpr)))
    return ClassTerms(shift=shift, notes=notes, clipped=clipped)


CDB_PAPER = Source(
    "Sinha, Ohashi and Nakamura",
    2020,
    "Class-wise difficulty-balanced loss for solving class-imbalance",
    "https://arxiv.org/abs/2010.01824",
)
_QUESTION = Source(
    "Peifer",
    2021,
    "Weighting the loss function based on previous seen true positive rates",
    "https://stats.stackexchange.com/q/524331",
)
_OURS = Source("Evenly", 2026, "a map of TPRs without a publication of its own")

_EXPONENT = Param(
    key="exponent",
    label="Exponent",
    default=2.0,
    low=0.0,
    high=8.0,
    step=0.05,
    help="0 is unweighted, 1 is proportional to 1/TPR, larger is steeper.",
)
_MAX_RATIO = Param(
    key="max_ratio",
    label="Largest ratio",
    default=10_000.0,
    low=1.0,
    high=1e6,
    step=1.0,
    help="Clips weights at this multiple of the smallest.",
)
_TAU = Param(
    key="tau",
    label="Tau",
    default=1.0,
    low=0.0,
    high=8.0,
    step=0.05,
    help="0 is unweighted, 1 is proportional to 1 - TPR, larger is steeper.",
)
_TEMPERATURE = Param(
    key="temperature",
    label="Temperature",
    default=0.2,
    low=0.02,
    high=5.0,
    step=0.02,
    help="Large values give nearly equal weights, small ones put nearly all weight on the hardest class.",
)
_SHIFT_TAU = Param(
    key="tau",
    label="Tau",
    default=1.0,
    low=0.0,
    high=4.0,
    step=0.05,
    help="0 is plain cross entropy; larger moves the boundary further toward the easy classes.",
)

_BALANCED = "Balanced data on which some classes are learned worse than others."
TPR = frozenset({"tpr"})

ORDER = 10
ROWS = (
    Method(
        key="tpr_ratio",
        label="TPR ratio",
        group="From TPRs",
        terms=tpr_ratio,
        params=(_EXPONENT, NORMALIZE, _MAX_RATIO),
        formula=r"w_c <normalize> \left(\frac{\overline{\mathrm{TPR}}}{\mathrm{TPR}_c}\right)^{<exponent>}",
        needs=TPR,
        slider="exponent",
        summary="Classes that were harder than average in an earlier run weigh more: mean TPR over the class's TPR, to a power.",
        caveat="The example code in the source question, pow(1-((score-average)/score), 4) with TPRs .9561, "
        ".7365 and .7808, is printed there with the numbers of exponent 2, not 4. "
        "On a long tail a class with a TPR of 0 takes nearly all the weight and accuracy falls: use a method from counts "
        "there, or a small largest ratio.",
        source=_QUESTION,
        when=_BALANCED,
    ),
    Method(
        key="tpr_inverse",
        label="Inverse TPR",
        group="From TPRs",
        terms=tpr_inverse,
        params=(_MAX_RATIO,),
        formula=r"w_c \propto \frac{1}{\mathrm{TPR}_c}",
        needs=TPR,
        slider=None,
        summary="One over the class's TPR: the TPR ratio at exponent 1.",
        caveat="1/TPR, max(TPR)/TPR and mean(TPR)/TPR are the same weights once rescaled. "
        "Mild: TPRs of .9 and .7 differ by a factor of 1.29.",
        source=_QUESTION,
        when=_BALANCED,
        golden=(Golden(given={"tpr": (0.5, 0.25)}, expect={"weight": (2 / 3, 4 / 3)}),),
    ),
    Method(
        key="tpr_deficit",
        label="TPR deficit",
        group="From TPRs",
        terms=tpr_deficit,
        params=(_TAU,),
        formula=r"w_c \propto (1 - \mathrm{TPR}_c)^{<tau>}",
        needs=TPR,
        slider="tau",
        summary="Weights a class by the share of its samples that an earlier run got wrong, to a power.",
        caveat="Steeper than the ratio: a class with a TPR near 1 almost drops out of the loss and may be unlearned.",
        source=CDB_PAPER,
        when=_BALANCED,
    ),
    Method(
        key="tpr_softmax",
        label="TPR softmax",
        group="From TPRs",
        terms=tpr_softmax,
        params=(_TEMPERATURE,),
        formula=r"w_c \propto \exp\left(\frac{1 - \mathrm{TPR}_c}{<temperature>}\right)",
        needs=TPR,
        slider="temperature",
        summary="A softmax over the share of samples that an earlier run got wrong. The safest of its group: never 0, never infinite.",
        caveat="At temperature 1 it is nearly flat: the largest possible ratio is e.",
        source=_OURS,
        when=_BALANCED,
    ),
    Method(
        key="tpr_neglog",
        label="Negative log TPR",
        group="From TPRs",
        terms=tpr_neglog,
        params=(),
        formula=r"w_c \propto -\log \mathrm{TPR}_c",
        needs=TPR,
        slider=None,
        summary="Minus the logarithm of the class's TPR: close to the deficit for easy classes, steeper for classes near 0.",
        caveat="A class with a TPR near 1 almost drops out of the loss.",
        source=_OURS,
        when=_BALANCED,
    ),
    Method(
        key="tpr_logit_adjusted",
        label="TPR logit adjustment (experimental)",
        group="From TPRs",
        terms=tpr_logit_adjusted,
        params=(_SHIFT_TAU,),
        formula=r"b_c = <tau>\,\log\frac{\mathrm{TPR}_c}{\overline{\mathrm{TPR}}}",
        needs=TPR,
        slider="tau",
        summary="Logit adjustment with the TPR in place of the class frequency, for data with equal counts.",
        caveat="Experimental: we know of no publication that describes it. "
        "Like a weight, a shift acts less and less once the training data are fitted perfectly: "
        "only a factor on the logits, as in CDT and VS, changes the margins then (Kini et al., 2021).",
        source=Source(
            "Menon, Jayasumana, Rawat, Jain, Veit and Kumar",
            2021,
            "Long-tail learning via logit adjustment",
            "https://arxiv.org/abs/2007.07314",
        ),
        when=_BALANCED,
    ),
)
