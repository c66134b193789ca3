"""METHODS: the rows of every file, in the order they are offered."""

from __future__ import annotations

from core.methods import (
    class_difficulty,
    custom_weights,
    frequency_weights,
    logit_adjustment,
    loss_shaping,
    sample_reweighting,
    tpr_weights,
    two_stage,
)
from core.methods.method import Method
from core.methods.types import ClassTerms, Evidence
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
    *tpr_weights.ROWS,
    *frequency_weights.ROWS,
    *custom_weights.ROWS,
    *class_difficulty.ROWS,
    *loss_shaping.ROWS,
    *logit_adjustment.ROWS,
    *sample_reweighting.ROWS,
    *two_stage.ROWS,
)
