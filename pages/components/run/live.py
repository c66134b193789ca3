"""A run that is on: which parts of its page are drawn again, and when.

Its state and its buttons are drawn every second. Pictures cost the browser most, so they are drawn again only for a new epoch and
only after a pause, which is longer where a drawing takes long; for what lies below them it grows faster.
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

EVERY = 1.0  # seconds between two looks at the state
PICTURES, DETAILS = "run_pictures", "run_details"  # keys of the fragments
PAUSES: Mapping[str, float] = MappingProxyType(
    {PICTURES: 5.0, DETAILS: 5.0}
)  # seconds at least from one drawing to the next: parts far apart show two epochs on one page
SHARES: Mapping[str, float] = MappingProxyType(
    {PICTURES: 0.1, DETAILS: 0.04}
)  # of the time that a drawing may take on the server
LULL, QUICK = 8, 1500  # times as long as it was blocked; milliseconds
LONGEST = 30.0  # seconds that a slow drawing may make a pause, on the server and again in the browser: a page is not to look dead
_KEY = "run_bell"
# Only a widget's callback may have another fragment drawn, so the state's fragment asks for it through this one. The browser knows best
# what a drawing costs: it rings again only after LULL times as long as it was blocked (where it can tell). Where the pictures blocked it
# for less than QUICK, what lies below them follows at once, so that the page shows one epoch, and the lull comes after both.
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
    """What a part shows: the epoch of a run, when it was drawn (by the monotonic clock) and how long that took, in seconds."""

    run_id: int
    epoch: int
    at: float
    took: float


@contextmanager
def drawing(part: str, row: RunRow) -> Iterator[None]:
    """Around the drawing of a part: note what it shows and how long it took."""
    began = time.monotonic()
    yield
    now = time.monotonic()
    st.session_state[f"{part}_drawn"] = Drawn(int(row.id), int(row.last_epoch), now, now - began)


def due(part: str, drawn: Drawn | None, row: RunRow, now: float) -> bool:
    """Whether a part is to be drawn again at the time `now`: a new epoch, and the pause is over."""
    if drawn is None or drawn.run_id != int(row.id):  # the page draws it first
        return False
    return int(row.last_epoch) > drawn.epoch and now >= drawn.at + pause(part, drawn)


def pause(part: str, drawn: Drawn) -> float:
    """Seconds from a drawing to the next of the same part: the longer the slower it was, up to LONGEST."""
    return max(PAUSES[part], min(drawn.took / SHARES[part], LONGEST))


def ring(row: RunRow) -> None:
    """Have the next part that is due drawn again, one at a time. Takes no space."""
    now = time.monotonic()
    part = next((p for p in PAUSES if due(p, st.session_state.get(f"{p}_drawn"), row, now)), None)
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
    part = st.session_state[_KEY]["due"] if _KEY in st.session_state else None  # gone with the run's end meanwhile
    if part in PAUSES:
        with suppress(StreamlitAPIException):  # another page was opened meanwhile
            st.rerun(part)
