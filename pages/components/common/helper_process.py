"""Run a cli.py command in a separate process: post-hoc steps need torch, which the app never imports, and take seconds.

The run is queued before its helper starts, so if the helper dies, a worker takes the run.
"""

from __future__ import annotations

import subprocess
import sys
import threading

from services.launchers.local import ROOT, popen_options


class Helper:
    """A process that works on a run. A thread waits for it and keeps the last line of its stderr if it fails."""

    def __init__(self, *arguments: str) -> None:
        self.why = ""
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "cli.py"), *arguments],
            **popen_options(),  # Ctrl-C in the app must not interrupt a step
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.waiting = threading.Thread(target=self._wait, daemon=True, name="helper")
        self.waiting.start()

    def _wait(self) -> None:
        stderr = self.process.communicate()[1].decode(errors="replace")
        lines = [line.removeprefix("error: ").strip() for line in stderr.split("\n") if line.strip()]
        if self.process.returncode:
            self.why = lines[-1] if lines else f"the helper process ended with code {self.process.returncode}"


_helpers: dict[int, Helper] = {}  # by run id, for all browser tabs
_lock = threading.Lock()


def begin(run_id: int, *arguments: str) -> None:
    """Start a helper process, `cli.py` with these arguments, for a run, unless one for it is still running.

    Raises OSError if the process cannot be started.
    """
    with _lock:
        if run_id not in _helpers or not _helpers[run_id].waiting.is_alive():
            _helpers[run_id] = Helper(*arguments)


def failure(run_id: int) -> str:
    """Why the helper process of a run failed: the last line of its stderr. "" if it is still running, succeeded, or
    never existed."""
    helper = _helpers.get(run_id)
    return "" if helper is None else helper.why
