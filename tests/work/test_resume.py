"""A run that goes on: after a stop, a death, with damaged checkpoints, changed data or a baseline that is gone."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import update

from core import datasets
from core.training import checkpoint
from storage import results
from storage.db.dialects.sqlite import sqlite_module
from storage.db.schema import detail
from storage.jobs import queue
from tests.work.kit import CONFIG, changed, drained, log_of, pair, submit
from work import recorded_run


def image_folder(root, per_class):
    from PIL import Image

    for name, green in (("ant", 90), ("bee", 200)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(per_class):
            Image.new("RGB", (16, 16), (i, green, 9)).save(root / name / f"{i}.png")
    return root


def test_a_run_does_not_go_on_with_other_data(worker, monkeypatch, tmp_path):
    folder = image_folder(tmp_path / "insects", 30)
    (run_id,) = submit(worker, changed(dataset=str(folder), recipe_params={"batch_size": 8}))
    with monkeypatch.context() as patch:
        stop_at(patch, worker, 2)
        drained(worker, run_id)
    worker.orders = None
    image_folder(folder, 50)
    row = drained(worker, run_id)
    assert row.status == "failed"
    assert "has changed since this run started; duplicate the run" in row.error
    assert row.last_epoch == 2


def test_the_evidence_of_a_run_outlives_its_baseline(worker, monkeypatch):
    first, second = queue.submit(worker.engine, pair(CONFIG, changed(method="tpr_ratio")))
    with monkeypatch.context() as patch:
        patch.setattr("core.training.interrupts.LOOK_SECONDS", -1)
        real = recorded_run.Run.save

        def save(self, best):
            kept = real(self, best)
            if self.claim.run_id == second and self.trainer.progress.epoch == 2:
                queue.ask(worker.engine, second, "cancel")
            return kept

        patch.setattr(recorded_run.Run, "save", save)
        assert drained(worker, second).status == "cancelled"
    used = results.class_counts(worker.engine, second, "train").weight
    results.delete(worker.engine, [first])
    queue.ask(worker.engine, second, "run")
    row = drained(worker, second)
    assert (row.status, row.error) == ("succeeded", None)
    assert row.facts.evidence.origin == f"run {first}, validation split, epoch 3"
    assert np.array_equal(results.class_counts(worker.engine, second, "train").weight, used)


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(worker, monkeypatch, damage):
    reference, run_id = submit(worker, changed(epochs=4), changed(epochs=4))
    queue.ask(worker.engine, run_id, "pause")
    drained(worker, reference)
    queue.ask(worker.engine, run_id, "run")
    with monkeypatch.context() as patch:
        stop_at(patch, worker, 3)
        drained(worker, run_id)
    worker.orders = None
    newest = results.list_checkpoints(worker.engine, run_id)[0]
    spoil(newest.path, damage)
    row = drained(worker, run_id)
    assert (row.status, row.last_epoch) == ("succeeded", 4)
    assert "trying an older one" in log_of(worker, run_id)
    a, b = (results.class_history(worker.engine, i, "test") for i in (reference, run_id))
    assert np.array_equal(a.tp, b.tp)


@pytest.mark.parametrize(
    ("recorded", "hardware", "expected"),
    [("bfloat16", False, "bfloat16"), ("float32", True, "float32"), (None, True, "bfloat16"), (None, False, "float32")],
)
def test_a_run_resumes_at_the_precision_it_was_trained_at(worker, monkeypatch, recorded, hardware, expected):
    """Whatever this machine has; one from before the precision was recorded trained as the hardware did then, which is said."""
    (run_id,) = submit(worker, changed(precision=recorded or "auto"))
    with monkeypatch.context() as patch:
        stop_at(patch, worker, 1)
        drained(worker, run_id)
    facts = results.get_run(worker.engine, run_id).facts
    assert facts.precision == (recorded or "float32")
    if recorded is None:
        stored = {key: value for key, value in facts.stored().items() if key != "precision"}
        with worker.engine.begin() as connection:
            connection.execute(update(detail).where(detail.c.run_id == run_id).values(facts=stored))
    worker.orders, worker.device = None, replace(worker.device, bf16=hardware)
    row = drained(worker, run_id)
    assert (row.status, row.facts.precision) == ("succeeded", expected)
    assert ("before the precision was recorded" in log_of(worker, run_id)) == (recorded is None)


def stop_at(monkeypatch, worker, epoch):
    """Order the worker to stop after it has recorded an epoch."""
    monkeypatch.setattr("core.training.interrupts.LOOK_SECONDS", -1)
    real = recorded_run.Run.save

    def save(self, best):
        kept = real(self, best)
        if self.trainer.progress.epoch == epoch:
            worker.orders = "stop"
        return kept

    monkeypatch.setattr(recorded_run.Run, "save", save)


def spoil(path, damage):
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


# -- deaths ----------------------------------------------------------------------------------------------------------


class Death(BaseException):
    """The worker's process dies: nothing is tidied up."""


def die_after(monkeypatch, *epochs):
    """Let the worker die whenever one of these epochs has been recorded, before its checkpoint is written."""
    left, real = list(epochs), recorded_run.Run.save

    def save(self, best):
        if left and self.trainer.progress.epoch == left[0]:
            left.pop(0)
            raise Death
        return real(self, best)

    monkeypatch.setattr(recorded_run.Run, "save", save)


def lives(worker, run_id):
    """Let the run be claimed, killed and rescued until it is over; the attempts in which it died."""
    died = []
    while results.get_run(worker.engine, run_id).status == "queued":
        try:
            worker.loop(drain=True)
        except Death:
            died.append(results.get_run(worker.engine, run_id).attempt)
            queue.rescue(worker.engine, lambda w: False)
    return died


def test_deaths_with_an_epoch_in_between_are_not_added_up(worker, monkeypatch):
    reference, run_id = submit(worker, changed(epochs=6), changed(epochs=6))
    queue.ask(worker.engine, run_id, "pause")
    drained(worker, reference)
    queue.ask(worker.engine, run_id, "run")
    die_after(monkeypatch, 1, 2, 3, 4, 5)
    assert lives(worker, run_id) == [1] * 5
    assert results.get_run(worker.engine, run_id).status == "succeeded"
    a, b = (results.class_history(worker.engine, i, "test") for i in (reference, run_id))
    assert np.array_equal(a.tp, b.tp)


def test_deaths_at_the_same_epoch_are(worker, monkeypatch):
    """The second and the third attempt record epoch 2 again, which is no progress."""
    (run_id,) = submit(worker, CONFIG)
    die_after(monkeypatch, 2, 2, 2)
    assert lives(worker, run_id) == [1, 2, 3]
    row = results.get_run(worker.engine, run_id)
    assert (row.status, row.last_epoch) == ("failed", 2)
    assert "worker died 3 times without an epoch in between" in row.error


def test_deaths_before_the_first_epoch_are(worker, monkeypatch):
    def dies(*_, **__):
        raise Death

    (run_id,) = submit(worker, CONFIG)
    monkeypatch.setattr(datasets, "load", dies)
    assert lives(worker, run_id) == [1, 2, 3]
    assert results.get_run(worker.engine, run_id).status == "failed"


def paused_at(worker, monkeypatch, epoch, **changes):
    """A run that was stopped after an epoch and is queued again."""
    (run_id,) = submit(worker, changed(**changes))
    with monkeypatch.context() as patch:
        stop_at(patch, worker, epoch)
        drained(worker, run_id)
    worker.orders = None
    return run_id


def test_a_checkpoint_of_another_schema_is_refused_by_number(worker, monkeypatch):
    run_id, written = paused_at(worker, monkeypatch, 2), checkpoint.SCHEMA
    monkeypatch.setattr(checkpoint, "SCHEMA", 7)
    row = drained(worker, run_id)
    assert (row.status, row.last_epoch) == ("succeeded", 3)
    assert f"the checkpoint has schema {written}, this Evenly reads 7" in log_of(worker, run_id)
    assert "no checkpoint could be used: training restarts from the first epoch" in log_of(worker, run_id)


def test_a_database_set_back_by_an_epoch_ends_the_same(worker, monkeypatch, tmp_path):
    """As after a power cut on a disk that lost its last write: checkpoints ahead of the database are skipped."""
    (reference,) = submit(worker, changed(epochs=5))
    drained(worker, reference)
    run_id = paused_at(worker, monkeypatch, 3, epochs=5)
    now, earlier = (sqlite_module().connect(tmp_path / name) for name in ("evenly.db", "earlier.db"))
    now.backup(earlier)
    with monkeypatch.context() as patch:
        stop_at(patch, worker, 4)
        drained(worker, run_id)
    worker.orders = None
    earlier.backup(now)
    now.close()
    earlier.close()
    row = drained(worker, run_id)
    assert (row.status, row.last_epoch) == ("succeeded", 5)
    assert "resuming after epoch 3" in log_of(worker, run_id)
    a, b = (results.class_history(worker.engine, i, "test") for i in (reference, run_id))
    assert np.array_equal(a.tp, b.tp)
