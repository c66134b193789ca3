"""A run's state as label, color and icon, and its progress; the same on every page."""

from __future__ import annotations

from typing import Protocol

import pandas as pd
import streamlit as st

from core.experiment.states import REQUESTS, RESUME, STATES, UNSUCCESSFUL
from core.methods import trains
from pages.components.common import cached_reads
from pages.components.common.navigation import Width
from reporting import numbers
from reporting.text import epoch_step
from services import run_time
from storage.jobs import workers
from storage.jobs.waiting import Waiting, waiting_runs
from storage.jobs.workers import Place
from storage.results.run_records import ListedRun, RunState

BADGES = {  # state -> color, icon
    "queued": ("gray", ":material/schedule:"),
    "running": ("blue", ":material/play_circle:"),
    "succeeded": ("green", ":material/check_circle:"),
    "failed": ("red", ":material/error:"),
    "cancelled": ("gray", ":material/cancel:"),
    "paused": ("orange", ":material/pause_circle:"),
}
Places = dict[int, Place]  # of the running runs
Held = dict[int, Waiting]  # of the queued runs whose baseline has not succeeded


class Stated(Protocol):
    """The columns behind a run's label."""

    @property
    def status(self) -> str: ...
    @property
    def wanted(self) -> str: ...


def label(record: Stated) -> str:
    """A run's state as one word; a pending request to stop or pause takes precedence."""
    return REQUESTS[record.wanted].pending if pending(record) else STATES[record.status].label


def word(record: Stated) -> str:
    """The label of a run's state within a line."""
    return label(record).lower()


def pending(record: Stated) -> bool:
    """Whether a run's worker has yet to carry out a request to pause or stop it."""
    return record.status == "running" and record.wanted != RESUME


# -- what a queued run waits for ---------------------------------------------------------------------------------


def held_by(*records: RunState) -> Held:
    """As part of their state: the queued runs among `records` whose baseline has not succeeded -> what they wait for.

    One short query, or none without a queued run that has a baseline.
    """
    ids = [r.id for r in records if r.status == "queued" and not pd.isna(r.baseline_id)]
    return waiting_runs(cached_reads.database(), ids) if ids else {}


def _waiting(record: RunState, held: Held | None) -> Waiting | None:
    return (held_by(record) if held is None else held).get(record.id)


def waits(record: RunState, held: Held | None = None) -> str:
    """The state of a queued run in words: "waits for its baseline, run 16, which is paused", "waiting for the worker".

    "" if it is not queued.
    """
    if record.status != "queued":
        return ""
    waiting = _waiting(record, held)
    if waiting is None:
        return "waiting for the worker"
    between = f", which waits for run {waiting.paused}" if waiting.paused not in (None, waiting.baseline) else ""
    return f"waits for its baseline, run {waiting.baseline}{between}" + (", which is paused" if waiting.paused else "")


# -- what may be asked of it -------------------------------------------------------------------------------------


def resume_label(record: RunState, held: Held | None = None) -> str:
    """The label of a run's resume button, "Resume" or "Try again" by its state; "" where it cannot be resumed.

    Resuming a queued run that waits for a paused one resumes both.
    """
    if record.status != "queued":
        return STATES[record.status].resume
    waiting = _waiting(record, held)
    return REQUESTS[RESUME].label if waiting is not None and waiting.paused else ""


def requests(record: RunState, held: Held | None = None) -> tuple[str, ...]:
    """What may be asked of a run in its state; of one that is `pending`, nothing more is asked until its worker obeys."""
    more = (RESUME,) if record.status == "queued" and resume_label(record, held) else ()
    return (*more, *STATES[record.status].requests)


def how_it_ended(record: ListedRun) -> str:
    """The state of an ended run as a sentence: "Run 17 was stopped: its baseline, run 16, was stopped."; "" unless it
    was stopped or failed."""
    if record.status not in UNSUCCESSFUL:
        return ""
    error = record.error if isinstance(record.error, str) and record.error else ""
    return f"Run {record.id} {STATES[record.status].clause}{f': {error}' if error else ''}."


# -- progress ----------------------------------------------------------------------------------------------------


def after_epoch(record: ListedRun, epoch: int) -> str:
    """A run's progress to append to the name of a split: " after epoch 3"; "" for a post-hoc step."""
    return f" after epoch {epoch}" if trains(record.method) else ""


def places(*records: RunState) -> Places:
    """The progress of running runs inside their epochs. One short query, or none if no run of `records` is running."""
    return workers.places(cached_reads.database()) if any(r.status == "running" for r in records) else {}


def share_done(record: RunState, where: Places) -> float:
    """A run's progress as the share of all epochs that is done, including the steps of the current one; 0 to 1."""
    return min(run_time.epochs_trained(record, where) / max(int(record.epochs), 1), 1.0)


def in_a_cell(record: RunState, where: Places, held: Held | None = None) -> str:
    """A run's state in a cell of the table of runs, with share of the epochs and estimate: "Running 45 %, 5 s left",
    "Failed at 15 %", "Queued, run 16 paused"."""
    done = numbers.percent(share_done(record, where), 0).replace(" ", "\u00a0")  # no line break before the percent sign
    text = label(record)
    if record.status == "running":
        text = f"{text} {done}, {numbers.left(run_time.seconds_left([record], where), short=True)}"
    elif (waiting := _waiting(record, held)) is not None and waiting.paused:
        text = f"{text}, run {waiting.paused} paused"
    elif record.status != "succeeded" and cached_reads.has_epochs(record):
        text = f"{text} at {done}"
    return f"{text}, archived" if record.archived else text


def badge(record: Stated, width: Width = "content") -> None:
    """A run's state as a badge."""
    color, icon = BADGES[record.status]
    st.badge(label(record), color=color, icon=icon, width=width)


def reached_epoch(record: ListedRun, where: Places) -> str:
    """A run's progress: "epoch 3 of 20" once three are done, "epoch 1 of 2, step 479 of 3,516" in the first; "" for a
    post-hoc step."""
    if not trains(record.method):
        return ""
    place = workers.position_in_epoch(record, where)
    if place is None:
        return f"epoch {int(record.last_epoch or 0)} of {int(record.epochs)}"
    return f"epoch {place.epoch} of {int(record.epochs)}, {epoch_step(place.step, place.steps)}"


def progress_text(record: ListedRun, where: Places | None = None) -> str:
    """A run's progress and the estimate: "epoch 3 of 20, about 5 s left". For a post-hoc step only what it waits for, else ""."""
    if not trains(record.method):
        return waits(record)
    text = reached_epoch(record, where or {})
    if record.status == "running":
        return f"{text}, {numbers.left(run_time.seconds_left([record], where or {}))}"
    return f"{text}, {waits(record)}" if record.status == "queued" else text
