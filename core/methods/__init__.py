"""The methods: pure functions Evidence -> ClassTerms, one row each, gathered in METHODS.

To add a method, write a function and a row in the file of its kind or in a new one, which is found automatically; page, CLI,
validation, docs and tests read the row.
"""

from core.methods.evaluate import (
    Grid,
    answer,
    formula_with,
    grid,
    grid_values,
    shares,
    slider_param,
    takes_tprs,
    trains,
    what_if,
)
from core.methods.method import CLASSIFIER, FINETUNE, POSTHOC, TRAIN, Method
from core.methods.registry import METHODS

__all__ = [
    "CLASSIFIER",
    "FINETUNE",
    "METHODS",
    "POSTHOC",
    "TRAIN",
    "Grid",
    "Method",
    "answer",
    "formula_with",
    "grid",
    "grid_values",
    "shares",
    "slider_param",
    "takes_tprs",
    "trains",
    "what_if",
]
