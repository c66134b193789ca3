"""The places where workers can be started, one row each. Starting one imports nothing from `work`, so a page may do it.

A worker started this way drains the queue and exits. It reports to the database like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.launchers.local import Local


class Launcher(Protocol):
    """A place for workers. An id names a worker that was started there; any process may use it."""

    key: str

    def start(self, n: int) -> list[str]:
        """Start `n` workers that exit when nothing is left to train; returns their ids."""
        ...

    def alive(self, ids: Sequence[str]) -> list[str]:
        """The ids whose workers are still running."""
        ...

    def stop(self, ids: Sequence[str]) -> None:
        """Stop the workers, which requeue their current runs first; returns when all have exited."""
        ...

    def describe(self) -> str:
        """How to start a worker there by hand, as Markdown that follows "Start one:"."""
        ...


LAUNCHERS: dict[str, Launcher] = {launcher.key: launcher for launcher in (Local(),)}
