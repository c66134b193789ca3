"""Runs that wait for their baseline: stopped with it, resumed with it, and the stamp that tells a page that a run has moved."""

from __future__ import annotations

import pytest
from sqlalchemy import event, update

from storage import results
from storage.db.connection import write
from storage.db.schema import run
from storage.jobs import change_stamp, events, queue, workers
from storage.jobs.waiting import Waiting, waiting_runs
from tests.storage.kit import database, new_run, plan, status


@pytest.fixture
def engine(tmp_path):
    return database(tmp_path)


@pytest.fixture
def chain(engine):
    """A baseline, a run on it, a run on that one, and another on the baseline."""
    return queue.submit(
        engine,
        [new_run("a"), new_run("b", baseline_index=0), new_run("c", baseline_index=1), new_run("d", baseline_index=0)],
    )


def states(engine, ids):
    return [status(engine, i) for i in ids]


def start(engine):
    return queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu")


def stop(engine, how, first):
    """Stop the baseline: while it waits, while it is paused, or while it runs."""
    if how == "running":
        claim = start(engine)
        queue.ask(engine, first, "cancel")
        assert queue.finish(engine, claim, "cancelled")
        return
    if how == "paused":
        queue.ask(engine, first, "pause")
    queue.ask(engine, first, "cancel")


@pytest.mark.parametrize("how", ["queued", "paused", "running"])
def test_what_waits_for_a_baseline_is_stopped_with_it_and_says_so_at_once(engine, chain, how):
    """No worker has to look first."""
    stop(engine, how, chain[0])
    assert states(engine, chain) == ["cancelled"] * 4
    assert results.get_run(engine, chain[1]).error == f"its baseline, run {chain[0]}, was stopped"
    assert results.get_run(engine, chain[2]).error == f"its baseline, run {chain[1]}, was stopped"
    assert events.log_of(engine, chain[1])[-1].kind == "cancelled"


def test_resuming_the_baseline_puts_back_what_waited_for_it(engine, chain):
    stop(engine, "running", chain[0])
    queue.ask(engine, chain[0], "run")
    assert states(engine, chain) == ["queued"] * 4
    assert results.get_run(engine, chain[1]).error is None
    assert start(engine).run_id == chain[0]


def test_resuming_a_run_takes_the_baselines_along_that_it_waits_for(engine, chain):
    stop(engine, "queued", chain[0])
    assert queue.ask(engine, chain[2], "run") == "queued"
    assert states(engine, chain) == ["queued"] * 4


def test_a_run_that_a_person_stopped_stays_stopped(engine, chain):
    queue.ask(engine, chain[3], "cancel")
    stop(engine, "queued", chain[0])
    queue.ask(engine, chain[0], "run")
    assert states(engine, chain) == ["queued", "queued", "queued", "cancelled"]


def test_a_run_that_waits_for_a_paused_baseline_resumes_it(engine, chain):
    queue.ask(engine, chain[0], "pause")
    assert states(engine, chain) == ["paused", "queued", "queued", "queued"]
    assert queue.ask(engine, chain[1], "run") == "queued"
    assert states(engine, chain) == ["queued"] * 4


def test_a_pause_that_the_worker_has_yet_to_obey_is_taken_back(engine, chain):
    claim = start(engine)
    queue.ask(engine, chain[0], "pause")
    queue.ask(engine, chain[1], "run")
    assert queue.wanted(engine, claim) == "run"


def test_only_a_failed_baseline_fails_what_waits_and_one_click_tries_both(engine, chain):
    queue.finish(engine, start(engine), "failed", "the loss is not finite")
    assert states(engine, chain) == ["failed"] * 4
    assert results.get_run(engine, chain[1]).error.startswith(f"its baseline, run {chain[0]}, failed; ")
    queue.ask(engine, chain[1], "run")
    assert states(engine, chain) == ["queued"] * 4


def test_what_an_earlier_version_failed_with_its_baseline_is_resumed_with_it(engine, chain):
    queue.finish(engine, start(engine), "failed", "the loss is not finite")
    old = f"its baseline, run {chain[0]}, failed; mend what its log says, then try again, which starts both"
    write(engine, lambda connection: connection.execute(update(run).where(run.c.id == chain[1]).values(error=old)))
    queue.ask(engine, chain[0], "run")
    assert states(engine, chain) == ["queued"] * 4


@pytest.mark.parametrize("end", ["released", "rescued"])
def test_a_stop_that_the_worker_did_not_live_to_obey_stops_what_waits_too(engine, chain, end):
    claim = start(engine)
    queue.ask(engine, chain[0], "cancel")
    assert queue.release(engine, claim) if end == "released" else queue.rescue(engine, lambda worker: False)
    assert states(engine, chain) == ["cancelled"] * 4


def test_a_run_submitted_behind_a_stopped_baseline_is_stopped_not_failed(engine):
    (first,) = queue.submit(engine, [new_run("a")])
    queue.ask(engine, first, "cancel")
    (second,) = queue.submit(engine, [new_run("b", baseline=first)])
    assert start(engine) is None
    assert states(engine, [second]) == ["cancelled"]


def test_the_statuses_of_runs_by_number(engine, chain):
    queue.ask(engine, chain[0], "pause")
    assert change_stamp.statuses(engine, [chain[0], chain[1], 99]) == {chain[0]: "paused", chain[1]: "queued"}


def test_a_queued_run_waits_for_its_baseline_and_for_a_paused_run_further_up(engine, chain):
    a, b, c, d = chain
    assert waiting_runs(engine, chain) == {b: Waiting(a, None), c: Waiting(b, None), d: Waiting(a, None)}
    queue.ask(engine, a, "pause")
    assert waiting_runs(engine, [*chain, 99]) == {b: Waiting(a, a), c: Waiting(b, a), d: Waiting(a, a)}
    queue.ask(engine, b, "pause")
    assert waiting_runs(engine, [b, c]) == {c: Waiting(b, b)}
    queue.ask(engine, c, "run")
    queue.finish(engine, start(engine), "succeeded")
    assert waiting_runs(engine, chain) == {c: Waiting(b, None)}


def test_what_many_runs_wait_for_is_one_query(engine, chain):
    asked = []
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    waiting_runs(engine, chain)
    assert [text.split()[0] for text in asked if text != "BEGIN"] == ["WITH"]


# -- the stamp -----------------------------------------------------------------------------------------------------


def moves(engine, first, second):
    """Every kind of change that a page shows, one after the other."""
    yield lambda: queue.ask(engine, second, "pause")
    yield lambda: queue.ask(engine, second, "run")
    yield lambda: start(engine)
    yield lambda: queue.ask(engine, first, "pause")
    yield lambda: queue.rescue(engine, lambda worker: False)
    yield lambda: queue.submit(engine, [new_run("another")])
    yield lambda: results.delete(engine, [second])


def test_the_stamp_changes_with_every_change_of_a_run_and_with_nothing_else(engine):
    first, second = queue.submit(engine, [new_run("a"), new_run("b")])
    seen = [change_stamp.stamp(engine)]
    for move in moves(engine, first, second):
        move()
        seen.append(change_stamp.stamp(engine))
        assert seen[-1] != seen[-2]
        workers.beat(engine, workers.register_worker(engine, 3, "cpu", 1, "host"))
        assert change_stamp.stamp(engine) == seen[-1]


def test_two_runs_that_change_places_are_seen(engine):
    first, second = queue.submit(engine, [new_run("a"), new_run("b")])
    queue.ask(engine, first, "pause")
    was = change_stamp.stamp(engine)
    queue.ask(engine, first, "run")
    queue.ask(engine, second, "pause")
    assert change_stamp.stamp(engine) != was


def test_the_stamp_of_one_run_holds_its_baseline_and_its_followers_alone(engine, chain):
    (other,) = queue.submit(engine, [new_run("other")])
    was = change_stamp.stamp(engine, chain[1])
    queue.ask(engine, other, "cancel")
    assert change_stamp.stamp(engine, chain[1]) == was
    queue.ask(engine, chain[0], "pause")
    assert change_stamp.stamp(engine, chain[1]) != was


def test_the_stamp_reads_an_index_and_no_row(engine):
    used = plan(engine, change_stamp.stamp_query())
    assert "USING COVERING INDEX ix_run_status_id" in used
