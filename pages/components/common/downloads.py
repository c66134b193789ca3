"""Download buttons for figures: CSV, JSON and one HTML file. Each file is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from pages.components.common import cached_reads
from reporting import csv_json, html_pages, run_report
from services import comparison
from storage.results.runs import RunRow

OFFLINE = "One file with its pictures; opens without a network."
File = tuple[str, str, str, Callable[[], str], str | None]  # label, ending, type, its text, help


def buttons(prefix: str, name: str, files: Sequence[File]) -> None:
    """One button a file, in a row; keys are `<prefix>_<ending>`."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"{prefix}_exports"):
        for label, ending, kind, text, told in files:
            st.download_button(
                label,
                lambda text=text: text().encode(),
                f"{name}.{ending}",
                kind,
                key=f"{prefix}_{ending}",
                icon=":material/download:",
                on_click="ignore",
                help=told,
            )


def draw(row: RunRow) -> None:
    """A run's figures after its last epoch as files; nothing before the first epoch. As `cli.py export` writes them.

    They are of the test split; the TPRs that may make weights, of the validation split, are a file of their own.
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
                "The validation split, one line per class: what New run and `run --tpr` take.",
            ),
            ("JSON", "json", "application/json", made(csv_json.run_json), None),
            ("HTML report", "html", "text/html", made(html_pages.run_page), OFFLINE),
        ),
    )
