"""A run that goes on from an older checkpoint does epochs again: readers see each once, and as it was recorded last."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pages.components.common import cached_reads
from storage import results
from storage.db.connection import open_database
from storage.jobs import queue, workers
from tests.storage.kit import claimed, database, epoch_record

AGAIN = 40  # added to what a redone epoch counts, so that it can be told from the first


@pytest.fixture
def engine(tmp_path):
    return database(tmp_path)


def recorded(engine, claim, number, more=0):
    results.record_epoch(
        engine, claim, replace(epoch_record(number + more), epoch=number, seconds=2.1 if more else 2.0)
    )  # no two times of an epoch are alike


@pytest.fixture
def begun(engine):
    """Five epochs by a worker that died; the run claimed anew, to go on after epoch 2. Returns (claim, a page's engine)."""
    first = claimed(engine, epochs=9)
    page = open_database(str(engine.url), role="page")
    for number in range(1, 6):
        recorded(engine, first, number)
        results.class_history(page, first.run_id, "validation")
    queue.rescue(engine, lambda worker: False)
    return queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu"), page


def of_class_0(page, run_id):
    history = results.class_history(page, run_id, "validation")
    return dict(zip(history.epochs.tolist(), history.tp[:, 0].tolist(), strict=True))


def expected(redone, last):
    """tp of class 0 is 3 + the epoch's number, and AGAIN more where it was done again."""
    return {n: 3 + n + AGAIN * (n in redone) for n in range(1, last + 1)}


@pytest.mark.parametrize("looks", [(), (2,), (2, 3), (2, 3, 4, 5, 6), (3,), (5,), (2, 5), (3, 6)], ids=str)
def test_epochs_done_again_are_shown_once_and_as_they_are_now(engine, begun, looks):
    """`looks`: after which epochs a page reads, 2 meaning after the new claim and before anything was done again."""
    claim, page = begun
    if 2 in looks:
        assert of_class_0(page, claim.run_id) == expected((), 5)
    for number in range(3, 8):
        recorded(engine, claim, number, AGAIN)
        if number in looks:
            assert of_class_0(page, claim.run_id) == expected(range(3, number + 1), number)
    assert of_class_0(page, claim.run_id) == expected(range(3, 8), 7)


def test_epochs_that_are_yet_to_be_done_again_are_not_in_the_summary(engine, begun):
    claim, page = begun
    recorded(engine, claim, 3, AGAIN)
    row = results.get_run(page, claim.run_id)
    assert row.last_epoch == 3
    assert results.epochs(page, [claim.run_id], "test")["epoch"].tolist() == [1, 2, 3]
    assert results.class_history(page, claim.run_id, "test").epochs.tolist() == [1, 2, 3]


def test_a_page_draws_an_epoch_anew_that_was_done_again(engine, begun):
    """What a page keeps is named by the run's state: the same epoch of the same attempt, done again, is another state."""
    claim, page = begun
    before = results.get_run(page, claim.run_id)
    for number in range(3, 6):
        recorded(engine, claim, number, AGAIN)
    after = results.get_run(page, claim.run_id)
    assert (before.attempt, before.last_epoch, before.status) == (after.attempt, after.last_epoch, after.status)
    assert cached_reads._stamp(before) != cached_reads._stamp(after)
