"""Workers on this machine, and what every child process of Evenly needs there: its surroundings and its end."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from storage.db.paths import data_root

ROOT = Path(__file__).resolve().parents[2]
GRACE_SECONDS = 30.0  # to finish a step and save, then SIGKILL: a large network on a slow or busy machine needs it


class Local:
    """A row of LAUNCHERS. An id is "slot:pid"; a pid that another program has since reused is not mistaken for a worker."""

    key = "local"
    label = "this machine"

    def __init__(self) -> None:
        self._children: list[psutil.Popen] = []  # of this process, which must reap them

    def command(self, *options: str) -> list[str]:
        return [sys.executable, str(ROOT / "worker.py"), *options]

    def start(self, n: int) -> list[str]:
        """Start workers on the slots 0 to n - 1. If a slot is taken, its worker exits at once."""
        started = [psutil.Popen(self._drain(slot), **popen_options()) for slot in range(n)]
        self._children += started
        return [f"{slot}:{process.pid}" for slot, process in enumerate(started)]

    def alive(self, ids: Sequence[str]) -> list[str]:
        self._children = [child for child in self._children if child.poll() is None]
        return [each for each in ids if self._process(each)]

    def stop(self, ids: Sequence[str]) -> None:
        end([process for process in map(self._process, ids) if process])
        self.alive(())

    def describe(self) -> str:
        return "`make run`, or `python worker.py` in a second terminal"

    def _drain(self, slot: int | str) -> list[str]:
        return self.command("--slot", str(slot), "--drain")

    def _process(self, given: str) -> psutil.Process | None:
        """The process of an id; None if it has exited. For a moment after its start a process has no command line: a child of this
        process is known by its number, which no other program has before it is reaped."""
        slot, _, pid = given.partition(":")
        for child in self._children:
            if str(child.pid) == pid and child.poll() is None:
                return child
        try:
            process = psutil.Process(int(pid))
            return process if process.cmdline()[1:] == self._drain(slot)[1:] else None  # a zombie has none
        except psutil.Error:
            return None


def has_ended(host: str, pid: int) -> bool:
    """Whether a process of this machine has ended; False for another machine or container, which cannot be checked, and
    where another program has the number by now."""
    return host == platform.node() and not psutil.pid_exists(pid)


def popen_options() -> dict[str, Any]:
    """Arguments for Popen: a session of its own, so that a Ctrl-C in the terminal reaches only the parent; the program's
    folder as working directory; the data folder of this process."""
    here = os.environ | {"EVENLY_DATA": str(data_root())}
    return {"cwd": ROOT, "env": here, "start_new_session": True, "stdin": subprocess.DEVNULL}


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
    """SIGKILL, to its whole process group if it leads one."""
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
