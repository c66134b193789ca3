"""The places where workers can be started, one row each; EVENLY_LAUNCHER names the one that is used.

Starting a worker imports nothing from `work`, so a page may do it. A worker reports to the database wherever it is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from core.registry import Registry
from services.launchers.local import Local


class Launcher(Protocol):
    """A place for workers. An id names a worker that was started there; any process may use it."""

    key: str
    label: str

    def command(self, *options: str) -> list[str]:
        """The command line, for a child of this process, of a worker.py there with these options. It ends when the worker
        does and passes SIGTERM on to it: what serve.py keeps running."""
        ...

    def start(self, n: int) -> list[str]:
        """Start `n` workers that exit when nothing is left to train and outlive this process; returns their ids."""
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


LAUNCHERS: Registry[Launcher] = Registry("launcher", Local())


def launcher() -> Launcher:
    """The row that EVENLY_LAUNCHER names, "local" without it. An unknown one raises EvenlyError."""
    return LAUNCHERS[os.environ.get("EVENLY_LAUNCHER") or "local"]
