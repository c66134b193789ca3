"""Post-hoc steps: new predictions from a finished run's outputs, in numpy and in seconds. Nothing is trained.

A step is a function (Outputs, knobs) -> Stepped, and a row of STEPS. What is fitted is fitted on the validation split; the
test split is only reported.
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

USUAL = "equal_tpr_bias"  # the step taken unless another is asked for: it applies to any finished run
Matrix = NDArray[np.floating]
ROUNDS, FIRST_STEP, LAST_STEP = (
    400,
    1.0,
    0.01,
)  # of the search for equal TPRs: steps fall geometrically, in units of the logits' spread
SUMMAND = "summand"  # what a run keeps of its step beside the figures: the summand of each class [C]
LOST = 0.01  # accuracy or mean TPR on the validation split: a greater loss is worth a word
FEW = 25  # validation samples of a class: with fewer the bias is mostly noise of the split


@dataclass(frozen=True)
class Outputs:
    """What a finished run says of its data. Each mapping goes from split ("train", "validation", "test") to an array.

    labels [n]; logits [n, C]; features [n, d], what the last layer sees; weight [C, d] and bias [C] of the last layer
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
    """What a step answers: scores of every split, and `summand` [C], what it added to the logits, where it is that.

    logits  whether the softmax of the scores means probabilities; where not, they have no cross entropy and no calibration
    notes   what the step cost and how far its fit can be trusted
    """

    scores: Scores
    summand: Vector | None = None
    logits: bool = True
    notes: tuple[Finding, ...] = ()


Step = Callable[[Outputs, Mapping[str, float]], Stepped]


def apply(step: str, outputs: Outputs, knobs: Mapping[str, float]) -> Stepped:
    """What a step makes of a finished run's outputs. An unknown step raises EvenlyError."""
    if step not in STEPS:
        raise EvenlyError(f"unknown post-hoc step {step!r}; known: {', '.join(STEPS)}")
    return STEPS[step](outputs, knobs)


def tau_norm(outputs: Outputs, knobs: Mapping[str, float]) -> Stepped:
    """z_c = (w_c / |w_c|^tau) f + b_c, the bias dropped unless kept (Kang et al., 2020)."""
    if outputs.weight is None:
        raise EvenlyError(
            "tau_norm needs a linear last layer, this run has another one; choose a run of another method"
        )
    norm = np.linalg.norm(outputs.weight, axis=1)
    scaled = outputs.weight / np.maximum(norm, 1e-12)[:, None] ** knobs["tau"]
    shift = outputs.bias if knobs["bias"] and outputs.bias is not None else 0.0
    return Stepped({split: f @ scaled.T + shift for split, f in outputs.features.items()})


def ncm(outputs: Outputs, knobs: Mapping[str, float]) -> Stepped:
    """Minus the distance to each class's mean training feature, or the cosine. A class without training samples is never the nearest.

    Neither is a logit: its scale is that of the features, so its softmax is no probability.
    """
    kind, features = FEATURES[int(knobs["features"])], dict(outputs.features)
    if kind == "cl2n":
        centre = features["train"].mean(axis=0)
        features = {k: v - centre for k, v in features.items()}
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
    """z_c - tau log pi_c; a class without training samples counts as having one (Menon et al., 2021).

    The shift of the method's terms is this very summand, for previews and tables: it is added here alone.
    """
    n = np.maximum(outputs.counts, 1)
    return _shifted(outputs, -knobs["tau"] * np.log(n / n.sum()))


def equal_tpr_bias(outputs: Outputs, knobs: Mapping[str, float]) -> Stepped:
    """z_c + strength b_c, with b fitted on the validation split by `fitted_bias`, and notes on its cost there."""
    logits, labels = outputs.logits["validation"], outputs.labels["validation"]
    shift = knobs["strength"] * fitted_bias(logits, labels)
    stepped = _shifted(outputs, shift)
    return replace(
        stepped, notes=(*_cost(logits, stepped.scores["validation"], labels), *_thin(labels, logits.shape[1]))
    )


def fitted_bias(logits: Matrix, labels: NDArray[np.int64]) -> Vector:
    """The summands b [C], mean 0, whose predictions argmax z + b raise the worst TPRs most. logits [n, C], labels [n].

    The maximiser of sum_c lambda_c TPR_c is argmax z_c + log lambda_c - log pi_c; lambda is raised where the TPR is below
    the mean, b <- b + step (mean TPR - TPR). The steps fall from 1 to 1/100 of `spread`, so that k z gets k b.

    Kept is the b on that way with the highest smallest TPR; of equals the one with the highest second smallest, and so on.
    The way leads to equal TPRs, and with enough samples so does this choice. The least variance would be met as well by
    getting every sample wrong; the smallest TPR alone would give up where one class stays at 0. No b is taken whose
    variance is above that of the logits as they are.
    Classes without samples keep 0. After Narasimhan and Menon (2021).
    """
    if not len(labels):
        raise EvenlyError(
            "equal_tpr_bias is fitted on validation samples, of which there are none; choose a run with a validation split"
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
    """How far apart logits are: the median over the samples of |z_y - max_{j != y} z_j|, or their mean, or 1, where that is 0."""
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
    """What a step cost on the split it was fitted on, where that is more than LOST."""
    pairs = {
        "accuracy": [(z.argmax(axis=1) == labels).mean() for z in (before, after)],
        "mean TPR": [np.nanmean(_tprs(z, labels)) for z in (before, after)],
    }
    lowered = tuple((name, float(old), float(new)) for name, (old, new) in pairs.items() if old - new > LOST)
    return (BiasCost(lowered),) if lowered else ()


def _thin(labels: NDArray[np.int64], classes: int) -> tuple[BiasFewSamples, ...]:
    """That some classes have too few samples to fit a bias on."""
    support = np.bincount(labels, minlength=classes)
    few = int(((support > 0) & (support < FEW)).sum())
    return (BiasFewSamples(few, classes, FEW, int(support[support > 0].min())),) if few else ()


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
