"""Downloads of a run: CSV, validation TPRs, JSON and an HTML report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from pages.components.common import cached_reads
from pages.components.common.downloads import OFFLINE, buttons
from reporting import csv_json, html_pages, run_report
from services import comparison
from storage import results
from storage.db.paths import data_root
from storage.results.checkpoint_rows import CheckpointRow
from storage.results.runs import RunRow


def draw(row: RunRow) -> None:
    """The downloads of a run's figures after its last epoch, as `cli.py export` writes them; nothing before the first epoch.

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


def checkpoint_button(row: RunRow) -> None:
    """A run's newest checkpoint as a download; read from disk on click."""
    listed = results.list_checkpoints(cached_reads.database(), row.id)
    if not listed:
        return
    last = max(listed, key=lambda c: c.epoch)
    path = checkpoint_path(last)
    if path is None:
        return
    st.download_button(
        "Checkpoint",
        data=path.read_bytes,
        file_name=f"run-{row.id}-epoch-{last.epoch}.pt",
        mime="application/octet-stream",
        key="run_checkpoint",
        icon=":material/download:",
        on_click="ignore",
        help=f"State after epoch {last.epoch}, {last.bytes / 1e6:.1f} MB.",
    )


def checkpoint_path(checkpoint: CheckpointRow) -> Path | None:
    """Path of the checkpoint to download, or None if its file is missing or outside the data folder."""
    root = data_root().resolve()
    path = (root / checkpoint.path).resolve()
    return path if path.is_file() and path.is_relative_to(root) else None
