"""The preview along an earlier run: equal to what recorded runs trained with, and bounded by what was recorded."""

from dataclasses import replace

import numpy as np
import pytest

from core.experiment.config import RunConfig, checked
from core.experiment.replay import TprHistory, epochs_shown, looks_back, replay, replayable_epochs
from core.experiment.term_schedule import first_epoch
from core.methods import METHODS, TRAIN, answer
from core.methods.samplers import SAMPLERS
from core.methods.types import Evidence
from core.metrics.classification import share
from services.queue_rows import new_run
from storage import results
from storage.jobs import queue
from tests.work.kit import working
from work import recorded_run

EPOCHS = 4
BASE = RunConfig("digits", "mlp", epochs=EPOCHS, imbalance=20.0)
COUNTS = np.array([400.0, 60.0, 9.0])
PAST = TprHistory(np.array([[0.2, 0.5, 0.1], [0.6, 0.4, 0.0], [0.9, 0.7, 0.3]]), np.full((3, 3), 50.0))
FOLLOWED = {
    "dynamic tau": replace(BASE, method="cdb"),
    "fixed tau, smoothed": replace(BASE, method="cdb", params={"tau": 1.5, "ema": 0.6}),
    "late start": replace(BASE, method="cdb", params={"tau": 2.0}, start=0.5),
    "sampler by difficulty": replace(BASE, sampler="difficulty", sampler_params={"tau": 2.0}),
    "progressive sampler, weights late": replace(
        BASE, method="balanced", sampler="progressive", start=0.5, deferred="weight"
    ),
    "a formula over the epoch": replace(BASE, method="custom", params={"formula": "1 + epoch * N / n"}),
}


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with working(tmp_path_factory.mktemp("along")) as worker:
        yield worker


@pytest.mark.parametrize("config", FOLLOWED.values(), ids=FOLLOWED)
def test_replayed_on_its_own_epochs_a_run_is_shown_what_it_trained_with(worker, monkeypatch, config):
    """To 1e-9: the recorded weights, and every term that the worker handed to the training."""
    config, used, real = checked(config), [], recorded_run.Run.terms
    monkeypatch.setattr(
        recorded_run.Run,
        "terms",
        lambda self, epoch, seen: used.append((epoch, real(self, epoch, seen))) or used[-1][1],
    )
    (run_id,) = queue.submit(worker.engine, [new_run(config)])
    worker.loop(drain=True)
    row = results.get_run(worker.engine, run_id)
    assert row.status == "succeeded", row.error
    history = results.class_history(worker.engine, run_id, "validation")
    replayed = replay(
        config,
        Evidence(10, counts=np.array(row.facts.counts["train"], float)),
        TprHistory(share(history.tp, history.support), history.support.astype(float)),
    )
    assert replayed.epochs.tolist() == list(range(EPOCHS)) == [epoch for epoch, _ in used]
    for (_, trained), preview in zip(used, replayed.frames, strict=True):
        assert trained.set().keys() == preview.set().keys()
        for name, values in trained.set().items():
            np.testing.assert_allclose(getattr(preview, name), values, rtol=0, atol=1e-9)
    if history.weight is not None:
        stored = np.where(np.isnan(history.weight), 1.0, history.weight)  # plain epochs of a late start have none
        np.testing.assert_allclose(replayed.values("weight"), stored, rtol=0, atol=1e-9)
    assert replayed.moving(), "these all move"


def test_an_unsmoothed_epoch_is_the_answer_to_the_epoch_before():
    config = checked(replace(BASE, method="cdb", params={"tau": 2.0}))
    replayed = replay(config, Evidence(3, counts=COUNTS), PAST)
    assert replayed.frames[0].weight.tolist() == [1, 1, 1]
    for epoch in (1, 2, 3):
        wanted = answer(
            "cdb", Evidence(3, last_tpr=PAST.tpr[epoch - 1], last_support=PAST.support[0]), {"tau": 2.0}
        ).weight
        np.testing.assert_array_equal(replayed.frames[epoch].weight, wanted)


def test_it_reaches_one_epoch_further_than_what_was_recorded():
    config = checked(replace(BASE, method="cdb", epochs=30))
    found = [
        replayable_epochs(c, past) for c, past in ((config, PAST), (config, None), (replace(config, epochs=2), PAST))
    ]
    assert found == [4, 1, 2]
    assert replayable_epochs(checked(replace(BASE, method="balanced", epochs=30)), None) == 30, (
        "what looks at no TPRs needs no run"
    )


@pytest.mark.parametrize("epochs", [1, 2, 90, 100_000])
@pytest.mark.parametrize("start", [0.0, 0.37, 0.8])
def test_the_ends_and_the_late_start_are_always_among_the_epochs_shown(epochs, start):
    config = checked(replace(BASE, epochs=epochs, start=start))
    at, first = epochs_shown(config, None, 40), first_epoch(config)
    assert len(at) <= 42
    assert (np.diff(at) > 0).all()
    assert {0, first, max(first - 1, 0), epochs - 1} <= set(at.tolist())


def test_a_late_start_alone_moves_a_static_weight_and_its_sampler():
    config = checked(replace(BASE, method="balanced", sampler="square_root", start=0.5))
    replayed = replay(config, Evidence(3, counts=COUNTS))
    assert replayed.moving() == ("weight", "sampling")
    np.testing.assert_allclose(replayed.values("weight")[:2], 1)
    np.testing.assert_allclose(replayed.values("sampling")[:2], [COUNTS / COUNTS.sum()] * 2)
    assert replayed.values("weight")[2:].std() > 0
    assert replay(replace(config, start=0.0), Evidence(3, counts=COUNTS)).moving() == ()


def test_which_terms_move_follows_from_the_rows():
    """A row that looks at the last epoch and sets terms moves along a run whose TPRs change; a row that looks at neither does not."""
    known = Evidence(3, counts=COUNTS, tpr=PAST.tpr[-1], support=PAST.support[-1])
    for table, key in ((METHODS, "method"), (SAMPLERS, "sampler")):
        for row in table:
            if row.stage != TRAIN:
                continue
            params = "params" if table is METHODS else "sampler_params"
            config = checked(replace(BASE, **{key: row.key, params: row.tested(3)}))
            replayed = replay(config, known, PAST)
            if looks_back(config) and any(t.set() for t in replayed.frames):
                assert replayed.moving(), row.key
            elif replayed.moving():
                own = dict(config.sampler_params if key == "sampler" else config.params)
                first, last = (
                    row.terms(replace(known, epoch=epoch, epochs=EPOCHS), **own).set() for epoch in (0, EPOCHS - 1)
                )
                assert any(not np.allclose(v, last[name]) for name, v in first.items()), (
                    f"{row.key} looks at no last epoch, so the epoch itself moves it"
                )
