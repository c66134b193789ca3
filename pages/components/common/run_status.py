"""A run's state as label, color and icon, and its progress; the same on every page."""

from __future__ import annotations

from typing import Protocol

import pandas as pd
import streamlit as st

from core import methods
from core.experiment.states import REQUESTS, RESUME, STATES, UNSUCCESSFUL
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
    """The state as one word; a pending request to stop or pause takes precedence."""
    return REQUESTS[record.wanted].pending if pending(record) else STATES[record.status].label


def word(record: Stated) -> str:
    """The label within a line."""
    return label(record).lower()


def pending(record: Stated) -> bool:
    """Whether its worker has yet to carry out a request to pause or stop it."""
    return record.status == "running" and record.wanted != RESUME


# -- what a queued run waits for ---------------------------------------------------------------------------------


def held_by(*records: RunState) -> Held:
    """The queued runs among `records` whose baseline has not succeeded -> what they wait for.

    One short query, or none without a queued run that has a baseline.
    """
    ids = [r.id for r in records if r.status == "queued" and not pd.isna(r.baseline_id)]
    return waiting_runs(cached_reads.database(), ids) if ids else {}


def _waiting(record: RunState, held: Held | None) -> Waiting | None:
    return (held_by(record) if held is None else held).get(record.id)


def waits(record: RunState, held: Held | None = None) -> str:
    """What a queued run waits for: "waits for its baseline, run 16, which is paused", "waiting for the worker".

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


def resume(record: RunState, held: Held | None = None) -> str:
    """The label of the resume button, "Resume" or "Try again"; "" where the run cannot be resumed.

    Resuming a queued run that waits for a paused one resumes both.
    """
    if record.status != "queued":
        return STATES[record.status].resume
    waiting = _waiting(record, held)
    return REQUESTS[RESUME].label if waiting is not None and waiting.paused else ""


def requests(record: RunState, held: Held | None = None) -> tuple[str, ...]:
    """What may be asked of the run in its state; of one that is `pending`, nothing more is asked until its worker obeys."""
    more = (RESUME,) if record.status == "queued" and resume(record, held) else ()
    return (*more, *STATES[record.status].requests)


def ended(record: ListedRun) -> str:
    """ "Run 17 was stopped: its baseline, run 16, was stopped."; "" unless it was stopped or failed."""
    if record.status not in UNSUCCESSFUL:
        return ""
    error = record.error if isinstance(record.error, str) and record.error else ""
    return f"Run {record.id} {STATES[record.status].clause}{f': {error}' if error else ''}."


# -- training runs and post-hoc steps ----------------------------------------------------------------------------


def trains(record: ListedRun) -> bool:
    """Whether the run has epochs; a post-hoc step trains nothing."""
    return methods.trains(record.method)


def after(record: ListedRun, epoch: int) -> str:
    """ " after epoch 3", to append to the name of a split; "" for a post-hoc step."""
    return f" after epoch {epoch}" if trains(record) else ""


# -- progress ----------------------------------------------------------------------------------------------------


def places(*records: RunState) -> Places:
    """Progress of the workers inside their epochs. One short query, or none if no run of `records` is running."""
    return workers.places(cached_reads.database()) if any(r.status == "running" for r in records) else {}


def share(record: RunState, where: Places) -> float:
    """Share of all epochs that is done, including the steps of the current one; 0 to 1."""
    return min(run_time.epochs_trained(record, where) / max(int(record.epochs), 1), 1.0)


def in_a_cell(record: RunState, where: Places, held: Held | None = None) -> str:
    """State, share of the epochs and estimate in a few words: "Running 45 %, 5 s left", "Failed at 15 %", "Queued, run 16 paused"."""
    done = numbers.percent(share(record, where), 0).replace(" ", "\u00a0")  # no line break before the percent sign
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


def reached(record: ListedRun, where: Places) -> str:
    """ "epoch 3 of 20" once three are done, "epoch 1 of 2, step 479 of 3,516" in the first; "" for a post-hoc step."""
    if not trains(record):
        return ""
    place = workers.position_in_epoch(record, where)
    if place is None:
        return f"epoch {int(record.last_epoch or 0)} of {int(record.epochs)}"
    return f"epoch {place.epoch} of {int(record.epochs)}, {epoch_step(place.step, place.steps)}"


def progress_text(record: ListedRun, where: Places | None = None) -> str:
    """Epoch, total and the estimate: "epoch 3 of 20, about 5 s left". For a post-hoc step only what it waits for, else ""."""
    if not trains(record):
        return waits(record)
    text = reached(record, where or {})
    if record.status == "running":
        return f"{text}, {numbers.left(run_time.seconds_left([record], where or {}))}"
    return f"{text}, {waits(record)}" if record.status == "queued" else text
