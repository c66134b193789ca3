"""A command of cli.py beside the app: post-hoc steps need torch, which the app never imports, and seconds, which a page must not wait.

The run is in the queue before its helper starts, so a helper that dies costs nothing: a worker takes the run instead.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class Helper:
    """A process that works on a run; a thread waits for it and keeps its last words where it ended badly."""

    def __init__(self, *arguments: str) -> None:
        self.why = ""
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "cli.py"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )  # a Ctrl-C for the app must not cut a step in two
        self.waiting = threading.Thread(target=self._wait, daemon=True, name="helper")
        self.waiting.start()

    def _wait(self) -> None:
        said = self.process.communicate()[1].decode(errors="replace")
        lines = [line.removeprefix("error: ").strip() for line in said.split("\n") if line.strip()]
        if self.process.returncode:
            self.why = lines[-1] if lines else f"the helper process ended with code {self.process.returncode}"


_helpers: dict[int, Helper] = {}  # of this process, whichever tab asked; by the run each works on
_lock = threading.Lock()


def begin(run_id: int, *arguments: str) -> None:
    """Start `cli.py` with these arguments for a run, unless a helper of this run is still on.

    Raises OSError where no process can be started.
    """
    with _lock:
        if run_id not in _helpers or not _helpers[run_id].waiting.is_alive():
            _helpers[run_id] = Helper(*arguments)


def failure(run_id: int) -> str:
    """What the helper of a run said last before it ended badly; "" while it is on, where it ended well, or where there was none."""
    helper = _helpers.get(run_id)
    return "" if helper is None else helper.why
