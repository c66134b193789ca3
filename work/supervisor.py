"""The parent of the workers: one process per slot, restarted when it dies, killed when it is frozen.

It neither trains nor opens the database: it only watches exit codes and heartbeat files.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

from core.errors import EvenlyError
from services.launchers import LAUNCHERS
from storage.db.paths import lock_folder
from work.liveness import beat_path
from work.locks import ALREADY_ON, REFUSED, taken
from work.process_group import Child, ProcessGroup

log = logging.getLogger("evenly.worker")
TAKEN_SECONDS = 5.0  # between checks of a slot that another worker holds
FROZEN_SECONDS = 30.0  # a worker without a heartbeat for this long by our own clock is killed and restarted


class Slot(Child):
    """A slot's worker."""

    def __init__(self, locks: Path, slot: int) -> None:
        super().__init__(LAUNCHERS["local"].command("--slot", str(slot)))  # wherever this parent was started
        self.locks, self.slot = locks, slot
        self.refused: int | None = None  # the exit code, while it says that this slot cannot be served
        self.beat = 0.0  # time of the heartbeat file when last looked at
        self.seen: float | None = None  # when this worker's newest heartbeat was seen; None before its first

    def start(self, now: float) -> None:
        if self.refused == ALREADY_ON and taken(self.locks, self.slot):
            self.due = now + TAKEN_SECONDS
            return
        super().start(now)
        self.beat, self.seen = self._beat(), None

    def next_start(self, code: int, now: float) -> float | None:
        """Soon if another worker has the slot, never if a person has to act."""
        self.refused = code if code in (REFUSED, ALREADY_ON) else None
        if self.refused == REFUSED:
            return None
        if self.refused == ALREADY_ON:
            return now + TAKEN_SECONDS
        due = super().next_start(code, now)
        log.warning("slot %s exited with code %s; restarting it in %.0f s", self.slot, code, self.wait)
        return due

    def watch(self, now: float) -> None:
        """Kill it when it is frozen. Never waits."""
        if self._frozen(now):
            log.error("slot %s has sent no heartbeat for %.0f s; killing it", self.slot, FROZEN_SECONDS)
            self.process.kill()
            self.seen = now  # the kernel may need a while to kill a process that waits for a disk

    def _frozen(self, now: float) -> bool:
        """True if the worker has sent heartbeats, but none for FROZEN_SECONDS. A busy machine may take longer to start it."""
        if (beat := self._beat()) != self.beat:
            self.beat, self.seen = beat, now
        return self.seen is not None and now - self.seen > FROZEN_SECONDS

    def _beat(self) -> float:
        """The modification time of the heartbeat file; 0 without one."""
        path = beat_path(self.locks, self.slot)
        return path.stat().st_mtime if path.exists() else 0.0


def supervise(slots: int, *, patient: bool = False) -> int:
    """Keep a worker on every slot until SIGTERM or SIGINT, then pass the signal on and wait for the workers.

    Otherwise returns only when no slot can be served: other workers have them all (unless `patient`: then wait until
    they exit), or the database cannot be used.
    """
    try:
        locks = lock_folder()
    except EvenlyError as error:
        log.error("%s", error)
        return REFUSED
    children = [Slot(locks, slot) for slot in range(slots)]

    def over() -> int | None:
        codes = {child.refused for child in children}
        if codes == {REFUSED} or (codes <= {REFUSED, ALREADY_ON} and not patient):
            return REFUSED if REFUSED in codes else ALREADY_ON
        return None

    return ProcessGroup(*children).keep(over)


def gpus() -> int:
    """The number of GPUs on this machine, counted in a child so that this process stays small; 0 without a driver."""
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
