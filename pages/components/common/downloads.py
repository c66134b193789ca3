"""Download buttons for figures: CSV, JSON and one HTML file. A file is built when it is requested."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from pages.components.common import cached_reads
from reporting import csv_json, html_pages, run_report
from services import comparison
from storage.results.runs import RunRow

OFFLINE = "One file including its charts; opens offline."
File = tuple[str, str, str, Callable[[], str], str | None]  # label, file extension, MIME type, text, help


def buttons(prefix: str, name: str, files: Sequence[File]) -> None:
    """One button per file, in a row; keys are `<prefix>_<extension>`."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"{prefix}_exports"):
        for label, extension, mime, text, help_text in files:
            st.download_button(
                label,
                lambda text=text: text().encode(),
                f"{name}.{extension}",
                mime,
                key=f"{prefix}_{extension}",
                icon=":material/download:",
                on_click="ignore",
                help=help_text,
            )


def draw(row: RunRow) -> None:
    """A run's figures after its last epoch, as `cli.py export` writes them; nothing before the first epoch.

    Figures are of the test split; validation TPRs, which weights may be computed from, are a separate file.
    """
    if not cached_reads.has_epochs(row):
        return

    def made(write: Callable[[run_report.RunReport], str], split: str = "test") -> Callable[[], str]:
        return lambda: write(comparison.report(cached_reads.database(), row, split))

    buttons(
        "run",
        f"evenly-run-{row.id}",
        (
            ("CSV", "csv", "text/csv", made(csv_json.run_csv), "The test split, one line per class."),
            (
                "TPRs",
                "validation.csv",
                "text/csv",
                made(csv_json.run_csv, "validation"),
                "The validation split, one line per class: the format New run and `run --tpr` accept.",
            ),
            ("JSON", "json", "application/json", made(csv_json.run_json), None),
            ("HTML report", "html", "text/html", made(html_pages.run_page), OFFLINE),
        ),
    )
