"""Runs: the table of every run, its filters, and actions on the selected runs."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.experiment.states import LIVE
from pages.components.common import auto_refresh, cached_reads, navigation, viewport, worker_status
from pages.components.common.error_guard import showing_errors
from pages.components.runs.actions import HINT, TO_CHOOSE, action_buttons, undo_notice
from pages.components.runs.table import STATE_FILTERS, keep_selected_rows, more_columns, state_cells, state_word, table
from reporting.text import message, plain
from storage.db.connection import database_warning


def filters() -> tuple[str, str, bool, list[str]]:
    """The filters of Runs: search, state, archived and optional columns; kept in the URL."""
    phone = viewport.narrow_window()
    more: list[str] = []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            key="q",
            bind="query-params",
            placeholder="name, tag, note, dataset, method",
            icon=":material/search:",
            width=220 if phone else 320,
        )
        if phone:  # the search field fills the line
            more = more_columns()
        state = st.selectbox(
            "State",
            STATE_FILTERS,
            key="status",
            bind="query-params",
            format_func=state_word,
            width=170,
            on_change=st.session_state.pop,
            args=(REFUSED, None),
        )
        archived = st.toggle("Archived", key="archived", bind="query-params", help="Show archived runs too.")
        if not phone:
            more = more_columns()
    return text or "", state, archived, more


@st.fragment(run_every=2.0)
@showing_errors()
def watch_active_runs(filters_now: tuple[str, str, bool]) -> None:
    """While runs on Runs are active and none is selected: poll, and rerun the page only after a change."""
    if st.session_state.pop("runs_fresh", False):  # the page has just read the runs
        return
    frame = matching_runs(*filters_now)[0]
    if changing_values(frame, state_cells(frame)) != st.session_state.get("runs_seen"):
        st.rerun()


def matching_runs(text: str, state: str, archived: bool) -> tuple[pd.DataFrame, int]:
    """The runs that match the filters of Runs, newest first, and the number of all runs. One read, a second only for a search."""
    every = cached_reads.runs(archived=None)
    found = cached_reads.runs(archived=None, text=text) if text.strip() else every
    keep = (found["archived"] <= archived) & ((found["status"] == state) | (state == "all"))
    return found[keep], len(every)


def changing_values(frame: pd.DataFrame, states: list[str]) -> tuple[tuple[int, str, int], ...]:
    """The values in the table of Runs that change while runs are active."""
    return tuple(zip(frame["id"], states, frame["last_epoch"], strict=True))


def main() -> None:
    """The page Runs."""
    st.title("Runs")
    refused_state()
    *wanted, more = filters()
    frame, total = matching_runs(*wanted)
    if not total:
        no_runs()
        return
    if (frame["status"] == "queued").any():
        worker_status.live_notice()
    shown = keep_selected_rows(frame, wanted)
    states, ids = table_and_actions(shown, more)
    if shown.empty:
        no_match(*wanted)
    if ids:  # a changed row order would reset the selection
        auto_refresh.hold()
    st.caption(
        f"{len(shown):,} of {total:,} runs shown. Accuracy, TPR variance and lowest TPR: test split, last epoch."
        + (" New runs appear once the selection is cleared." if len(frame) > len(shown) else "")
    )
    viewport.watch()
    st.session_state["runs_seen"] = changing_values(shown, states)
    if not ids and shown["status"].isin(LIVE).any():
        st.session_state["runs_fresh"] = True
        watch_active_runs(tuple(wanted))


def no_runs() -> None:
    """Runs before the first run: what to do."""
    st.markdown("No runs yet. Start one under New run, or use the button on Home.")
    st.page_link(navigation.NEW, label="New run", icon=":material/add_circle:")


def table_and_actions(frame: pd.DataFrame, more: list[str]) -> tuple[list[str], list[int]]:
    """The table of Runs with its buttons, above it or on a phone below. Returns the cells of the column State and the
    ids of the selected rows."""
    above, phone = st.container(), viewport.narrow_window()
    if phone and len(frame):
        st.caption(TO_CHOOSE, width=HINT)
    states = state_cells(frame)
    ids = table(frame, states, more) if len(frame) else []
    # on a phone, buttons above would push the table down and the next tap would hit another row
    with st.container() if phone else above:
        action_buttons(frame, ids)
        undo_notice(ids)
    return states, ids


def no_match(text: str, state: str, archived: bool) -> None:
    """Which filters of Runs match no run, and buttons to clear them."""
    asked = [f'search "{plain(text)}"'] if text.strip() else []
    asked += [] if state == "all" else [f"state {state_word(state)}"]
    hidden = "" if archived else " Archived runs are not shown."
    st.markdown(
        f"No run matches {'this filter' if len(asked) == 1 else 'these filters'}: {', '.join(asked)}.{hidden}"
        if asked
        else f"No runs to show.{hidden}"
    )
    with st.container(horizontal=True):
        if asked:
            st.button("Clear filters", key="runs_clear", icon=":material/filter_alt_off:", on_click=clear_filters)
        if not archived:
            st.button(
                "Show archived",
                key="runs_show_archived",
                icon=":material/unarchive:",
                on_click=st.session_state.update,
                args=({"archived": True},),
            )


def clear_filters() -> None:
    """Reset search and state of Runs."""
    st.session_state.update({"q": "", "status": "all"})


REFUSED = "runs_refused"  # session key: an unknown state from the URL


def refused_state() -> None:
    """Accept a state in the URL of Runs by its label or its key; warn of an unknown one before the select box drops it.

    The warning stays until a state is selected.
    """
    asked = st.query_params.get("status", "All")
    known = {name.lower(): state for state in STATE_FILTERS for name in (state, state_word(state))}
    if asked.lower() not in known:
        st.session_state[REFUSED] = asked
    elif asked != state_word(known[asked.lower()]):  # a key, as on the command line; the select box takes labels only
        st.query_params["status"] = state_word(known[asked.lower()])
        st.rerun()  # so that the select box finds its label, which then stays in the URL
    if REFUSED in st.session_state:
        listed = ", ".join(map(state_word, STATE_FILTERS))
        st.warning(
            f"Unknown state {plain(repr(st.session_state[REFUSED][:40]))} in the URL; showing all. Known: {listed}.",
            icon=":material/filter_alt_off:",
        )


def old_database() -> None:
    """A warning on Runs if the database library in use is outdated."""
    warning = database_warning()
    if warning:
        st.caption(f":material/warning: {message(warning)}.")


with showing_errors():
    main()
    old_database()
