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
from core.registry import Registry, Source


def none(evidence: Evidence) -> ClassTerms:
    """No term at all: plain cross entropy."""
    return ClassTerms()


METHODS = Registry(
    "method",
    Method(
        key="none",
        label="None (plain cross entropy)",
        group="No weighting",
        terms=none,
        params=(),
        formula=r"w_c = 1",
        needs=frozenset(),
        slider=None,
        summary="Every class counts as its samples do: the baseline.",
        caveat="",
        source=Source("Good", 1952, "Rational decisions"),
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
