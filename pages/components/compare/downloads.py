"""Downloads of a comparison: CSV, JSON and an HTML report."""

from __future__ import annotations

from dataclasses import replace

from core.comparison.compare import Comparison
from core.metrics.readings import Score
from pages.components.common import cached_reads, downloads
from pages.components.compare import report
from reporting import csv_json, text
from services import comparison
from storage.results.runs import RunRow


def draw(before: RunRow, after: RunRow, c: Comparison, score: Score | None, names: list[str]) -> None:
    """The downloads of Compare, with the weighted score that is shown; each file is built on click."""
    b, a = (replace(comparison.report(cached_reads.database(), row), score=score) for row in (before, after))
    name, over = f"evenly-{before.id}-{after.id}", c.over_seeds
    words = text.typographic(text.of(c.verdict)), text.lines(c.cautions)
    files = (
        ("CSV", "csv", "text/csv", lambda: csv_json.comparison_csv(b, a, over), None),
        ("JSON", "json", "application/json", lambda: csv_json.comparison_json(b, a, *words, over), None),
        (
            "HTML report",
            "html",
            "text/html",
            lambda: report.comparison_report(before, after, c, names, (b, a)),
            downloads.OFFLINE,
        ),
    )
    downloads.buttons("compare", name, files)
