"""When something goes wrong around a run: settings, networks, memory, disk, database, another worker.

What becomes of it, and of the others.
"""

import pytest
import torch

from services import posthoc
from services.queue_rows import new_run
from storage import results
from storage.db.errors import StorageError, Unavailable
from storage.jobs import queue
from storage.results import checkpoint_files
from tests.work.kit import CONFIG, changed, drained, log_of, submit
from work import recorded_run, runner

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": "sgd_constant", "recipe_params": {"lr": 1e6}}, "loss is not finite at epoch 1, step"),
        ({"recipe_params": {"batch_size": 5000}}, "batch size 5000 is larger than the training split of"),
        ({"model": "resnet18"}, "model resnet18 does not fit Digits (scikit-learn)"),
        ({"dataset": "no/such/folder"}, "no/such/folder"),
        ({"method": "tpr_ratio"}, "tpr_ratio needs the TPRs of an earlier run"),
        ({"method": "tpr_ratio", "tpr": (0.5, 0.5)}, "tpr has 2 values, expected 10"),
        ({"device": "cuda"}, "device 'cuda' is not available on this machine"),
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
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            "out of memory on CPU",
        ),
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
    (second,) = queue.submit(worker.engine, [new_run(changed(dataset="mnist1d", method="tpr_ratio"), baseline=first)])
    assert (
        f"run {first} was trained on digits, not on mnist1d; choose a baseline on the same dataset"
        in drained(worker, second).error
    )


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
    real, calls = checkpoint_files.write, []

    def write(folder, name, data):
        calls.append(name)
        if len(calls) == 2:
            raise StorageError("the disk is full: checkpoint was not written")
        return real(folder, name, data)

    monkeypatch.setattr(checkpoint_files, "write", write)
    row = drained(worker, run_id)
    assert row.status == "succeeded"
    assert "warning: the disk is full" in log_of(worker, run_id)
    for saved in results.list_checkpoints(worker.engine, run_id):
        checkpoint_files.read(saved.path, saved.sha256)


def failing(monkeypatch, fails):
    """The disk is full for the checkpoints of which `fails` (name, how many of them were written to) says so."""
    real, seen = checkpoint_files.write, {}

    def write(folder, name, data):
        epoch = name[: len("epoch-00001")]
        seen[epoch] = seen.get(epoch, 0) + 1
        if fails(epoch, seen[epoch]):
            raise StorageError("the disk is full: checkpoint was not written")
        return real(folder, name, data)

    monkeypatch.setattr(checkpoint_files, "write", write)


def test_a_checkpoint_is_named_as_last_and_as_best_or_not_at_all(worker, monkeypatch):
    (run_id,) = submit(worker, CONFIG)
    real, calls = results.record_checkpoint, []

    def record(engine, claim, epoch, kinds, *about):
        calls.append((epoch, *kinds))
        if len(calls) == 2:
            raise Unavailable("the database is locked")
        return real(engine, claim, epoch, kinds, *about)

    monkeypatch.setattr(results, "record_checkpoint", record)
    assert drained(worker, run_id).status == "succeeded"
    assert calls[0] == (1, "last", "best")  # the first epoch is the best so far
    named = results.list_checkpoints(worker.engine, run_id)
    assert calls[1][0] not in {c.epoch for c in named}


def test_the_last_checkpoint_is_tried_again(worker, monkeypatch):
    (run_id,) = submit(worker, CONFIG)
    failing(monkeypatch, lambda epoch, times: epoch == f"epoch-{CONFIG.epochs:05d}" and times < 3)
    assert drained(worker, run_id).status == "succeeded"
    assert results.list_checkpoints(worker.engine, run_id)[0].epoch == CONFIG.epochs
    assert log_of(worker, run_id).count("the disk is full") == 1


@pytest.mark.parametrize("order", ["pause", "cancel"])
def test_an_order_while_the_last_checkpoint_is_tried_leaves_a_run_that_can_go_on(worker, monkeypatch, order):
    (run_id,) = submit(worker, CONFIG)
    last = f"epoch-{CONFIG.epochs:05d}"
    with monkeypatch.context() as patch:
        failing(patch, lambda epoch, _: epoch == last and (queue.ask(worker.engine, run_id, order) or True))
        row = drained(worker, run_id)
    assert (row.status, row.last_epoch) == ({"pause": "paused", "cancel": "cancelled"}[order], CONFIG.epochs)
    queue.ask(worker.engine, run_id, "run")
    assert drained(worker, run_id).status == "succeeded"
    assert results.list_checkpoints(worker.engine, run_id)[0].epoch == CONFIG.epochs


def test_no_step_goes_on_from_a_network_that_is_older_than_the_figures(worker, monkeypatch):
    monkeypatch.setattr(recorded_run, "PATIENCE_SECONDS", 0.0)
    failing(monkeypatch, lambda epoch, _: epoch != "epoch-00001")
    (run_id,) = submit(worker, CONFIG)
    before = drained(worker, run_id)
    assert before.status == "succeeded"
    planned = posthoc.plan_step(worker.engine, before, "equal_tpr_bias", {"strength": 0.0})
    (step,) = queue.submit(worker.engine, list(planned.rows))
    row = drained(worker, step)
    assert row.status == "failed"
    assert (
        f"the newest checkpoint of run {run_id} is from epoch 1, its metrics are from epoch {CONFIG.epochs}"
        in row.error
    )


def test_a_database_that_cannot_be_written_pauses_the_run(worker, monkeypatch):
    monkeypatch.setattr(recorded_run, "PATIENCE_SECONDS", 0.0)
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


@pytest.mark.parametrize(("order", "status"), [("stop", "queued"), ("pause", "paused"), ("cancel", "cancelled")])
def test_an_order_while_an_epoch_cannot_be_recorded_is_obeyed(worker, monkeypatch, order, status):
    (run_id,) = submit(worker, CONFIG)
    real, calls = results.record_epoch, []

    def record(engine, claim, epoch):
        calls.append(epoch.epoch)
        if epoch.epoch < 2:
            return real(engine, claim, epoch)
        if order == "stop":
            worker.orders = "stop"
        else:
            queue.ask(engine, run_id, order)
        raise Unavailable("the database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(results, "record_epoch", record)
        worker.loop(drain=True)
    row = results.get_run(worker.engine, run_id)
    assert (row.status, row.last_epoch, row.error) == (status, 1, None)
    assert calls == [1, 2]
    assert {c.epoch for c in results.list_checkpoints(worker.engine, run_id)} == {1}  # none ahead of what is recorded
    worker.orders = None
    queue.ask(worker.engine, run_id, "run")
    assert drained(worker, run_id).status == "succeeded"


def test_too_little_disk_pauses_before_anything_starts(worker, monkeypatch):
    monkeypatch.setattr(runner, "MIN_FREE_BYTES", 1 << 60)
    (run_id,) = submit(worker, CONFIG)
    row = drained(worker, run_id)
    assert row.status == "paused"
    assert "free some space, then resume" in row.error


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


# -- a card that is lost ------------------------------------------------------------------------------------------


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
