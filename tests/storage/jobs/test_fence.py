"""Workers that were given up for dead cannot write, and what becomes of their runs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.experiment.facts import Facts
from storage import results
from storage.db.errors import StorageError
from storage.jobs import events, queue, workers
from storage.jobs.queue import Lost
from tests.storage.kit import claimed, count, database, epoch_record, in_background, new_run, status

ROOT = Path(__file__).resolve().parents[3]


def dead(worker):
    return False


def alive(worker):
    return True


@pytest.fixture
def engine(tmp_path):
    return database(tmp_path)


# -- the fence ---------------------------------------------------------------------------------------------------------


def test_a_superseded_worker_cannot_write_anything(engine):
    old = claimed(engine)
    results.record_epoch(engine, old, epoch_record(1))
    assert queue.rescue(engine, dead) == [old.run_id]
    assert queue.wanted(engine, old) == "lost"
    new = queue.claim(engine, workers.register_worker(engine, 1, "cpu", 2, "host"), "cpu")
    assert (new.run_id, new.token, new.attempt) == (old.run_id, old.token + 1, 2)
    before = results.get_run(engine, old.run_id)
    for write in (
        lambda: results.record_epoch(engine, old, epoch_record(2)),
        lambda: results.start_run(engine, old, Facts()),
        lambda: results.record_checkpoint(engine, old, 2, ["last"], "x.pt", "0" * 64, 1),
        lambda: queue.note(engine, old, "warning", "from the one before"),
    ):
        with pytest.raises(Lost):
            write()
    assert queue.finish(engine, old, "succeeded") is False
    assert queue.release(engine, old) is False
    assert results.get_run(engine, old.run_id) == before
    assert results.record_epoch(engine, new, epoch_record(2)) is False
    assert queue.wanted(engine, new) == "run"


def test_a_run_is_finished_once(engine):
    claim = claimed(engine)
    assert queue.finish(engine, claim, "succeeded") is True
    assert queue.finish(engine, claim, "failed", "late") is False
    row = results.get_run(engine, claim.run_id)
    assert (row.status, row.error) == ("succeeded", None)
    assert row.finished_at >= row.started_at >= row.created_at
    with pytest.raises(Lost):
        results.record_epoch(engine, claim, epoch_record(1))
    assert count(engine, "epoch") == 0


def test_finish_as_something_else_is_refused(engine):
    with pytest.raises(StorageError, match="'queued'; expected one of succeeded"):
        queue.finish(engine, claimed(engine), "queued")


def test_finish_and_rescue_at_the_same_moment_have_one_winner(tmp_path):
    finisher, rescuer = database(tmp_path), database(tmp_path)
    winners = set()
    for _ in range(25):
        claim, start = claimed(finisher), threading.Barrier(2)

        def race(work, start=start):
            start.wait()
            return work()

        done = in_background(lambda c=claim, r=race: r(lambda: queue.finish(finisher, c, "succeeded")))
        saved = race(lambda: queue.rescue(rescuer, dead))
        finished = done.result()
        assert finished != (saved == [claim.run_id])
        assert status(finisher, claim.run_id) == ("succeeded" if finished else "queued")
        winners.add(finished)
        if not finished:
            queue.ask(finisher, claim.run_id, "cancel")
    assert winners


def test_a_deleted_run_is_lost_to_its_worker_and_its_notes_too(engine):
    claim = claimed(engine)
    queue.finish(engine, claim, "failed", "x")
    results.delete(engine, [claim.run_id])
    assert queue.wanted(engine, claim) == "lost"
    with pytest.raises(Lost):
        queue.note(engine, claim, "data", "decoded")
    assert events.log_of(engine, claim.run_id) == []


# -- release and rescue ------------------------------------------------------------------------------------------------


def test_release_gives_the_attempt_back(engine):
    claim = claimed(engine)
    assert queue.release(engine, claim) is True
    again = queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu")
    assert (again.run_id, again.attempt, again.token) == (claim.run_id, 1, 2)


@pytest.mark.parametrize(("asked", "end"), [("run", "queued"), ("pause", "paused"), ("cancel", "cancelled")])
@pytest.mark.parametrize("way", ["release", "rescue"])
def test_a_request_outlives_the_worker(engine, asked, end, way):
    claim = claimed(engine)
    queue.ask(engine, claim.run_id, asked)
    if way == "release":
        queue.release(engine, claim)
    else:
        assert queue.rescue(engine, dead) == [claim.run_id]
    row = results.get_run(engine, claim.run_id)
    assert (row.status, row.wanted) == (end, "run")


def test_deaths_before_an_epoch_no_longer_count_after_it(engine):
    claim = claimed(engine)
    for attempt in (1, 2, 3, 2, 3, 2):
        assert claim.attempt == attempt
        if attempt == 3:
            queue.progressed(engine, claim)
        assert queue.rescue(engine, dead) == [claim.run_id]
        assert status(engine, claim.run_id) == "queued"
        claim = queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu")


def test_a_superseded_worker_makes_no_progress(engine):
    old = claimed(engine)
    queue.rescue(engine, dead)
    new = queue.claim(engine, workers.register_worker(engine, 1, "cpu", 2, "host"), "cpu")
    queue.progressed(engine, old)
    assert results.get_run(engine, new.run_id).attempt == 2


def test_the_third_death_fails_the_run_and_resume_counts_anew(engine):
    claim = claimed(engine)
    for attempt in (1, 2, 3):
        assert claim.attempt == attempt
        assert queue.rescue(engine, dead) == [claim.run_id]
        if attempt < 3:
            claim = queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu")
    row = results.get_run(engine, claim.run_id)
    assert row.status == "failed"
    assert "worker died 3 times without an epoch in between" in row.error
    assert queue.ask(engine, claim.run_id, "run") == "queued"
    assert queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu").attempt == 1


def test_rescue_leaves_the_living_alone_and_asks_once_per_worker(engine):
    queue.submit(engine, [new_run(str(i)) for i in range(3)])
    one, two = (workers.register_worker(engine, slot, "cpu", slot, "host") for slot in (0, 1))
    claims = [queue.claim(engine, w, "cpu") for w in (one, one, two)]
    asked = []
    assert queue.rescue(engine, lambda w: asked.append(w.id) or w.id == one) == [claims[2].run_id]
    assert sorted(asked) == [one, two]
    assert queue.rescue(engine, alive) == []
    assert [status(engine, c.run_id) for c in claims] == ["running", "running", "queued"]


def test_a_worker_that_stopped_or_was_replaced_in_its_slot_is_dead_without_asking(engine):
    claim = claimed(engine)
    new = workers.register_worker(engine, 0, "cpu", 2, "host")  # same slot: the lock of the first one was free
    assert queue.rescue(engine, alive) == [claim.run_id]
    again = queue.claim(engine, new, "cpu")
    workers.stop_worker(engine, new)
    assert queue.rescue(engine, alive) == [again.run_id]
