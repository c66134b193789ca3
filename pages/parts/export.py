"""Reports with pictures: core.report, the signature and the settings in words.

The pages and the command line use it; needs no Streamlit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from core.comparison.seed_statistics import OverSeeds
from core.methods import METHODS
from core.metrics.intervals import limits
from core.report import Listing, Picture, RunReport, comparison_html, run_html
from pages.parts import settings, signature, states
from pages.parts.figure import Figure
from pages.parts.palette import DARK, LIGHT, Palette
from pages.parts.words import exact

ALONE = "TPR per class, hardest first"
PLAIN = {
    m.key for m in METHODS if not m.needs and not m.params
}  # a baseline's method: it needs nothing and has nothing to set
HEADINGS = {"bars": ALONE, "dumbbell": "Gain and loss of every class", "strip": "All classes, hardest first"}
DUMBBELLS_UP_TO = 200  # classes; a report has room for more than a screen


def side(run: RunReport, label: str) -> states.Side:
    """A run's TPRs with their limits."""
    return states.Side(label, run.metrics.tpr, *limits(run.tp, run.support))


def run_page(run: RunReport) -> str:
    """One run as a self-contained HTML page. A run that is weighted looks as it does after its baseline."""
    names, mine = list(run.classes), replace(side(run, f"run {run.id}"), weighted=run.config.get("method") not in PLAIN)
    kind = signature.usual_kind(mine)
    figures = in_both(lambda p: signature.picture(kind, names, mine, None, p))
    return run_html(
        run,
        settings.listed(run),
        [
            (
                ALONE,
                figures,
                signature.describe(names, mine, None),
                f"{signature.LINES_ALONE} {signature.marks(kind, mine)}",
            )
        ],
    )


def in_both(draw: Callable[[Palette], Figure]) -> dict[str, Figure]:
    """A figure in the colours of both schemes that a browser may prefer."""
    return {p.name: draw(p) for p in (LIGHT, DARK)}


def comparison_page(
    before: RunReport,
    after: RunReport,
    verdict: str,
    cautions: Sequence[str] = (),
    over: OverSeeds | None = None,
    *,
    praise: bool = True,
    pictures: Sequence[Picture] = (),
    tables: Sequence[Listing] = (),
) -> str:
    """Two runs as a self-contained HTML page, in the form that suits the classes and, where it differs, as dumbbells.

    Of means over seeds where there are some. `pictures` and `tables` of what only the database knows, as the
    epochs, follow; `praise` as in `core.report.comparison_html`.
    """
    names = list(before.classes)
    b, a = states.of_seeds(over) if over is not None and over.rows else (side(before, "before"), side(after, "after"))
    alt = signature.describe(names, b, a)
    kinds = [
        k
        for k in dict.fromkeys((signature.usual_kind(b, a), "dumbbell"))
        if k != "dumbbell" or len(names) <= DUMBBELLS_UP_TO
    ]
    drawn = [
        (
            HEADINGS[k],
            in_both(lambda p, k=k: signature.picture(k, names, b, a, p)),
            alt,
            f"{signature.LINES} {signature.marks(k, b)}",
        )
        for k in kinds
    ]
    return comparison_html(
        before,
        after,
        verdict,
        cautions,
        settings.differing(before, after),
        [*drawn, *pictures],
        over,
        common=settings.common(before, after),
        made=exact(datetime.now(UTC)),
        praise=praise,
        tables=tables,
    )
