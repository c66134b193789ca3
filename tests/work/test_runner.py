"""One run through the runner: what it records, and where its weights come from."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.datasets import DATASETS
from core.errors import EvenlyError
from core.modality import MODALITIES, Modality
from services.queue_rows import new_run
from services.tpr_sources import known_tprs
from storage import results
from storage.jobs import queue
from tests.core.datasets.reversal import REVERSED
from tests.work.kit import CONFIG, changed, drained, pair, submit


def test_a_run_leaves_everything_behind(worker):
    (run_id,) = submit(worker, CONFIG)
    row = drained(worker, run_id)
    assert (row.status, row.last_epoch, row.error) == ("succeeded", 3, None)
    facts = row.facts
    assert facts.classes == tuple(str(d) for d in range(10))
    assert sum(facts.counts["train"]) + sum(facts.counts["validation"]) + sum(facts.counts["test"]) == 1797
    assert len(facts.index_hash) == 64
    assert facts.versions["torch"] == torch.__version__
    counts = results.class_counts(worker.engine, run_id, "test")
    assert counts.support.tolist() == facts.counts["test"]
    assert row.accuracy == pytest.approx(counts.tp.sum() / counts.support.sum())
    tpr = counts.tp / counts.support
    assert (row.tpr_variance, row.tpr_min) == pytest.approx((tpr.var(), tpr.min()))
    _, matrix = results.confusion(worker.engine, run_id, "test")
    assert np.array_equal(np.diag(matrix), counts.tp)
    assert {c.kind for c in results.list_checkpoints(worker.engine, run_id)} == {"last", "best"}


def test_a_kind_of_sample_with_the_rank_of_another_trains_with_its_own_augmentation(worker, monkeypatch):
    kind = Modality("spectrogram", "spectrograms", 3, "(channels, bands, time)", "{} x {} x {}", {"reversed": REVERSED})
    monkeypatch.setitem(MODALITIES._rows, "spectrogram", kind)
    row = replace(DATASETS["digits"], key="spectra", kind="spectrogram", augment="reversed")
    monkeypatch.setitem(DATASETS._rows, "spectra", row)
    first, second = submit(worker, changed(dataset="spectra"), changed(dataset="spectra", model="cnn"))
    assert (drained(worker, first).status, drained(worker, second).error) == (
        "succeeded",
        "model cnn does not fit Digits (scikit-learn): it takes images, the data is spectrograms of 1x8x8",
    )


def test_weights_come_from_the_baselines_validation_split(worker):
    first, second = queue.submit(worker.engine, pair(CONFIG, changed(method="tpr_ratio", params={"exponent": 3.0})))
    row = drained(worker, second)
    seen = results.class_counts(worker.engine, first, "validation")
    eps = 1 / (2 * seen.support)
    tpr = np.clip(seen.tp / seen.support, eps, 1 - eps)
    expected = (tpr.mean() / tpr) ** 3
    used = results.class_counts(worker.engine, second, "train").weight
    assert used == pytest.approx(expected / expected.mean(), rel=1e-9)
    assert row.facts.evidence.origin == f"run {first}, validation split, epoch 3"
    previewed = known_tprs(worker.engine, row.config, first)
    trained = (row.facts.evidence.tpr, row.facts.evidence.support)
    assert tuple(v.tolist() for v in previewed) == tuple(map(list, trained)), "every digit"


def test_given_tprs_feed_the_weights_with_their_support(worker):
    from core.experiment.config import with_given_tprs

    tpr = [1.0, *[0.5] * 9]
    config = changed(method="tpr_deficit", params={"tau": 1.0})
    (run_id,) = submit(worker, with_given_tprs(config, tpr, [50.0] * 10, "table.csv"))
    row = drained(worker, run_id)
    used = results.class_counts(worker.engine, run_id, "train").weight
    assert used[0] / used[1] == pytest.approx((1 / 100) / 0.5)  # floored at half a sample of 50
    assert row.facts.evidence.origin == "table.csv"


def test_long_tail_touches_the_training_split_alone(worker):
    plain, tailed = submit(worker, CONFIG, changed(imbalance=10.0))
    a, b = drained(worker, plain).facts, drained(worker, tailed).facts
    assert a.counts["validation"] == b.counts["validation"]
    assert a.counts["test"] == b.counts["test"]
    assert max(b.counts["train"]) / min(b.counts["train"]) == pytest.approx(10, rel=0.1)


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


def test_stored_settings_of_a_newer_evenly_are_refused(worker):
    new = new_run(CONFIG)
    (run_id,) = queue.submit(worker.engine, [replace(new, config=replace(new.config, others={"schema": 99}))])
    assert "newer Evenly (schema 99" in drained(worker, run_id).error


def test_settings_survive_the_database(worker):
    from core.experiment.config import checked, from_dict

    config = checked(changed(method="cdb", params={"tau": "dynamic", "variant": "cifar_code"}))
    assert checked(from_dict(json.loads(config.to_json()))) == config
    other = from_dict({"dataset": "digits", "model": "mlp", "colour": "red"})
    assert other.stored()["colour"] == "red"  # to be looked at, not trained
    with pytest.raises(EvenlyError, match="unknown setting 'colour'"):
        checked(other)
