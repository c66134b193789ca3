"""METHODS: the rows of every file, in the order they are offered."""

from __future__ import annotations

from core.evidence import ClassTerms, Evidence
from core.methods import custom, difficulty, from_counts, from_tprs, logits, per_step, second_stage, shape
from core.methods.row import Method
from core.registry import Source, Table


def none(evidence: Evidence) -> ClassTerms:
    """No term at all: plain cross entropy."""
    return ClassTerms()


METHODS = Table(
    "method",
    Method(
        "none",
        "None (plain cross entropy)",
        "No weighting",
        none,
        (),
        r"w_c = 1",
        frozenset(),
        None,
        "Every class counts as its samples do: the baseline.",
        "",
        Source("Good", 1952, "Rational decisions"),
        when="Always: everything else is compared with it.",
    ),
    *from_tprs.ROWS,
    *from_counts.ROWS,
    *custom.ROWS,
    *difficulty.ROWS,
    *shape.ROWS,
    *logits.ROWS,
    *per_step.ROWS,
    *second_stage.ROWS,
)
