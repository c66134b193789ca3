"""Shared by all weight methods: clip TPRs away from 0 and 1, fill classes without evidence, rescale, and add notes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.findings import Finding
from core.methods.notes import TprsClipped, WeightsClipped, WeightsFilled, WeightsNegligible
from core.methods.types import ClassTerms, Vector

UNKNOWN_FLOOR = 1e-3  # distance from 0 and 1 where the number of validation samples is unknown
NEGLIGIBLE = 1e-4  # a weight below this share of the largest is noted
LARGEST = 1e30  # of a weight that is not rescaled; float32 ends at 3e38
LEAST = 1e-12  # smallest share of the largest weight: float32 training must not round a class to zero
MISSING = {
    "tpr": "a TPR (no validation samples)",
    "counts": "training samples",
}  # what a class may lack -> its name in an error


def indices(where: NDArray[np.intp]) -> tuple[int, ...]:
    """Class indices as plain numbers."""
    return tuple(map(int, where))


def clipped_tpr(tpr: Vector, support: Vector | None) -> tuple[Vector, tuple[int, ...], tuple[Finding, ...]]:
    """TPRs clipped into [eps_c, 1 - eps_c], eps_c = 1 / (2 m_c): half of one of the m_c validation samples.

    tpr [C] in [0, 1]; NaN, or a support of 0, means undefined and stays NaN. Unknown support: eps = .001.
    Where all defined TPRs are equal, the largest eps is used for all, so that they stay equal.
    Returns the clipped TPRs, the indices of their classes, and notes.
    """
    m = np.full(len(tpr), np.nan) if support is None else support
    defined = ~np.isnan(tpr) & (m != 0)
    known = ~np.isnan(m) & (m > 0)
    eps = np.where(known, np.minimum(0.5, 1 / (2 * np.where(known, m, 1.0))), UNKNOWN_FLOOR)
    if defined.any() and np.ptp(tpr[defined]) == 0:
        eps = np.full(len(tpr), eps[defined].max())
    value = np.where(defined, np.clip(tpr, eps, 1 - eps), np.nan)
    clipped = np.flatnonzero(defined & (value != tpr))
    by_sample, by_floor = (indices(clipped[of]) for of in (known[clipped], ~known[clipped]))
    notes = [TprsClipped(by_sample)] * bool(by_sample) + [TprsClipped(by_floor, UNKNOWN_FLOOR)] * bool(by_floor)
    return value, indices(clipped), tuple(notes)


def weight_terms(
    raw: Vector,
    *,
    missing: tuple[str, ...],
    mean_one: bool = True,
    max_ratio: float | None = None,
    clipped: tuple[int, ...] = (),
    notes: tuple[Finding, ...] = (),
    info: dict[str, float] | None = None,
) -> ClassTerms:
    """ClassTerms with `raw` [C] as weights: clipped at `max_ratio` x the smallest, rescaled to mean 1 over the defined classes.

    NaN in `raw` marks a class without evidence; it gets the mean of the others, with a note that names what is `missing`.
    No weight is below 1e-12 of the largest. EvenlyError where no class is defined.
    """
    defined = ~np.isnan(raw)
    if not defined.any():
        lacked = " or ".join(MISSING[need] for need in missing)
        raise EvenlyError(f"no weights: no class has {lacked}; give at least one class a value")
    found = list(notes)
    low = raw[defined].max() * LEAST
    high = math.inf if max_ratio is None else max(raw[defined].min(), low) * max_ratio
    weight = np.clip(raw, low, high)
    above = np.flatnonzero(raw > high)
    if len(above):
        found.append(WeightsClipped(indices(above), max_ratio))
    if mean_one:
        weight /= weight[defined].mean()
    lacking = np.flatnonzero(~defined)
    if len(lacking):
        found.append(WeightsFilled(indices(lacking), missing))
        weight[lacking] = weight[defined].mean()
    negligible = np.flatnonzero(weight < NEGLIGIBLE * (1 - 1e-9) * weight.max())
    if len(negligible):
        found.append(WeightsNegligible(indices(negligible), NEGLIGIBLE))
    touched = {*clipped, *above.tolist(), *np.flatnonzero(raw < low).tolist()}
    return ClassTerms(weight=weight, info=info, notes=tuple(found), clipped=tuple(sorted(touched)))
