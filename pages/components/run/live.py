"""The page of an active run: which parts are redrawn, and when.

State and buttons are redrawn every second. Charts cost the browser most, so they are redrawn only for a new epoch and after a
pause that grows with the drawing time; for the lower part it grows faster.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType

import streamlit as st
from streamlit.errors import StreamlitAPIException

from storage.results.runs import RunRow

EVERY = 1.0  # seconds between two redraws of the state
PICTURES, DETAILS = "run_pictures", "run_details"  # keys of the fragments
PAUSES: Mapping[str, float] = MappingProxyType(
    {PICTURES: 5.0, DETAILS: 5.0}
)  # minimum seconds between two redraws; with very different pauses the page would show two epochs
SHARES: Mapping[str, float] = MappingProxyType(
    {PICTURES: 0.1, DETAILS: 0.04}
)  # share of time that drawing may take on the server
LULL, QUICK = 8, 1500  # multiple of the time the browser was blocked; milliseconds
LONGEST = 30.0  # maximum pause in seconds, on the server and in the browser, so that the page never looks frozen
_KEY = "run_bell"
# Only a widget callback can rerun another fragment, so the state fragment triggers it through this component. The browser measures the
# cost of drawing: it triggers again only after LULL times the time it was blocked (if it can measure that). If the charts blocked it for
# less than QUICK, the lower part follows at once, so that the page shows one epoch, and the pause comes after both.
_COMPONENT = st.components.v2.component(
    "evenly_run_bell",
    html="<div></div>",
    js="""
export default function ({ data, parentElement, setTriggerValue }) {
  const bell = (parentElement.bell ??= { rang: 0, blocked: 0, last: null })
  if (!bell.watch && globalThis.PerformanceObserver?.supportedEntryTypes?.includes("longtask")) {
    bell.watch = new PerformanceObserver(tasks => { for (const task of tasks.getEntries()) bell.blocked += task.duration })
    bell.watch.observe({ entryTypes: ["longtask"] })
  }
  const now = Date.now()
  const follows = bell.watch && data.second && bell.last && bell.last !== data.due && bell.blocked < data.quick
  const lull = follows ? 500 : Math.max(4000, Math.min(data.lull * bell.blocked, data.longest))
  if (data.due && now - bell.rang > lull) {
    bell.rang = now
    bell.blocked = follows ? bell.blocked : 0
    bell.last = data.due
    setTriggerValue("due", data.due)
  }
  return () => { bell.watch?.disconnect(); bell.watch = undefined }
}""",
)


@dataclass(frozen=True)
class Drawn:
    """What a part shows: the epoch of a run, when it was drawn (monotonic clock) and how long that took, in seconds."""

    run_id: int
    epoch: int
    at: float
    took: float


@contextmanager
def drawing(part: str, row: RunRow) -> Iterator[None]:
    """Wraps the drawing of a part of an active run's page: records what it shows and how long it took."""
    began = time.monotonic()
    yield
    now = time.monotonic()
    st.session_state[f"{part}_drawn"] = Drawn(int(row.id), int(row.last_epoch), now, now - began)


def due_for_redraw(part: str, drawn: Drawn | None, row: RunRow, now: float) -> bool:
    """Whether a part of an active run's page needs a redraw at time `now`: a new epoch, and the pause is over."""
    if drawn is None or drawn.run_id != int(row.id):  # the page draws it first
        return False
    return int(row.last_epoch) > drawn.epoch and now >= drawn.at + pause_between_redraws(part, drawn)


def pause_between_redraws(part: str, drawn: Drawn) -> float:
    """Seconds between two redraws of a part of an active run's page: longer for slow ones, at most LONGEST."""
    return max(PAUSES[part], min(drawn.took / SHARES[part], LONGEST))


def trigger_redraw(row: RunRow) -> None:
    """Trigger the redraw of the next part of an active run's page that is due, one at a time. Takes no space."""
    now = time.monotonic()
    part = next((p for p in PAUSES if due_for_redraw(p, st.session_state.get(f"{p}_drawn"), row, now)), None)
    _COMPONENT(
        key=_KEY,
        data={
            "due": part,
            "second": part == DETAILS,
            "at": now,
            "lull": LULL,
            "quick": QUICK,
            "longest": 1000 * LONGEST,
        },
        on_due_change=_again,
        height="content",
    )


def _again() -> None:
    part = st.session_state[_KEY]["due"] if _KEY in st.session_state else None  # missing if the run has ended meanwhile
    if part in PAUSES:
        with suppress(StreamlitAPIException):  # another page was opened meanwhile
            st.rerun(part)
