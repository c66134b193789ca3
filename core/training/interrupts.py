"""Interrupting training: requests to stop are checked during the work and take effect between two pieces of it."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_SECONDS = 0.5  # how often a running epoch checks for requests and checks its loss


class Interrupted(Exception):  # noqa: N818 - not an error: a request to stop was carried out
    """Training stopped because `control` returned `reason`. The trainer's state is consistent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Patience:
    """Calls `control` at most every LOOK_SECONDS; a reason it returns is raised as Interrupted."""

    def __init__(self, control: Callable[[], str | None]) -> None:
        self._control, self._next = control, 0.0

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def __call__(self) -> None:
        self._next = time.monotonic() + LOOK_SECONDS
        if reason := self._control():
            raise Interrupted(reason)
