"""The parent of the workers: one slot's trouble is not another's, a lock is waited for, a frozen worker is replaced."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from core.config import RunConfig
from storage import queue, results
from storage.engine import open_database
from storage.launch import new_run
from storage.migrate import upgrade
from worker import lock_path

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    engine = open_database(role="worker")
    upgrade(engine)
    yield tmp_path, engine
    engine.dispose()


@pytest.fixture
def supervise(home):
    started = []

    def start(call, before="pass"):
        env = {**os.environ, "EVENLY_DATA": str(home[0]), "OMP_NUM_THREADS": "1"}
        code = f"import logging, sys, worker; logging.basicConfig(level=logging.INFO); {before}; sys.exit({call})"
        started.append(subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(15)
        process.stderr.close()


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def slots_on(engine):
    return {w.slot for w in queue.workers(engine) if w.alive}


def pids(process):
    return {child.pid for child in psutil.Process(process.pid).children()}


def test_a_slot_that_is_taken_leaves_the_others_alone(home, supervise):
    root, engine = home
    path = lock_path(root, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        both = supervise("worker.supervise(2, patient=True)")
        until(lambda: slots_on(engine) == {1})
        time.sleep(1)
        assert both.poll() is None
    until(lambda: slots_on(engine) == {0, 1})
    both.terminate()
    assert both.wait(15) == 0
    assert slots_on(engine) == set()


def test_without_patience_a_taken_slot_ends_it(home, supervise):
    root, _ = home
    path = lock_path(root, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        assert supervise("worker.supervise(1)").wait(60) == 3


def test_a_locked_database_is_waited_for_at_the_start(home, supervise):
    root, engine = home
    lock = sqlite3.connect(root / "evenly.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    one = supervise("worker.supervise(1)")
    until(lambda: pids(one))
    time.sleep(8)
    assert one.poll() is None
    lock.execute("ROLLBACK")
    lock.close()
    until(lambda: slots_on(engine) == {0})


def test_a_newer_database_ends_it_with_a_reason(home, supervise):
    _, engine = home
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    one = supervise("worker.supervise(1)")
    assert one.wait(60) == 2
    assert "newer Evenly" in one.stderr.read()


def test_a_frozen_worker_is_killed_and_its_run_goes_on(home, supervise):
    _, engine = home
    (run_id,) = queue.submit(engine, [new_run(RunConfig("digits", "mlp", epochs=250, recipe_params={"batch_size": 32}), "Digits")])
    one = supervise("worker.supervise(1)", before="worker.FROZEN_SECONDS = 15.0")
    until(lambda: results.get_run(engine, run_id).last_epoch >= 2)
    time.sleep(6)  # one beat at least
    until(lambda: pids(one))
    (frozen,) = pids(one)
    os.kill(frozen, signal.SIGSTOP)
    until(lambda: pids(one) - {frozen})
    until(lambda: results.get_run(engine, run_id).attempt == 2)
    assert not psutil.pid_exists(frozen) or psutil.Process(frozen).status() == psutil.STATUS_ZOMBIE
    assert any("died" in e.text for e in queue.events(engine, run_id))
