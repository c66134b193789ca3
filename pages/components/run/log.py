"""The log of a run: its last events."""

from __future__ import annotations

import streamlit as st

from core.experiment.states import event_word
from pages.components.common import cached_reads
from reporting.numbers import exact
from storage.jobs.events import log_of
from storage.results.runs import RunRow


def draw(row: RunRow) -> None:
    """The log of a run: its last events, newest first, in a collapsed expander."""
    with st.expander("Log", icon=":material/notes:"):
        events = log_of(cached_reads.database(), row.id, 200)
        lines = [
            f"{exact(cached_reads.moment(e.at))}  {event_word(e.kind):<10} {e.text}"
            for e in sorted(events, key=lambda e: e.at, reverse=True)
        ]
        st.code(
            "\n".join(lines) or "No events yet.",
            language=None,
            wrap_lines=True,
            height=260 if len(lines) > 9 else "content",
        )
