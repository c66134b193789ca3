"""Orders while a run's data is prepared, and while an idle worker warms up."""

import threading

import pytest

from core import datasets
from core.errors import EvenlyError
from storage.jobs import queue
from tests.work.kit import CONFIG, drained, log_of, submit
from work import inputs


@pytest.mark.parametrize("step", ["prepare", "load"])
@pytest.mark.parametrize(
    ("order", "status", "attempt"), [("pause", "paused", 1), ("cancel", "cancelled", 1), ("stop", "queued", 0)]
)
def test_orders_are_obeyed_while_data_is_prepared_and_read(worker, monkeypatch, step, order, status, attempt):
    """Preparing goes on for ever, piece after piece; reading hangs until the test is over."""
    begun, over = threading.Event(), threading.Event()

    def prepare(name, root, progress):
        begun.set()
        while True:
            progress(0.5, "decoding")

    def load(*_, **__):
        begun.set()
        over.wait(300)

    monkeypatch.setattr(inputs, "ASK_SECONDS", 0.0)
    monkeypatch.setattr(datasets, step, {"prepare": prepare, "load": load}[step])
    (run_id,) = submit(worker, CONFIG)

    def give():
        assert begun.wait(300)
        if order == "stop":
            worker.orders = "stop"
        else:
            queue.ask(worker.engine, run_id, order)

    giver = threading.Thread(target=give)
    giver.start()
    row = drained(worker, run_id)
    giver.join()
    over.set()
    assert (row.status, row.attempt, row.last_epoch) == (status, attempt, 0)


def test_what_is_prepared_is_told_in_the_log(worker, monkeypatch):
    monkeypatch.setattr(inputs, "LOG_SECONDS", -1)
    monkeypatch.setattr(datasets, "prepare", lambda name, root, progress: progress(0.25, "decoded 5 of 20 images"))
    datasets.find_dataset("digits", worker.root).prepared(worker.root)
    (run_id,) = submit(worker, CONFIG)
    assert drained(worker, run_id).status == "succeeded"
    assert "data: decoded 5 of 20 images (25%)" in log_of(worker, run_id)


def test_a_worker_that_warms_up_obeys(worker, monkeypatch):
    def prepare(name, root, progress):
        worker.orders = "stop"
        while True:
            progress(0.5, "drawing")

    monkeypatch.setattr(datasets, "prepare", prepare)
    worker.warm_up()


def test_a_worker_that_cannot_warm_up_works_all_the_same(worker, monkeypatch):
    def full(*_):
        raise EvenlyError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(datasets, "prepare", full)
        worker.warm_up()
    (run_id,) = submit(worker, CONFIG)
    assert drained(worker, run_id).status == "succeeded"
