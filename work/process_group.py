"""Processes that are kept running by their parent: started, restarted when they die, stopped together.

The main loop of serve.py (a worker and the app) and of worker.py (a process per slot).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import psutil

from services.launchers.local import end

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: a forked child must not load a library

POLL_SECONDS = 0.1
LONGEST_WAIT = 30.0  # between two starts of a child that keeps dying
STEADY_SECONDS = 60.0  # a child that lived longer resets its wait


class Child:
    """A process as its parent sees it: running, or waiting for its next start. It dies with its parent (Linux).

    Times are those of a monotonic clock.
    """

    def __init__(self, command: Sequence[str], **surroundings: Any) -> None:
        """`surroundings`: further arguments of Popen."""
        self.command, self.surroundings = command, surroundings
        self.process: psutil.Popen | None = None
        self.due: float | None = 0.0  # when to start; None: never again
        self.wait, self.started = 1.0, 0.0

    def look(self, now: float) -> None:
        """Start it when it is due, note how it exited, watch it while it runs."""
        if self.process is None:
            if self.due is not None and now >= self.due:
                self.start(now)
        elif (code := self.process.poll()) is not None:
            self.process = None
            self.due = self.next_start(code, now)
        else:
            self.watch(now)

    def start(self, now: float) -> None:
        with_parent = partial(die_with_parent, os.getpid())  # one libc call, no locks
        self.process = psutil.Popen(self.command, preexec_fn=with_parent, **self.surroundings)
        self.started = now

    def next_start(self, code: int, now: float) -> float | None:
        """When to restart it after it exited with `code`, None for never. The wait doubles while it keeps dying early."""
        self.wait = 1.0 if now - self.started > STEADY_SECONDS else min(2 * self.wait, LONGEST_WAIT)
        return now + self.wait

    def watch(self, now: float) -> None:
        """Called at every poll while it runs."""

    @property
    def over(self) -> bool:
        """Whether it has exited and will not be restarted."""
        return self.process is None and self.due is None


class ProcessGroup:
    """Children that are kept running until a signal to stop."""

    def __init__(self, *children: Child) -> None:
        self.children = children
        self.orders: list[int] = []  # the signals so far

    def order(self, signum: int, _: object) -> None:
        self.orders.append(signum)

    def keep(self, over: Callable[[], int | None]) -> int:
        """Keep the children running until a signal comes (returns 0) or `over` returns an exit status; then stop them."""
        on_signals(self.order)
        clock = Awake()
        try:
            while not self.orders:
                now = clock()
                for child in self.children:
                    child.look(now)
                if (status := over()) is not None:
                    return status
                time.sleep(POLL_SECONDS)
        finally:
            self.end()
        return 0

    def end(self) -> None:
        """Stop all processes of the group at once."""
        end([child.process for child in self.children if child.process is not None])


class Awake:
    """A clock that stands still while this process is stopped or the machine sleeps, so that after waking up no child looks
    frozen only because its parent was."""

    LONGEST_LOOP = 1.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._before, self._now = clock, clock(), 0.0

    def __call__(self) -> float:
        """Seconds awake. Must be read at least once a second."""
        before, self._before = self._before, self._clock()
        self._now += min(self._before - before, self.LONGEST_LOOP)
        return self._now


def on_signals(handler: Callable[[int, object], None]) -> None:
    """Handle the signals to stop: SIGTERM, SIGINT (Ctrl-C), and SIGHUP (closed terminal) unless nohup ignores it."""
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signum != signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handler)


def die_with_parent(parent: int) -> None:
    """Linux, called in a child: have the kernel send it SIGTERM when its parent, `parent`, dies for any reason.

    The kernel does not report a parent that died before this call: the child then already has another one, and exits.
    """
    if _libc is not None:
        _libc.prctl(1, signal.SIGTERM)  # 1 = PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(128 + signal.SIGTERM)
