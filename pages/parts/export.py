"""Reports with pictures: core.report, the signature and the settings in words. The pages and the command line use it; needs no Streamlit."""

from __future__ import annotations

from collections.abc import Sequence

from core.noise import limits
from core.report import RunReport, comparison_html, run_html
from pages.parts import settings, signature
from pages.parts.palette import LIGHT

HEADINGS = {"bars": "TPR per class, hardest first", "dumbbell": "Gain and loss of every class", "strip": "All classes, hardest first"}
DUMBBELLS_UP_TO = 200  # classes; a report has room for more than a screen


def side(run: RunReport, label: str) -> signature.Side:
    """A run's TPRs with their limits."""
    return signature.Side(label, run.tpr, *limits(run.tp, run.support))


def run_page(run: RunReport) -> str:
    """One run as a self-contained HTML page."""
    names, mine = list(run.classes), side(run, f"run {run.id}")
    figure = signature.picture("bars", names, mine, None, LIGHT)
    return run_html(run, settings.listed(run), [(HEADINGS["bars"], figure, signature.describe(names, mine, None))])


def comparison_page(before: RunReport, after: RunReport, verdict: str, cautions: Sequence[str] = ()) -> str:
    """Two runs as a self-contained HTML page, in the form that suits the number of classes and, where it differs, as dumbbells."""
    names, b, a = list(before.classes), side(before, "before"), side(after, "after")
    alt = signature.describe(names, b, a)
    kinds = [k for k in dict.fromkeys((signature.default_kind(len(names)), "dumbbell")) if k != "dumbbell" or len(names) <= DUMBBELLS_UP_TO]
    pictures = [(HEADINGS[k], signature.picture(k, names, b, a, LIGHT), alt) for k in kinds]
    return comparison_html(before, after, verdict, cautions, settings.differing(before, after), pictures)
