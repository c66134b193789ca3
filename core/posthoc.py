"""Post-hoc steps: new predictions from a finished run's outputs, in numpy and in seconds. Nothing is trained.

A step is a function (Outputs, terms) -> scores of every split, and a row of STEPS. What is fitted is fitted on the
validation split; the test split is only reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.evidence import Vector
from core.methods.second_stage import FEATURES

Matrix = NDArray[np.floating]
ROUNDS, FIRST_STEP, LAST_STEP = 400, 1.0, 0.01  # of the search for equal TPRs: steps fall geometrically


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
Step = Callable[[Outputs, Mapping[str, float]], tuple[Scores, Vector | None]]  # and the summand per class, where it is one


def apply(step: str, outputs: Outputs, knobs: Mapping[str, float]) -> tuple[Scores, Vector | None]:
    """The scores after a step, and the bias [C] it added where it is one. An unknown step raises EvenlyError."""
    if step not in STEPS:
        raise EvenlyError(f"unknown post-hoc step {step!r}; known: {', '.join(STEPS)}")
    return STEPS[step](outputs, knobs)


def tau_norm(outputs: Outputs, knobs: Mapping[str, float]) -> tuple[Scores, None]:
    """z_c = (w_c / |w_c|^tau) f + b_c, the bias dropped unless kept (Kang et al., 2020)."""
    if outputs.weight is None:
        raise EvenlyError("tau_norm needs a linear last layer, this run has another one; choose a run of another method")
    norm = np.linalg.norm(outputs.weight, axis=1)
    scaled = outputs.weight / np.maximum(norm, 1e-12)[:, None] ** knobs["tau"]
    shift = outputs.bias if knobs["bias"] and outputs.bias is not None else 0.0
    return {split: f @ scaled.T + shift for split, f in outputs.features.items()}, None


def ncm(outputs: Outputs, knobs: Mapping[str, float]) -> tuple[Scores, None]:
    """Minus the distance to each class's mean training feature. A class without training samples is never the nearest."""
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
    return scores, None


def logit_adjusted_posthoc(outputs: Outputs, knobs: Mapping[str, float]) -> tuple[Scores, Vector]:
    """z_c - tau log pi_c; a class without training samples counts as having one (Menon et al., 2021)."""
    n = np.maximum(outputs.counts, 1)
    return _shifted(outputs, -knobs["tau"] * np.log(n / n.sum()))


def equal_tpr_bias(outputs: Outputs, knobs: Mapping[str, float]) -> tuple[Scores, Vector]:
    """z_c + strength b_c, with b fitted on the validation split by `fitted_bias`."""
    bias = fitted_bias(outputs.logits["validation"], outputs.labels["validation"])
    return _shifted(outputs, knobs["strength"] * bias)


def fitted_bias(logits: Matrix, labels: NDArray[np.int64]) -> Vector:
    """The summands b [C], mean 0, whose predictions argmax z + b have the least variance of the TPRs. logits [n, C], labels [n].

    The maximiser of sum_c lambda_c TPR_c is argmax z_c + log lambda_c - log pi_c; lambda is raised where the TPR is below
    the mean, b <- b + step (mean TPR - TPR), with steps that fall, and the best b seen is kept (of equals the more
    accurate). Classes without samples keep 0. After Narasimhan and Menon (2021).
    """
    if not len(labels):
        raise EvenlyError("equal_tpr_bias is fitted on validation samples, of which there are none; choose a run with a validation split")
    classes = logits.shape[1]
    support = np.bincount(labels, minlength=classes)
    there = support > 0
    bias, best, key = np.zeros(classes), np.zeros(classes), (np.inf, np.inf)
    for step in np.geomspace(FIRST_STEP, LAST_STEP, ROUNDS):
        hit = labels[(logits + bias.astype(logits.dtype)).argmax(axis=1) == labels]  # in the precision it is applied in
        tpr = np.bincount(hit, minlength=classes)[there] / support[there]
        if (found := (tpr.var(), -len(hit))) < key:
            best, key = bias.copy(), found
        bias[there] += step * (tpr.mean() - tpr)
        bias[there] -= bias[there].mean()
    return best


def _shifted(outputs: Outputs, shift: Vector) -> tuple[Scores, Vector]:
    return {split: z + shift.astype(z.dtype) for split, z in outputs.logits.items()}, shift


def _unit(x: Matrix) -> Matrix:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _squared(x: Matrix, means: Matrix) -> Matrix:
    """Squared distances [n, C]."""
    return (x**2).sum(axis=1, keepdims=True) + (means**2).sum(axis=1) - 2 * x @ means.T


STEPS: dict[str, Step] = {"tau_norm": tau_norm, "ncm": ncm, "logit_adjusted_posthoc": logit_adjusted_posthoc, "equal_tpr_bias": equal_tpr_bias}
