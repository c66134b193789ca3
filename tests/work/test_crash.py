"""Signals to the worker's process, SIGKILL at random moments among them: the run ends as if nothing had happened."""

import random
import signal
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from core.experiment.config import RunConfig
from services.queue_rows import new_run
from storage import results
from storage.jobs import events, queue
from storage.results import checkpoint_files
from tests.work.forked import run_worker, until
from work import inputs, runner
from work import worker as door

pytestmark = pytest.mark.slow

EPOCHS = 18
KILLS = 5
CONFIG = RunConfig("digits", "mlp", method="cdb", params={"tau": 1.0}, epochs=EPOCHS, recipe_params={"batch_size": 32})
LONG = replace(CONFIG, epochs=5000)  # ends within no test
SLOT = (run_worker, "--slot", "0")


def finish(fork, engine, run_id):
    """Another worker takes the run to its end."""
    worker = fork(*SLOT, "--drain")
    assert worker.wait() == 0, worker.said()
    return results.get_run(engine, run_id)


def history(engine, run_id):
    """Everything a run recorded, without the clock."""
    frame = results.epochs(engine, [run_id]).drop(columns=["run_id", "seconds"])
    classes = {split: results.class_history(engine, run_id, split) for split in ("train", "validation", "test")}
    return frame.sort_values(["epoch", "split"]).reset_index(drop=True), classes


def resumed(engine, run_id):
    """The run, which a person resumes if it was given up after three deaths in a row."""
    row = results.get_run(engine, run_id)
    if row.status == "failed":
        assert "worker died 3 times" in row.error
        queue.ask(engine, run_id, "run")
    return results.get_run(engine, run_id)


def test_a_run_survives_being_killed(home, fork):
    root, engine = home
    rng = random.Random(1)
    unbroken, broken = queue.submit(engine, [new_run(CONFIG), new_run(CONFIG)])
    for _ in range(KILLS):
        before, worker = resumed(engine, broken), fork(*SLOT)
        until(lambda: results.get_run(engine, unbroken).status == "succeeded")
        if rng.random() < 0.7:  # most often while it trains, else while it starts
            until(lambda: results.get_run(engine, broken).status == "running", 0.01)
        moment = time.monotonic() + rng.uniform(0, 0.6)
        most = before.last_epoch + EPOCHS // KILLS - 1  # a fast machine must not be through before the last kill
        until(
            lambda moment=moment, most=most: (
                time.monotonic() > moment or results.get_run(engine, broken).last_epoch >= most
            ),
            0.01,
        )
        worker.send(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL
        after = results.get_run(engine, broken)
        assert after.status != "succeeded", "the run was over too soon; give it more epochs"
        assert after.last_epoch >= before.last_epoch - 1, "at most one epoch may be trained again"
    row = finish(fork, engine, broken)
    if row.status == "failed":  # the last kill was the third of its kind
        resumed(engine, broken)
        row = finish(fork, engine, broken)
    assert (row.status, row.last_epoch) == ("succeeded", EPOCHS)
    assert any("died in attempt" in e.text for e in events.log_of(engine, broken))
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


def test_term_saves_and_gives_the_run_back(home, fork):
    _, engine = home
    (run_id,) = queue.submit(engine, [new_run(replace(CONFIG, epochs=2000))])
    worker = fork(*SLOT)
    until(lambda: results.get_run(engine, run_id).last_epoch >= 2)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    row = results.get_run(engine, run_id)
    assert (row.status, row.attempt) == ("queued", 0)
    again = fork(*SLOT)
    until(lambda: results.get_run(engine, run_id).last_epoch > row.last_epoch)
    assert any(e.kind == "resume" for e in events.log_of(engine, run_id))
    again.send(signal.SIGTERM)
    assert again.wait() == 0


def hang_in_a_step():
    """One step takes ten minutes; what the worker hears is said."""

    def hang(*_):
        print("in the step")
        time.sleep(600)

    def on_signals(handler):
        def heard(*given):
            handler(*given)
            print("heard")

        real(heard)

    runner.Trainer.forward_backward = hang
    real, door.on_signals = door.on_signals, on_signals
    sys.exit(door.serve(0))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_the_same_signal_again_ends_a_worker_at_once(home, fork, signum):
    """The first signal cannot be obeyed."""
    _, engine = home
    (run_id,) = queue.submit(engine, [new_run(replace(CONFIG, epochs=1))])
    worker = fork(hang_in_a_step)
    worker.says("in the step")
    worker.send(signum)
    worker.says("heard")
    worker.send(signum)
    assert worker.wait() == 1
    assert finish(fork, engine, run_id).status == "succeeded"


def say_often_what_is_prepared():
    inputs.LOG_SECONDS = 0.1
    run_worker("--slot", "0")


def test_orders_are_obeyed_while_a_large_file_is_checked(home, fork):
    """An archive of 1 TB, all of it a hole: nothing on the disk, and hashed within no test."""
    root, engine = home
    with open(root / "cifar-10-python.tar.gz", "wb") as file:
        file.truncate(2**40)
    (run_id,) = queue.submit(engine, [new_run(RunConfig("cifar10", "cnn", epochs=1))])
    worker = fork(say_often_what_is_prepared)

    def checking():
        until(lambda: "checking cifar-10-python.tar.gz" in events.log_of(engine, run_id)[-1].text)

    for order, status in (("pause", "paused"), ("cancel", "cancelled")):
        checking()
        queue.ask(engine, run_id, order)
        until(lambda: results.get_run(engine, run_id).status != "running")
        assert results.get_run(engine, run_id).status == status
        queue.ask(engine, run_id, "run")
    checking()
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert results.get_run(engine, run_id).status == "queued"
    assert not list((root / "cache").glob("*.tmp"))


def test_requests_are_carried_out_in_the_middle_of_a_run(home, fork):
    _, engine = home
    (run_id,) = queue.submit(engine, [new_run(LONG)])
    fork(*SLOT)
    reached = 0
    for asked, status in (("pause", "paused"), ("cancel", "cancelled")):
        until(lambda reached=reached: results.get_run(engine, run_id).last_epoch > reached)
        queue.ask(engine, run_id, asked)
        until(lambda status=status: results.get_run(engine, run_id).status == status)
        reached = results.get_run(engine, run_id).last_epoch
        queue.ask(engine, run_id, "run")


def test_a_second_worker_is_refused(home, fork):
    first = fork(*SLOT)
    first.says("ready on")
    second = fork(*SLOT)
    assert second.wait() == 3
    assert "a worker already serves slot 0" in second.said()
    assert not first.ended()
