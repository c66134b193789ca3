"""Post-hoc steps: new predictions from a finished run's outputs, in numpy and in seconds. Nothing is trained.

A step is a function (Outputs, knobs) -> Stepped, and a row of STEPS. Steps are fitted on the validation split; the test split
is only reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.findings import Finding
from core.methods.notes import BiasCost, BiasFewSamples
from core.methods.two_stage import FEATURES
from core.methods.types import Vector

USUAL = "equal_tpr_bias"  # the default step: it applies to any finished run
Matrix = NDArray[np.floating]
ROUNDS, FIRST_STEP, LAST_STEP = (
    400,
    1.0,
    0.01,
)  # of the search for equal TPRs: step sizes decay geometrically, in units of the logits' spread
STORED_BIAS = "summand"  # what a run stores of its step beside the figures: the bias of each class [C]
LOST = 0.01  # accuracy or mean TPR on the validation split: a larger loss is noted
FEW_FOR_BIAS = 25  # validation samples of a class: with fewer the bias is mostly noise of the split


@dataclass(frozen=True)
class Outputs:
    """A finished run's outputs. Each mapping goes from split ("train", "validation", "test") to an array.

    labels [n]; logits [n, C]; features [n, d], the input of the last layer; weight [C, d] and bias [C] of the last layer
    (None where it is not linear); counts [C] training samples per class.
    """

    labels: Mapping[str, NDArray[np.int64]]
    logits: Mapping[str, Matrix]
    features: Mapping[str, Matrix]
    weight: Matrix | None
    bias: Vector | None
    counts: Vector


Scores = dict[str, Matrix]  # split -> [n, C]; the largest of a row is the prediction


@dataclass(frozen=True)
class Stepped:
    """Result of a step: scores of every split, and `summand` [C], the bias it added to the logits; None where it adds none.

    logits  whether the softmax of the scores is a probability; where not, there is no cross entropy and no calibration error
    notes   what the step costs and how reliable its fit is
    """

    scores: Scores
    summand: Vector | None = None
    logits: bool = True
    notes: tuple[Finding, ...] = ()


Step = Callable[[Outputs, Mapping[str, float]], Stepped]


def apply(step: str, outputs: Outputs, knobs: Mapping[str, float]) -> Stepped:
    """Apply a step to a finished run's outputs. An unknown step raises EvenlyError."""
    if step not in STEPS:
        raise EvenlyError(f"unknown post-hoc step {step!r}; known: {', '.join(STEPS)}")
    return STEPS[step](outputs, knobs)


def tau_norm(outputs: Outputs, knobs: Mapping[str, float]) -> Stepped:
    """z_c = (w_c / |w_c|^tau) f + b_c, the bias dropped unless kept (Kang et al., 2020)."""
    if outputs.weight is None:
        raise EvenlyError(
            "tau_norm needs a linear last layer, and this run has another; choose a run of another method"
        )
    norm = np.linalg.norm(outputs.weight, axis=1)
    scaled = outputs.weight / np.maximum(norm, 1e-12)[:, None] ** knobs["tau"]
    shift = outputs.bias if knobs["bias"] and outputs.bias is not None else 0.0
    return Stepped({split: f @ scaled.T + shift for split, f in outputs.features.items()})


def ncm(outputs: Outputs, knobs: Mapping[str, float]) -> Stepped:
    """Minus the distance to each class's mean training feature, or the cosine. A class without training samples is never the nearest.

    The scores are not logits: their scale is that of the features, so their softmax is not a probability.
    """
    kind, features = FEATURES[int(knobs["features"])], dict(outputs.features)
    if kind == "cl2n":
        center = features["train"].mean(axis=0)
        features = {k: v - center for k, v in features.items()}
    if kind != "unc":
        features = {k: _unit(v) for k, v in features.items()}
    classes, labels = len(outputs.counts), outputs.labels["train"]
    sums = np.zeros((classes, features["train"].shape[1]))
    np.add.at(sums, labels, features["train"])
    counts = np.bincount(labels, minlength=classes)
    means = sums / np.maximum(counts, 1)[:, None]
    scores = {k: _unit(v) @ _unit(means).T if knobs["cosine"] else -_squared(v, means) for k, v in features.items()}
    for score in scores.values():
        score[:, counts == 0] = -np.inf
    return Stepped(scores, logits=False)


def logit_adjusted_posthoc(outputs: Outputs, knobs: Mapping[str, float]) -> Stepped:
    """z_c - tau log pi_c; a class without training samples counts as one sample (Menon et al., 2021).

    The shift of the method's terms is this bias, for previews and tables: it is added only here.
    """
    n = np.maximum(outputs.counts, 1)
    return _shifted(outputs, -knobs["tau"] * np.log(n / n.sum()))


def equal_tpr_bias(outputs: Outputs, knobs: Mapping[str, float]) -> Stepped:
    """z_c + strength b_c, b fitted on the validation split by `fitted_bias`, with notes on its cost there."""
    logits, labels = outputs.logits["validation"], outputs.labels["validation"]
    shift = knobs["strength"] * fitted_bias(logits, labels)
    stepped = _shifted(outputs, shift)
    return replace(
        stepped, notes=(*_cost(logits, stepped.scores["validation"], labels), *_thin(labels, logits.shape[1]))
    )


def fitted_bias(logits: Matrix, labels: NDArray[np.int64]) -> Vector:
    """The biases b [C], mean 0, whose predictions argmax z + b raise the lowest TPRs most. logits [n, C], labels [n].

    The maximizer of sum_c lambda_c TPR_c is argmax z_c + log lambda_c - log pi_c; lambda is raised where the TPR is below
    the mean, b <- b + step (mean TPR - TPR). The step size decays from 1 to 1/100 of `spread`, so that k z gets k b.

    Of all b along the search the one with the highest minimum TPR is used; ties go to the highest second lowest, and so
    on. The search converges to equal TPRs, and with enough samples so does this choice. The lowest variance would also be
    reached by getting every sample wrong; the minimum TPR alone would decide nothing where one class stays at 0. No b is
    used whose TPR variance is above that of the unchanged logits.
    Classes without samples keep 0. After Narasimhan and Menon (2021).
    """
    if not len(labels):
        raise EvenlyError(
            "equal_tpr_bias is fitted on validation samples, and this run has none; choose a run with a validation split"
        )
    classes = logits.shape[1]
    there = np.bincount(labels, minlength=classes) > 0
    bias, best, key = np.zeros(classes), np.zeros(classes), ()
    limit = _tprs(logits, labels)[there].var()
    for step in spread(logits, labels) * np.geomspace(FIRST_STEP, LAST_STEP, ROUNDS):
        tpr = _tprs(logits + bias.astype(logits.dtype), labels)[there]  # in the precision it is applied in
        found = tuple(np.sort(tpr))
        if tpr.var() <= limit and found > key:
            best, key = bias.copy(), found
        bias[there] += step * (tpr.mean() - tpr)
        bias[there] -= bias[there].mean()
    return best


def spread(logits: Matrix, labels: NDArray[np.int64]) -> float:
    """Scale of the logits: the median over the samples of |z_y - max_{j != y} z_j|; their mean where it is 0; 1 where that is 0 too."""
    rows = np.arange(len(labels))
    others = logits.astype(np.float64)
    own = others[rows, labels]
    others[rows, labels] = -np.inf
    margin = np.abs(own - others.max(axis=1))
    return float(np.median(margin) or margin.mean() or 1.0)


def _tprs(scores: Matrix, labels: NDArray[np.int64]) -> Vector:
    """TPR of each class [C], NaN for one without samples."""
    classes = scores.shape[1]
    hits, support = (
        np.bincount(labels[scores.argmax(axis=1) == labels], minlength=classes),
        np.bincount(labels, minlength=classes),
    )
    return np.where(support > 0, hits / np.maximum(support, 1), np.nan)


def _cost(before: Matrix, after: Matrix, labels: NDArray[np.int64]) -> tuple[BiasCost, ...]:
    """What a step costs on the split it was fitted on, where that is more than LOST."""
    pairs = {
        "accuracy": [(z.argmax(axis=1) == labels).mean() for z in (before, after)],
        "mean TPR": [np.nanmean(_tprs(z, labels)) for z in (before, after)],
    }
    lowered = tuple((name, float(old), float(new)) for name, (old, new) in pairs.items() if old - new > LOST)
    return (BiasCost(lowered),) if lowered else ()


def _thin(labels: NDArray[np.int64], classes: int) -> tuple[BiasFewSamples, ...]:
    """The note that some classes have too few samples to fit a bias on; empty without any."""
    support = np.bincount(labels, minlength=classes)
    few = int(((support > 0) & (support < FEW_FOR_BIAS)).sum())
    return (BiasFewSamples(few, classes, FEW_FOR_BIAS, int(support[support > 0].min())),) if few else ()


def _shifted(outputs: Outputs, shift: Vector) -> Stepped:
    return Stepped({split: z + shift.astype(z.dtype) for split, z in outputs.logits.items()}, shift)


def _unit(x: Matrix) -> Matrix:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _squared(x: Matrix, means: Matrix) -> Matrix:
    """Squared distances [n, C]."""
    return (x**2).sum(axis=1, keepdims=True) + (means**2).sum(axis=1) - 2 * x @ means.T


STEPS: dict[str, Step] = {
    "tau_norm": tau_norm,
    "ncm": ncm,
    "logit_adjusted_posthoc": logit_adjusted_posthoc,
    "equal_tpr_bias": equal_tpr_bias,
}
