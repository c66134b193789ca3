"""The parent of the workers: one slot's trouble is not another's, a lock is waited for, a frozen or hanging worker is replaced."""

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import psutil
import pytest
from filelock import FileLock, Timeout

from core.experiment.config import RunConfig
from services.queue_rows import new_run
from storage import results
from storage.db.errors import Unavailable
from storage.jobs import events, queue, workers
from tests.work import standin
from tests.work.forked import run_worker, until
from work import liveness, runner
from work import worker as door
from work.liveness import NoProgress, beat_path
from work.locks import ALREADY_ON, REFUSED, lock_path, taken
from work.process_group import Awake
from work.supervisor import Slot

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LONG = RunConfig("digits", "mlp", epochs=5000, recipe_params={"batch_size": 32})  # ends within no test


@pytest.fixture
def locks(home):
    """The folder for the locks of the workers."""
    (home[0] / "locks").mkdir()
    return home[0] / "locks"


# -- the parent, with stand-ins as its workers -----------------------------------------------------------------------


def test_a_slot_that_is_taken_leaves_the_others_alone(locks, fork):
    with FileLock(lock_path(locks, 0)):
        both = fork(partial(standin.supervise, 2, patient=True))
        both.says("slot 0 is taken")
        both.says("slot 1 is served")
        assert "slot 0 is served" not in both.said()
    both.says("slot 0 is served")
    both.send(signal.SIGTERM)
    assert both.wait() == 0
    assert not any(taken(locks, slot) for slot in (0, 1))


def test_without_patience_a_taken_slot_ends_it(locks, fork):
    with FileLock(lock_path(locks, 0)):
        assert fork(partial(standin.supervise, 1)).wait() == ALREADY_ON


def test_a_worker_that_no_restart_would_help_ends_it(home, fork, monkeypatch):
    monkeypatch.setenv("STANDIN_EXIT", str(REFUSED))
    assert fork(partial(standin.supervise, 1, patient=True)).wait() == REFUSED


def test_a_frozen_worker_is_killed_and_another_takes_its_place(locks, fork, monkeypatch):
    """What becomes of a run whose worker was killed is in test_crash.py."""
    monkeypatch.setenv("STANDIN_FREEZES", "yes")
    parent = fork(partial(standin.supervise, 1, frozen_seconds=0.5))
    parent.says("slot 0 is served", times=2)
    assert "slot 0 has sent no heartbeat" in parent.said()
    frozen = int((locks / "frozen-0").read_text())
    assert not psutil.pid_exists(frozen) or psutil.Process(frozen).status() == psutil.STATUS_ZOMBIE


# -- a database that is not ready for a worker -----------------------------------------------------------------------


def test_a_locked_database_is_waited_for_at_the_start(home, locks, fork):
    root, engine = home
    lock = sqlite3.connect(root / "evenly.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    fork(run_worker, "--slot", "0")
    until(beat_path(locks, 0).exists)  # it has its slot and waits
    assert workers.newest(engine) == []
    lock.execute("ROLLBACK")
    lock.close()
    until(lambda: [w.slot for w in workers.newest(engine) if w.alive] == [0])


def test_a_newer_database_ends_a_worker_with_a_reason(home, fork):
    _, engine = home
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    one = fork(run_worker, "--slot", "0")
    assert one.wait() == REFUSED
    assert "newer Evenly" in one.said()


# -- what stands still, by clocks of the test ------------------------------------------------------------------------


class Process:
    """A child's process that never ends by itself."""

    def __init__(self):
        self.kills = 0

    def poll(self):
        return None

    def kill(self):
        self.kills += 1


@pytest.fixture
def watched(tmp_path):
    """A child whose process beats when the test says so."""
    child = Slot(tmp_path / "locks", 0)
    child.process = Process()
    path = beat_path(tmp_path / "locks", 0)
    path.parent.mkdir()
    number = itertools.count(1)

    def beat(at=None):
        at = next(number) * 5 if at is None else at
        path.touch()
        os.utime(path, (at, at))

    return child, beat


def test_a_worker_that_beats_is_left_alone_and_one_that_stands_still_is_killed(watched):
    child, beat = watched
    for now in range(0, 3600, 5):
        beat()
        child.look(float(now))
    child.look(3595 + 29.0)
    assert child.process.kills == 0
    child.look(3595 + 31.0)
    assert child.process.kills == 1
    for more in range(32, 60):  # the kernel takes its time: said and tried again every half minute, not at every look
        child.look(3595.0 + more)
    assert child.process.kills == 1
    child.look(3595 + 62.0)
    assert child.process.kills == 2


def test_a_worker_that_takes_long_to_start_is_not_judged_by_the_beat_of_an_earlier_one(watched, monkeypatch):
    child, beat = watched
    beat()
    monkeypatch.setattr("work.process_group.psutil.Popen", lambda *_, **__: Process())
    child.start(1000.0)
    for now in range(1000, 1600):
        child.look(float(now))
    assert child.process.kills == 0
    beat()
    for now in range(1600, 1632):
        child.look(float(now))
    assert child.process.kills == 1


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_a_clock_that_jumps_kills_nobody(watched, jump):
    """The file's time is only compared with what it was."""
    child, beat = watched
    for now in range(0, 600, 5):
        beat(at=100_000 + now + (jump if now > 300 else 0))
        child.look(float(now))
    assert child.process.kills == 0


def test_whoever_slept_as_long_as_the_worker_kills_nobody(watched):
    """Stopped and continued, or the machine asleep, for a day: the parent looks first, the worker's beat comes after."""
    child, beat = watched
    times = [*range(100), *range(86_400, 86_500)]
    clock = Awake(iter([0, *times]).__next__)
    for now in times:
        if now % 5 == 4:
            beat()
        child.look(clock())
    assert child.process.kills == 0
    assert clock._now == 99 + 1 + 99


def test_stillness_is_told_after_5_minutes_and_at_every_doubling():
    still, news = NoProgress(), []
    for beat in range(int(liveness.HUNG_SECONDS / liveness.BEAT_SECONDS) + 1):
        still.beat(looks=7, busy=True)
        if (said := still.news()) is not None:
            news.append((beat * 5 // 60, said))
    assert news == [(m, m) for m in (5, 10, 20, 40)]
    assert still.seconds == liveness.HUNG_SECONDS
    assert still.minutes == 60
    still.beat(looks=8, busy=True)
    assert (still.seconds, still.minutes, still.news()) == (0, None, None)


def test_a_worker_without_a_run_is_never_too_still():
    still = NoProgress()
    for _ in range(10_000):
        still.beat(looks=7, busy=False)
    assert still.seconds == 0


# -- a worker whose run hangs ----------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(liveness, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(liveness, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(liveness, "HUNG_SECONDS", 0.4)
    monkeypatch.setattr(runner, "MIN_FREE_BYTES", 0)


def test_a_run_that_hangs_is_told_of_then_its_beat_stops_and_comes_back_with_the_next_step(home, quick, monkeypatch):
    root, engine = home
    (run_id,) = queue.submit(engine, [new_run(RunConfig("digits", "mlp", epochs=2, recipe_params={"batch_size": 64}))])
    hangs, over, real = threading.Event(), threading.Event(), runner.Trainer.forward_backward

    def forward_backward(self, *args):
        if not over.is_set():
            hangs.set()
            over.wait(300)
        return real(self, *args)

    monkeypatch.setattr(runner.Trainer, "forward_backward", forward_backward)
    with door.Worker(0) as worker:
        training = threading.Thread(target=worker.loop, kwargs={"drain": True})
        training.start()
        hangs.wait()
        until(lambda: any(e.kind == "warning" and "no step for" in e.text for e in events.log_of(engine, run_id)))
        until(lambda: workers.newest(engine)[0].quiet_minutes is not None)
        until(lambda: worker.no_progress.seconds >= liveness.HUNG_SECONDS)
        last = beat_path(root / "locks", 0).stat().st_mtime_ns
        beats = worker.no_progress.seconds
        until(lambda: worker.no_progress.seconds > beats + 0.2)
        assert beat_path(root / "locks", 0).stat().st_mtime_ns == last
        over.set()
        until(lambda: beat_path(root / "locks", 0).stat().st_mtime_ns != last)
        training.join()
        until(lambda: workers.newest(engine)[0].state == "idle")
    assert results.get_run(engine, run_id).status == "succeeded"


def test_a_locked_database_does_not_stop_the_beat(home, quick, monkeypatch):
    """A write to a locked database waits for almost as long as a beat may stand still."""
    root, _ = home
    waits, over = threading.Event(), threading.Event()

    def locked(*_):
        waits.set()
        over.wait(300)
        raise Unavailable("the database is locked")

    monkeypatch.setattr(workers, "beat", locked)
    with door.Worker(0):
        waits.wait()
        for _ in range(3):
            last = beat_path(root / "locks", 0).stat().st_mtime_ns
            until(lambda last=last: beat_path(root / "locks", 0).stat().st_mtime_ns != last)
        over.set()


def test_a_worker_beats_while_it_waits_for_a_database_to_start_with(home, quick, monkeypatch):
    root, _ = home
    monkeypatch.setattr(door.time, "sleep", lambda seconds: None)

    def locked(_):
        if beat_path(root / "locks", 0).exists():
            raise KeyboardInterrupt  # seen: enough
        raise Unavailable("the database is locked")

    monkeypatch.setattr(door, "upgrade", locked)
    with pytest.raises(KeyboardInterrupt):
        door.Worker(0).__enter__()
    monkeypatch.undo()
    try:
        with FileLock(lock_path(root / "locks", 0)).acquire(timeout=0):
            pass
    except Timeout:
        pytest.fail("a worker that could not start keeps its slot")


# -- the signals that end it -----------------------------------------------------------------------------------------


def test_a_terminal_tells_parent_and_worker_alike_and_the_run_is_saved(home):
    """`python worker.py` and Ctrl-C: the worker hears of it twice, from the terminal and from its parent."""
    root, engine = home
    (run_id,) = queue.submit(engine, [new_run(LONG)])
    env = {**os.environ, "EVENLY_DATA": str(root), "OMP_NUM_THREADS": "1"}
    both = subprocess.Popen(
        [sys.executable, "worker.py"],
        cwd=ROOT,
        env=env,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: results.get_run(engine, run_id).last_epoch >= 1)
        os.killpg(both.pid, signal.SIGINT)
        assert both.wait() == 0
    finally:
        if both.poll() is None:
            os.killpg(both.pid, signal.SIGKILL)
            both.wait()
    row = results.get_run(engine, run_id)
    assert (row.status, row.attempt) == ("queued", 0)
    assert events.log_of(engine, run_id)[-1].text == "its worker was stopped"
    assert (
        "-step-" in str(results.list_checkpoints(engine, run_id)[0].path)
        or results.list_checkpoints(engine, run_id)[0].epoch == row.last_epoch
    )


ORPHAN = """
import os, sys, time
from work import process_group
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent:
        time.sleep(0.01)
    process_group.die_with_parent(parent)
    print("it lives on", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_a_child_whose_parent_went_before_it_could_ask_ends(home):
    """Its output ends only when it does."""
    done = subprocess.run([sys.executable, "-c", ORPHAN], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
