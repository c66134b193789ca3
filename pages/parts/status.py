"""A run's state in words, colour and icon; the same everywhere."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts import reads, words

# status -> (label, badge colour, icon)
STATUS = {
    "queued": ("Queued", "gray", ":material/schedule:"),
    "running": ("Running", "blue", ":material/play_circle:"),
    "succeeded": ("Succeeded", "green", ":material/check_circle:"),
    "failed": ("Failed", "red", ":material/error:"),
    "cancelled": ("Stopped", "gray", ":material/cancel:"),
    "paused": ("Paused", "orange", ":material/pause_circle:"),
}
WANTED = {"cancel": "Stopping", "pause": "Pausing"}


def label(record: Any) -> str:
    """The state as one word; what is asked of a running run comes first."""
    if record.status == "running" and record.wanted in WANTED:
        return WANTED[record.wanted]
    return STATUS.get(record.status, (record.status, "", ""))[0]


def in_a_cell(record: Any) -> str:
    """State, share of the epochs and estimate in a few words: "Running 45 %, 5 s left", "Failed at 15 %"."""
    done = f"{100 * reads.progress(record):.0f}\u00a0%"  # kept together where the cell wraps
    text = label(record)
    if record.status == "running":
        text = f"{text} {done}, {words.left(reads.seconds_left(record)).removeprefix('about ')}"
    elif record.status != "succeeded" and reads.has_epochs(record):
        text = f"{text} at {done}"
    return f"{text}, archived" if record.archived else text


def badge(record: Any, width: Any = "content") -> None:
    """The state as a badge."""
    _, colour, icon = STATUS.get(record.status, ("", "gray", ":material/help:"))
    st.badge(label(record), color=colour, icon=icon, width=width)


def progress_text(record: Any) -> str:
    """Epoch, total and the estimate."""
    done = 0 if reads.progress(record) == 0 else int(record.last_epoch)
    text = f"epoch {done} of {int(record.epochs)}"
    if record.status == "running":
        return f"{text}, {words.left(reads.seconds_left(record))}"
    return f"{text}, waiting for the worker" if record.status == "queued" else text
