"""Reports with pictures: core.report, the signature and the settings in words. The pages and the command line use it; needs no Streamlit."""

from __future__ import annotations

from collections.abc import Sequence

from core.noise import limits
from core.over_seeds import OverSeeds
from core.report import RunReport, comparison_html, run_html
from pages.parts import settings, signature, states
from pages.parts.palette import LIGHT

ALONE = "TPR per class, hardest first"
HEADINGS = {"bars": ALONE, "dumbbell": "Gain and loss of every class", "strip": "All classes, hardest first"}
DUMBBELLS_UP_TO = 200  # classes; a report has room for more than a screen


def side(run: RunReport, label: str) -> states.Side:
    """A run's TPRs with their limits."""
    return states.Side(label, run.metrics.tpr, *limits(run.tp, run.support))


def run_page(run: RunReport) -> str:
    """One run as a self-contained HTML page."""
    names, mine = list(run.classes), side(run, f"run {run.id}")
    figure = signature.picture(signature.usual_kind(mine), names, mine, None, LIGHT)
    return run_html(run, settings.listed(run), [(ALONE, figure, signature.describe(names, mine, None))])


def comparison_page(before: RunReport, after: RunReport, verdict: str, cautions: Sequence[str] = (), over: OverSeeds | None = None) -> str:
    """Two runs as a self-contained HTML page, in the form that suits the classes and, where it differs, as dumbbells; of means over seeds where there are some."""
    names = list(before.classes)
    b, a = states.of_seeds(over) if over is not None and over.rows else (side(before, "before"), side(after, "after"))
    alt = signature.describe(names, b, a)
    kinds = [k for k in dict.fromkeys((signature.usual_kind(b, a), "dumbbell")) if k != "dumbbell" or len(names) <= DUMBBELLS_UP_TO]
    pictures = [(HEADINGS[k], signature.picture(k, names, b, a, LIGHT), alt) for k in kinds]
    return comparison_html(before, after, verdict, cautions, settings.differing(before, after), pictures, over)
