"""A weight formula typed by the user, read by core.methods.formula."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from core.errors import EvenlyError
from core.findings import Finding
from core.methods import formula as formulas
from core.methods.method import NORMALIZE, Golden, Method, given, samples
from core.methods.normalization import LARGEST, LEAST, clipped_tpr, indices, weight_terms
from core.methods.notes import WeightsClipped, WeightsOfEpoch
from core.methods.tpr_weights import mean_tpr
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import Param, Source

DEFAULT = "(mean_tpr / tpr) ** 2"
TRIED = 1000  # epochs, evenly spaced, for which a formula is checked before the first


def custom(evidence: Evidence, *, formula: str, normalize: str, max_ratio: float) -> ClassTerms:
    """w_c = the formula's value for class c, at least 0 and not all 0, clipped at `max_ratio` x the smallest above 0.

    Needs counts [C] or tpr [C] where the formula uses them; TPRs are clipped away from 0 and 1 as in every method. A formula
    with `epoch` is checked up front for the epochs in which it acts, so that a run does not fail midway; before a late start
    it gives the weights of the start epoch. Errors as in core.methods.formula.
    """
    used = formulas.variables(formula)
    values, clipped, notes = _values(evidence, formulas.needs(formula))
    if "epoch" in used:
        notes = (*notes, WeightsOfEpoch(_acting(evidence), evidence.epochs))
        if evidence.epoch == 0:
            _check_epochs(formula, values, evidence)
    raw = _scaled(formulas.evaluate(formula, values, evidence.classes), normalize)
    weight = _limited(raw, max_ratio)
    above, touched = np.flatnonzero(weight < raw), np.flatnonzero((weight < raw) | (weight > raw))
    if len(above):
        notes = (*notes, WeightsClipped(indices(above), max_ratio))
    missing = tuple(sorted(formulas.needs(formula)))
    return weight_terms(
        weight, missing=missing, mean_one=normalize == "mean_one", clipped=(*clipped, *touched.tolist()), notes=notes
    )


def _values(
    evidence: Evidence, needs: frozenset[str]
) -> tuple[dict[str, Vector | float], tuple[int, ...], tuple[Finding, ...]]:
    """Values of the names, the classes whose TPR was clipped, and notes. NaN where a class has no TPR or no samples."""
    values: dict[str, Vector | float] = {"C": evidence.classes, "epoch": _acting(evidence), "epochs": evidence.epochs}
    clipped, notes = (), ()
    if "counts" in needs:
        n = samples(evidence)
        values |= {"n": n, "N": np.nansum(n)}
    if "tpr" in needs:
        tpr, clipped, notes = clipped_tpr(given(evidence.tpr), evidence.support)
        values |= {"tpr": tpr, "mean_tpr": mean_tpr(tpr)}
    return values, clipped, notes


def _acting(evidence: Evidence) -> int:
    """The epoch, counted from 1, whose weights are computed: never one before the start, where the formula need not be defined."""
    return max(evidence.epoch, evidence.start) + 1


def _check_epochs(formula: str, values: Mapping[str, Vector | float], evidence: Evidence) -> None:
    cache: dict[ast.expr, Vector] = {}
    for epoch in np.unique(np.linspace(evidence.start + 1, evidence.epochs, TRIED).round()):
        try:
            formulas.evaluate(formula, {**values, "epoch": epoch}, evidence.classes, cache)
        except EvenlyError as error:
            raise EvenlyError(f"{error} (in epoch {epoch:.0f} of {evidence.epochs})") from None


def _limited(raw: Vector, max_ratio: float) -> Vector:
    """Weights between 1e-12 of the largest and `max_ratio` x the smallest.

    A weight of 0 is intended: it does not count as the smallest.
    """
    above = raw[raw > 0]
    if not len(above):
        return raw
    low = above.max() * LEAST
    return np.where(raw > 0, np.clip(raw, low, max(above.min(), low) * max_ratio), raw)


def _scaled(raw: Vector, normalize: str) -> Vector:
    """Weights that fit float32: divided by the largest where they are rescaled anyway, else EvenlyError if they do not fit."""
    top = np.nanmax(raw, initial=0)
    if normalize == "mean_one":
        return raw / top if top > 0 else raw
    if top > 0 and not 1 / LARGEST <= top <= LARGEST:
        raise EvenlyError(
            f"formula: the largest weight is {top:g}, expected {1 / LARGEST:g} to {LARGEST:g} without rescaling; set normalize to mean_one"
        )
    return raw


def _asks(params: Mapping[str, Any]) -> frozenset[str]:
    return formulas.needs(params.get("formula", DEFAULT))


def _shown(params: Mapping[str, Any]) -> str:
    return rf"w_c <normalize> {formulas.latex(params['formula'])}"


_NAMES = ", ".join(f"{name} ({row.meaning})" for name, row in formulas.VARIABLES.items())
_FUNCTIONS = "; ".join(row.usage for row in formulas.FUNCTIONS.values())
_FORMULA = Param(
    "formula",
    "Formula",
    DEFAULT,
    text=True,
    help=f"Names: {_NAMES}. Operators: + - * / ** and parentheses. Functions: {_FUNCTIONS}.",
)
_MAX_RATIO = Param(
    key="max_ratio",
    label="Largest ratio",
    default=10_000.0,
    low=1.0,
    high=1e6,
    step=1.0,
    help="Clips weights at this multiple of the smallest above 0.",
)

ORDER = 30
ROWS = (
    Method(
        key="custom",
        label="Formula of your own",
        group="From TPRs",
        terms=custom,
        params=(_FORMULA, NORMALIZE, _MAX_RATIO),
        formula=r"w_c <normalize> f(n_c, N, C, \mathrm{TPR}_c, \overline{\mathrm{TPR}}, \mathrm{epoch}, \mathrm{epochs})",
        needs=frozenset({"tpr"}),
        slider=None,
        summary="A formula that you type, using the counts, the TPRs of an earlier run and the epoch.",
        caveat="A class whose weight is 0 is not learned. TPRs are clipped away from 0 and 1 by half a validation "
        "sample before the formula is evaluated.",
        source=Source("Evenly", 2026, "a formula of your own"),
        when="You want to try a weight that is not in this list.",
        asks=_asks,
        latex=_shown,
        golden=(
            Golden(
                given={"tpr": (0.5, 0.25)}, expect={"weight": (0.4, 1.6)}, params={"formula": "(mean_tpr / tpr) ** 2"}
            ),
        ),
    ),
)
