"""Whether a worker is alive and makes progress: its heartbeat file, and what its other threads see of the current run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from storage.jobs.workers import Place

BEAT_SECONDS = 5.0
QUIET_SECONDS = 300.0  # a run that finishes no step for this long is reported; again after 2, 4 and 8 times as long
HUNG_SECONDS = (
    3600.0  # after this long the heartbeat stops, so that the parent replaces the worker; no healthy step takes an hour
)


def beat_path(locks: Path, slot: int) -> Path:
    """Touched with every heartbeat. A file, so that a locked database does not make a healthy worker look frozen."""
    return locks / f"worker-{slot}.beat"


class NoProgress:
    """How long the current run has finished no step (or, while its data is prepared, no piece of it).

    Counted in heartbeats of the worker, not by a clock, so that time in which the machine slept or the process was
    stopped does not count: a slow step must never look like one that hangs.
    """

    def __init__(self) -> None:
        self.seconds, self._looks, self._next = 0.0, -1, QUIET_SECONDS

    def beat(self, looks: int, busy: bool) -> None:
        """Called at each heartbeat. `looks` counts how often the run has checked for requests, as it does after a step."""
        if busy and looks == self._looks:
            self.seconds += BEAT_SECONDS
        else:
            self.seconds, self._next = 0.0, QUIET_SECONDS
        self._looks = looks

    @property
    def minutes(self) -> int | None:
        """How long there was no step, in whole minutes; None before QUIET_SECONDS."""
        return round(self.seconds / 60) if self.seconds >= QUIET_SECONDS else None

    def news(self) -> int | None:
        """`minutes`, for the run's log: only when the time has doubled since the last message."""
        if self.seconds < self._next:
            return None
        self._next *= 2
        return self.minutes


class StepPosition:
    """The position of the current run in its epoch, as seen from another thread; the training code is not involved.

    An epoch that ends before the next look is never reported, so short ones cost nothing.
    """

    def __init__(self, run_id: int = 0) -> None:
        self.run_id, self.place = run_id, None
        self._steps: Callable[[], tuple[int, int, int] | None] = lambda: None
        self._epoch, self._from, self._since = 0, 0, 0.0

    def follow(self, steps: Callable[[], tuple[int, int, int] | None]) -> None:
        self._steps = steps

    def look(self, now: float) -> bool:
        """Read the position at the time `now`, in seconds by any clock; True if there is something new to report."""
        if (seen := self._steps()) is None:
            return False
        epoch, step, steps = seen
        if epoch != self._epoch:
            self._epoch, self._from, self._since, self.place = epoch, step, now, None
            return False
        if self.place is not None and self.place.step == step:
            return False
        pace = steps * (now - self._since) / (step - self._from) if step > self._from else None
        self.place = Place(self.run_id, epoch, step, steps, pace)
        return True
