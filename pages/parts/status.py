"""A run's state in words, colour and icon, and how far it is; the same everywhere."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts import reads, words
from storage import workers
from storage.workers import Place

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
Places = dict[int, Place]  # of the runs that are on


def label(record: Any) -> str:
    """The state as one word; what is asked of a running run comes first."""
    if record.status == "running" and record.wanted in WANTED:
        return WANTED[record.wanted]
    return STATUS.get(record.status, (record.status, "", ""))[0]


# -- how far -----------------------------------------------------------------------------------------------------


def places(*records: Any) -> Places:
    """Where the workers are inside their epochs; one short query, none where no run of `records` is on."""
    return workers.places(reads.database()) if any(r.status == "running" for r in records) else {}


def inside(record: Any, where: Places) -> Place | None:
    """Where a run is inside the epoch that follows its last recorded one, or None: it is not on, or nothing was said of this epoch."""
    place = where.get(int(record.id)) if record.status == "running" else None
    return place if place is not None and place.epoch == int(record.last_epoch) + 1 <= int(record.epochs) else None


def share(record: Any, where: Places) -> float:
    """Share of all epochs done, the steps of the current one too; 0 to 1."""
    place = inside(record, where)
    return reads.progress(record) + (0.0 if place is None else place.share / int(record.epochs))


def seconds_left(record: Any, where: Places) -> float | None:
    """Estimate from the mean of the epochs so far, in the first epoch from its steps; None before that."""
    place, left = inside(record, where), reads.seconds_left(record)
    if place is None:
        return left
    an_epoch = place.pace if left is None else float(record.seconds) / int(record.last_epoch)
    return None if an_epoch is None else an_epoch * (int(record.epochs) - int(record.last_epoch) - place.share)


def in_a_cell(record: Any, where: Places) -> str:
    """State, share of the epochs and estimate in a few words: "Running 45 %, 5 s left", "Failed at 15 %"."""
    done = f"{100 * share(record, where):.0f}\u00a0%"  # kept together where the cell wraps
    text = label(record)
    if record.status == "running":
        text = f"{text} {done}, {words.left(seconds_left(record, where)).removeprefix('about ')}"
    elif record.status != "succeeded" and reads.has_epochs(record):
        text = f"{text} at {done}"
    return f"{text}, archived" if record.archived else text


def badge(record: Any, width: Any = "content") -> None:
    """The state as a badge."""
    _, colour, icon = STATUS.get(record.status, ("", "gray", ":material/help:"))
    st.badge(label(record), color=colour, icon=icon, width=width)


def progress_text(record: Any, where: Places | None = None) -> str:
    """Epoch, total and the estimate: "epoch 3 of 20, about 5 s left" once three are done, "epoch 1 of 2, step 479 of 3,516, about 15 min left" in the first."""
    done = 0 if reads.progress(record) == 0 else int(record.last_epoch)
    place = inside(record, where or {})
    text = f"epoch {done} of {int(record.epochs)}" if place is None else f"epoch {place.epoch} of {int(record.epochs)}, {place.words()}"
    if record.status == "running":
        return f"{text}, {words.left(seconds_left(record, where or {}))}"
    return f"{text}, waiting for the worker" if record.status == "queued" else text
