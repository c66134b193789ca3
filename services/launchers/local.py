"""Workers on this machine: processes of worker.py, and the environment that such a child needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from services.launchers.process_group import end
from storage.db.paths import data_root

ROOT = Path(__file__).resolve().parents[2]


def worker(*options: str) -> list[str]:
    """The command line of a worker, or of a parent of workers."""
    return [sys.executable, str(ROOT / "worker.py"), *options]


def popen_options() -> dict[str, Any]:
    """Arguments for Popen: a session of its own, so that a Ctrl-C in the terminal reaches only the parent; the program's
    folder as working directory; the data folder of this process."""
    here = os.environ | {"EVENLY_DATA": str(data_root())}
    return {"cwd": ROOT, "env": here, "start_new_session": True, "stdin": subprocess.DEVNULL}


class Local:
    """A row of LAUNCHERS. An id is "slot:pid"; a pid that another program has since reused is not mistaken for a worker."""

    key = "local"

    def __init__(self) -> None:
        self._children: list[psutil.Popen] = []  # of this process, which must reap them

    def start(self, n: int) -> list[str]:
        """Start workers on the slots 0 to n - 1. If a slot is taken, its worker exits at once. They outlive this process."""
        started = [psutil.Popen(_drain(slot), **popen_options()) for slot in range(n)]
        self._children += started
        return [f"{slot}:{process.pid}" for slot, process in enumerate(started)]

    def alive(self, ids: Sequence[str]) -> list[str]:
        self._children = [child for child in self._children if child.poll() is None]
        return [each for each in ids if _process(each)]

    def stop(self, ids: Sequence[str]) -> None:
        end([process for process in map(_process, ids) if process])
        self.alive(())

    def describe(self) -> str:
        return "`make run`, or `python worker.py` in a second terminal"


def _drain(slot: int | str) -> list[str]:
    return worker("--slot", str(slot), "--drain")


def _process(given: str) -> psutil.Process | None:
    """The process of an id; None if it has exited."""
    slot, _, pid = given.partition(":")
    try:
        process = psutil.Process(int(pid))
        return process if process.cmdline()[1:] == _drain(slot)[1:] else None  # a zombie has none
    except psutil.Error:
        return None
