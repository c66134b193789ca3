"""Door 2: the background process. Claims a run, trains it, records it; survives whatever a run does.

    python worker.py            a worker per GPU (one in all without), each a child that is restarted when it dies
    python worker.py --slot 0   the worker of one slot, in this process

A worker holds its slot's lock file for life, so the kernel tells at once when it is gone; while it moves, it touches a
beat file, which its parent watches. What one run goes through stands in runner.py.
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
from functools import partial
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from core import machine
from core.errors import EvenlyError
from storage import queue, results
from storage.engine import Unavailable, data_root, open_database
from storage.migrate import upgrade
from storage.workers import Place, state_text

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # before any fork: a child of one must not load anything

machine.tune()  # before anything imports torch

T = TypeVar("T")
log = logging.getLogger("evenly.worker")
POLL_SECONDS = 0.2  # between looks at an empty queue
BEAT_SECONDS = 5.0
STEP_SECONDS = 1.0  # between two looks at how far a run is inside its epoch
TAKEN_SECONDS = 5.0  # between looks at a slot that another worker holds
RESCUE_SECONDS = 30.0
FROZEN_SECONDS = 30.0  # a worker whose beat stands still this long by our own clock is killed and restarted
QUIET_SECONDS = 300.0  # a run that finishes no step for this long is told of; again after twice, four, eight times as long
HUNG_SECONDS = 3600.0  # and this long: the beat stops, so that the parent replaces the worker; no honest step takes an hour
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


class Stillness:
    """For how long the run in hand has finished no step (nor, while its data is prepared, a piece of it).

    Counted in beats of the worker and not read off a clock, so that no time counts in which the machine slept or the
    process was stopped: a slow step must never look like one that hangs.
    """

    def __init__(self) -> None:
        self.seconds, self._looks, self._next = 0.0, -1, QUIET_SECONDS

    def beat(self, looks: int, busy: bool) -> None:
        """One beat has gone by. `looks` counts how often the run has looked for orders, as it does after a step."""
        if busy and looks == self._looks:
            self.seconds += BEAT_SECONDS
        else:
            self.seconds, self._next = 0.0, QUIET_SECONDS
        self._looks = looks

    def words(self) -> str | None:
        """"no step for 12 min", once it is that quiet."""
        return f"no step for {self.seconds / 60:.0f} min" if self.seconds >= QUIET_SECONDS else None

    def news(self) -> str | None:
        """The same for the run's log: only when it has become twice as long as it was last time."""
        if self.seconds < self._next:
            return None
        self._next *= 2
        return self.words()


class Inside:
    """How far the run in hand is inside its epoch, as seen from another thread; the training itself knows nothing of it.

    An epoch that is over by the next look is never told of, so short ones cost nothing.
    """

    def __init__(self, run_id: int = 0) -> None:
        self.run_id, self.place = run_id, None
        self._steps: Callable[[], tuple[int, int, int] | None] = lambda: None
        self._epoch, self._from, self._since = 0, 0, 0.0

    def follow(self, steps: Callable[[], tuple[int, int, int] | None]) -> None:
        self._steps = steps

    def look(self, now: float) -> bool:
        """Take a look at the time `now`, in seconds by any clock; True where there is something new to tell."""
        if (seen := self._steps()) is None:
            return False
        epoch, step, steps = seen
        if epoch != self._epoch:
            self._epoch, self._from, self._since, self.place = epoch, step, now, None
            return False
        if self.place is not None and self.place.step == step:
            return False
        pace = steps * (now - self._since) / (step - self._from) if step > self._from else None
        self.place = Place(self.run_id, epoch, step, steps, pace)
        return True


class Worker:
    """One slot: a lock, a row in the database, two beats (a file for its parent, the row for people), and the loop."""

    def __init__(self, slot: int = 0) -> None:
        self.slot, self.root = slot, data_root()
        self.orders: str | None = None  # "stop" after SIGTERM
        self.claim: queue.Claim | None = None  # the run in hand
        self.looks, self.still, self.inside = 0, Stillness(), Inside()
        self._quiet = threading.Event()
        path = lock_path(self.root, slot)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(path)

    def __enter__(self) -> Worker:
        """Take the slot's lock (filelock.Timeout when another has it), migrate, register, rescue, start the beats."""
        self.lock.acquire(timeout=0)
        try:
            self._set_up()
        except BaseException:
            self._quiet.set()
            self.lock.release()
            raise
        return self

    def _set_up(self) -> None:
        self._in_thread(self._beat)  # first: what follows may take a while on a slow disk or a locked database
        self.engine = open_database(role="worker")
        self._patiently(lambda: upgrade(self.engine))
        from core.device import choose  # torch is imported here, after the lock: a second worker is refused in no time

        self.device = choose("auto", self.slot)
        register = (self.engine, self.slot, self.device.name, os.getpid(), platform.node())
        self.id = self._patiently(lambda: queue.register_worker(*register))
        self._patiently(self.rescue)
        self._in_thread(self._report)  # apart from the other: a locked database must not hold that one up
        self._in_thread(self._tell_steps, STEP_SECONDS)

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

    def _in_thread(self, work: Callable[[], None], seconds: float | None = None) -> None:
        def repeatedly() -> None:
            while not self._quiet.wait(seconds or BEAT_SECONDS):
                work()

        threading.Thread(target=repeatedly, daemon=True, name=work.__name__).start()

    def _beat(self) -> None:
        """Touch the beat file; not any more when the run in hand hangs."""
        self.still.beat(self.looks, self.claim is not None)
        if self.still.seconds >= HUNG_SECONDS:
            return
        try:
            beat_path(self.root, self.slot).touch()
        except OSError as error:
            log.warning("no beat: %s", error)

    def _report(self) -> None:
        """Tell the database that the worker lives, and people when its run has not moved for long."""
        claim, words, news = self.claim, self.still.words(), self.still.news()
        try:
            queue.beat(self.engine, self.id, state_text(self.inside.place, words))
            if claim is not None and news:
                log.warning("run %s: %s", claim.run_id, news)
                queue.note(self.engine, claim.run_id, "warning", f"{news}; unless that is expected, restart the worker (make run does it after {HUNG_SECONDS / 60:.0f} min)")
        except EvenlyError as error:  # a locked or full database: the next beat tries again
            log.warning("no beat: %s", error)

    def _tell_steps(self) -> None:
        """Tell people how far the run in hand is inside a long epoch, at most once a second."""
        if not self.inside.look(time.monotonic()):
            return
        try:
            queue.beat(self.engine, self.id, state_text(self.inside.place, self.still.words()))
        except EvenlyError as error:
            log.warning("no step told: %s", error)

    def ask(self) -> str | None:
        """The orders, for the run in hand. That it asks shows that it moves."""
        self.looks += 1
        return self.orders

    def rescue(self) -> None:
        """Put runs of dead workers back into the queue. Whoever had this slot before us is dead: we hold its lock."""
        for run_id in queue.rescue(self.engine, lambda w: w.id == self.id or (w.slot != self.slot and taken(self.root, w.slot))):
            log.info("run %s: its worker died; rescued", run_id)
        self._rescued = time.monotonic()

    def warm_up(self) -> None:
        """With nothing to do, make what the first run will need: its imports and the first comparison's dataset."""
        if any(results.list_runs(self.engine, status="queued", limit=1)["id"]):
            return
        from core.datasets import prepare
        from core.engine import Interrupted
        from core.presets import FIRST
        from runner import obeying  # brings torch, models and scikit-learn: a few seconds

        try:
            prepare(FIRST.baseline.dataset, self.root, obeying(lambda: self.orders))
        except Interrupted:
            return
        except EvenlyError as error:  # no space, perhaps: the first run will say so where people see it
            log.warning("%s", error)

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
        self.claim, self.inside = claim, Inside(claim.run_id)
        try:
            status, error = execute(self.engine, claim, self.device, self.root, self.ask, self.inside.follow)
        finally:
            self.claim, self.inside = None, Inside()
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
        if self.refused == ALREADY_ON and taken(self.root, self.slot):
            self.due = now + TAKEN_SECONDS
            return
        command = [sys.executable, str(Path(__file__).resolve()), "--slot", str(self.slot)]
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
        path = beat_path(self.root, self.slot)
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
    root, clock = data_root(), Awake()
    children = [Child(root, slot) for slot in range(slots)]
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
    """Be the worker of a slot until SIGTERM or SIGINT (the same one again ends at once), or with `drain` until nothing is left."""
    worker, had = Worker(slot), set()

    def stop(signum: int, _: object) -> None:
        if signum in had:  # a Ctrl-C comes twice: as SIGINT from the terminal and as SIGTERM from the parent
            os._exit(1)
        had.add(signum)
        worker.orders = "stop"

    on_signals(stop)
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
