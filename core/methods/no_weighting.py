"""No weighting: the baseline."""

from __future__ import annotations

import math

from core.methods.method import Golden, Method
from core.methods.types import ClassTerms, Evidence
from core.registry import Source

UNWEIGHTED = "none"  # the method of a baseline


def none(evidence: Evidence) -> ClassTerms:
    """No term: plain cross entropy."""
    return ClassTerms()


ORDER = 0
ROWS = (
    Method(
        key=UNWEIGHTED,
        label="None (plain cross entropy)",
        group="No weighting",
        terms=none,
        params=(),
        formula=r"w_c = 1",
        needs=frozenset(),
        slider=None,
        summary="Every sample counts the same: the baseline.",
        caveat="",
        source=Source("Good", 1952, "Rational decisions"),
        when="Always: everything else is compared with it.",
        golden=(
            Golden(
                given={"logits": ((0, 1, 2),), "labels": (0,)}, expect={"loss": math.log(1 + math.e + math.e * math.e)}
            ),
        ),
    ),
)
