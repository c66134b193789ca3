"""The contract of every method and sampler: two epochs on Digits with a long tail, through the worker, stopped in the
middle and resumed, end in the same figures and the same bits as an unbroken run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.experiment.config import RunConfig, checked
from core.methods import METHODS, POSTHOC, TRAIN
from core.methods.samplers import SAMPLERS
from core.training import checkpoint
from services.queue_rows import new_run
from storage import results
from storage.jobs import queue
from storage.results import checkpoint_files
from tests.work.kit import working
from work import runner

pytestmark = pytest.mark.slow

BASE = RunConfig("digits", "mlp", epochs=2, imbalance=20.0)
CLASSES = 10
LATE = replace(
    BASE,
    method="ldam",
    params=METHODS["ldam"].tested(CLASSES),
    sampler="square_root",
    start=0.5,
    deferred="weight",
)
CASES = [
    *((m.key, replace(BASE, method=m.key, params=m.tested(CLASSES))) for m in METHODS if m.key != "none"),
    *(
        (
            f"sampler:{s.key}",
            replace(
                BASE, sampler=s.key, sampler_params=s.tested(CLASSES), method="crt" if s.stage != TRAIN else "none"
            ),
        )
        for s in SAMPLERS
    ),
    ("meta_weight_net imbalance_code", replace(BASE, method="meta_weight_net", params={"variant": "imbalance_code"})),
    ("difficulty_net paper", replace(BASE, method="difficulty_net")),
    ("late start", LATE),
]


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with working(tmp_path_factory.mktemp("every")) as worker, pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.training.interrupts.LOOK_SECONDS", -1)
        yield worker


@pytest.fixture(scope="module")
def baseline(worker):
    (run_id,) = queue.submit(worker.engine, [new_run(BASE)])
    worker.loop(drain=True)
    assert results.get_run(worker.engine, run_id).status == "succeeded"
    return run_id


def trained(worker, monkeypatch, config, baseline, stop_at=None):
    """(the finished run, steps it took); stopped once after `stop_at` steps."""
    steps, real = [0], runner.Trainer.forward_backward

    def counted(self, *args):
        real(self, *args)
        steps[0] += 1
        if steps[0] == stop_at:
            worker.orders = "stop"

    with monkeypatch.context() as patch:
        patch.setattr(runner.Trainer, "forward_backward", counted)
        (run_id,) = queue.submit(worker.engine, [new_run(config, baseline=baseline)])
        worker.loop(drain=True)
        if stop_at:
            assert results.get_run(worker.engine, run_id).status == "queued"
            worker.orders = None
            worker.loop(drain=True)
    row = results.get_run(worker.engine, run_id)
    assert (row.status, row.error, row.last_epoch) == ("succeeded", None, config.epochs)
    return row, steps[0]


def network(worker, run_id):
    """The tensors of the last checkpoint."""
    row, saved = results.get_run(worker.engine, run_id), results.list_checkpoints(worker.engine, run_id)[0]
    return checkpoint.loads(
        checkpoint_files.read(Path(saved.path), saved.sha256),
        checked(row.config).sha(),
    )["model"]


@pytest.mark.parametrize(("config", "of"), [(c, k) for k, c in CASES], ids=[k for k, _ in CASES])
def test_two_epochs_with_a_stop_in_the_middle(worker, baseline, monkeypatch, config, of):
    config = checked(config)
    whole, steps = trained(worker, monkeypatch, config, baseline)
    stage = METHODS[config.method].stage
    if stage == POSTHOC:
        assert steps == 0
        assert list(results.list_checkpoints(worker.engine, whole.id)) == []
    broken, again = trained(worker, monkeypatch, config, baseline, stop_at=steps * 2 // 3 or None)
    assert again == steps, "a step was lost or done twice"
    for split in ("train", "validation", "test"):
        a, b = (results.class_counts(worker.engine, row.id, split) for row in (whole, broken))
        for name in ("support", "tp", "predicted"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), (split, name)
        assert a.weight is None or np.array_equal(a.weight, b.weight)
    assert whole.accuracy == broken.accuracy
    assert 0 <= whole.tpr_variance <= 0.25
    if stage != POSTHOC:
        left, right = network(worker, whole.id), network(worker, broken.id)
        assert left.keys() == right.keys()
        assert all(torch.equal(v, right[k]) for k, v in left.items())
    if stage != TRAIN:
        assert whole.baseline_id == baseline
