"""SIGKILL at random moments: whatever the worker was doing, the run ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.experiment.config import RunConfig
from services.submission import new_run
from storage import results
from storage.jobs import queue
from storage.results import checkpoint_files

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 60
KILLS = 8  # per seed of the test, two seeds
CONFIG = RunConfig("digits", "mlp", method="cdb", params={"tau": 1.0}, epochs=EPOCHS, recipe_params={"batch_size": 32})
pytestmark = pytest.mark.slow


def start_worker(root):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "worker.py"), "--slot", "0"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "EVENLY_DATA": str(root), "OMP_NUM_THREADS": "1"},
    )


def until(condition):
    """Wait for a state; one that never comes ends with the test's own timeout."""
    while not condition():
        time.sleep(0.02)


def finish(root, engine, run_id):
    worker = start_worker(root)
    try:
        until(lambda: results.get_run(engine, run_id).status not in ("queued", "running"))
    finally:
        worker.terminate()
        assert worker.wait() == 0
    return results.get_run(engine, run_id)


def history(engine, run_id):
    """Everything a run recorded, without the clock."""
    frame = results.epochs(engine, [run_id]).drop(columns=["run_id", "seconds"])
    classes = {split: results.class_history(engine, run_id, split) for split in ("train", "validation", "test")}
    return frame.sort_values(["epoch", "split"]).reset_index(drop=True), classes


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.timeout(600)
def test_a_run_survives_being_killed(home, seed):
    root, engine = home
    rng = random.Random(seed)
    unbroken, broken = queue.submit(engine, [new_run(CONFIG, "Digits"), new_run(CONFIG, "Digits")])
    queue.ask(engine, broken, "pause")
    assert finish(root, engine, unbroken).status == "succeeded"
    queue.ask(engine, broken, "run")
    kills = 0
    while kills < KILLS:
        before = results.get_run(engine, broken)
        if before.status == "succeeded":
            break
        if before.status == "failed":  # after three deaths a person has to look at it
            assert "worker died 3 times" in before.error
            queue.ask(engine, broken, "run")
        worker = start_worker(root)
        if rng.random() < 0.7:  # most often while it trains, else while it starts
            until(lambda: results.get_run(engine, broken).status == "running")
        moment = time.monotonic() + rng.uniform(0, 0.6)
        most = before.last_epoch + EPOCHS // KILLS - 2  # a fast machine must not be through before the last kill
        until(
            lambda moment=moment, most=most: (
                time.monotonic() > moment or results.get_run(engine, broken).last_epoch >= most
            )
        )
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        kills += 1
        after = results.get_run(engine, broken)
        assert after.last_epoch >= before.last_epoch - 1, "at most one epoch may be trained again"
    assert kills == KILLS, "the run was over too soon; give it more epochs"
    if results.get_run(engine, broken).status == "failed":
        queue.ask(engine, broken, "run")
    row = finish(root, engine, broken)
    if row.status == "failed":  # the last kill was the third of its kind
        queue.ask(engine, broken, "run")
        row = finish(root, engine, broken)
    assert row.status == "succeeded"
    assert row.last_epoch == EPOCHS
    check_same(engine, unbroken, broken)
    check_files(root, engine, broken)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def check_same(engine, unbroken, broken):
    (a, a_classes), (b, b_classes) = history(engine, unbroken), history(engine, broken)
    assert a.equals(b)
    assert len(b) == 3 * EPOCHS
    for split, want in a_classes.items():
        got = b_classes[split]
        for field in ("epochs", "support", "tp", "predicted", "weight"):
            assert np.array_equal(getattr(want, field), getattr(got, field)), (split, field)


def check_files(root, engine, run_id):
    saved = results.list_checkpoints(engine, run_id)
    assert saved
    for row in saved:
        assert len(checkpoint_files.read(row.path, row.sha256)) == row.bytes
    folder = root / "runs" / str(run_id)
    assert not list(folder.glob("*.tmp"))


def test_term_saves_and_gives_the_run_back(home):
    root, engine = home
    (run_id,) = queue.submit(engine, [new_run(CONFIG, "Digits")])
    worker = start_worker(root)
    until(lambda: results.get_run(engine, run_id).last_epoch >= 2)
    worker.terminate()
    assert worker.wait() == 0
    row = results.get_run(engine, run_id)
    assert row.status == "queued"
    assert row.attempt == 0
    assert finish(root, engine, run_id).status == "succeeded"
    assert any(e.kind == "resume" for e in queue.events(engine, run_id))


HANGING = """
import sys, time
from work import runner, worker

def hang(*_):
    print("in the step", flush=True)
    time.sleep(600)

def on_signals(handler):
    def heard(*given):
        handler(*given)
        print("heard", flush=True)
    real(heard)

runner.Trainer.forward_backward = hang
real, worker.on_signals = worker.on_signals, on_signals
sys.exit(worker.serve(0))
"""


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_the_same_signal_again_ends_a_worker_at_once(home, signum):
    """One step takes ten minutes: the first signal cannot be obeyed."""
    root, engine = home
    (run_id,) = queue.submit(engine, [new_run(CONFIG, "Digits")])
    worker = subprocess.Popen(
        [sys.executable, "-c", HANGING],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "EVENLY_DATA": str(root), "OMP_NUM_THREADS": "1"},
    )
    with worker:
        assert worker.stdout.readline() == "in the step\n"
        worker.send_signal(signum)
        assert worker.stdout.readline() == "heard\n"
        worker.send_signal(signum)
    assert worker.returncode == 1
    assert finish(root, engine, run_id).status == "succeeded"


def test_a_run_that_gets_further_between_deaths_is_never_given_up(home):
    root, engine = home
    (run_id,) = queue.submit(engine, [new_run(CONFIG, "Digits")])
    for _ in range(6):
        before = results.get_run(engine, run_id).last_epoch
        worker = start_worker(root)
        until(lambda before=before: (row := results.get_run(engine, run_id)).last_epoch > before and row.attempt == 1)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert finish(root, engine, run_id).status == "succeeded"
    log = [e.text for e in queue.events(engine, run_id)]
    assert sum("died in attempt 1" in text for text in log) == 6


@pytest.mark.parametrize("order", ["pause", "cancel", "SIGTERM"])
def test_orders_are_obeyed_while_a_large_file_is_checked(home, order):
    """An archive of 1 TB, all of it a hole: nothing on the disk, and hashed within no test."""
    root, engine = home
    with open(root / "cifar-10-python.tar.gz", "wb") as file:
        file.truncate(2**40)
    (run_id,) = queue.submit(engine, [new_run(RunConfig("cifar10", "cnn", epochs=1), "CIFAR-10")])
    worker = start_worker(root)
    try:
        until(lambda: any("checking cifar-10-python.tar.gz" in e.text for e in queue.events(engine, run_id)))
        if order == "SIGTERM":
            worker.terminate()
        else:
            queue.ask(engine, run_id, order)
        until(lambda: results.get_run(engine, run_id).status != "running")
        assert (
            results.get_run(engine, run_id).status
            == {"pause": "paused", "cancel": "cancelled", "SIGTERM": "queued"}[order]
        )
    finally:
        if order != "SIGTERM":
            worker.terminate()
        assert worker.wait() == 0
    assert not list((root / "cache").glob("*.tmp"))


def test_a_second_worker_is_refused(home):
    root, engine = home
    first = start_worker(root)
    try:
        until(lambda: any(w.alive for w in queue.workers(engine)))
        second = subprocess.run(
            [sys.executable, str(ROOT / "worker.py"), "--slot", "0"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "EVENLY_DATA": str(root)},
        )
        assert second.returncode == 3
        assert "a worker already serves slot 0" in second.stderr
    finally:
        first.terminate()
        first.wait()


@pytest.mark.parametrize(("asked", "status"), [("pause", "paused"), ("cancel", "cancelled")])
def test_requests_are_carried_out_in_the_middle_of_a_run(home, asked, status):
    root, engine = home
    (run_id,) = queue.submit(engine, [new_run(replace(CONFIG, epochs=5000), "Digits")])
    worker = start_worker(root)
    try:
        until(lambda: results.get_run(engine, run_id).last_epoch >= 1)
        queue.ask(engine, run_id, asked)
        until(lambda: results.get_run(engine, run_id).status == status)
        if asked == "pause":
            paused = results.get_run(engine, run_id).last_epoch
            queue.ask(engine, run_id, "run")
            until(lambda: results.get_run(engine, run_id).last_epoch > paused)
    finally:
        worker.terminate()
        worker.wait()
