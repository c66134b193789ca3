"""What can be done with chosen runs."""

from __future__ import annotations

from typing import Protocol

import pandas as pd
import streamlit as st

from core.experiment.baseline import takes_tprs
from pages.components.common import (
    auto_refresh,
    cached_reads,
    navigation,
    run_notes,
    run_status,
    viewport,
)
from pages.components.common.error_guard import told
from reporting import provenance
from reporting.text import count, plain
from storage import results
from storage.jobs import queue

CAN = {
    "queued": ("pause", "cancel"),
    "running": ("pause", "cancel"),
    "paused": ("run", "cancel"),
    "failed": ("run",),
    "cancelled": ("run",),
}
WISHES = {  # what is asked -> label, icon, what it does
    "pause": ("Pause", ":material/pause:", "Holds"),
    "run": ("Resume", ":material/play_arrow:", "Goes on, from the last checkpoint, with"),
    "cancel": ("Stop", ":material/stop:", "Ends, with the figures so far kept,"),
}
TO_OPEN = "A click on a name opens the run."
TO_CHOOSE = "A tap on a name chooses the run, ticks choose several; the buttons are below."
BY_KEYS = "With the keyboard: arrow keys to its row, Shift and Space to tick it, then this button."
TO_TICK = "Tick rows on the left to compare or change them."
HINT = 220  # px: on a phone the grid's own buttons lie to the right of it
MOST_NAMED = 8  # dependants that the question before deleting names


class ListedRun(Protocol):
    """A row of the list of runs, as itertuples gives it: the columns read here, by run_status and by run_notes."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def wanted(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def baseline_id(self) -> int: ...  # pandas' NA where there is none
    @property
    def tags(self) -> str: ...
    @property
    def notes(self) -> str: ...


def archive(ids: list[int], flag: bool) -> None:
    """Put runs aside or back, and remember it for Undo."""
    with told():
        results.archive(cached_reads.database(), ids, flag)
        st.session_state["runs_archived"] = (ids, flag)


def wishes(record: ListedRun, held: dict[int, str]) -> tuple[str, ...]:
    """What can be asked of a run now; `held` as `status.held_by` gives it."""
    if record.status == "running" and record.wanted != "run":
        return ()
    return (
        *(["run"] if record.status == "queued" and run_status.resume(record, held) else []),
        *CAN.get(record.status, ()),
    )


def ask(ids: list[int], wish: str) -> None:
    """Write a person's wish for each run; one that has ended meanwhile says so and keeps none of the others from it."""
    for run_id in ids:
        with told():
            queue.ask(cached_reads.database(), run_id, wish)


def undo(ids: list[int], flag: bool) -> None:
    """Take the last archiving back."""
    archive(ids, not flag)
    st.session_state.pop("runs_archived", None)


def archived_now(ids: list[int]) -> None:
    """What was just archived, with a way back, until other rows are chosen."""
    if ids:
        st.session_state.pop("runs_archived", None)
    if "runs_archived" not in st.session_state:
        return
    moved, flag = st.session_state["runs_archived"]
    some = ", ".join(str(i) for i in sorted(moved)[:5]) + (f" and {len(moved) - 5} more" if len(moved) > 5 else "")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{'Run' if len(moved) == 1 else 'Runs'} {some} {'archived' if flag else 'back in the list'}",
            width="content",
        )
        st.button("Undo", key="runs_undo", icon=":material/undo:", on_click=undo, args=(moved, flag))


@st.dialog("Delete runs", icon=":material/delete:", on_dismiss="rerun")
def confirm_delete(frame: pd.DataFrame) -> None:
    """Names every run that will go; the ids are fixed when the dialog opens."""
    st.markdown(f"{count(len(frame), 'run')} with all results and checkpoints will be gone for good:")
    st.markdown("\n".join(f"- {r.id}: {plain(r.name)}" for r in frame.itertuples()))
    ids = frame["id"].tolist()
    named("These cannot be resumed any more, because they go on from a network that goes:", stranded(ids))
    named("These stay, without a baseline to compare with; the TPRs they took stay with them:", dependants(ids))
    with st.container(horizontal=True):
        if st.button("Delete", key="runs_delete_yes", type="primary", icon=":material/delete:"):
            with told():
                results.delete(cached_reads.database(), [int(i) for i in frame["id"]])
                st.rerun()
        if st.button("Keep", key="runs_delete_no"):
            st.rerun()


def named(why: str, lines: list[str]) -> None:
    """A list under its reason; nothing where it is empty."""
    if lines:
        st.markdown(why)
        st.markdown(
            "\n".join(f"- {line}" for line in lines[:MOST_NAMED])
            + (f"\n- and {len(lines) - MOST_NAMED} more" if len(lines) > MOST_NAMED else "")
        )


def followers(ids: list[int]) -> list[ListedRun]:
    """The runs that stay when these go and that name one of them as their baseline."""
    every = cached_reads.runs(archived=None)
    return list(every[every["baseline_id"].isin(ids) & ~every["id"].isin(ids)].sort_values("id").itertuples())


def unfinished_stage(record: ListedRun) -> bool:
    """Whether a run is a second stage or a post-hoc step that has not succeeded: without its baseline's network it cannot go on."""
    return record.status != "succeeded" and provenance.goes_on_from(record.method)


def stranded(ids: list[int]) -> list[str]:
    """Of the followers those that could not go on: "run 14 (Stopped) goes on from run 13"."""
    return [
        f"run {r.id} ({run_status.label(r)}) goes on from run {int(r.baseline_id)}"
        for r in followers(ids)
        if unfinished_stage(r)
    ]


def dependants(ids: list[int]) -> list[str]:
    """The other followers: "run 14 took its TPRs from run 13"."""
    return [
        f"run {r.id} {'took its TPRs from' if takes_tprs(cached_reads.run(int(r.id)).config) else 'is compared with'} "
        f"run {int(r.baseline_id)}"
        for r in followers(ids)
        if not unfinished_stage(r)
    ]


@st.dialog("Tags and notes", icon=":material/edit:", on_dismiss="rerun")
def edit(record: ListedRun) -> None:
    """Name, tags and notes of one run."""
    run_notes.fields(record, "runs")
    if st.button("Save", key="runs_edit_save", type="primary") and run_notes.save(int(record.id), "runs"):
        st.rerun()


@st.dialog("Tags of several runs", icon=":material/edit:", on_dismiss="rerun")
def edit_tags(frame: pd.DataFrame) -> None:
    """Tags added to each of the runs, and taken from those that have them; names and notes are edited run by run."""
    st.markdown(
        f"{count(len(frame), 'run')}: {plain(', '.join(str(i) for i in sorted(frame['id'])[:12]))}"
        f"{' and more' if len(frame) > 12 else ''}"
    )
    new = st.text_input("Add tags", key="runs_tags_new", help="Words parted by commas.", max_chars=200)
    gone = st.multiselect(
        "Take tags away",
        sorted({tag for text in frame["tags"] for tag in results.tags_in(text)}),
        key="runs_tags_gone",
        placeholder="Choose tags",
    )
    if st.button("Save", key="runs_tags_save", type="primary"):
        with told():
            results.retag(cached_reads.database(), frame["id"].tolist(), new, gone)
            st.rerun()


def actions(frame: pd.DataFrame, ids: list[int]) -> None:
    """What can be done with the chosen rows; each button says why it is off."""
    chosen = frame[frame["id"].isin(ids)]
    one, two, some = len(ids) == 1, len(ids) == 2, bool(ids)
    held = run_status.held_by(*chosen.itertuples())
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Open", key="runs_open", icon=":material/open_in_new:", disabled=not one, help=f"Choose one run. {BY_KEYS}"
        ):
            navigation.open_run(ids[0])
        if st.button(
            "Compare",
            key="runs_compare",
            icon=":material/compare_arrows:",
            disabled=not two,
            help="Choose two runs; the older one is before.",
        ):
            navigation.open_compare(min(ids), max(ids))
        if st.button(
            "Edit",
            key="runs_edit",
            icon=":material/edit:",
            disabled=not some,
            help="Name, tags and notes of one run; the tags of several together. Choose runs first.",
        ):
            auto_refresh.hold()
            edit(next(chosen.itertuples())) if one else edit_tags(chosen)
        for wish, (label, icon, told_as) in WISHES.items():
            able = [int(r.id) for r in chosen.itertuples() if wish in wishes(r, held)]
            if able:  # as on a run's own page: only what makes sense now
                st.button(
                    label,
                    key=f"runs_{wish}",
                    icon=icon,
                    on_click=ask,
                    args=(able, wish),
                    help=f"{told_as} {count(len(able), 'run')} of those chosen.",
                )
        put_back = some and bool(chosen["archived"].all())
        st.button(
            "Unarchive" if put_back else "Archive",
            key="runs_archive",
            icon=":material/unarchive:" if put_back else ":material/archive:",
            disabled=not some,
            on_click=archive,
            args=(ids, not put_back),
            help="Archived runs leave the list; nothing is lost.",
        )
        if st.button(
            "Delete", key="runs_delete", icon=":material/delete:", disabled=not some, help="Asks first, with the names."
        ):
            auto_refresh.hold()
            confirm_delete(chosen)
        if ids or not viewport.narrow():
            st.caption(f"{len(ids)} chosen" if ids else f"{TO_OPEN} {TO_TICK}", width="content")
