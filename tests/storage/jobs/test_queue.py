"""The queue: who gets which run, and what people may ask."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from core.experiment.config import RunConfig
from core.experiment.states import STATES
from storage import results
from storage.db.connection import open_database
from storage.db.errors import StorageError
from storage.jobs import events, queue, workers
from tests.storage.kit import claimed, count, database, in_background, new_run, plan, status
from tests.work.forked import until


def alive(worker):
    return True


@pytest.fixture
def engine(tmp_path):
    return database(tmp_path)


def put(engine, status: str) -> int:
    """A run in this status, reached as a run would reach it."""
    (run_id,) = queue.submit(engine, [new_run()])
    if status in ("queued", "cancelled", "paused"):
        queue.ask(engine, run_id, {"queued": "run", "cancelled": "cancel", "paused": "pause"}[status])
        return run_id
    claim = queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu")
    assert claim.run_id == run_id
    if status != "running":
        assert queue.finish(engine, claim, status, "broken" if status == "failed" else None)
    return run_id


def log(engine, run_id: int) -> list[tuple[str, str]]:
    return [(e.kind, e.text) for e in events.log_of(engine, run_id)]


# -- submit ------------------------------------------------------------------------------------------------------------


def test_submitted_runs_come_out_oldest_first_with_their_config(engine):
    ids = queue.submit(engine, [new_run("a", seed=1, params={"tau": 2.0}), new_run("b")])
    worker = workers.register_worker(engine, 0, "cpu", 1, "host")
    first, second, third = (queue.claim(engine, worker, "cpu") for _ in range(3))
    assert [first.run_id, second.run_id] == ids
    assert first.config == RunConfig("mnist1d", "cnn1d", epochs=3, seed=1, params={"tau": 2.0})
    assert (first.token, first.attempt, first.baseline_id) == (1, 1, None)
    assert third is None


def test_double_click_makes_one_run(engine):
    pair = [new_run("baseline"), new_run("weighted", baseline_index=0)]
    ids = queue.submit(engine, pair, "form-1")
    assert queue.submit(engine, pair, "form-1") == ids
    assert queue.submit(engine, pair, "form-2") != ids
    assert count(engine, "run") == 4


def test_two_tabs_submit_the_same_form_at_once(tmp_path):
    engines = [database(tmp_path) for _ in range(8)]
    start = threading.Barrier(8)

    def click(engine):
        start.wait()
        return queue.submit(engine, [new_run("a"), new_run("b")], "one form")

    answers = [in_background(lambda e=e: click(e)) for e in engines]
    assert len({tuple(a.result()) for a in answers}) == 1
    assert count(engines[0], "run") == 2


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"baseline": 99}, "baseline run 99 does not exist"),
        ({"baseline_index": 1}, "baseline_index"),
        ({"baseline_index": 0, "baseline": 1}, "two baselines"),
        ({"epochs": 0}, "epochs of run 'second' is 0"),
        ({"params": {"lr": float("nan")}}, "cannot be stored"),
        ({"params": {"lr": object()}}, "cannot be stored"),
    ],
)
def test_a_bad_run_queues_none_of_the_list(engine, bad, message):
    with pytest.raises(StorageError, match=message):
        queue.submit(engine, [new_run("first"), new_run("second", **bad)])
    assert count(engine, "run") == 0
    assert count(engine, "event") == 0


# -- claim -------------------------------------------------------------------------------------------------------------


def test_a_run_waits_for_its_baseline(engine):
    first, second = queue.submit(engine, [new_run("baseline"), new_run("weighted", baseline_index=0)])
    worker = workers.register_worker(engine, 0, "cpu", 1, "host")
    baseline = queue.claim(engine, worker, "cpu")
    assert baseline.run_id == first
    assert queue.claim(engine, worker, "cpu") is None
    queue.finish(engine, baseline, "succeeded")
    weighted = queue.claim(engine, worker, "cpu")
    assert (weighted.run_id, weighted.baseline_id) == (second, first)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_runs_on_a_baseline_that_will_not_come_end_as_it_did_with_the_reason(engine, end):
    first, second, third, free = queue.submit(
        engine, [new_run("a"), new_run("b", baseline_index=0), new_run("c", baseline_index=1), new_run("d")]
    )
    worker = workers.register_worker(engine, 0, "cpu", 1, "host")
    queue.finish(engine, queue.claim(engine, worker, "cpu"), end, "why")
    assert queue.claim(engine, worker, "cpu").run_id == free
    assert [status(engine, i) for i in (second, third)] == [end, end]
    assert f"run {first}" in results.get_run(engine, second).error
    assert f"run {second}" in results.get_run(engine, third).error


def test_a_paused_baseline_holds_its_follower_back_without_failing_it(engine):
    first, second = queue.submit(engine, [new_run("a"), new_run("b", baseline_index=0)])
    queue.ask(engine, first, "pause")
    assert queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu") is None
    assert status(engine, second) == "queued"


def claim_all(url, go, slot):
    """What each racer does once the file `go` is there."""
    engine = open_database(url, role="page")
    worker = workers.register_worker(engine, slot, "cpu", 1, "host")
    print("ready")
    until(go.exists, 0.001)
    while (claim := queue.claim(engine, worker, "cpu")) is not None:
        assert queue.finish(engine, claim, "succeeded")
        time.sleep(0.001)  # SQLite grants locks unfairly: let the others in
        print(claim.run_id)


def test_racing_workers_take_each_of_80_runs_exactly_once(engine, tmp_path, fork):
    ids = queue.submit(engine, [new_run(f"run {i}") for i in range(80)])
    go = tmp_path / "go"
    racers = [fork(claim_all, str(engine.url), go, slot) for slot in range(4)]
    for racer in racers:
        racer.says("ready")
    go.touch()
    assert [racer.wait() for racer in racers] == [0] * 4
    taken = [[int(word) for word in racer.said().split()[1:]] for racer in racers]
    assert sorted(i for each in taken for i in each) == ids
    assert sum(bool(each) for each in taken) >= 2
    with engine.connect() as connection:
        assert connection.execute(text("SELECT DISTINCT status, token, attempt FROM run")).all() == [
            ("succeeded", 1, 1)
        ]


def test_the_claim_uses_its_index_and_compiles_for_postgresql(engine):
    used = plan(engine, queue.next_run())
    assert (
        "USING COVERING INDEX ix_run_status_id (status=?)" in used or "USING INDEX ix_run_status_id (status=?)" in used
    )
    assert "SCAN" not in used
    assert "TEMP B-TREE" not in used
    assert "FOR UPDATE SKIP LOCKED" in str(queue.claim_statement(1, "cpu", 0.0).compile(dialect=postgresql.dialect()))


def test_a_look_at_an_empty_queue_takes_no_lock(engine, tmp_path):
    worker = workers.register_worker(engine, 0, "cpu", 1, "host")
    holder = database(tmp_path)
    with holder.connect().execution_options(evenly_write=True) as connection, connection.begin():
        assert queue.claim(engine, worker, "cpu") is None


# -- what people ask ---------------------------------------------------------------------------------------------------


OUTCOME = {  # by hand from the issue; None: refused
    ("queued", "run"): "queued",
    ("queued", "pause"): "paused",
    ("queued", "cancel"): "cancelled",
    ("running", "run"): "running",
    ("running", "pause"): "running",
    ("running", "cancel"): "running",
    ("paused", "run"): "queued",
    ("paused", "pause"): "paused",
    ("paused", "cancel"): "cancelled",
    ("cancelled", "run"): "queued",
    ("cancelled", "pause"): None,
    ("cancelled", "cancel"): "cancelled",
    ("failed", "run"): "queued",
    ("failed", "pause"): None,
    ("failed", "cancel"): None,
    ("succeeded", "run"): None,
    ("succeeded", "pause"): None,
    ("succeeded", "cancel"): None,
}


@pytest.mark.parametrize("asked", ["run", "pause", "cancel"])
@pytest.mark.parametrize("before", STATES.keys)
def test_every_request_in_every_status(engine, before, asked):
    run_id, after = put(engine, before), OUTCOME[before, asked]
    lines = len(log(engine, run_id))
    if after is None:
        with pytest.raises(
            StorageError, match=rf"^run {run_id} .*(already succeeded|failed|was stopped), so it cannot be"
        ):
            queue.ask(engine, run_id, asked)
        assert status(engine, run_id) == before
        return
    assert queue.ask(engine, run_id, asked) == after
    row = results.get_run(engine, run_id)
    assert (row.status, row.wanted) == (after, asked if before == "running" else "run")
    changed = after != before or (before == "running" and asked != "run")
    assert len(log(engine, run_id)) == lines + changed
    if changed and before != "running":
        assert log(engine, run_id)[-1][0] == after


def test_resuming_clears_the_error_and_the_attempts(engine):
    run_id = put(engine, "failed")
    assert results.get_run(engine, run_id).error == "broken"
    queue.ask(engine, run_id, "run")
    row = results.get_run(engine, run_id)
    assert (row.error, row.attempt, row.finished_at) == (None, 0, None)


def test_a_request_reaches_the_running_worker_and_can_be_changed(engine):
    claim = claimed(engine)
    for asked in ("pause", "cancel", "run"):
        queue.ask(engine, claim.run_id, asked)
        assert queue.wanted(engine, claim) == asked


@pytest.mark.parametrize(
    ("run_id", "asked", "message"), [(7, "run", "run 7 not found"), (1, "stop", "expected one of run, pause, cancel")]
)
def test_asking_nonsense(engine, run_id, asked, message):
    with pytest.raises(StorageError, match=message):
        queue.ask(engine, run_id, asked)


# -- log and workers ---------------------------------------------------------------------------------------------------


def test_the_log_tells_the_life_of_a_run(engine):
    claim = claimed(engine)
    queue.note(engine, claim, "data", "decoded (50%)")
    queue.ask(engine, claim.run_id, "pause")
    queue.finish(engine, claim, "paused")
    queue.ask(engine, claim.run_id, "run")
    assert [kind for kind, _ in log(engine, claim.run_id)] == [
        "queued",
        "running",
        "data",
        "wanted",
        "paused",
        "queued",
    ]
    assert [e.kind for e in events.log_of(engine, claim.run_id, limit=2)] == ["paused", "queued"]
    assert events.log_of(engine, claim.run_id)[0].at.tzinfo is not None


def test_workers_are_shown_by_what_they_do(engine):
    assert workers.newest(engine) == []
    old = workers.register_worker(engine, 0, "cpu", 1, "host")
    new = workers.register_worker(engine, 0, "cuda:0", 2, "host")
    other = workers.register_worker(engine, 1, "cpu", 3, "host")
    assert [(w.id, w.state, w.alive) for w in workers.newest(engine)] == [(new, "idle", True), (other, "idle", True)]
    assert old not in [w.id for w in workers.newest(engine)]
    (run_id,) = queue.submit(engine, [new_run()])
    claim = queue.claim(engine, new, "cuda:0")
    workers.beat(engine, new)
    workers.beat(engine, new, "no step for 12 min")
    workers.stop_worker(engine, other)
    first, second = workers.newest(engine)
    assert (first.state, first.quiet_minutes, first.run_id) == ("training", 12, run_id)
    assert (first.beat, first.device, first.pid) == (2, "cuda:0", 2)
    assert (second.state, second.run_id, second.alive, second.stopped_at is not None) == ("stopped", None, False, True)
    workers.beat(engine, new, workers.IDLE)
    assert (workers.newest(engine)[0].state, workers.newest(engine)[0].quiet_minutes) == ("training", None)
    workers.beat(engine, new, "no step for 12 min")
    queue.finish(engine, claim, "succeeded")
    first = workers.newest(engine)[0]
    assert (first.run_id, first.state) == (None, "idle")


def test_a_silent_worker_looks_dead_but_only_looks(engine):
    claimed(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE worker SET seen_at = :then"), {"then": time.time() - 3600})
    assert not workers.newest(engine)[0].alive
    assert queue.rescue(engine, alive) == []


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_a_clock_that_jumps_a_day_decides_nothing(engine, monkeypatch, jump):
    claim = claimed(engine)
    (waiting,) = queue.submit(engine, [new_run()])
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    assert queue.rescue(engine, alive) == []
    assert (status(engine, claim.run_id), status(engine, waiting)) == ("running", "queued")
    assert not workers.newest(engine)[0].alive, "seen a day ago or a day ahead: nobody knows until the next beat"
    workers.beat(engine, claim_owner(engine))
    assert workers.newest(engine)[0].alive
    assert queue.finish(engine, claim, "succeeded") is True
    assert queue.claim(engine, claim_owner(engine), "cpu").run_id == waiting


def claim_owner(engine):
    return workers.newest(engine)[0].id


@pytest.mark.parametrize("column", ["status", "wanted"])
def test_the_database_itself_knows_the_words(engine, column):
    run_id = put(engine, "queued")
    with pytest.raises(Exception, match="CHECK constraint failed"), engine.begin() as connection:
        connection.execute(text(f"UPDATE run SET {column} = 'sleeping' WHERE id = {run_id}"))
