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

from filelock import FileLock, Timeout
from sqlalchemy import Engine

from core.errors import EvenlyError
from storage import queue, results
from storage.engine import data_root, open_database
from storage.migrate import upgrade

# Read by OpenMP when torch is loaded: threads that wait sleep instead of spinning. Where the browser or another run
# takes a core, spinning slowed LeNet-5 on MNIST from 1.4 s to 33 s an epoch; on a quiet machine sleeping costs a sixth.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

log = logging.getLogger("evenly.worker")
POLL_SECONDS = 0.2  # between looks at an empty queue
BEAT_SECONDS = 5.0
RESCUE_SECONDS = 30.0
FROZEN_SECONDS = 30.0  # a worker whose beat stands still this long by our own clock is killed and restarted
ALREADY_ON = 3  # exit code: another worker holds this slot
REFUSED = 2  # exit code: the database or the folder is not usable; starting again would not help


def lock_path(root: Path, slot: int) -> Path:
    return root / "locks" / f"worker-{slot}.lock"


def alive(root: Path) -> Callable[[queue.WorkerRow], bool]:
    """A check of workers by their lock: free means dead, whatever the clocks say."""

    def check(worker: queue.WorkerRow) -> bool:
        probe = FileLock(lock_path(root, worker.slot))
        try:
            probe.acquire(timeout=0)
        except Timeout:
            return True
        probe.release()
        return False

    return check


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
        upgrade(self.engine)
        from core.device import choose  # torch is imported here, after the lock: a second worker is refused in no time

        self.device = choose("auto", self.slot)
        self.id = queue.register_worker(self.engine, self.slot, self.device.name, os.getpid(), platform.node())
        self.rescue()
        threading.Thread(target=self._beats, daemon=True, name="beat").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._quiet.set()
        queue.stop_worker(self.engine, self.id)
        self.lock.release()

    def _beats(self) -> None:
        while not self._quiet.wait(BEAT_SECONDS):
            try:
                queue.beat(self.engine, self.id)
            except EvenlyError as error:  # a locked or full database: the next beat tries again
                log.warning("no beat: %s", error)

    def rescue(self) -> None:
        """Put runs of dead workers back into the queue. Whoever had this slot before us is dead: we hold its lock."""
        check = alive(self.root)
        for run_id in queue.rescue(self.engine, lambda w: w.id == self.id or (w.slot != self.slot and check(w))):
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
        """One claimed run to its end, its pause or its failure. Only a lost CUDA device ends the worker with it."""
        from runner import execute

        log.info("run %s: attempt %s", claim.run_id, claim.attempt)
        status, error = execute(self.engine, claim, self.device, self.root, lambda: self.orders)
        log.info("run %s: %s%s", claim.run_id, status, f" ({error})" if error else "")


class Child:
    """A slot's process as its parent sees it."""

    def __init__(self, slot: int) -> None:
        self.slot, self.wait, self.beat, self.seen = slot, 1.0, None, time.monotonic()
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), "--slot", str(self.slot)]
        self.process = subprocess.Popen(command, preexec_fn=die_with_parent)
        self.started = self.seen = time.monotonic()

    def frozen(self, beat: int | None) -> bool:
        """True when the beat has stood still for FROZEN_SECONDS of our own monotonic clock."""
        if beat != self.beat:
            self.beat, self.seen = beat, time.monotonic()
        return time.monotonic() - self.seen > FROZEN_SECONDS

    def restart(self) -> None:
        """Start again, after a pause that doubles up to half a minute while the process keeps dying young."""
        self.wait = 1.0 if time.monotonic() - self.started > 60 else min(self.wait * 2, 30.0)
        log.warning("slot %s ended with code %s; starting it again in %.0f s", self.slot, self.process.returncode, self.wait)
        time.sleep(self.wait)
        self.start()


def die_with_parent() -> None:
    """Linux: have the kernel send SIGTERM to this child when its parent is gone, however it went."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1 = PR_SET_PDEATHSIG


def supervise(slots: int) -> int:
    """Keep a worker on every slot until SIGTERM or SIGINT, then pass it on and wait for them."""
    orders: list[int] = []
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda s, _: orders.append(s))
    children, engine, look = [Child(slot) for slot in range(slots)], None, 0.0
    while not orders:
        time.sleep(0.2)
        for child in children:
            if (code := child.process.poll()) in (REFUSED, ALREADY_ON):
                end(children)
                return code
            if code is not None:
                child.restart()
        if time.monotonic() - look > BEAT_SECONDS:
            look = time.monotonic()
            engine = engine or open_database()
            kill_frozen(engine, children)
    end(children)
    return 0


def kill_frozen(engine: Engine, children: list[Child]) -> None:
    """SIGKILL the children whose beat stands still; the loop above restarts them and the next one rescues the run."""
    try:
        beats = {w.pid: w.beat for w in queue.workers(engine)}
    except EvenlyError as error:
        log.warning("cannot look at the beats: %s", error)
        return
    for child in children:
        pid = child.process.pid
        if pid in beats and child.frozen(beats[pid]):
            log.error("slot %s has not moved for %.0f s; killing it", child.slot, FROZEN_SECONDS)
            child.process.kill()
            child.process.wait()


def end(children: list[Child]) -> None:
    """SIGTERM to all, ten seconds to save, then SIGKILL."""
    for child in children:
        if child.process.poll() is None:
            child.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 10
    for child in children:
        try:
            child.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def gpus() -> int:
    """GPUs on this machine. Asked in a child, so that this process stays small; without a driver nobody is asked."""
    if not (shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists()):
        return 0
    ask = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    return int(subprocess.run(ask, capture_output=True, text=True, check=True).stdout)


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
        return REFUSED
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Train queued runs.")
    parser.add_argument("--slot", type=int, help="serve this slot only, in this process")
    slot = parser.parse_args(argv).slot
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return supervise(max(gpus(), 1)) if slot is None else serve(slot)


if __name__ == "__main__":
    sys.exit(main())
