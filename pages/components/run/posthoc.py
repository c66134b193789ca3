"""Post-hoc steps on the run page: choose one and its strength, apply it in a helper process, see its effect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import pandas as pd
import streamlit as st

from core.experiment.states import BUSY, RESUME, UNSUCCESSFUL
from core.methods import METHODS, POSTHOC
from core.methods.method import Method
from core.methods.posthoc import USUAL
from core.registry import Param
from pages.components.common import (
    cached_reads,
    helper_process,
    navigation,
    param_fields,
    plan_findings,
    run_status,
    viewport,
)
from pages.components.common.error_guard import showing_errors
from reporting.numbers import duration
from reporting.text import message, plain
from services import posthoc
from services.run_names import method_words
from storage.jobs import queue
from storage.jobs.queue import NewRun
from storage.results.runs import RunRow

ROWS = tuple(sorted((m for m in METHODS if m.stage == POSTHOC), key=lambda m: m.key != USUAL))
EVERY = 1.0  # seconds between two polls while a step is active
MOST = 12  # steps in the table
ROW, TALL_ROW = 35, 66  # px; Streamlit wraps text in rows above 64
PHONE = ("step", "accuracy", "variance")
NOTHING = "As trained"


class StepRecord(run_status.Stated, Protocol):
    """A row of `services.posthoc.steps_of`, as itertuples gives it: the columns read here."""

    @property
    def id(self) -> int: ...
    @property
    def created_at(self) -> pd.Timestamp: ...


def draw(row: RunRow) -> None:
    """The section on post-hoc steps of a run's page; nothing for a run that has not succeeded or is itself a post-hoc step."""
    if row.status != "succeeded" or row.method not in METHODS or METHODS[row.method].stage == POSTHOC:
        return
    st.subheader("Post-hoc steps", anchor=False)
    st.caption(
        "Adjust this run's outputs without training; takes seconds, even if all workers are busy. "
        "Anything fitted uses the validation split; the metrics are of the test split."
    )
    step_controls(row)
    frame = posthoc.steps_of(cached_reads.database(), row.id)
    if frame["status"].isin(BUSY).any():
        live_steps(row.id, active_states(frame))
    if len(frame):
        step_listing(row, frame)


# -- choose and apply --------------------------------------------------------------------------------------------


@st.fragment
@showing_errors()
def step_controls(row: RunRow) -> None:
    """The choice of a post-hoc step, its parameters and the button. A fragment: moving a slider redraws nothing else."""
    method, params = pick_step()
    st.caption(plain(method.summary))
    planned = posthoc.plan_step(cached_reads.database(), row, method.key, params)
    (step,) = planned.rows
    plan_findings.draw(planned.findings)
    apply_button(row, step)


def pick_step() -> tuple[Method, param_fields.Values]:
    """Show the choice of a post-hoc step, and its parameters beside it."""
    left, right = st.columns([2, 3], gap="medium")
    with left:
        key = st.selectbox(
            "Step",
            [m.key for m in ROWS],
            format_func=lambda k: METHODS[k].label,
            key="posthoc_step",
            help="The Methods page explains each.",
        )
    method = METHODS[key]
    with right:
        return method, {p.key: step_parameter(method.key, p) for p in method.params}


def apply_button(row: RunRow, step: NewRun) -> None:
    """Apply a post-hoc step, or try it again; disabled, and which run it is, where it was already applied."""
    found = posthoc.existing_step(posthoc.steps_of(cached_reads.database(), row.id), step)
    again = found is not None and found[1] in UNSUCCESSFUL
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Try again" if again else "Apply",
            key="posthoc_apply",
            type="primary",
            icon=":material/balance:",
            disabled=found is not None and not again,
        ):
            apply_step(row, step, found)
            st.rerun()
        if found is not None and found[1] == "succeeded":
            st.caption(f"Already applied as run {found[0]}.", width="content")


def step_parameter(owner: str, param: Param) -> float | str:
    """A parameter of a post-hoc step: a slider if it has a range, else the usual field."""
    drag = (
        not (param.choices or param.words or param.text or param.integer)
        and math.isfinite(param.low)
        and math.isfinite(param.high)
    )
    if not drag:
        return param_fields.field(f"posthoc_{owner}", param)
    return st.slider(
        param.label,
        param.low,
        param.high,
        float(param.default),
        param.step,
        key=f"posthoc_{owner}_{param.key}",
        help=param.help or None,
    )


def apply_step(row: RunRow, step: NewRun, found: tuple[int, str] | None) -> None:
    """Queue a post-hoc step once and start a helper process that runs it at once; one that failed or was stopped is requeued."""
    with showing_errors():
        (run_id,) = [found[0]] if found else queue.submit(cached_reads.database(), [step], posthoc.key_of(step))
        if cached_reads.run(run_id).status in UNSUCCESSFUL:
            queue.ask(cached_reads.database(), run_id, RESUME)
        try:
            helper_process.begin(run_id, *step_command(row.id, step))
        except OSError as error:
            st.toast(
                f"Could not start a helper process ({plain(error.strerror or str(error))}). Run {run_id} is queued for a worker.",
                icon=":material/schedule:",
            )


def step_command(run_id: int, step: NewRun) -> list[str]:
    """A post-hoc step as arguments of cli.py for the helper process; its key selects the run that is already queued."""
    params = [
        f"{name}={value!r}" if isinstance(value, float) else f"{name}={value}"
        for name, value in step.config.params.items()
    ]
    return [
        "posthoc",
        str(run_id),
        "--method",
        step.config.method,
        *(word for p in params for word in ("--param", p)),
        "--key",
        posthoc.key_of(step),
        "--json",
    ]


# -- steps so far ------------------------------------------------------------------------------------------------


def active_states(frame: pd.DataFrame) -> tuple[tuple[int, bool], ...]:
    """Which post-hoc steps of a run are active; a change reruns the page."""
    return tuple(zip(frame["id"].tolist(), frame["status"].isin(BUSY).tolist(), strict=True))


@st.fragment(run_every=EVERY)
@showing_errors()
def live_steps(run_id: int, was: tuple[tuple[int, bool], ...]) -> None:
    """The active post-hoc steps of a run, until one of them ends; has no inputs."""
    frame = posthoc.steps_of(cached_reads.database(), run_id)
    if active_states(frame) != was:
        st.rerun()
    for record in frame[frame["status"].isin(BUSY)].itertuples():
        active_step(record)


def active_step(record: StepRecord) -> None:
    """An active post-hoc step: state, name and seconds so far, and the error of its helper process if it failed."""
    seconds = max((datetime.now(UTC) - record.created_at.to_pydatetime()).total_seconds(), 0.0)
    with st.container(horizontal=True, vertical_alignment="center"):
        run_status.badge(record)
        named = f"{plain(step_name(cached_reads.run(int(record.id))))} as run {record.id}"
        paused = record.status == "paused"  # to be resumed on its page
        st.caption(f"{named} is paused" if paused else f"Applying {named}, {duration(seconds)}", width="content")
        if paused:
            navigation.link_run(int(record.id), f"Run {record.id}", icon=":material/monitoring:", width="content")
    if why := helper_process.failure(int(record.id)):
        st.warning(message(f"{why}. The run is queued for a worker."), icon=":material/schedule:")


def step_listing(row: RunRow, frame: pd.DataFrame) -> None:
    """The error of a run's newest post-hoc step if it failed, a table of the finished steps, and links to the newest of them."""
    newest = cached_reads.run(int(frame["id"].iloc[-1]))
    if newest.status in UNSUCCESSFUL:
        st.error(
            message(f"{step_name(newest)}, run {newest.id}: {newest.error or 'it was stopped'}"),
            icon=":material/error:",
        )
    done = [cached_reads.run(int(i)) for i in frame[frame["status"] == "succeeded"]["id"].tail(MOST)]
    if not done:
        return
    step_table(row, done)
    last = max(r.id for r in done)
    with st.container(horizontal=True, key="posthoc_links"):
        if st.button(
            f"Open run {last}", key="posthoc_open", icon=":material/monitoring:", help="The newest of these runs."
        ):
            navigation.open_run(last)
        if st.button(f"Compare run {row.id} with run {last}", key="posthoc_compare", icon=":material/compare_arrows:"):
            navigation.open_compare(row.id, last)


def step_name(row: RunRow) -> str:
    """A post-hoc step and its parameters as text."""
    return method_words(row.config)


def step_table(row: RunRow, done: Sequence[RunRow]) -> None:
    """The run as trained and every post-hoc step on it, as a table; a click on a step opens its run."""
    keys = [m.key for m in ROWS]
    done = sorted(done, key=lambda r: (keys.index(r.method), step_strength(r)))
    shown, phone = step_rows(row, done), viewport.narrow_window()
    ids, name_key = [row.id, *(r.id for r in done)], f"posthoc_name_{row.id}_{done[-1].id}_{len(done)}"
    event = st.dataframe(
        shown,
        key=f"posthoc_table_{row.id}_{len(done)}",
        hide_index=True,
        placeholder="",
        column_config=step_columns(phone, name_key),
        column_order=PHONE if phone else None,
        height="content",
        on_select="rerun",
        selection_mode="single-cell",
        row_height=TALL_ROW if phone else ROW,
        alt="Accuracy, TPR variance and lowest TPR of this run and of every post-hoc step on it",
    )
    pressed = [r for r, column in event.selection.cells if column == "step"]
    if click := st.session_state.get(name_key):
        pressed.append(click["row"])
    if pressed and pressed[0] > 0:
        navigation.open_run(ids[pressed[0]])


def step_strength(row: RunRow) -> float:
    """The value of a post-hoc step's slider parameter, to sort by."""
    value = row.config.params.get(METHODS[row.method].slider)
    return float(value) if isinstance(value, (int, float)) else 0.0


def step_rows(row: RunRow, done: Sequence[RunRow]) -> pd.DataFrame:
    """The rows of the table of post-hoc steps, the run as trained first: test split; shares in percent, changes
    relative to the run as trained."""
    return pd.DataFrame(
        [step_row(r, row, NOTHING if r is row else f"{step_name(r)} (run {r.id})") for r in (row, *done)]
    )


def step_row(r: RunRow, row: RunRow, name: str) -> dict[str, str | float | None]:
    """A row of the table of post-hoc steps, numbers so that every column sorts; None, an empty cell, for the changes of
    the run as trained."""
    less = None if r is row or not row.tpr_variance else 100 * (r.tpr_variance / row.tpr_variance - 1)
    return {
        "step": name,
        "accuracy": 100 * r.accuracy,
        "change": None if r is row else 100 * (r.accuracy - row.accuracy),
        "variance": r.tpr_variance,
        "less": less,
        "lowest": 100 * r.tpr_min,
    }


def step_columns(phone: bool, name_key: str) -> dict[str, Any]:
    """Header and format of each column of the table of post-hoc steps; a click on a step is kept under `name_key`.

    A button's label does not wrap, so on a phone steps are text.
    """
    number, text, button = st.column_config.NumberColumn, st.column_config.TextColumn, st.column_config.ButtonColumn
    opens = "Click to open the run."
    return {
        "step": text("Step", width=150)
        if phone
        else button("Step", type="tertiary", alignment="left", width=340, key=name_key, help=opens),
        "accuracy": number("Acc." if phone else "Accuracy", format="%.1f %%", width=64 if phone else 90),
        "change": number("Change, points", format="%+.1f"),
        "variance": number("TPR var." if phone else "TPR variance", format="%.4f", width=72 if phone else 110),
        "less": number("Change, %", format="%+.0f"),
        "lowest": number("Lowest TPR", format="%.1f %%"),
    }
