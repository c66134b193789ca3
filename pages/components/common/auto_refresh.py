"""A page follows the database: drawn again once a run was added, deleted, asked of or has changed its state, whoever did it.

Not where somebody is typing: on New run, and while a page holds still (`hold`), as Runs does under a dialog and with rows ticked.
"""

from __future__ import annotations

from contextlib import suppress

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from core.errors import EvenlyError
from pages.components.common import cached_reads, navigation
from storage.jobs import change_stamp

EVERY = 2.0  # seconds; one short query
FOLLOWING = ("", "runs", "compare", "run")  # addresses of the pages that show runs; nobody loses a word there
_SEEN, _HELD = "follow_seen", "follow_held"


def begin(page: st.Page) -> None:
    """Before a page is drawn: what it is about to show. A change while it is drawn is seen then, not missed."""
    st.session_state[_HELD] = False
    st.session_state[_SEEN] = _stamp(page.url_path)


def hold() -> None:
    """Keep the page as it is until it is drawn again for another reason."""
    st.session_state[_HELD] = True


def end(page: st.Page) -> None:
    """After a page is drawn: look again and again. Takes no space."""
    if page.url_path in FOLLOWING:
        _look(page.url_path)


@st.fragment(run_every=EVERY)
def _look(address: str) -> None:
    if not st.session_state.get(_HELD) and moved(address):
        st.rerun()


def moved(address: str) -> bool:
    """Whether the runs that this page shows have moved since it was drawn; not while the database is busy, which the sidebar tells."""
    now = _stamp(address)
    return now is not None and now != st.session_state.get(_SEEN)


def _stamp(address: str) -> tuple | None:
    """Of all runs; on a run's own page of that one and those it depends on, so that others do not have its pictures drawn again."""
    with suppress(EvenlyError, SQLAlchemyError):
        return change_stamp.stamp(cached_reads.database(), navigation.id_from_url("id") if address == "run" else None)
    return None
