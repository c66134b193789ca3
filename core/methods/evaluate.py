"""What a method with its parameters does: whether it trains and takes TPRs, its terms, its formula in numbers, the preview's grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.methods.method import POSTHOC, Method
from core.methods.registry import METHODS
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import Param, Registry, check_params

_NEEDS = {
    "tpr": ("tpr", "the TPRs of an earlier run: choose a baseline or paste TPRs"),
    "counts": ("counts", "the training counts of the classes: choose a dataset or give counts"),
}  # the others are not checked: before the first epoch there is no last_tpr, and the engine supplies networks and meta samples

_LATEX = {"mean_one": r"\propto", "none": "=", "dynamic": r"\tau_t"}


def trains(key: str) -> bool:
    """Whether a run of this method has epochs: a post-hoc step has none. An unknown method is assumed to have them."""
    return key not in METHODS or METHODS[key].stage != POSTHOC


def takes_tprs(key: str, params: Mapping[str, Any]) -> bool:
    """Whether a method with these parameters uses the TPRs of an earlier run, or given ones. An unknown method uses none.

    The parameters decide: a formula of the counts alone uses none.
    """
    return key in METHODS and "tpr" in METHODS[key].needs_with(params)


def answer(
    key: str, evidence: Evidence, params: Mapping[str, Any] | None = None, *, table: Registry[Method] = METHODS
) -> ClassTerms:
    """The terms of method `key` (or of a sampler, with its table) for this evidence; defaults fill in missing parameters.

    Raises EvenlyError for an unknown method or parameter, a value out of range, or missing evidence that the method needs.
    """
    method = table[key]
    checked = check_params(method.params, params or {}, key)
    for need in sorted(method.needs_with(checked) & _NEEDS.keys()):
        attribute, words = _NEEDS[need]
        if getattr(evidence, attribute) is None:
            raise EvenlyError(f"{key} needs {words}")
    return method.terms(evidence, **checked)


def what_if(
    classes: int,
    *,
    tpr: Vector | None = None,
    support: Vector | None = None,
    counts: Vector | None = None,
) -> Evidence:
    """Evidence in which `tpr` stands both for an earlier run and for the last epoch, so that every method can answer.

    For previews and the command line; a real run builds its own Evidence epoch by epoch.
    """
    return Evidence(classes, counts=counts, tpr=tpr, support=support, last_tpr=tpr, last_support=support)


def formula_with(method: Method, params: Mapping[str, Any] | None = None) -> str:
    """The method's LaTeX with its placeholders filled in; missing parameters take their defaults."""
    checked = check_params(method.params, params or {}, method.key)
    text = method.latex(checked) if method.latex else method.formula
    for key, value in checked.items():
        text = text.replace(f"<{key}>", _in_latex(value))
    return text


def _in_latex(value: float | int | str) -> str:
    if isinstance(value, str):
        return _LATEX.get(value, rf"\text{{{value}}}")
    return f"{value:.10g}" if value >= 0 else f"({value:.10g})"


def shares(terms: ClassTerms, counts: Vector | None, classes: int) -> Vector:
    """Share of each class in the weighted loss, n_c w_c / sum n w [C].

    n  how often each class is drawn, up to a factor: the terms' sampling, else the training samples `counts` [C]; without either equal
    w  the terms' weight; 1 without weights, so that `ClassTerms()` gives the shares of the counts alone
    """
    drawn = np.ones(classes) if counts is None or not np.nansum(counts) else np.nan_to_num(counts)
    mass = (drawn if terms.sampling is None else terms.sampling) * (1.0 if terms.weight is None else terms.weight)
    return mass / max(mass.sum(), np.finfo(float).tiny)


@dataclass(frozen=True)
class Grid:
    """A method at each of the S stops of its slider; one frame with value NaN where no slider is active.

    values [S], weight [S, C], ratio [S] largest over smallest weight (inf where one is 0), share [S, C] of `shares`,
    clipped and formula one entry per stop, frames the complete terms of the method.
    """

    values: NDArray[np.float64]
    weight: NDArray[np.float64]
    ratio: NDArray[np.float64]
    share: NDArray[np.float64]
    clipped: list[list[int]]
    formula: list[str]
    frames: list[ClassTerms]


def slider_param(method: Method, params: Mapping[str, Any] | None = None) -> Param | None:
    """The parameter that the slider sets; None if the method has none or it is set to a word such as dynamic."""
    if method.slider is None:
        return None
    value = check_params(method.params, params or {}, method.key)[method.slider]
    return None if isinstance(value, str) else next(p for p in method.params if p.key == method.slider)


def grid_values(method: Method, params: Mapping[str, Any] | None = None, limit: int | None = None) -> list[float]:
    """The slider's stops from low to high, thinned evenly to `limit`; the current value is always included."""
    param = slider_param(method, params)
    if param is None:
        return []
    steps = round((param.high - param.low) / param.step)
    stops = list(method.stops) or [min(round(param.low + param.step * i, 10), param.high) for i in range(steps + 1)]
    if limit is not None and len(stops) > limit:
        stops = [stops[i] for i in np.unique(np.linspace(0, len(stops) - 1, max(limit, 2)).round().astype(int))]
    return sorted({*stops, float((params or {}).get(param.key, param.default))})


def grid(
    key: str,
    evidence: Evidence,
    params: Mapping[str, Any] | None = None,
    *,
    limit: int | None = None,
    sampling: Vector | None = None,
) -> Grid:
    """The method at every stop of its slider, the other parameters as given: what the live preview draws.

    sampling  [C] how often a sampler draws each class; it counts in the shares. None: as the method or the counts say
    A method that uses the last epoch's TPRs is shown as if the given TPRs were those. Errors as in `answer`.
    """
    method, given = METHODS[key], dict(params or {})
    if evidence.last_tpr is None and evidence.tpr is not None:
        evidence = replace(evidence, last_tpr=evidence.tpr, last_support=evidence.support)
    values = grid_values(method, given, limit)
    settings = [{**given, method.slider: v} for v in values] or [given]
    frames = [answer(key, evidence, s) for s in settings]
    ones = np.ones(evidence.classes)
    weight = np.stack([ones if t.weight is None else t.weight for t in frames])
    trained_with = frames if sampling is None else [replace(t, sampling=sampling) for t in frames]
    with np.errstate(divide="ignore"):
        ratio = weight.max(axis=1) / weight.min(axis=1)
    return Grid(
        values=np.array(values or [math.nan]),
        weight=weight,
        ratio=ratio,
        share=np.stack([shares(t, evidence.counts, evidence.classes) for t in trained_with]),
        clipped=[list(t.clipped) for t in frames],
        formula=[formula_with(method, s) for s in settings],
        frames=frames,
    )
