"""Whether class weights let a single class dominate the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.findings import Finding
from core.methods import shares
from core.methods.types import ClassTerms, Vector

MOST = 0.5  # above, the class outweighs all others together: predicting it for every sample gets most of the weighted loss right
TIMES = 10.0  # and it must exceed this many times the mean of the others: of three classes one already holds half with twice their weight


@dataclass(frozen=True)
class DominantClass(Finding):
    """A class that holds this share of the loss because of its weight."""

    name: str
    share: float


def dominant(share: Vector, own: Vector, names: Sequence[str]) -> DominantClass | None:
    """The class, of more than two, that dominates the loss because of the weights; None without one.

    It has over half of the loss, and over ten times the mean of the others.

    share, own  [C] share of each class in the loss under the terms, and by the counts alone, in [0, 1]
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
    return dominant(shares(terms, counts, len(names)), shares(ClassTerms(), counts, len(names)), names)
