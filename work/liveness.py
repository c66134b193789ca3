"""What a worker sees of the run in hand from its other threads: whether it moves, and how far it is inside its epoch."""

from __future__ import annotations

from collections.abc import Callable

from storage.jobs.workers import Place

BEAT_SECONDS = 5.0
QUIET_SECONDS = (
    300.0  # a run that finishes no step for this long is told of; again after twice, four, eight times as long
)
HUNG_SECONDS = (
    3600.0  # and this long: the beat stops, so that the parent replaces the worker; no honest step takes an hour
)


class Stillness:
    """For how long the run in hand has finished no step (nor, while its data is prepared, a piece of it).

    Counted in beats of the worker and not read off a clock, so that no time counts in which the machine slept or the
    process was stopped: a slow step must never look like one that hangs.
    """

    def __init__(self) -> None:
        self.seconds, self._looks, self._next = 0.0, -1, QUIET_SECONDS

    def beat(self, looks: int, busy: bool) -> None:
        """One beat has gone by. `looks` counts how often the run has looked for orders, as it does after a step."""
        if busy and looks == self._looks:
            self.seconds += BEAT_SECONDS
        else:
            self.seconds, self._next = 0.0, QUIET_SECONDS
        self._looks = looks

    def words(self) -> str | None:
        """ "no step for 12 min", once it is that quiet."""
        return f"no step for {self.seconds / 60:.0f} min" if self.seconds >= QUIET_SECONDS else None

    def news(self) -> str | None:
        """The same for the run's log: only when it has become twice as long as it was last time."""
        if self.seconds < self._next:
            return None
        self._next *= 2
        return self.words()


class Inside:
    """How far the run in hand is inside its epoch, as seen from another thread; the training itself knows nothing of it.

    An epoch that is over by the next look is never told of, so short ones cost nothing.
    """

    def __init__(self, run_id: int = 0) -> None:
        self.run_id, self.place = run_id, None
        self._steps: Callable[[], tuple[int, int, int] | None] = lambda: None
        self._epoch, self._from, self._since = 0, 0, 0.0

    def follow(self, steps: Callable[[], tuple[int, int, int] | None]) -> None:
        self._steps = steps

    def look(self, now: float) -> bool:
        """Take a look at the time `now`, in seconds by any clock; True where there is something new to tell."""
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
