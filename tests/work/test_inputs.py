"""What a run starts from: orders while its data is prepared, also by an idle worker; TPRs of the data as it is now."""

import re
import threading

import pytest
from PIL import Image

from core import datasets
from core.errors import EvenlyError
from services.queue_rows import new_run
from storage.jobs import queue
from storage.results.runs import drawn_by
from tests.seed import record_fingerprint
from tests.work.kit import CONFIG, changed, drained, log_of, submit
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


# -- another version of the data ---------------------------------------------------------------------------------


def folder(root, green, names=("ant", "bee")):
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(40):
            Image.new("RGB", (16, 16), (i, green, 9)).save(root / name / f"{i}.png")
    return root


def test_a_run_keeps_what_its_data_was_and_seed_and_tail_do_not_change_it(worker, tmp_path):
    data = folder(tmp_path / "insects", 30)
    config = changed(dataset=str(data), epochs=1, recipe_params={"batch_size": 8})
    ids = submit(worker, config, changed(config, seed=1, imbalance=4.0, validation=0.3))
    kept = {drained(worker, i).facts.fingerprint for i in ids}
    assert kept == {datasets.describe(str(data), tmp_path).fingerprint}
    assert re.fullmatch("[0-9a-f]{64}", *kept)


def test_tprs_of_another_version_of_the_data_make_no_weights(worker, tmp_path):
    data = folder(tmp_path / "insects", 30)
    config = changed(dataset=str(data), epochs=1, recipe_params={"batch_size": 8})
    (first,) = submit(worker, config)
    assert drained(worker, first).status == "succeeded"
    again, weighted = changed(config, seed=1), changed(config, method="tpr_ratio", seed=1)
    (same,) = queue.submit(worker.engine, [new_run(weighted, baseline=first)])
    assert drained(worker, same).status == "succeeded", "another seed is the same data"
    folder(data, 50)
    late, compared = queue.submit(
        worker.engine,
        [new_run(changed(weighted, seed=2), baseline=first), new_run(again, baseline=first)],
    )
    row = drained(worker, late)
    assert row.status == "failed"
    assert f"run {first} was trained on another version of {data} (data " in row.error
    assert "train the baseline again, or give the TPRs as a file" in row.error
    assert "\n" not in row.error
    assert drained(worker, compared).status == "succeeded", "a run that is only compared with it takes nothing from it"


def test_a_baseline_from_before_fingerprints_still_feeds_weights(worker, tmp_path):
    data = folder(tmp_path / "insects", 30)
    config = changed(dataset=str(data), epochs=1, recipe_params={"batch_size": 8})
    (first,) = submit(worker, config)
    drained(worker, first)
    record_fingerprint(worker.engine, first, None)
    assert drawn_by(worker.engine, drained(worker, first).dataset)[first].fingerprint is None
    (second,) = queue.submit(worker.engine, [new_run(changed(config, method="tpr_ratio"), baseline=first)])
    assert drained(worker, second).status == "succeeded"
