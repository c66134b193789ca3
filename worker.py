"""Door 2: the background process. Claims a run, trains it, records it; survives whatever a run does.

    python worker.py            a worker per GPU (one in all without), each a child that is restarted when it dies
    python worker.py --slot 0   the worker of one slot, in this process

A worker holds its slot's lock file for life, so the kernel tells at once when it is gone; what one run goes
through stands in runner.py.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from core.errors import EvenlyError
from storage import queue, results
from storage.engine import Unavailable, data_root, open_database
from storage.migrate import upgrade

# Read by OpenMP when torch is loaded: threads that wait sleep instead of spinning. Where the browser or another run
# takes a core, spinning slowed LeNet-5 on MNIST from 1.4 s to 33 s an epoch; on a quiet machine sleeping costs a sixth.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

T = TypeVar("T")
log = logging.getLogger("evenly.worker")
POLL_SECONDS = 0.2  # between looks at an empty queue
BEAT_SECONDS = 5.0
TAKEN_SECONDS = 5.0  # between looks at a slot that another worker holds
RESCUE_SECONDS = 30.0
FROZEN_SECONDS = 30.0  # a worker whose beat stands still this long by our own clock is killed and restarted
ALREADY_ON = 3  # exit code: another worker holds this slot
LOST_CARD = "AcceleratorError"  # torch's name for a CUDA error that ends the context
REFUSED = 2  # exit code: the database or the folder is not usable; starting again would not help


def lock_path(root: Path, slot: int) -> Path:
    return root / "locks" / f"worker-{slot}.lock"


def beat_path(root: Path, slot: int) -> Path:
    """Touched with every beat. A file, so that a locked database does not make a healthy worker look frozen."""
    return root / "locks" / f"worker-{slot}.beat"


def taken(root: Path, slot: int) -> bool:
    """Whether a living worker holds the slot's lock: a free lock means a dead worker, whatever the clocks say."""
    probe = FileLock(lock_path(root, slot))
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return True
    probe.release()
    return False


class Worker:
    """One slot: a lock, a row in the database, a beat, and the loop."""

    def __init__(self, slot: int = 0) -> None:
        self.slot, self.root = slot, data_root()
        self.orders: str | None = None  # "stop" after SIGTERM
        self._quiet = threading.Event()
        path = lock_path(self.root, slot)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(path)

    def __enter__(self) -> Worker:
        """Take the slot's lock (filelock.Timeout when another has it), migrate, register, rescue, start the beat."""
        self.lock.acquire(timeout=0)
        self.engine = open_database(role="worker")
        self._patiently(lambda: upgrade(self.engine))
        from core.device import choose  # torch is imported here, after the lock: a second worker is refused in no time

        self.device = choose("auto", self.slot)
        register = (self.engine, self.slot, self.device.name, os.getpid(), platform.node())
        self.id = self._patiently(lambda: queue.register_worker(*register))
        self._patiently(self.rescue)
        threading.Thread(target=self._beats, daemon=True, name="beat").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._quiet.set()
        try:
            queue.stop_worker(self.engine, self.id)
        except Unavailable as error:
            log.warning("%s", error)
        finally:
            self.lock.release()

    def _patiently(self, work: Callable[[], T]) -> T:
        """`work()`, asked again each second while the database is locked or full and nobody orders a stop."""
        while True:
            try:
                return work()
            except Unavailable as error:
                if self.orders:
                    raise
                log.warning("waiting: %s", error)
                time.sleep(1)

    def _beats(self) -> None:
        while not self._quiet.wait(BEAT_SECONDS):
            try:
                beat_path(self.root, self.slot).touch()
            except OSError as error:
                log.warning("no beat: %s", error)
            try:
                queue.beat(self.engine, self.id)
            except EvenlyError as error:  # a locked or full database: the next beat tries again
                log.warning("no beat: %s", error)

    def rescue(self) -> None:
        """Put runs of dead workers back into the queue. Whoever had this slot before us is dead: we hold its lock."""
        for run_id in queue.rescue(self.engine, lambda w: w.id == self.id or (w.slot != self.slot and taken(self.root, w.slot))):
            log.info("run %s: its worker died; rescued", run_id)
        self._rescued = time.monotonic()

    def warm_up(self) -> None:
        """With nothing to do, make what the first run will need: its imports and the first comparison's dataset."""
        if any(results.list_runs(self.engine, status="queued", limit=1)["id"]):
            return
        import runner  # noqa: F401 - torch, models and scikit-learn, a few seconds
        from core.datasets import prepare
        from core.presets import FIRST

        prepare(FIRST.baseline.dataset, self.root)

    def loop(self, *, drain: bool = False, until: Callable[[], bool] = lambda: False) -> None:
        """Work until told to stop; with `drain` until nothing is left that could start; or until `until()`."""
        while not self.orders and not until():
            try:
                if time.monotonic() - self._rescued > RESCUE_SECONDS:
                    self.rescue()
                claim = queue.claim(self.engine, self.id, self.device.name)
            except EvenlyError as error:  # locked or full database: said once a second, mended by itself or by a person
                log.warning("%s", error)
                time.sleep(1)
                continue
            if claim is not None:
                self.work(claim)
            elif drain:
                return
            else:
                time.sleep(POLL_SECONDS)

    def work(self, claim: queue.Claim) -> None:
        """One claimed run to its end, its pause or its failure."""
        from runner import execute

        log.info("run %s: attempt %s", claim.run_id, claim.attempt)
        status, error = execute(self.engine, claim, self.device, self.root, lambda: self.orders)
        log.info("run %s: %s%s", claim.run_id, status, f" ({error})" if error else "")
        if error and LOST_CARD in error:  # nothing more can run on it in this process; the supervisor starts another
            raise SystemExit(1)


class Child:
    """A slot's process as its parent sees it: running, or waiting for its next start."""

    def __init__(self, root: Path, slot: int) -> None:
        self.root, self.slot = root, slot
        self.process: subprocess.Popen[bytes] | None = None
        self.due: float | None = 0.0  # when to start; None: never again
        self.refused: int | None = None  # the exit code, while it says that this slot cannot be served
        self.wait, self.started, self.beat, self.seen = 1.0, 0.0, 0.0, 0.0

    def look(self) -> None:
        """Start it when it is due, note how it ended, kill it when it is frozen. Never waits."""
        now = time.monotonic()
        if self.process is None:
            if self.due is not None and now >= self.due:
                self._start(now)
        elif (code := self.process.poll()) is not None:
            self._ended(code, now)
        elif self._frozen(now):
            log.error("slot %s has not moved for %.0f s; killing it", self.slot, FROZEN_SECONDS)
            self.process.kill()

    def _start(self, now: float) -> None:
        if self.refused == ALREADY_ON and taken(self.root, self.slot):
            self.due = now + TAKEN_SECONDS
            return
        command = [sys.executable, str(Path(__file__).resolve()), "--slot", str(self.slot)]
        self.process = subprocess.Popen(command, preexec_fn=die_with_parent)
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
        """True when the beat file has stood still for FROZEN_SECONDS of our own monotonic clock."""
        path = beat_path(self.root, self.slot)
        beat = path.stat().st_mtime if path.exists() else 0.0
        if beat != self.beat:
            self.beat, self.seen = beat, now
        return self.beat > 0 and now - max(self.seen, self.started) > FROZEN_SECONDS


def die_with_parent() -> None:
    """Linux: have the kernel send SIGTERM to this child when its parent is gone, however it went."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1 = PR_SET_PDEATHSIG


def supervise(slots: int, *, patient: bool = False) -> int:
    """Keep a worker on every slot until SIGTERM or SIGINT, then pass it on and wait for them.

    Ends by itself only when no slot can be served: another worker has them all (unless `patient`: then wait until it
    goes), or the database refuses for good.
    """
    orders: list[int] = []
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda s, _: orders.append(s))
    root = data_root()
    children = [Child(root, slot) for slot in range(slots)]
    while not orders:
        for child in children:
            child.look()
        codes = {child.refused for child in children}
        if codes == {REFUSED} or (codes <= {REFUSED, ALREADY_ON} and not patient):
            return REFUSED if REFUSED in codes else ALREADY_ON
        time.sleep(0.2)
    end([child.process for child in children if child.process is not None])
    return 0


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """SIGTERM to all, ten seconds to save, then SIGKILL."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 10
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
    answer = subprocess.run(ask, capture_output=True, text=True)
    if answer.returncode or not answer.stdout.strip().isdigit():
        log.warning("cannot count the GPUs (%s); one worker is started", (answer.stderr.strip().splitlines() or ["no answer"])[-1])
        return 0
    return int(answer.stdout)


def serve(slot: int, *, drain: bool = False) -> int:
    """Be the worker of a slot until SIGTERM or SIGINT (a second one ends at once), or with `drain` until nothing is left."""
    worker = Worker(slot)

    def stop(signum: int, _: object) -> None:
        if worker.orders:
            os._exit(1)
        worker.orders = "stop"

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        with worker:
            log.info("ready on %s, data in %s", worker.device.name, worker.root)
            worker.warm_up()
            worker.loop(drain=drain)
    except Timeout:
        log.error("a worker already serves slot %s of %s; only one can", slot, worker.root)
        return ALREADY_ON
    except EvenlyError as error:
        log.error("%s", error)
        return 0 if worker.orders else REFUSED
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Train queued runs.")
    parser.add_argument("--slot", type=int, help="serve this slot only, in this process")
    parser.add_argument("--patient", action="store_true", help="where another worker has the slot, wait until it goes")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return supervise(max(gpus(), 1), patient=given.patient) if given.slot is None else serve(given.slot)


if __name__ == "__main__":
    sys.exit(main())
