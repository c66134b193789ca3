"""Reports with pictures: joins core.report and the signature. Used by the pages; needs no Streamlit."""

from __future__ import annotations

import numpy as np

from core.metrics import wilson
from core.report import RunReport, comparison_html, run_html
from pages.parts import signature
from pages.parts.palette import LIGHT


def side(run: RunReport, label: str) -> signature.Side:
    """A run's TPRs with their limits."""
    low, high = wilson(run.tp, run.support)
    return signature.Side(label, run.tpr, np.asarray(low, float), np.asarray(high, float))


def run_page(run: RunReport) -> str:
    """One run as a self-contained HTML page."""
    names, mine = list(run.classes), side(run, f"run {run.id}")
    figure = signature.picture("bars", names, mine, None, LIGHT)
    return run_html(run, [("TPR per class, hardest first", figure, signature.describe(names, mine, None))])


def comparison_page(before: RunReport, after: RunReport, verdict: str) -> str:
    """Two runs as a self-contained HTML page, in the form that suits the number of classes and, where it differs, as dumbbells."""
    names, b, a = list(before.classes), side(before, "before"), side(after, "after")
    kinds = dict.fromkeys((signature.default_kind(len(names)), "dumbbell"))
    alt = signature.describe(names, b, a)
    heads = {"bars": "TPR per class, hardest first", "dumbbell": "Gain and loss of every class", "strip": "All classes, hardest first"}
    kinds = [k for k in kinds if k != "dumbbell" or len(names) <= 200]
    return comparison_html(before, after, verdict, [(heads[k], signature.picture(k, names, b, a, LIGHT), alt) for k in kinds])
