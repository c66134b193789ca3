"""Actions on the selected runs."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.experiment.states import PAUSE, REQUESTS, RESUME, STOP
from core.formatting import count, listed
from core.methods import takes_tprs
from pages.components.common import (
    auto_refresh,
    cached_reads,
    navigation,
    run_notes,
    run_status,
    viewport,
)
from pages.components.common.error_guard import showing_errors
from reporting import provenance
from reporting.text import plain
from storage import results
from storage.jobs import queue
from storage.results.run_records import ListedRun

BUTTONS = {  # request -> icon, help
    PAUSE: (":material/pause:", "Pauses {runs}."),
    RESUME: (":material/play_arrow:", "Resumes {runs} from the last checkpoint."),
    STOP: (":material/stop:", "Stops {runs}; metrics recorded so far are kept."),
}
TO_OPEN = "Click a name to open the run."
TO_CHOOSE = "Tap a name to select the run, or tick several; the buttons are below."
BY_KEYS = "Keyboard: arrow keys to its row, Shift+Space to tick it, then this button."
TO_TICK = "Tick rows on the left to compare or edit them."
HINT = 220  # px: on a phone the grid's own buttons lie to the right of it
MOST_NAMED = 8  # dependent runs listed in the delete dialog


def archive(ids: list[int], flag: bool) -> None:
    """Archive or unarchive the runs selected on Runs, and remember it for Undo."""
    with showing_errors():
        results.archive(cached_reads.database(), ids, flag)
        st.session_state["runs_archived"] = (ids, flag)


def ask_for_all(ids: list[int], request: str) -> None:
    """Record the request for each run selected on Runs; one that has ended meanwhile shows an error and does not block
    the others."""
    for run_id in ids:
        with showing_errors():
            queue.ask(cached_reads.database(), run_id, request)


def undo_archiving(ids: list[int], flag: bool) -> None:
    """Revert the last archiving on the Runs page."""
    archive(ids, not flag)
    st.session_state.pop("runs_archived", None)


def undo_notice(ids: list[int]) -> None:
    """What was just archived on the Runs page, with an Undo button, until other rows are selected."""
    if ids:
        st.session_state.pop("runs_archived", None)
    if "runs_archived" not in st.session_state:
        return
    moved, flag = st.session_state["runs_archived"]
    some = listed(sorted(moved), 5)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{'Run' if len(moved) == 1 else 'Runs'} {some} {'archived' if flag else 'unarchived'}",
            width="content",
        )
        st.button("Undo", key="runs_undo", icon=":material/undo:", on_click=undo_archiving, args=(moved, flag))


@st.dialog("Delete runs", icon=":material/delete:", on_dismiss="rerun")
def confirm_delete(frame: pd.DataFrame) -> None:
    """The dialog of the Runs page that lists every run to be deleted; the ids are fixed when it opens."""
    st.markdown(f"This permanently deletes {count(len(frame), 'run')} with all results and checkpoints:")
    st.markdown("\n".join(f"- {r.id}: {plain(r.name)}" for r in frame.itertuples()))
    ids = frame["id"].tolist()
    list_below(
        "These runs can no longer be resumed, because they continue from a network that is deleted:", stranded(ids)
    )
    list_below("These runs keep the TPRs they took, but lose the baseline to compare with:", dependants(ids))
    with st.container(horizontal=True):
        if st.button("Delete", key="runs_delete_yes", type="primary", icon=":material/delete:"):
            with showing_errors():
                results.delete(cached_reads.database(), [int(i) for i in frame["id"]])
                st.rerun()
        if st.button("Keep", key="runs_delete_no"):
            st.rerun()


def list_below(why: str, lines: list[str]) -> None:
    """In the dialog that deletes runs: a list below its reason; nothing if it is empty."""
    if lines:
        st.markdown(why)
        st.markdown(
            "\n".join(f"- {line}" for line in lines[:MOST_NAMED])
            + (f"\n- and {len(lines) - MOST_NAMED} more" if len(lines) > MOST_NAMED else "")
        )


def followers(ids: list[int]) -> list[ListedRun]:
    """In the dialog that deletes runs: the other runs whose baseline is one of `ids`."""
    every = cached_reads.runs(archived=None)
    return list(every[every["baseline_id"].isin(ids) & ~every["id"].isin(ids)].sort_values("id").itertuples())


def unfinished_stage(record: ListedRun) -> bool:
    """For the dialog that deletes runs: whether a run is an unfinished second stage or post-hoc step, which cannot
    resume without its baseline's network."""
    return record.status != "succeeded" and provenance.needs_network(record.method)


def stranded(ids: list[int]) -> list[str]:
    """In the dialog that deletes runs: the followers that could no longer resume: "run 14 (Stopped) continues from run 13"."""
    return [
        f"run {r.id} ({run_status.label(r)}) continues from run {int(r.baseline_id)}"
        for r in followers(ids)
        if unfinished_stage(r)
    ]


def dependants(ids: list[int]) -> list[str]:
    """In the dialog that deletes runs: the other followers: "run 14 took its TPRs from run 13"."""
    rows = [cached_reads.run(int(r.id)) for r in followers(ids) if not unfinished_stage(r)]
    return [
        f"run {row.id} {'took its TPRs from' if takes_tprs(row.method, row.config.params) else 'is compared with'} "
        f"run {row.baseline_id}"
        for row in rows
    ]


@st.dialog("Tags and notes", icon=":material/edit:", on_dismiss="rerun")
def edit_run(record: ListedRun) -> None:
    """The dialog of the Runs page to edit name, tags and notes of one run."""
    run_notes.fields(record, "runs")
    if st.button("Save", key="runs_edit_save", type="primary") and run_notes.save(int(record.id), "runs"):
        st.rerun()


@st.dialog("Tags of several runs", icon=":material/edit:", on_dismiss="rerun")
def edit_tags(frame: pd.DataFrame) -> None:
    """The dialog of the Runs page to add tags to all selected runs, or remove tags from those that have them; names and
    notes are edited run by run."""
    st.markdown(
        f"{count(len(frame), 'run')}: {plain(', '.join(str(i) for i in sorted(frame['id'])[:12]))}"
        f"{' and more' if len(frame) > 12 else ''}"
    )
    new = st.text_input("Add tags", key="runs_tags_new", help="Separate tags with commas.", max_chars=200)
    removed = st.multiselect(
        "Remove tags",
        sorted({tag for text in frame["tags"] for tag in results.tags_in(text)}),
        key="runs_tags_gone",
        placeholder="Choose tags",
    )
    if st.button("Save", key="runs_tags_save", type="primary"):
        with showing_errors():
            results.retag(cached_reads.database(), frame["id"].tolist(), new, removed)
            st.rerun()


def action_buttons(frame: pd.DataFrame, ids: list[int]) -> None:
    """The buttons of the Runs page for the selected rows; help texts say what to select for the disabled ones."""
    chosen = frame[frame["id"].isin(ids)]
    with st.container(horizontal=True, vertical_alignment="center"):
        open_and_compare(ids)
        edit_button(chosen)
        request_buttons(chosen)
        archive_button(chosen, ids)
        delete_button(chosen)
        if ids or not viewport.narrow_window():
            st.caption(f"{len(ids)} selected" if ids else f"{TO_OPEN} {TO_TICK}", width="content")


def open_and_compare(ids: list[int]) -> None:
    """The buttons of the Runs page to open one selected run, or compare two."""
    if st.button(
        "Open",
        key="runs_open",
        icon=":material/open_in_new:",
        disabled=len(ids) != 1,
        help=f"Select one run. {BY_KEYS}",
    ):
        navigation.open_run(ids[0])
    if st.button(
        "Compare",
        key="runs_compare",
        icon=":material/compare_arrows:",
        disabled=len(ids) != 2,
        help="Select two runs; the older one is Before.",
    ):
        navigation.open_compare(min(ids), max(ids))


def edit_button(chosen: pd.DataFrame) -> None:
    """The button of the Runs page to edit one selected run, or the tags of several."""
    if st.button(
        "Edit",
        key="runs_edit",
        icon=":material/edit:",
        disabled=chosen.empty,
        help="Name, tags and notes of one run, or the tags of several. Select runs first.",
    ):
        auto_refresh.hold()
        edit_run(next(chosen.itertuples())) if len(chosen) == 1 else edit_tags(chosen)


def request_buttons(chosen: pd.DataFrame) -> None:
    """The buttons of the Runs page to pause, resume and stop; as on a run's page only what applies now."""
    records = [r for r in chosen.itertuples() if not run_status.pending(r)]
    held = run_status.held_by(*records)
    for request, (icon, effect) in BUTTONS.items():
        able = [int(r.id) for r in records if request in run_status.requests(r, held)]
        if able:
            st.button(
                REQUESTS[request].label,
                key=f"runs_{request}",
                icon=icon,
                on_click=ask_for_all,
                args=(able, request),
                help=effect.format(runs=count(len(able), "selected run")),
            )


def archive_button(chosen: pd.DataFrame, ids: list[int]) -> None:
    """The button of the Runs page to archive the selected runs, or unarchive them if all are archived."""
    put_back = bool(ids) and bool(chosen["archived"].all())
    st.button(
        "Unarchive" if put_back else "Archive",
        key="runs_archive",
        icon=":material/unarchive:" if put_back else ":material/archive:",
        disabled=not ids,
        on_click=archive,
        args=(ids, not put_back),
        help="Archived runs are hidden from the list; nothing is deleted.",
    )


def delete_button(chosen: pd.DataFrame) -> None:
    """The button of the Runs page to delete the selected runs, after a confirmation."""
    if st.button(
        "Delete",
        key="runs_delete",
        icon=":material/delete:",
        disabled=chosen.empty,
        help="Lists the runs and asks for confirmation.",
    ):
        auto_refresh.hold()
        confirm_delete(chosen)
