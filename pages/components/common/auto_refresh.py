"""Rerun a page when a run is added or deleted, changes its state, or gets a stop or pause request, from any process.

Never on New run, where people type, and never after `hold`, which Runs calls for an open dialog or selected rows.
"""

from __future__ import annotations

from contextlib import suppress

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from core.errors import EvenlyError
from pages.components.common import cached_reads, navigation
from storage.jobs import change_stamp

EVERY = 2.0  # seconds; one short query
FOLLOWING = ("", "runs", "compare", "run")  # URL paths of the pages that show runs; a rerun there loses no input
_SEEN, _HELD = "follow_seen", "follow_held"


def begin(page: st.Page) -> None:
    """Before a page runs, for its automatic reruns: remember the state it is about to show, so that a change meanwhile
    is noticed."""
    st.session_state[_HELD] = False
    st.session_state[_SEEN] = _stamp(page.url_path)


def hold() -> None:
    """Suspend the automatic reruns of a page until it reruns for another reason."""
    st.session_state[_HELD] = True


def end(page: st.Page) -> None:
    """After a page has run: poll the runs for changes, which rerun the page. Takes no space on it."""
    if page.url_path in FOLLOWING:
        _poll(page.url_path)


@st.fragment(run_every=EVERY)
def _poll(path: str) -> None:
    if not st.session_state.get(_HELD) and runs_changed(path):
        st.rerun()


def runs_changed(path: str) -> bool:
    """Whether the runs on a page have changed since it ran. False while the database is busy; the sidebar reports that."""
    now = _stamp(path)
    return now is not None and now != st.session_state.get(_SEEN)


def _stamp(path: str) -> tuple[tuple[object, ...], ...] | None:
    """Of all runs; on a run's own page only of that run, its baseline and its followers, so that other runs cause no rerun."""
    with suppress(EvenlyError, SQLAlchemyError):
        return change_stamp.stamp(cached_reads.database(), navigation.id_from_url("id") if path == "run" else None)
    return None
