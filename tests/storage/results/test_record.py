"""What a worker records: exact, whole or not at all; the final and the best epoch; matrices as bytes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.experiment.facts import NOT_STARTED, Facts, StartEvidence
from core.split_names import SPLITS
from storage import results
from storage.db.errors import StorageError
from storage.jobs import queue, workers
from storage.results import confusion_codec
from tests.storage.kit import broken, count, epoch_record


def test_an_epoch_comes_back_as_it_was_recorded(engine, claim):
    results.record_epoch(engine, claim, epoch_record(1))
    counts = results.class_counts(engine, claim.run_id, "test")
    assert counts.epoch == 1
    assert counts.support.tolist() == [100, 100]
    assert counts.tp.tolist() == [4, 5]
    assert counts.predicted.tolist() == [195, 5]
    assert counts.weight.tolist() == [1.0, 2.0]
    at, matrix = results.confusion(engine, claim.run_id, "test")
    assert at == 1
    assert matrix.tolist() == [[100, 0], [95, 5]]
    frame = results.epochs(engine, [claim.run_id])
    assert frame["split"].tolist() == list(SPLITS)
    row = frame.iloc[1]
    assert (row["epoch"], row["loss"], row["n"], row["balanced_accuracy"], row["lr"], row["info"]) == (
        1,
        0.5,
        200,
        0.7,
        0.1,
        {"tau": 1.5},
    )
    assert pd.isna(row["top5"])


def test_awkward_floats_and_large_counts_survive(engine, claim):
    weight = np.array([0.1 + 0.2, 1 / 3])
    record = broken(epoch_record(1), "test", support=[2**40, 0], tp=[2**40 - 1, 0], predicted=[2**40, 7], n=2**40)
    results.record_epoch(engine, claim, replace(record, weight=weight))
    counts, history = (
        results.class_counts(engine, claim.run_id, "test"),
        results.class_history(engine, claim.run_id, "test"),
    )
    assert counts.weight.tolist() == weight.tolist() == history.weight[0].tolist()
    assert counts.tp.tolist() == [2**40 - 1, 0] == history.tp[0].tolist()


def test_the_run_carries_its_final_and_its_best_epoch(engine, claim):
    best = [
        results.record_epoch(engine, claim, epoch_record(n, score=s, accuracy=a))
        for n, s, a in ((1, 0.60, 0.1), (2, 0.80, 0.2), (3, 0.80, 0.3), (4, 0.70, 0.4))
    ]
    assert best == [True, True, False, False]  # the earliest of equals
    row = results.get_run(engine, claim.run_id)
    assert (row.last_epoch, row.accuracy, row.best_epoch, row.best_accuracy) == (4, 0.4, 2, 0.2)
    assert row.seconds == 8.0
    assert results.confusion(engine, claim.run_id, "test", "best")[0] == 2
    assert results.confusion(engine, claim.run_id, "test", "last")[0] == 4
    assert count(engine, "confusion") == 4  # two splits, two epochs
    frame = results.list_runs(engine)
    assert frame.loc[0, ["accuracy", "best_epoch", "best_accuracy", "last_epoch"]].tolist() == [0.4, 2, 0.2, 4]


def test_best_is_chosen_on_validation_and_reported_on_test(engine, claim):
    for number, validation, test in ((1, 0.9, 0.1), (2, 0.8, 0.95)):
        record = broken(epoch_record(number, score=validation), "test", balanced_accuracy=test, accuracy=test)
        results.record_epoch(engine, claim, record)
    row = results.get_run(engine, claim.run_id)
    assert (row.best_epoch, row.best_accuracy, row.accuracy) == (1, 0.1, 0.95)


def test_an_epoch_done_again_replaces_the_first_and_counts_once(engine, claim):
    for number, score in ((1, 0.6), (2, 0.9), (3, 0.7)):
        results.record_epoch(engine, claim, epoch_record(number, score=score))
    history = results.class_history(engine, claim.run_id, "test")
    assert history.tp[:, 0].tolist() == [4, 5, 6]
    queue.release(engine, claim)
    again = queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu")
    assert (
        results.record_epoch(
            engine, again, broken(epoch_record(2, score=0.5), "test", tp=[50, 60], predicted=[90, 110])
        )
        is False
    )
    row = results.get_run(engine, claim.run_id)
    assert (row.last_epoch, row.seconds, row.best_epoch) == (2, 6.0, 3)
    results.record_epoch(engine, again, epoch_record(3, score=0.4))
    row = results.get_run(engine, claim.run_id)
    assert (row.last_epoch, row.seconds, row.best_epoch) == (3, 6.0, 1)
    assert count(engine, "epoch") == 9
    assert count(engine, "class_epoch") == 18
    assert results.class_history(engine, claim.run_id, "test").tp[:, 0].tolist() == [4, 50, 6]


def test_the_best_may_lose_its_place_when_done_again(engine, claim):
    results.record_epoch(engine, claim, epoch_record(1, score=0.9))
    assert results.record_epoch(engine, claim, broken(epoch_record(1), balanced_accuracy=None)) is False
    row = results.get_run(engine, claim.run_id)
    assert (row.best_epoch, row.best_accuracy) == (None, None)


def test_an_undefined_metric_is_kept_as_missing(engine, claim):
    record = broken(epoch_record(1), balanced_accuracy=math.nan, tpr_mean=None, loss=None)
    assert results.record_epoch(engine, claim, record) is False  # nothing to call best
    row = results.epochs(engine, [claim.run_id], "validation").iloc[0]
    assert np.isnan([row["balanced_accuracy"], row["tpr_mean"], row["loss"]]).all()
    assert results.get_run(engine, claim.run_id).best_epoch is None
    assert results.confusion(engine, claim.run_id, "test", "best") is None


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (broken(epoch_record(3), loss=math.nan), "validation loss of epoch 3 is nan, expected a finite number"),
        (broken(epoch_record(3), loss=math.inf), "validation loss of epoch 3 is inf"),
        (broken(epoch_record(3), tpr_variance=-math.inf), "validation tpr_variance of epoch 3 is -inf"),
        (epoch_record(3, weight=np.array([1.0, math.nan])), "weight of epoch 3"),
        (epoch_record(3, weight=np.ones(3)), "weight of epoch 3 must be 2 finite numbers"),
        (epoch_record(3, lr=math.nan), "learning rate of epoch 3 is nan"),
        (epoch_record(3, seconds=math.inf), "seconds of epoch 3 is inf"),
        (epoch_record(3, info={"tau": math.inf}), "info cannot be stored"),
        (epoch_record(3, splits={}), "epoch 3 has no split"),
        (epoch_record(3, confusion={"test": np.ones((2, 3))}), r"shape \(2, 3\)"),
        (epoch_record(3, confusion={"test": -np.ones((2, 2))}), "counts outside 0"),
        (broken(epoch_record(3), tp=[1, 101]), "class 1: tp 101 exceeds support 100"),
        (broken(epoch_record(3), tp=[1]), "2, 1 and 2 classes"),
        (broken(epoch_record(3), tp=[0.5, 1]), "whole numbers"),
        (broken(epoch_record(3), support=[-1, 1]), "whole numbers of at least 0"),
        (epoch_record(0), "epoch is 0; recorded epochs count from 1"),
        (
            epoch_record(3, splits={"dev": epoch_record(3).splits["test"]}),
            "unknown split 'dev'; known: train, validation, test",
        ),
    ],
)
def test_a_bad_epoch_is_refused_whole(engine, claim, record, message):
    results.record_epoch(engine, claim, epoch_record(2))
    before = results.get_run(engine, claim.run_id)
    with pytest.raises(StorageError, match=message):
        results.record_epoch(engine, claim, record)
    assert results.get_run(engine, claim.run_id) == before
    assert [count(engine, t) for t in ("epoch", "class_epoch", "confusion")] == [3, 6, 2]


def test_facts_keep_undefined_tprs_as_null(engine, claim):
    assert results.get_run(engine, claim.run_id).facts == NOT_STARTED
    facts = Facts(("a", "b"), evidence=StartEvidence(np.array([0.5, math.nan])), parameters=np.int64(7))
    results.start_run(engine, claim, facts)
    assert results.get_run(engine, claim.run_id).facts == replace(facts, evidence=StartEvidence([0.5, None]))
    for bad in (math.inf, object()):
        with pytest.raises(StorageError, match="facts cannot be stored"):
            results.start_run(engine, claim, Facts(others={"x": bad}))


# -- confusion matrices as bytes ---------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_matrices_survive_packing(classes, most, random):
    matrix = np.array(
        [[random.choice([0, 0, 1, most]) for _ in range(classes)] for _ in range(classes)], dtype=np.int64
    )
    assert (confusion_codec.unpack(confusion_codec.pack(matrix), classes) == matrix).all()


def test_a_large_matrix_is_small_and_damage_is_noticed():
    matrix = np.zeros((1000, 1000), dtype=np.int64)
    matrix[np.arange(1000), np.arange(1000)] = 10
    packed = confusion_codec.pack(matrix)
    assert len(packed) < 10_000
    for damaged in (packed[:-5], b"\0" + packed[1:], b""):
        with pytest.raises(StorageError, match="damaged"):
            confusion_codec.unpack(damaged, 1000)
    with pytest.raises(StorageError, match="damaged"):
        confusion_codec.unpack(packed, 10)
    with pytest.raises(StorageError, match="outside 0"):
        confusion_codec.pack(matrix * 2**32)
