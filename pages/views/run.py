"""One run: state and buttons, TPRs next to the baseline's, curves, heat map, weights, confusion, log."""

from __future__ import annotations

import streamlit as st

from core.datasets import known_as
from core.experiment.recipes import RECIPES, Recipe
from core.experiment.states import BUSY, LIVE, STATES
from core.formatting import count
from core.methods import trains
from core.registry import Registry
from models import MODELS, Model
from pages.components.common import cached_reads, navigation, run_notes, run_status, viewport, worker_status
from pages.components.common.error_guard import showing_errors
from pages.components.run import actions, charts, class_table, downloads, live, log, measures, posthoc, stalled_worker
from reporting import provenance
from reporting.text import message, plain, sentence
from storage.jobs import queue
from storage.jobs.waiting import Waiting
from storage.results.runs import RunRow

Kind = tuple[str, bool, Waiting | None]
SHOWN = "run_shown"  # session key: the run last shown in this tab


def row_label(table: Registry[Model] | Registry[Recipe], key: str) -> str:
    """On a run's page the label of a row, or the key itself if this version has no such row."""
    return table[key].label if key in table else key


def heading(row: RunRow) -> None:
    """The heading of a run's page: name, settings in one line, tags and notes."""
    st.title(plain(row.name), anchor=False)
    config = row.config
    facts = [
        f"run {row.id}",
        known_as(row.dataset),
        row_label(MODELS, row.model),
        f"seed {row.seed}",
    ]
    if trains(row.method):
        facts += [row_label(RECIPES, config.recipe), count(int(row.epochs), "epoch")]
    if source := provenance.evidence_origin(row):
        facts.append(source)
    if row.facts.device:
        precision = row.facts.trained_in
        facts.append(f"on {row.facts.device}" + ("" if precision == "float32" else f" in {precision}"))
    st.caption(plain(", ".join(str(f) for f in facts)))
    run_notes.show(row)


def buttons(row: RunRow) -> None:
    """The buttons of a run's page other than pause, resume and stop."""
    with st.container(horizontal=True, vertical_alignment="center", key="run_buttons"):
        actions.next_buttons(row)
        run_notes.editor(row)
        downloads.checkpoint_button(row)
    downloads.draw(row)
    resume = STATES[row.status].resume
    if resume and provenance.orphaned(row):
        st.caption(
            "This run cannot resume: the run whose network it continues from was deleted. Duplicate it to choose another run."
        )
    elif resume and not trains(row.method):
        st.caption(f"{resume} applies the step from the start; this takes seconds.")
    elif resume:
        effect = (
            "continues from the last checkpoint"
            if cached_reads.has_epochs(row)
            else "restarts it, or continues from a checkpoint within the first epoch"
        )
        st.caption(f"Its TPRs can provide weights once its last epoch is trained. {resume} {effect}.")


def draw_state(row: RunRow) -> None:
    """The state on a run's page: badge, progress, estimate and control buttons; warnings of the worker; the error if
    the run failed."""
    where, workers = run_status.places(row), cached_reads.workers()
    silent = stalled_worker.no_heartbeat(row, workers)
    with st.container(horizontal=True, vertical_alignment="center", key="run_state"):
        run_status.badge(row)
        progress = run_status.progress_text(row, where) if silent is None else run_status.reached_epoch(row, {})
        attempt = f"attempt {row.attempt}" if (row.attempt or 0) > 1 else ""
        if text := ", ".join(filter(None, (progress, attempt))):
            st.caption(text, width="content")
        actions.control_buttons(row)
    if row.status in BUSY and trains(row.method):
        st.progress(run_status.share_done(row, where))
    if row.status == "queued":
        worker_status.notice()
    if silent is not None:
        st.warning(silent, icon=":material/sensors_off:")
    stalled_worker.warn_of_stalled_worker(row, workers)
    if row.error:
        (st.info if row.status == "cancelled" else st.error)(
            message(row.error), icon=":material/error:" if row.status == "failed" else ":material/info:"
        )


def main_charts(row: RunRow) -> None:
    """The main charts of a run's page, or what will appear before the first epoch."""
    if cached_reads.has_epochs(row):
        charts.pictures(row)
    else:
        before_first_epoch(row)


def lower_part(row: RunRow) -> None:
    """The lower part of a run's page: confusion, post-hoc steps, class table, measures, log. Without inputs while the
    run is active."""
    if cached_reads.has_epochs(row):
        charts.confusion_chart(row)
        posthoc.draw(row)
        class_table.draw(row)
        measures.draw(row)
    log.draw(row)


def before_first_epoch(row: RunRow) -> None:
    """A run's page before the first epoch: what will appear."""
    held = run_status.held_by(row)
    if row.id not in held:
        st.markdown(nothing_yet(row))
        return
    baseline, paused = held[row.id].baseline, held[row.id].paused
    st.markdown(
        f"This run {run_status.waits(row, held)}. It starts once the baseline has succeeded."
        + (f" Resume also resumes {'the baseline' if paused == baseline else f'run {paused}'}." if paused else "")
    )
    navigation.link_run(baseline, f"Run {baseline}, its baseline", icon=":material/monitoring:", width="content")


def nothing_yet(row: RunRow) -> str:
    """Why a run's page has no charts yet, and when they appear."""
    if trains(row.method):
        what, when, before = "Curves, the TPR", "after the first epoch", "before its first epoch"
    else:
        what, when, before = "The TPR", "once the step has finished", "before it finished"
    if row.status in LIVE:
        return f"{what} of every class and the confusion matrix appear here {when}."
    if row.status == "paused":
        return f"This run is paused {before}. Resume it; charts appear {when}."
    return f"This run {STATES[row.status].clause} {before}, so it has no results."


def layout_kind(row: RunRow) -> Kind:
    """What the layout of a run's page depends on; a change reruns the whole page."""
    return row.status, cached_reads.has_epochs(row), run_status.held_by(row).get(row.id)


@st.fragment(run_every=live.EVERY)
@showing_errors()
def live_state(run_id: int, was: Kind) -> None:
    """State and control buttons of an active run's page, every second; a click redraws no chart."""
    row = cached_reads.run(run_id)
    draw_state(row)
    if layout_kind(row) != was:  # show the new state before the rest is drawn
        st.rerun()
    live.trigger_redraw(row)


@st.fragment(key=live.PICTURES)
@showing_errors()
def live_charts(run_id: int) -> None:
    """The main charts of an active run's page; redrawn when the state fragment requests it."""
    row = cached_reads.run(run_id)
    with live.drawing(live.PICTURES, row):
        main_charts(row)


@st.fragment(key=live.DETAILS)
@showing_errors()
def live_lower_part(run_id: int) -> None:
    """The lower part of an active run's page; redrawn less often."""
    row = cached_reads.run(run_id)
    with live.drawing(live.DETAILS, row):
        lower_part(row)


def no_such_run(why: str) -> None:
    """A run's page whose URL names no run."""
    st.title("No such run")
    st.markdown(why)
    st.page_link(navigation.RUNS, label="All runs", icon=":material/table_rows:")


def main() -> None:
    """The page of one run."""
    run_id = navigation.id_from_url("id")
    if run_id is None and "id" not in st.query_params and SHOWN in st.session_state:
        # A second click or the browser's back button can open this page without an id: show the last run again.
        run_id = st.session_state[SHOWN]
        st.query_params["id"] = str(run_id)
    if run_id is None:
        no_such_run(plain("The URL contains no run number; use /run?id=3."))
        return
    try:
        row = cached_reads.run(run_id)
    except queue.UnknownRunError as error:  # the error guard reports other database errors
        no_such_run(sentence(str(error)))
        return
    st.session_state[SHOWN] = run_id
    heading(row)
    if row.status in LIVE:
        live_state(run_id, layout_kind(row))
        buttons(row)
        live_charts(run_id)
        live_lower_part(run_id)
    else:  # containers, as fragments have: each part replaces its live version
        with st.container():
            draw_state(row)
        buttons(row)
        with st.container():
            main_charts(row)
        with st.container():
            lower_part(row)
    viewport.watch()


with showing_errors():
    main()
