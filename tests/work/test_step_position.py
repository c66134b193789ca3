"""How far a run is inside a long epoch: what its worker tells, and how page and command line put it."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from commands import progress
from core.experiment.config import RunConfig
from pages.components.common import run_status
from reporting.text import epoch_step
from services.queue_rows import new_run
from storage import results
from storage.jobs import queue
from storage.jobs.workers import Place, places
from work import runner
from work import worker as door
from work.liveness import StepPosition


def row(**values):
    """A running run as a list has it."""
    given = {
        "id": 12,
        "status": "running",
        "wanted": "run",
        "last_epoch": 0,
        "epochs": 2,
        "seconds": 0.0,
        "archived": False,
        "name": "a run",
        "method": "none",
    }
    return SimpleNamespace(**given | values)


def test_only_an_epoch_that_lasts_is_told_of():
    inside, now = (
        StepPosition(12),
        iter([(1, 0, 10), (1, 4, 10), (1, 4, 10), (1, 10, 10), (2, 3, 10), (3, 2, 10), None]),
    )
    inside.follow(lambda: next(now))
    assert not inside.look(0.0)  # nothing was told of an epoch at its first look
    assert inside.look(2.0)
    assert inside.place == Place(12, 1, 4, 10, pace=5.0)
    assert not inside.look(3.0)
    assert inside.look(6.0)
    assert (inside.place.share, epoch_step(inside.place.step, inside.place.steps)) == (1.0, "evaluating")
    for _ in range(2):  # one look an epoch: short ones
        assert not inside.look(7.0)
        assert inside.place is None
    assert not inside.look(9.0)


def test_a_run_without_a_trainer_any_more_tells_nothing():
    class Trainer:
        progress, steps = SimpleNamespace(epoch=1, step=7), 9

    trainer = Trainer()
    steps = runner.steps_of(trainer)
    assert steps() == (2, 7, 9)
    del trainer
    assert steps() is None


def test_a_long_epoch_is_told_of_while_it_lasts(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    monkeypatch.setattr(runner, "MIN_FREE_BYTES", 0)
    monkeypatch.setattr(door, "STEP_SECONDS", 0.02)
    go_on, real = threading.Event(), runner.Trainer.forward_backward

    def forward_backward(self, *args):
        if self.progress.epoch == 0 and self.progress.step >= 3:
            go_on.wait(300)
        time.sleep(0.02)
        return real(self, *args)

    monkeypatch.setattr(runner.Trainer, "forward_backward", forward_backward)
    with door.Worker(0) as worker:
        (run_id,) = queue.submit(
            worker.engine, [new_run(RunConfig("digits", "mlp", epochs=2, recipe_params={"batch_size": 64}))]
        )
        training = threading.Thread(target=worker.loop, kwargs={"drain": True})
        training.start()
        while not (told := places(worker.engine).get(run_id)) or told.step < 3:
            time.sleep(0.02)
        go_on.set()
        training.join()
        assert (told.epoch, told.step) == (1, 3)
        assert told.steps > 3
        assert worker.position.place is None
        assert places(worker.engine) == {}
        assert results.get_run(worker.engine, run_id).status == "succeeded"


FIRST = {12: Place(12, 1, 879, 3516, pace=800.0)}


@pytest.mark.parametrize(
    ("record", "where", "text", "cell"),
    [
        (row(), {}, "epoch 0 of 2, estimating", "Running 0 %, estimating"),
        (row(), FIRST, "epoch 1 of 2, step 879 of 3,516, about 24 min left", "Running 12 %, 24 min left"),
        (
            row(),
            {12: Place(12, 1, 3516, 3516, 800.0)},
            "epoch 1 of 2, evaluating, about 14 min left",
            "Running 50 %, 14 min left",
        ),
        (
            row(last_epoch=1, seconds=1000.0),
            FIRST,
            "epoch 1 of 2, about 17 min left",
            "Running 50 %, 17 min left",
        ),  # what was said is over
        (
            row(last_epoch=1, seconds=1000.0),
            {12: Place(12, 2, 1758, 3516)},
            "epoch 2 of 2, step 1,758 of 3,516, about 9 min left",
            "Running 75 %, 9 min left",
        ),
        (row(status="paused"), FIRST, "epoch 0 of 2", "Paused"),
    ],
)
def test_the_page_says_where_a_run_is(record, where, text, cell):
    assert run_status.progress_text(record, where) == text
    assert run_status.in_a_cell(record, where).replace("\u00a0", " ") == cell


def test_the_command_line_counts_steps_too():
    started = SimpleNamespace(timestamp=lambda: 1000.0)
    running = row(started_at=started)
    assert progress.progress_line([running]) == "0 of 2 epochs, starting"
    assert progress.progress_line([running], places=FIRST) == "0 of 2 epochs, step 879 of 3,516, about 24 min left"
    done = row(id=11, status="succeeded", last_epoch=2, seconds=200.0, started_at=started)
    assert (
        progress.progress_line([done, running], places=FIRST)
        == "1 of 2 runs done, 2 of 4 epochs, step 879 of 3,516, about 3 min left"
    )


@pytest.mark.parametrize(
    ("about", "line"),
    [
        ({"state": "idle"}, "slot 0 on CPU: idle"),
        ({"state": "training", "run_id": 12}, "slot 0 on CPU: training run 12"),
        (
            {"state": "training", "run_id": 12, "at": FIRST[12], "quiet_minutes": 12},
            "slot 0 on CPU: training (epoch 1, step 879 of 3,516, no step for 12 min) run 12",
        ),
    ],
)
def test_the_command_line_says_what_a_worker_does(about, line):
    worker = {"slot": 0, "device": "CPU", "run_id": None, "at": None, "quiet_minutes": None} | about
    assert progress.worker_line(SimpleNamespace(**worker)) == line
