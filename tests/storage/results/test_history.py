"""What the pages read of a run's epochs and classes: as it was recorded, and along the key."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from sqlalchemy import text

from core.split_names import SPLITS
from storage import results
from storage.db.connection import reading
from storage.db.errors import StorageError
from storage.db.schema import class_epoch
from tests.storage.kit import epoch_record, plan

history_module = import_module("storage.results.class_history")  # the package names the function alike


def test_history_is_epochs_by_classes_and_grows(engine, claim):
    empty = results.class_history(engine, claim.run_id, "test")
    assert (empty.epochs.shape, empty.tp.shape, empty.weight) == ((0,), (0, 0), None)
    for number in (1, 2, 3):
        results.record_epoch(engine, claim, epoch_record(number, classes=5))
        history = results.class_history(engine, claim.run_id, "test")
        assert history.epochs.tolist() == list(range(1, number + 1))
        assert history.tp.tolist() == [[3 + c + n for c in range(5)] for n in range(1, number + 1)]
        assert history.weight.tolist() == [[1, 2, 3, 4, 5]] * number
        assert history.support.dtype == np.int64
        whole = results.class_history(database_again(engine), claim.run_id, "test")
        assert whole.predicted.tolist() == history.predicted.tolist()
    assert results.class_history(engine, claim.run_id, "test") is history  # remembered
    with pytest.raises(ValueError, match="read-only"):
        history.tp[0, 0] = 1


def test_only_the_latest_histories_are_remembered(engine, claim, monkeypatch):
    monkeypatch.setattr(history_module, "KEPT", 2)
    results.record_epoch(engine, claim, epoch_record(1))
    read = {split: results.class_history(engine, claim.run_id, split) for split in SPLITS}
    assert results.class_history(engine, claim.run_id, "test") is read["test"]
    assert results.class_history(engine, claim.run_id, "train") is not read["train"]


def test_a_recorder_without_a_split_adds_nothing_to_its_history(engine, claim):
    results.record_epoch(engine, claim, epoch_record(1))
    before = results.class_history(engine, claim.run_id, "test")
    record = epoch_record(2)
    results.record_epoch(
        engine, claim, replace(record, splits={"validation": record.splits["validation"]}, confusion=None)
    )
    assert results.class_history(engine, claim.run_id, "test") is before


def database_again(engine):
    from storage.db.connection import open_database

    return open_database(str(engine.url))


@pytest.mark.parametrize("order", [(None, 2.0), (2.0, None)])
def test_epochs_without_weights_show_gaps(engine, claim, order):
    for number, weight in enumerate(order, start=1):
        results.record_epoch(engine, claim, epoch_record(number, weight=None if weight is None else np.full(2, weight)))
        results.class_history(engine, claim.run_id, "test")
    want = [[np.nan if w is None else w] * 2 for w in order]
    np.testing.assert_array_equal(results.class_history(engine, claim.run_id, "test").weight, want)
    np.testing.assert_array_equal(results.class_history(database_again(engine), claim.run_id, "test").weight, want)


def test_runs_without_weights_say_none(engine, claim):
    results.record_epoch(engine, claim, epoch_record(1, weight=None))
    results.record_epoch(engine, claim, epoch_record(2, weight=None))
    assert results.class_counts(engine, claim.run_id, "test").weight is None
    assert results.class_history(engine, claim.run_id, "test").weight is None


@pytest.mark.parametrize(
    "read",
    [
        lambda e: results.get_run(e, 99),
        lambda e: results.class_counts(e, 99, "test"),
        lambda e: results.class_history(e, 99, "test"),
        lambda e: results.replicates(e, 99),
        lambda e: results.rename(e, 99, "x"),
        lambda e: results.set_tags(e, 99, "x"),
    ],
)
def test_an_unknown_run_is_named(engine, read):
    with pytest.raises(StorageError, match="run 99 not found"):
        read(engine)


def test_reads_refuse_what_they_do_not_know(engine, claim):
    results.record_epoch(engine, claim, epoch_record(1))
    for read in (results.class_counts, results.class_history, results.confusion):
        with pytest.raises(StorageError, match="unknown split 'dev'"):
            read(engine, claim.run_id, "dev")
    with pytest.raises(StorageError, match="nothing recorded for the test split at epoch 9; its last epoch is 1"):
        results.class_counts(engine, claim.run_id, "test", 9)
    with pytest.raises(StorageError, match="expected last or best"):
        results.confusion(engine, claim.run_id, "test", "first")
    assert results.confusion(engine, claim.run_id, "train") is None
    with pytest.raises(StorageError, match="unknown status 'done'"):
        results.list_runs(engine, status="done")


def test_counts_are_read_along_the_clustered_key(engine):
    t = class_epoch.c
    query = class_epoch.select().where(t.run_id == 1, t.split == 2, t.epoch > 0).order_by(t.epoch, t.class_id)
    assert plan(engine, query) == "SEARCH class_epoch USING PRIMARY KEY (run_id=? AND split=? AND epoch>?)"
    with reading(engine) as connection:
        assert "WITHOUT ROWID" in connection.scalar(text("SELECT sql FROM sqlite_master WHERE name = 'class_epoch'"))
