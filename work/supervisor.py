"""The parent of the workers: one process per slot, started again when it dies, killed when it is frozen.

It neither trains nor opens the database: it looks at exit codes and beat files alone. `end` and `die_with_parent` serve
whoever has children (serve.py, too).
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from core.errors import EvenlyError
from storage.db.paths import database_path
from work.locks import ALREADY_ON, REFUSED, beat_path, locks_of, taken

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # before any fork: a child of one must not load anything

log = logging.getLogger("evenly.worker")
WORKER = Path(__file__).resolve().parents[1] / "worker.py"
TAKEN_SECONDS = 5.0  # between looks at a slot that another worker holds
GRACE_SECONDS = 30.0  # for workers to finish a step and save: a large network on a slow or busy machine needs it
FROZEN_SECONDS = 30.0  # a worker whose beat stands still this long by our own clock is killed and restarted


class Child:
    """A slot's process as its parent sees it: running, or waiting for its next start."""

    def __init__(self, locks: Path, slot: int) -> None:
        self.locks, self.slot = locks, slot
        self.process: subprocess.Popen[bytes] | None = None
        self.due: float | None = 0.0  # when to start; None: never again
        self.refused: int | None = None  # the exit code, while it says that this slot cannot be served
        self.wait, self.started, self.beat, self.seen = 1.0, 0.0, 0.0, 0.0

    def look(self, now: float) -> None:
        """Start it when it is due, note how it ended, kill it when it is frozen. Never waits. `now` by any clock that
        only goes forward."""
        if self.process is None:
            if self.due is not None and now >= self.due:
                self._start(now)
        elif (code := self.process.poll()) is not None:
            self._ended(code, now)
        elif self._frozen(now):
            log.error("slot %s has not moved for %.0f s; killing it", self.slot, FROZEN_SECONDS)
            self.process.kill()
            self.seen = now  # the kernel may take a while over one that waits for a disk

    def _start(self, now: float) -> None:
        if self.refused == ALREADY_ON and taken(self.locks, self.slot):
            self.due = now + TAKEN_SECONDS
            return
        command = [sys.executable, str(WORKER), "--slot", str(self.slot)]
        self.process = subprocess.Popen(command, preexec_fn=partial(die_with_parent, os.getpid()))
        self.started = self.seen = now

    def _ended(self, code: int, now: float) -> None:
        """Plan the next start: soon where another worker has the slot, never where a person has to act, else after a pause
        that doubles up to half a minute while it keeps dying young."""
        self.process, self.refused = None, code if code in (REFUSED, ALREADY_ON) else None
        if self.refused == REFUSED:
            self.due = None
            return
        if self.refused == ALREADY_ON:
            self.due = now + TAKEN_SECONDS
            return
        self.wait = 1.0 if now - self.started > 60 else min(self.wait * 2, 30.0)
        self.due = now + self.wait
        log.warning("slot %s ended with code %s; starting it again in %.0f s", self.slot, code, self.wait)

    def _frozen(self, now: float) -> bool:
        """True when the beat file has stood still for FROZEN_SECONDS."""
        path = beat_path(self.locks, self.slot)
        beat = path.stat().st_mtime if path.exists() else 0.0
        if beat != self.beat:
            self.beat, self.seen = beat, now
        return self.beat > 0 and now - max(self.seen, self.started) > FROZEN_SECONDS


def die_with_parent(parent: int) -> None:
    """Linux, called in a child: have the kernel send it SIGTERM when its parent, `parent`, is gone, however it went.

    The kernel says nothing of a parent that went before it was asked: the child then has another one already, and ends.
    """
    if _libc is not None:
        _libc.prctl(1, signal.SIGTERM)  # 1 = PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(128 + signal.SIGTERM)


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


def supervise(slots: int, *, patient: bool = False) -> int:
    """Keep a worker on every slot until SIGTERM or SIGINT, then pass it on and wait for them.

    Ends by itself only when no slot can be served: another worker has them all (unless `patient`: then wait until it
    goes), or the database refuses for good.
    """
    orders: list[int] = []
    on_signals(lambda s, _: orders.append(s))
    try:
        locks = locks_of(database_path())
    except EvenlyError as error:
        log.error("%s", error)
        return REFUSED
    clock, children = Awake(), [Child(locks, slot) for slot in range(slots)]
    while not orders:
        now = clock()
        for child in children:
            child.look(now)
        codes = {child.refused for child in children}
        if codes == {REFUSED} or (codes <= {REFUSED, ALREADY_ON} and not patient):
            return REFUSED if REFUSED in codes else ALREADY_ON
        time.sleep(0.2)
    end([child.process for child in children if child.process is not None])
    return 0


def on_signals(handler: Callable[[int, object], None]) -> None:
    """Take the signals that ask for an end: SIGTERM, Ctrl-C, and a closed terminal unless nohup wants it ignored."""
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signum != signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handler)


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """SIGTERM to all, GRACE_SECONDS to save, then SIGKILL."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def gpus() -> int:
    """GPUs on this machine. Asked in a child, so that this process stays small; without a driver nobody is asked."""
    if not (shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists()):
        return 0
    ask = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False)
    if answer.returncode or not answer.stdout.strip().isdigit():
        log.warning(
            "cannot count the GPUs (%s); one worker is started",
            (answer.stderr.strip().splitlines() or ["no answer"])[-1],
        )
        return 0
    return int(answer.stdout)
