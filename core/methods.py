r"""The weight methods: pure functions Evidence -> ClassTerms, one row each, and the grid behind the live preview.

To add a method, write a function and a row of METHODS; page, CLI, validation, docs and tests read the row.
Notation of the formulas: TPR_c is A_c, its mean over classes \bar A, n_c the training samples of class c.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.evidence import ClassTerms, Evidence, Vector
from core.floors import floored_tpr, weight_terms
from core.rows import Param, Source, Table, check_params

NO_TPR = "no TPR, for lack of validation samples"
NO_SAMPLES = "no training samples"


@dataclass(frozen=True)
class Method:
    """One way to turn evidence into class terms.

    group    heading in the choice of methods
    terms    pure function (Evidence, **params) -> ClassTerms
    formula  LaTeX with <param> placeholders; see `formula_with`
    needs    what it looks at: "counts", "tpr" (an earlier run's), "last_tpr" (this run's last epoch)
    slider   the parameter that the live preview drags, or None
    stops    values of the preview's grid where even steps would miss the interesting end
    caveat   what a user should know before believing a result; may be empty
    """

    key: str
    label: str
    group: str
    terms: Callable[..., ClassTerms]
    params: tuple[Param, ...]
    formula: str
    needs: frozenset[str]
    slider: str | None
    summary: str
    caveat: str
    source: Source
    stops: tuple[float, ...] = ()


# ---------------------------------------------------------------- the functions


def none(evidence: Evidence) -> ClassTerms:
    """No term at all: plain cross entropy."""
    return ClassTerms()


def tpr_ratio(evidence: Evidence, *, exponent: float, normalize: str, max_ratio: float) -> ClassTerms:
    """w_c = (mean A / A_c)^exponent. Equal to the seed's (1 - (A_c - mean A) / A_c)^exponent. Needs tpr [C]."""
    tpr, clipped, notes = floored_tpr(_given(evidence.tpr), evidence.support)
    raw = (_mean(tpr) / tpr) ** exponent
    return weight_terms(raw, missing=NO_TPR, mean_one=normalize == "mean_one", max_ratio=max_ratio, clipped=clipped, notes=notes)


def tpr_deficit(evidence: Evidence, *, tau: float) -> ClassTerms:
    """w_c ~ (1 - A_c)^tau at mean 1: CDB's difficulty, taken once from an earlier run. Needs tpr [C]."""
    tpr, clipped, notes = floored_tpr(_given(evidence.tpr), evidence.support)
    return weight_terms((1 - tpr) ** tau, missing=NO_TPR, clipped=clipped, notes=notes)


def inverse_frequency(evidence: Evidence) -> ClassTerms:
    """w_c ~ 1 / n_c at mean 1. Needs counts [C]."""
    return weight_terms(1 / _samples(evidence), missing=NO_SAMPLES)


def class_balanced(evidence: Evidence, *, beta: float) -> ClassTerms:
    """w_c ~ (1 - beta) / (1 - beta^n_c) at mean 1: the inverse of the effective number of samples. Needs counts [C].

    1 - beta^n is computed as -expm1(n log beta), exact also for small n and beta near 1.
    """
    n = _samples(evidence)
    raw = (1 - beta) / -np.expm1(n * math.log(beta)) if beta > 0 else np.where(np.isnan(n), np.nan, 1.0)
    return weight_terms(raw, missing=NO_SAMPLES)


CDB_VARIANTS = {  # epsilon, offset of the bias, factor of the sigmoid
    "paper": (1e-4, 1.0, 2.0),
    "imagenet_code": (1e-2, 1.0, 2.0),
    "cifar_code": (1e-2, 0.0, 1.0),
}


def dynamic_tau(tpr: Vector, variant: str) -> float:
    """tau = factor / (1 + exp(-b)), b = max A / (min A + epsilon) - offset, over the defined of the raw TPRs [C]."""
    epsilon, offset, factor = CDB_VARIANTS[variant]
    bias = np.nanmax(tpr) / (np.nanmin(tpr) + epsilon) - offset
    return float(factor / (1 + math.exp(-bias)))


def cdb(evidence: Evidence, *, tau: float | str, variant: str) -> ClassTerms:
    """w_c ~ (1 - A_c)^tau at mean 1, A_c of the last epoch's validation split; all 1 before the first epoch.

    "dynamic" takes tau from the raw TPRs, the weights come from the clamped ones. Looks at last_tpr [C].
    """
    if evidence.last_tpr is None:
        return ClassTerms(weight=np.ones(evidence.classes), notes=("Before the first epoch every weight is 1.",))
    tpr, clipped, notes = floored_tpr(evidence.last_tpr, evidence.last_support)
    if np.isnan(tpr).all():
        raise EvenlyError(f"cdb: {NO_TPR} for every class; check the validation split")
    power = dynamic_tau(np.where(np.isnan(tpr), np.nan, evidence.last_tpr), variant) if tau == "dynamic" else float(tau)
    return weight_terms((1 - tpr) ** power, missing=NO_TPR, clipped=clipped, notes=notes, info={"tau": power})


def focal(evidence: Evidence, *, gamma: float) -> ClassTerms:
    """focus_c = gamma for every class: the loss of a sample is scaled by (1 - p_y)^gamma."""
    return ClassTerms(focus=np.full(evidence.classes, gamma))


def _given(vector: Vector | None) -> Vector:
    if vector is None:
        raise EvenlyError("this method needs a TPR per class: choose a baseline or paste TPRs")
    return vector


def _mean(tpr: Vector) -> float:
    """Mean over the defined classes; NaN when there is none, which `weight_terms` refuses."""
    defined = tpr[~np.isnan(tpr)]
    return float(defined.mean()) if len(defined) else math.nan


def _samples(evidence: Evidence) -> Vector:
    """Counts [C] with NaN for classes without samples."""
    if evidence.counts is None:
        raise EvenlyError("this method needs the training counts of the classes")
    return np.where(evidence.counts > 0, evidence.counts, np.nan)


# ---------------------------------------------------------------- the rows

_CDB = Source("Sinha, Ohashi and Nakamura", 2020, "Class-wise difficulty-balanced loss for solving class-imbalance", "https://arxiv.org/abs/2010.01824")
_EXPONENT = Param("exponent", "Exponent", 2.0, 0.0, 8.0, 0.05, help="0 weights nothing, 1 is proportional to 1/TPR, larger is steeper.")
_NORMALIZE = Param("normalize", "Normalise", "mean_one", choices=("none", "mean_one"),
                   help="mean_one rescales the weights to mean 1. With the weighted_mean reduction both give the same loss.")
_MAX_RATIO = Param("max_ratio", "Largest ratio", 10_000.0, 1.0, 1e6, 1.0, help="Caps the largest weight at this multiple of the smallest.")
_TAU = Param("tau", "Tau", 1.0, 0.0, 8.0, 0.05, help="0 weights nothing, 1 is proportional to 1 - TPR, larger is steeper.")
_CDB_TAU = Param("tau", "Tau", "dynamic", 0.0, 8.0, 0.05, words=("dynamic",),
                 help="A fixed exponent, or dynamic: 2 / (1 + exp(-b)) with b = max TPR / (min TPR + eps) - 1, renewed after every epoch.")
_VARIANT = Param("variant", "Variant", "paper", choices=tuple(CDB_VARIANTS),
                 help="Only matters for dynamic tau. paper: eps 0.0001. imagenet_code: eps 0.01. cifar_code: eps 0.01, no - 1 in b and no factor 2, "
                      "so tau ends at 1 instead of 2.")
_BETA = Param("beta", "Beta", 0.9999, 0.0, 0.999999, 0.0001, help="0 weights nothing; towards 1 the weights become 1/n.")
_GAMMA = Param("gamma", "Gamma", 2.0, 0.0, 8.0, 0.05, help="0 is plain cross entropy; larger looks away from samples that are already right.")

METHODS = Table(
    "method",
    Method("none", "None (plain cross entropy)", "No weighting", none, (), r"w_c = 1", frozenset(), None,
           "Every class counts as its samples do: the baseline.", "",
           Source("Good", 1952, "Rational decisions")),
    Method("tpr_ratio", "TPR ratio", "From TPRs", tpr_ratio, (_EXPONENT, _NORMALIZE, _MAX_RATIO),
           r"w_c <normalize> \left(\frac{\overline{\mathrm{TPR}}}{\mathrm{TPR}_c}\right)^{<exponent>}", frozenset({"tpr"}), "exponent",
           "Classes that an earlier run found harder than average weigh more: mean TPR over the class's TPR, to a power.",
           "The example code in the question named as source, pow(1-((score-average)/score), 4) with TPRs .9561, .7365 and .7808, is printed there with the "
           "numbers of exponent 2, not 4.",
           Source("Peifer", 2021, "Weighting the loss function based on previous seen true positive rates", "https://stats.stackexchange.com/q/524331")),
    Method("tpr_deficit", "TPR deficit", "From TPRs", tpr_deficit, (_TAU,),
           r"w_c \propto (1 - \mathrm{TPR}_c)^{<tau>}", frozenset({"tpr"}), "tau",
           "Weighs a class by the share of its samples that an earlier run got wrong, to a power.",
           "Steeper than the ratio: a class with a TPR near 1 almost drops out of the loss and may be lost again.", _CDB),
    Method("inverse_frequency", "Inverse frequency", "From counts", inverse_frequency, (),
           r"w_c \propto \frac{1}{n_c}", frozenset({"counts"}), None,
           "Rare classes weigh more: one over the number of training samples.",
           "On strongly long-tailed data it often lowers accuracy when applied from the first epoch on.",
           Source("Huang, Li, Loy and Tang", 2016, "Learning deep representation for imbalanced classification")),
    Method("class_balanced", "Class-balanced", "From counts", class_balanced, (_BETA,),
           r"w_c \propto \frac{1 - <beta>}{1 - <beta>^{n_c}}", frozenset({"counts"}), "beta",
           "One over the effective number of samples: between no weighting (beta 0) and inverse frequency (beta towards 1).",
           "The effect depends on n: with thousands of samples per class, beta 0.9 does next to nothing.",
           Source("Cui, Jia, Lin, Song and Belongie", 2019, "Class-balanced loss based on effective number of samples", "https://arxiv.org/abs/1901.05555"),
           tuple(min(1 - 10 ** (-k / 20), 0.999999) for k in range(121))),
    Method("cdb", "Class-wise difficulty (CDB)", "While training", cdb, (_CDB_TAU, _VARIANT),
           r"w_{c,t} \propto (1 - \mathrm{TPR}_{c,t-1})^{<tau>}", frozenset({"last_tpr"}), "tau",
           "Weights follow the validation TPRs of the run itself, renewed after every epoch; all 1 in the first.",
           "The released code differs from the paper: both codes use eps 0.01 and rescale to mean 1, and the CIFAR code's dynamic tau has half the "
           "paper's range. The ImageNet code divides by the sum of the weights, the CIFAR code by the batch size: choose the reduction to match.", _CDB),
    Method("focal", "Focal", "Loss shape", focal, (_GAMMA,),
           r"\mathrm{FL} = -(1 - p_y)^{<gamma>} \log p_y", frozenset(), None,
           "Samples already classified with confidence count less. It sets no weight per class.",
           "This is the softmax form, differentiated through the factor; the CDB and LDAM codes differ in detail.",
           Source("Lin, Goyal, Girshick, He and Dollar", 2017, "Focal loss for dense object detection", "https://arxiv.org/abs/1708.02002")),
)

_NEEDS = {
    "tpr": ("tpr", "the TPRs of an earlier run: choose a baseline or paste TPRs"),
    "counts": ("counts", "the training counts of the classes: choose a dataset or give counts"),
}  # last_tpr is absent: before the first epoch there is none, and the method says what it does then

_LATEX = {"mean_one": r"\propto", "none": "=", "dynamic": r"\tau_t"}


# ---------------------------------------------------------------- using a row


def answer(key: str, evidence: Evidence, params: Mapping[str, Any] | None = None) -> ClassTerms:
    """The terms of method `key` for this evidence; defaults fill in missing parameters.

    Raises EvenlyError for an unknown method or parameter, a value out of range, or evidence that the method needs and lacks.
    """
    method = METHODS[key]
    checked = check_params(method.params, params or {}, key)
    for need in sorted(method.needs & _NEEDS.keys()):
        attribute, words = _NEEDS[need]
        if getattr(evidence, attribute) is None:
            raise EvenlyError(f"{key} needs {words}")
    return method.terms(evidence, **checked)


def what_if(
    classes: int, *, tpr: Vector | None = None, support: Vector | None = None, counts: Vector | None = None,
) -> Evidence:
    """Evidence in which `tpr` stands both for an earlier run and for the last epoch, so that every method can answer.

    For previews and the command line; a real run builds its own Evidence epoch by epoch.
    """
    return Evidence(classes, counts=counts, tpr=tpr, support=support, last_tpr=tpr, last_support=support)


def formula_with(method: Method, params: Mapping[str, Any] | None = None) -> str:
    """The method's LaTeX with its placeholders filled in; missing parameters take their defaults."""
    text = method.formula
    for key, value in check_params(method.params, params or {}, method.key).items():
        word = _LATEX.get(value, rf"\text{{{value}}}") if isinstance(value, str) else f"{value:.10g}"
        text = text.replace(f"<{key}>", word)
    return text


@dataclass(frozen=True)
class Grid:
    """A method at every stop of its slider, S of them. One frame without a value where nothing is dragged (value NaN).

    values [S], weight [S, C], ratio [S] largest over smallest weight, share [S, C] of the weight: n_c w_c / sum n w,
    clipped and formula one entry per stop, frames the whole answers.
    """

    values: NDArray[np.float64]
    weight: NDArray[np.float64]
    ratio: NDArray[np.float64]
    share: NDArray[np.float64]
    clipped: list[list[int]]
    formula: list[str]
    frames: list[ClassTerms]


def slider_param(method: Method, params: Mapping[str, Any] | None = None) -> Param | None:
    """The parameter that can be dragged now; None if the method has none or it is set to a word such as dynamic."""
    if method.slider is None:
        return None
    value = check_params(method.params, params or {}, method.key)[method.slider]
    return None if isinstance(value, str) else next(p for p in method.params if p.key == method.slider)


def grid_values(method: Method, params: Mapping[str, Any] | None = None, limit: int | None = None) -> list[float]:
    """The slider's stops from low to high, thinned evenly to `limit`; the present value is always among them."""
    param = slider_param(method, params)
    if param is None:
        return []
    steps = round((param.high - param.low) / param.step)
    stops = list(method.stops) or [min(round(param.low + param.step * i, 10), param.high) for i in range(steps + 1)]
    if limit is not None and len(stops) > limit:
        stops = [stops[i] for i in np.unique(np.linspace(0, len(stops) - 1, max(limit, 2)).round().astype(int))]
    return sorted({*stops, float((params or {}).get(param.key, param.default))})


def grid(key: str, evidence: Evidence, params: Mapping[str, Any] | None = None, *, limit: int | None = None) -> Grid:
    """The method at every stop of its slider, the other parameters as given: what the live preview draws.

    A method that looks at the last epoch is shown as if the TPRs given had been the last epoch's. Errors as in `answer`.
    """
    method, given = METHODS[key], dict(params or {})
    if evidence.last_tpr is None and evidence.tpr is not None:
        evidence = replace(evidence, last_tpr=evidence.tpr, last_support=evidence.support)
    values = grid_values(method, given, limit)
    settings = [{**given, method.slider: v} for v in values] or [given]
    frames = [answer(key, evidence, s) for s in settings]
    ones = np.ones(evidence.classes)
    weight = np.stack([ones if t.weight is None else t.weight for t in frames])
    mass = weight if evidence.counts is None or not np.nansum(evidence.counts) else weight * np.nan_to_num(evidence.counts)
    return Grid(
        values=np.array(values or [math.nan]), weight=weight, ratio=weight.max(axis=1) / weight.min(axis=1),
        share=mass / mass.sum(axis=1, keepdims=True), clipped=[list(t.clipped) for t in frames],
        formula=[formula_with(method, s) for s in settings], frames=frames,
    )
