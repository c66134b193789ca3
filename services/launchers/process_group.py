"""Processes that are kept running by their parent: started, started again when they die, ended together.

The one loop of serve.py (a worker and the app) and of worker.py (a process per slot).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import psutil

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # before any fork: a child of one must not load anything

POLL_SECONDS = 0.1
GRACE_SECONDS = 30.0  # to finish a step and save, then SIGKILL: a large network on a slow or busy machine needs it
LONGEST_WAIT = 30.0  # between two starts of one that keeps dying
STEADY_SECONDS = 60.0  # one that lived longer starts the waits afresh


class Child:
    """A process as its parent sees it: running, or waiting for its next start. The kernel ends it with its parent (Linux).

    Times are those of a clock that only goes forward.
    """

    def __init__(self, command: Sequence[str], **surroundings: Any) -> None:
        """`surroundings`: further arguments of Popen."""
        self.command, self.surroundings = command, surroundings
        self.process: psutil.Popen | None = None
        self.due: float | None = 0.0  # when to start; None: never again
        self.wait, self.started = 1.0, 0.0

    def look(self, now: float) -> None:
        """Start it when it is due, note how it ended, watch it while it runs."""
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
        """When to start it again after it ended with `code`, None for never: after a pause that doubles while it keeps dying young."""
        self.wait = 1.0 if now - self.started > STEADY_SECONDS else min(2 * self.wait, LONGEST_WAIT)
        return now + self.wait

    def watch(self, now: float) -> None:
        """Called at every look at it while it runs."""

    @property
    def over(self) -> bool:
        """It has ended for good."""
        return self.process is None and self.due is None


class ProcessGroup:
    """Children that are kept running until a signal asks for an end."""

    def __init__(self, *children: Child) -> None:
        self.children = children
        self.orders: list[int] = []  # the signals so far

    def order(self, signum: int, _: object) -> None:
        self.orders.append(signum)

    def keep(self, over: Callable[[], int | None]) -> int:
        """Look after the children until a signal comes (0) or `over` names an exit status, then end them."""
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
        """All at once."""
        end([child.process for child in self.children if child.process is not None])


class Awake:
    """A clock that stands still while this process does (stopped, or the machine asleep): after waking up, nobody whom it
    watches looks frozen only because it was."""

    LONGEST_LOOP = 1.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._before, self._now = clock, clock(), 0.0

    def __call__(self) -> float:
        """Seconds awake. To be read at least once a second."""
        before, self._before = self._before, self._clock()
        self._now += min(self._before - before, self.LONGEST_LOOP)
        return self._now


def on_signals(handler: Callable[[int, object], None]) -> None:
    """Take the signals that ask for an end: SIGTERM, Ctrl-C, and a closed terminal unless nohup wants it ignored."""
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signum != signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handler)


def end(processes: Sequence[psutil.Process], seconds: float = GRACE_SECONDS) -> None:
    """SIGTERM to all, time to save, then SIGKILL."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(processes, seconds)
    for process in left:
        kill(process)
    psutil.wait_procs(left)


def kill(process: psutil.Process) -> None:
    """SIGKILL, to its whole session where it leads one."""
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def die_with_parent(parent: int) -> None:
    """Linux, called in a child: have the kernel send it SIGTERM when its parent, `parent`, is gone, however it went.

    The kernel says nothing of a parent that went before it was asked: the child then has another one already, and ends.
    """
    if _libc is not None:
        _libc.prctl(1, signal.SIGTERM)  # 1 = PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(128 + signal.SIGTERM)
