"""Whether class weights let a single class dominate the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.findings import Finding
from core.methods.types import ClassTerms, Vector

MOST = 0.5  # above, the class outweighs all others together: predicting it for every sample gets most of the weighted loss right
TIMES = 10.0  # and it must exceed this many times the mean of the others: of three classes one already holds half with twice their weight


def shares(weight: Vector, drawn: Vector) -> NDArray[np.float64]:
    """Share of each class in the loss, n_c w_c / sum n w [C]; `drawn` [C] is how often each class is drawn, up to a factor."""
    each = np.nan_to_num(weight * drawn)
    return each / max(each.sum(), np.finfo(float).tiny)


@dataclass(frozen=True)
class DominantClass(Finding):
    """A class that holds this share of the loss because of its weight."""

    name: str
    share: float


def dominant(share: Vector, own: Vector, names: Sequence[str]) -> DominantClass | None:
    """The class, of more than two, that dominates the loss because of the weights; None without one.

    It has over half of the loss, and over ten times the mean of the others.

    share, own  [C] share of each class in the loss with and without the weights, in [0, 1]
    Of two classes one always has half or more, and a share that the counts alone give is not due to the weights.
    """
    c = int(np.argmax(share))
    if len(share) <= 2 or share[c] <= max(MOST, own[c]) or share[c] * (len(share) - 1) <= TIMES * (1 - share[c]):
        return None
    return DominantClass(names[c], float(share[c]))


def of_terms(terms: ClassTerms, counts: Vector | None, names: Sequence[str]) -> DominantClass | None:
    """The class that dominates the loss under a method's terms, if any; `counts` [C] training samples, None for equal ones."""
    if terms.weight is None:
        return None
    plain = (
        np.ones(len(names))
        if counts is None or not np.nansum(counts)
        else np.nan_to_num(np.asarray(counts, dtype=float))
    )
    drawn = plain if terms.sampling is None else np.asarray(terms.sampling, dtype=float)
    return dominant(shares(terms.weight, drawn), plain / plain.sum(), names)
