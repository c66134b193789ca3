"""What every weight method shares: keep TPRs off 0 and 1, fill classes without evidence, rescale, and say so in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.errors import EvenlyError
from core.methods.types import ClassTerms, Vector

UNKNOWN_FLOOR = 1e-3  # distance kept from 0 and 1 where the number of validation samples is not known
FAINT = 1e-4  # a weight below this share of the largest is worth a word
LARGEST = 1e30  # of a weight that is not rescaled; float32 ends at 3e38
LEAST = 1e-12  # smallest share of the largest weight: float32 training must not round a class to zero
NAMED = 8  # indices named in a note before "and n more"


def classes_in_words(indices: Sequence[int]) -> str:
    """[3] -> "class 3", [0, 2] -> "classes 0 and 2"; beyond eight the rest is counted."""
    names = [str(int(i)) for i in indices[:NAMED]]
    if len(indices) == 1:
        return f"class {names[0]}"
    if len(indices) > NAMED:
        names.append(f"{len(indices) - NAMED} more")
    return f"classes {', '.join(names[:-1])} and {names[-1]}"


def floored_tpr(tpr: Vector, support: Vector | None) -> tuple[Vector, tuple[int, ...], tuple[str, ...]]:
    """TPRs clamped into [eps_c, 1 - eps_c], eps_c = 1 / (2 m_c): half of one of the m_c validation samples.

    tpr [C] in [0, 1]; NaN, or a support of 0, means undefined and stays NaN. Unknown support: eps = .001.
    Where all defined TPRs are equal the largest eps serves all, so that they stay equal.
    Returns the clamped TPRs, the indices clamped, and notes.
    """
    m = np.full(len(tpr), np.nan) if support is None else support
    defined = ~np.isnan(tpr) & (m != 0)
    known = ~np.isnan(m) & (m > 0)
    eps = np.where(known, np.minimum(0.5, 1 / (2 * np.where(known, m, 1.0))), UNKNOWN_FLOOR)
    if defined.any() and np.ptp(tpr[defined]) == 0:
        eps = np.full(len(tpr), eps[defined].max())
    value = np.where(defined, np.clip(tpr, eps, 1 - eps), np.nan)
    clipped = np.flatnonzero(defined & (value != tpr))
    notes = []
    for group, why in (
        (clipped[known[clipped]], "half a validation sample"),
        (clipped[~known[clipped]], f"{UNKNOWN_FLOOR:g}, because the number of validation samples is unknown"),
    ):
        if len(group):
            notes.append(f"The TPR of {classes_in_words(group)} is kept away from 0 and 1 by {why}.")
    return value, tuple(map(int, clipped)), tuple(notes)


def weight_terms(
    raw: Vector,
    *,
    missing: str,
    mean_one: bool = True,
    max_ratio: float | None = None,
    clipped: tuple[int, ...] = (),
    notes: tuple[str, ...] = (),
    info: dict[str, float] | None = None,
) -> ClassTerms:
    """ClassTerms with `raw` [C] as weights: capped at `max_ratio` x the smallest, rescaled to mean 1 over the defined classes.

    NaN in `raw` marks a class without evidence; it gets the mean of the others, with a note that says `missing`.
    No class ends below 1e-12 of the largest. No class defined at all raises EvenlyError.
    """
    defined = ~np.isnan(raw)
    if not defined.any():
        raise EvenlyError(f"no weights: {missing} for every class; give at least one class a value")
    said = list(notes)
    low = raw[defined].max() * LEAST
    high = math.inf if max_ratio is None else max(raw[defined].min(), low) * max_ratio
    weight = np.clip(raw, low, high)
    capped = np.flatnonzero(raw > high)
    if len(capped):
        said.append(f"The weight of {classes_in_words(capped)} is capped at {max_ratio:g} times the smallest.")
    if mean_one:
        weight /= weight[defined].mean()
    absent = np.flatnonzero(~defined)
    if len(absent):
        said.append(f"{classes_in_words(absent).capitalize()}: {missing}, so the weight is the mean of the others.")
        weight[absent] = weight[defined].mean()
    faint = np.flatnonzero(weight < FAINT * (1 - 1e-9) * weight.max())
    if len(faint):
        said.append(
            f"The weight of {classes_in_words(faint)} is below 1/10000 of the largest: next to no gradient reaches it."
        )
    touched = {*clipped, *capped.tolist(), *np.flatnonzero(raw < low).tolist()}
    return ClassTerms(weight=weight, info=info, notes=tuple(said), clipped=tuple(sorted(touched)))
