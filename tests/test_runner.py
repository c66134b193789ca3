"""One run through the runner: what it records, and what becomes of it when something goes wrong around it."""

import json
import threading
import time

import numpy as np
import pytest
import torch

import runner
import worker as door
from core import checkpoint, datasets
from core.config import RunConfig
from core.errors import EvenlyError
from storage import checkpoints, queue, results
from storage.engine import StorageError, Unavailable, sqlite_module
from storage.launch import new_run, pair

CONFIG = RunConfig("digits", "mlp", epochs=3, recipe_params={"batch_size": 64})


@pytest.fixture
def worker(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    monkeypatch.setattr(runner, "MIN_FREE_BYTES", 0)
    with door.Worker(0) as worker:
        yield worker


def submit(worker, *configs):
    return queue.submit(worker.engine, [new_run(c, "Digits") for c in configs])


def drained(worker, run_id):
    worker.loop(drain=True)
    return results.get_run(worker.engine, run_id)


def changed(config=CONFIG, **fields):
    from dataclasses import replace

    return replace(config, **fields)


def log_of(worker, run_id):
    return " | ".join(f"{e.kind}: {e.text}" for e in queue.events(worker.engine, run_id))


def test_a_run_leaves_everything_behind(worker):
    (run_id,) = submit(worker, CONFIG)
    row = drained(worker, run_id)
    assert (row.status, row.last_epoch, row.error) == ("succeeded", 3, None)
    facts = row.facts
    assert facts["classes"] == [str(d) for d in range(10)]
    assert sum(facts["counts"]["train"]) + sum(facts["counts"]["validation"]) + sum(facts["counts"]["test"]) == 1797
    assert len(facts["index_hash"]) == 64
    assert facts["versions"]["torch"] == torch.__version__
    counts = results.class_counts(worker.engine, run_id, "test")
    assert counts.support.tolist() == facts["counts"]["test"]
    assert row.accuracy == pytest.approx(counts.tp.sum() / counts.support.sum())
    tpr = counts.tp / counts.support
    assert (row.tpr_variance, row.tpr_min) == pytest.approx((tpr.var(), tpr.min()))
    _, matrix = results.confusion(worker.engine, run_id, "test")
    assert np.array_equal(np.diag(matrix), counts.tp)
    assert {c.kind for c in results.list_checkpoints(worker.engine, run_id)} == {"last", "best"}


def test_weights_come_from_the_baselines_validation_split(worker):
    first, second = queue.submit(worker.engine, pair(CONFIG, changed(method="tpr_ratio", params={"exponent": 3.0}), "Digits"))
    row = drained(worker, second)
    seen = results.class_counts(worker.engine, first, "validation")
    eps = 1 / (2 * seen.support)
    tpr = np.clip(seen.tp / seen.support, eps, 1 - eps)
    expected = (tpr.mean() / tpr) ** 3
    used = results.class_counts(worker.engine, second, "train").weight
    assert used == pytest.approx(expected / expected.mean(), rel=1e-9)
    assert row.facts["evidence"]["from"] == f"run {first}, validation split, epoch 3"


def test_given_tprs_feed_the_weights_with_their_support(worker):
    from core.config import given_tprs

    tpr = [1.0, *[0.5] * 9]
    given = given_tprs(tpr, [50.0] * 10, "table.csv")
    (run_id,) = submit(worker, changed(method="tpr_deficit", params={"tau": 1.0}, **given))
    row = drained(worker, run_id)
    used = results.class_counts(worker.engine, run_id, "train").weight
    assert used[0] / used[1] == pytest.approx((1 / 100) / 0.5)  # floored at half a sample of 50
    assert row.facts["evidence"]["from"] == "table.csv"


def test_long_tail_touches_the_training_split_alone(worker):
    plain, tailed = submit(worker, CONFIG, changed(imbalance=10.0))
    a, b = drained(worker, plain).facts, drained(worker, tailed).facts
    assert a["counts"]["validation"] == b["counts"]["validation"]
    assert a["counts"]["test"] == b["counts"]["test"]
    assert max(b["counts"]["train"]) / min(b["counts"]["train"]) == pytest.approx(10, rel=0.1)


def test_cdb_weights_follow_the_last_epoch(worker):
    (run_id,) = submit(worker, changed(method="cdb", params={"tau": 1.0}))
    drained(worker, run_id)
    weights = results.class_history(worker.engine, run_id, "train").weight
    validation = results.class_history(worker.engine, run_id, "validation")
    assert weights[0] == pytest.approx(np.ones(10))
    for e in (1, 2):
        support = validation.support[e - 1]
        deficit = 1 - np.clip(validation.tp[e - 1] / support, 1 / (2 * support), 1 - 1 / (2 * support))
        assert weights[e] == pytest.approx(deficit / deficit.mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": "sgd_constant", "recipe_params": {"lr": 1e6}}, "loss is not finite at epoch 1, step"),
        ({"recipe_params": {"batch_size": 5000}}, "batch size 5000 is larger than the training split of"),
        ({"model": "resnet18"}, "resnet18 does not fit digits"),
        ({"dataset": "no/such/folder"}, "no/such/folder"),
        ({"method": "tpr_ratio"}, "tpr_ratio needs the TPRs of an earlier run"),
        ({"method": "tpr_ratio", "tpr": (0.5, 0.5)}, "tpr has 2 values, expected 10"),
        ({"device": "cuda"}, "device 'cuda' is not on this machine"),
    ],
)
def test_a_bad_run_fails_with_a_reason_and_harms_no_other(worker, change, words):
    if change.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    bad, good = submit(worker, changed(**change), CONFIG)
    row = drained(worker, bad)
    assert row.status == "failed"
    assert words in row.error
    assert "\n" not in row.error
    assert results.get_run(worker.engine, good).status == "succeeded"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory on CPU"),
        (MemoryError(), "out of memory on CPU"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "out of memory on CPU"),
        (KeyError("surprise"), "unexpected KeyError: 'surprise'"),
    ],
)
def test_an_error_in_the_network_ends_the_run_alone(worker, monkeypatch, error, words):
    bad, good = submit(worker, CONFIG, changed(seed=1))
    real, hit = runner.Trainer.forward_backward, []

    def forward_backward(self, *args):
        if not hit:
            hit.append(1)
            raise error
        return real(self, *args)

    monkeypatch.setattr(runner.Trainer, "forward_backward", forward_backward)
    row = drained(worker, bad)
    assert row.status == "failed"
    assert words in row.error
    assert results.get_run(worker.engine, good).status == "succeeded"


def test_memory_that_is_really_used_up_is_told_with_the_batch_size(worker, monkeypatch):
    """Torch's CPU allocator raises a plain RuntimeError, not OutOfMemoryError."""
    (run_id,) = submit(worker, CONFIG)
    monkeypatch.setattr(runner.Trainer, "forward_backward", lambda *_: torch.empty(10**16))
    row = drained(worker, run_id)
    assert row.error.startswith("out of memory on CPU")
    assert f"with batch size {CONFIG.recipe_params.get('batch_size', 100)}: halve the batch size" in row.error


def test_a_baseline_on_another_dataset_is_refused(worker):
    """Digits and MNIST-1D share their class names, nothing else."""
    (first,) = submit(worker, CONFIG)
    assert drained(worker, first).status == "succeeded"
    (second,) = queue.submit(worker.engine, [new_run(changed(dataset="mnist1d", method="tpr_ratio"), "MNIST-1D", baseline=first)])
    assert f"run {first} was trained on digits, this one on mnist1d" in drained(worker, second).error


def test_a_locked_database_pauses_or_gives_back_but_never_fails_a_run(worker, monkeypatch):
    def locked(*_):
        raise Unavailable("the database is locked")

    (run_id,) = submit(worker, CONFIG)
    monkeypatch.setattr(results, "start_run", locked)
    row = drained(worker, run_id)
    assert (row.status, row.error) == ("paused", "the database is locked; then resume")
    queue.ask(worker.engine, run_id, "run")
    worker_loop_with_stop(worker, monkeypatch, locked)
    row = results.get_run(worker.engine, run_id)
    assert (row.status, row.attempt) == ("queued", 0)


def worker_loop_with_stop(worker, monkeypatch, locked):
    def start(*_):
        worker.orders = "stop"
        locked()

    monkeypatch.setattr(results, "start_run", start)
    worker.loop(drain=True)


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
    first, second = queue.submit(worker.engine, pair(CONFIG, changed(method="tpr_ratio"), "Digits"))
    with monkeypatch.context() as patch:
        patch.setattr("core.engine.LOOK_SECONDS", -1)
        real = runner.Run.save

        def save(self, best):
            real(self, best)
            if self.claim.run_id == second and self.trainer.progress.epoch == 2:
                queue.ask(worker.engine, second, "cancel")

        patch.setattr(runner.Run, "save", save)
        assert drained(worker, second).status == "cancelled"
    used = results.class_counts(worker.engine, second, "train").weight
    results.delete(worker.engine, [first])
    queue.ask(worker.engine, second, "run")
    row = drained(worker, second)
    assert (row.status, row.error) == ("succeeded", None)
    assert row.facts["evidence"]["from"] == f"run {first}, validation split, epoch 3"
    assert np.array_equal(results.class_counts(worker.engine, second, "train").weight, used)


def test_a_validation_loss_that_is_not_finite_fails_the_run(worker, monkeypatch):
    real = runner.Trainer.evaluate

    def evaluate(self, data, ask=None):
        result = real(self, data, ask)
        from dataclasses import replace

        return replace(result, loss=float("nan")) if self.progress.epoch == 1 else result

    monkeypatch.setattr(runner.Trainer, "evaluate", evaluate)
    (run_id,) = submit(worker, CONFIG)
    row = drained(worker, run_id)
    assert (row.status, row.last_epoch) == ("failed", 1)
    assert "the validation loss is not finite at epoch 2" in row.error


def test_a_full_disk_under_a_checkpoint_is_a_warning(worker, monkeypatch):
    (run_id,) = submit(worker, CONFIG)
    real, calls = checkpoints.write, []

    def write(folder, name, data):
        calls.append(name)
        if len(calls) == 2:
            raise StorageError("the disk is full: checkpoint was not written")
        return real(folder, name, data)

    monkeypatch.setattr(checkpoints, "write", write)
    row = drained(worker, run_id)
    assert row.status == "succeeded"
    assert "warning: the disk is full" in log_of(worker, run_id)
    for saved in results.list_checkpoints(worker.engine, run_id):
        checkpoints.read(saved.path, saved.sha256)


def test_a_database_that_cannot_be_written_pauses_the_run(worker, monkeypatch):
    monkeypatch.setattr(runner, "PATIENCE_SECONDS", 0.0)
    (run_id,) = submit(worker, CONFIG)
    real, calls = results.record_epoch, []

    def record(engine, claim, epoch):
        calls.append(epoch.epoch)
        if len(calls) == 2:
            raise Unavailable("the disk is full")
        return real(engine, claim, epoch)

    monkeypatch.setattr(results, "record_epoch", record)
    row = drained(worker, run_id)
    assert (row.status, row.last_epoch) == ("paused", 1)
    assert "epoch 2 could not be recorded: the disk is full" in row.error
    queue.ask(worker.engine, run_id, "run")
    row = drained(worker, run_id)
    assert (row.status, row.last_epoch, row.error) == ("succeeded", 3, None)
    assert calls == [1, 2, 2, 3]


def test_too_little_disk_pauses_before_anything_starts(worker, monkeypatch):
    monkeypatch.setattr(runner, "MIN_FREE_BYTES", 1 << 60)
    (run_id,) = submit(worker, CONFIG)
    row = drained(worker, run_id)
    assert row.status == "paused"
    assert "free some space, then resume" in row.error


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


def stop_at(monkeypatch, worker, epoch):
    """Order the worker to stop after it has recorded an epoch."""
    monkeypatch.setattr("core.engine.LOOK_SECONDS", -1)
    real = runner.Run.save

    def save(self, best):
        real(self, best)
        if self.trainer.progress.epoch == epoch:
            worker.orders = "stop"

    monkeypatch.setattr(runner.Run, "save", save)


def spoil(path, damage):
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def test_a_worker_that_was_given_up_stops_at_once_and_writes_nothing(worker, monkeypatch):
    """Another worker takes the run over while this one is in the middle of it: this one falls silent."""
    (run_id,) = submit(worker, changed(epochs=3))
    real, taken = results.record_epoch, []

    def record(engine, claim, epoch):
        if epoch.epoch == 2 and not taken:
            taken.append(queue.rescue(engine, lambda w: False))
            taken.append(queue.claim(engine, worker.id, "other"))
        return real(engine, claim, epoch)

    monkeypatch.setattr(results, "record_epoch", record)
    worker.loop(until=lambda: bool(taken))
    row = results.get_run(worker.engine, run_id)
    assert (row.status, row.last_epoch) == ("running", 1)  # the other worker's claim stands, untouched
    assert row.attempt == 2


def test_stored_settings_of_a_newer_evenly_are_refused(worker):
    new = new_run(CONFIG, "Digits")
    new.config["schema"] = 99
    (run_id,) = queue.submit(worker.engine, [new])
    assert "newer Evenly (schema 99" in drained(worker, run_id).error


def test_settings_survive_the_database(worker):
    from core.config import checked, from_dict

    config = checked(changed(method="cdb", params={"tau": "dynamic", "variant": "cifar_code"}))
    assert checked(from_dict(json.loads(config.to_json()))) == config
    with pytest.raises(EvenlyError, match="unknown setting 'colour'"):
        from_dict({"dataset": "digits", "model": "mlp", "colour": "red"})


# -- orders while the data is prepared -------------------------------------------------------------------------------


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


@pytest.mark.parametrize("step", ["prepare", "load"])
@pytest.mark.parametrize(("order", "status", "attempt"), [("pause", "paused", 1), ("cancel", "cancelled", 1), ("stop", "queued", 0)])
def test_orders_are_obeyed_while_data_is_prepared_and_read(worker, monkeypatch, step, order, status, attempt):
    """Preparing goes on for ever, piece after piece; reading hangs until the test is over."""
    begun, over = threading.Event(), threading.Event()

    def prepare(name, root, progress):
        begun.set()
        while True:
            progress(0.5, "decoding")

    def load(*_, **__):
        begun.set()
        over.wait(60)

    monkeypatch.setattr(runner, "ASK_SECONDS", 0.0)
    monkeypatch.setattr(datasets, step, {"prepare": prepare, "load": load}[step])
    (run_id,) = submit(worker, CONFIG)

    def give():
        assert begun.wait(60)
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
    monkeypatch.setattr(runner, "TELL_SECONDS", -1)
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


# -- deaths ----------------------------------------------------------------------------------------------------------


class Death(BaseException):
    """The worker's process dies: nothing is tidied up."""


def die_after(monkeypatch, *epochs):
    """Let the worker die whenever one of these epochs has been recorded, before its checkpoint is written."""
    left, real = list(epochs), runner.Run.save

    def save(self, best):
        if left and self.trainer.progress.epoch == left[0]:
            left.pop(0)
            raise Death
        real(self, best)

    monkeypatch.setattr(runner.Run, "save", save)


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


# -- a card that is lost, a checkpoint of another time, a database set back --------------------------------------------


def test_a_lost_card_fails_the_run_and_ends_the_worker(worker, monkeypatch):
    """Nothing more can run on it in this process; the parent starts another one."""

    def lost(*_):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    (run_id,) = submit(worker, CONFIG)
    monkeypatch.setattr(runner.Trainer, "forward_backward", lost)
    with pytest.raises(SystemExit) as end:
        drained(worker, run_id)
    assert end.value.code == 1
    row = results.get_run(worker.engine, run_id)
    assert row.status == "failed"
    assert "AcceleratorError: CUDA error" in row.error


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
    assert "no checkpoint could be used: training starts again with the first epoch" in log_of(worker, run_id)


def test_a_database_set_back_by_an_epoch_ends_the_same(worker, monkeypatch, tmp_path):
    """As after a power cut on a disk that lost its last write: checkpoints ahead of the database are passed over."""
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
    assert "going on after epoch 3" in log_of(worker, run_id)
    a, b = (results.class_history(worker.engine, i, "test") for i in (reference, run_id))
    assert np.array_equal(a.tp, b.tp)
