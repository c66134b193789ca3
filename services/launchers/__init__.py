"""Where workers can be started: a row a place. Whoever starts them needs nothing of `work`, so a page may do it.

A worker that was started so drains the queue and ends. What it does it tells the database, like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.launchers.local import Local


class Launcher(Protocol):
    """A place for workers. An id is what that place calls a worker that was started there; any process may ask by it."""

    key: str

    def start(self, n: int) -> list[str]:
        """Start `n` workers that end when nothing is left to train; their ids."""
        ...

    def alive(self, ids: Sequence[str]) -> list[str]:
        """Those that have not ended."""
        ...

    def stop(self, ids: Sequence[str]) -> None:
        """Have them give back the runs in hand and end; returns when they have."""
        ...

    def describe(self) -> str:
        """How a person starts a worker there, in Markdown that follows "Start one:"."""
        ...


LAUNCHERS: dict[str, Launcher] = {launcher.key: launcher for launcher in (Local(),)}
