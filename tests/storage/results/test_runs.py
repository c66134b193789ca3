"""The list of runs, one run, edits and deletion."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from core.experiment.config import RunConfig
from core.experiment.facts import NOT_STARTED, Facts, StartEvidence
from storage import results
from storage.db.errors import StorageError
from storage.db.schema import metadata
from storage.jobs import events, queue, workers
from storage.results import runs
from storage.results.checkpoint_rows import file_name
from tests.storage.kit import claimed, count, epoch_record, new_run, plan


def test_the_list_filters_and_sorts(engine):
    ids = queue.submit(
        engine,
        [
            new_run("Plain", tags="first"),
            new_run("50% off", method="tpr_ratio"),
            new_run("under_score", baseline_index=1),
            new_run("last"),
        ],
    )
    queue.ask(engine, ids[3], "cancel")
    results.set_notes(engine, ids[0], "a Strange one")
    results.archive(engine, [ids[2]], True)

    def found(**filters):
        return results.list_runs(engine, **filters)["id"].tolist()

    assert found() == [ids[3], ids[1], ids[0]]
    assert found(archived=True) == [ids[2]]
    assert found(archived=None) == ids[::-1]
    assert found(ids=[ids[2], ids[0]]) == [ids[2], ids[0]]  # asked for by id, archived or not
    assert found(ids=[]) == []
    assert found(limit=1) == [ids[3]]
    assert found(status="cancelled") == [ids[3]]
    assert found(status=["queued", "cancelled"]) == [ids[3], ids[1], ids[0]]
    assert found(text="strange") == [ids[0]]
    assert found(text="50%") == [ids[1]]
    assert found(text="r_s", archived=None) == [ids[2]]  # _ and % mean themselves
    assert found(text="TPR_RATIO") == [ids[1]]
    assert found(text=f"#{ids[3]}") == [ids[3]]
    assert found(text="no such thing") == []
    assert found(text="OFF tpr_ratio") == found(text="ratio  50% mnist") == [ids[1]]  # words, in any order and place
    assert found(text="off strange") == []
    assert found(status="stopped") == [ids[3]]  # the word that people read
    results.archive(engine, [ids[2]], False)
    assert len(found()) == 4


def test_the_list_has_the_columns_and_types_pages_rely_on(engine):
    empty = results.list_runs(engine)
    first, second = queue.submit(engine, [new_run("a", epochs=7), new_run("b", baseline_index=0, tags="x")])
    frame = results.list_runs(engine)
    assert list(frame.columns) == list(empty.columns) == list(runs.LISTED)
    assert frame.dtypes.astype(str).to_dict() == empty.dtypes.astype(str).to_dict()
    row = frame.set_index("id").loc[second]
    assert (row["name"], row["tags"], row["epochs"], row["last_epoch"], row["seconds"], row["baseline_id"]) == (
        "b",
        "x",
        3,
        0,
        0.0,
        first,
    )
    assert abs((row["created_at"] - pd.Timestamp.now("UTC")).total_seconds()) < 60
    assert pd.isna(row["started_at"])
    assert pd.isna(row["accuracy"])
    assert pd.isna(frame.set_index("id").loc[first, "baseline_id"])
    assert frame["archived"].dtype == bool


def test_a_run_as_a_row(engine):
    (run_id,) = queue.submit(engine, [new_run("a", seed=3)])
    row = results.get_run(engine, np.int64(run_id))
    assert (row.id, row.config, row.facts, row.accuracy, row.last_epoch, row.archived) == (
        run_id,
        RunConfig("mnist1d", "cnn1d", epochs=3, seed=3),
        NOT_STARTED,
        None,
        0,
        False,
    )
    assert row.created_at.tzinfo is UTC
    assert datetime.now(UTC).timestamp() - row.created_at.timestamp() < 60


def test_replicates_share_the_settings_and_have_succeeded(engine):
    ids = queue.submit(engine, [new_run(str(i), seed=i, group_sha=group) for i, group in enumerate("aaab")])
    worker = workers.register_worker(engine, 0, "cpu", 1, "host")
    for end in ("succeeded", "failed", "succeeded", "succeeded"):
        queue.finish(engine, queue.claim(engine, worker, "cpu"), end)
    assert results.replicates(engine, ids[0]) == [ids[0], ids[2]]
    assert results.replicates(engine, ids[1]) == [ids[0], ids[2]]


def test_names_tags_and_notes(engine):
    (run_id,) = queue.submit(engine, [new_run()])
    results.rename(engine, run_id, "  a   better name ")
    results.set_tags(engine, run_id, " long tail ,, x, long  tail")
    results.set_notes(engine, run_id, "line 1\nline 2 <script>")
    row = results.get_run(engine, run_id)
    assert (row.name, row.tags, row.notes) == ("a better name", "long tail, x", "line 1\nline 2 <script>")
    for name in ("   ", "x" * 1001):
        with pytest.raises(StorageError, match="needs 1 to 1000 characters"):
            results.rename(engine, run_id, name)


# -- where a run is inside its epoch --------------------------------------------------------------------------------------


def test_a_worker_says_where_its_run_is_and_what_is_amiss(engine, claim):
    worker = workers.newest(engine)[0].id

    def told(*said):
        workers.beat(engine, worker, workers.state_text(*said))
        return workers.newest(engine)[0]

    place = workers.Place(claim.run_id, 1, 479, 3516, 930.0)
    w = told(place, None)
    assert (w.at, w.quiet_minutes, w.state) == (place, None, "training")
    assert workers.places(engine) == {claim.run_id: place}
    w = told(replace(place, pace=None), 12)
    assert (w.at, w.quiet_minutes) == (replace(place, pace=None), 12)
    w = told(workers.Place(99999, 9999, 999999, 999999, 99999.0), 60)  # too long for its column: the minutes stay
    assert (w.at, w.quiet_minutes) == (None, 60)
    assert (told(None, None).state, workers.places(engine)) == ("training", {})
    assert told(replace(place, run_id=claim.run_id + 1), None).at is None  # of the run before this one
    told(place, None)
    queue.finish(engine, claim, "succeeded")
    w = workers.newest(engine)[0]
    assert (w.at, w.quiet_minutes, w.state) == (None, None, "idle")


# -- deleting ----------------------------------------------------------------------------------------------------------


def test_deleting_takes_everything_of_the_run_and_nothing_else(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    for name in ("one", "two"):
        claim = claimed(engine, name=name)
        results.start_run(engine, claim, Facts(("a",)))
        results.record_epoch(engine, claim, epoch_record(1))
        path = tmp_path / f"{name}.pt"
        path.write_bytes(b"x")
        results.record_checkpoint(engine, claim, 1, ["last"], path, "0" * 64, 1)
        queue.finish(engine, claim, "succeeded")
    tables = [t for t in metadata.tables if t not in ("worker",)]
    before = {t: count(engine, t) for t in tables}
    assert results.delete(engine, [1, 1, 77]) == [tmp_path / "one.pt"]
    assert {t: count(engine, t) for t in tables} == {t: n // 2 for t, n in before.items()}
    assert (tmp_path / "two.pt").exists()
    assert results.get_run(engine, 2).name == "two"
    (new,) = queue.submit(engine, [new_run()])
    results.delete(engine, [new])
    assert queue.submit(engine, [new_run()]) == [new + 1]  # an id is never used again


def test_deleting_takes_what_a_killed_writer_left_and_the_folder(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    for _ in range(2):
        claim = claimed(engine)
        name = file_name(engine, claim, 4, 0)
        folder = tmp_path / "runs" / str(claim.run_id)
        folder.mkdir(parents=True)
        for left in (name, f"{name}.4711.tmp"):  # killed before its row, and in the middle of it
            (folder / left).write_bytes(b"x")
        queue.finish(engine, claim, "cancelled")
    theirs = tmp_path / "runs" / "2" / "epoch-00001-0badcafe-1.pt"  # of another database in this folder
    theirs.write_bytes(b"x")
    assert len(results.delete(engine, [1, 2])) == 4
    assert list((tmp_path / "runs").rglob("*")) == [theirs.parent, theirs]


def test_a_running_run_is_not_deleted_nor_its_companions(engine, claim):
    (other,) = queue.submit(engine, [new_run()])
    with pytest.raises(StorageError, match=f"run {claim.run_id} is running; stop it first"):
        results.delete(engine, [other, claim.run_id])
    assert count(engine, "run") == 2


def test_a_baseline_goes_once_nobody_waits_for_it(engine):
    claim = claimed(engine, name="baseline")
    queue.finish(engine, claim, "succeeded")
    (follower,) = queue.submit(engine, [new_run("weighted", baseline=claim.run_id)])
    with pytest.raises(StorageError, match=f"run {follower} still needs run {claim.run_id}"):
        results.delete(engine, [claim.run_id])
    second = queue.claim(engine, 1, "cpu")
    evidence = StartEvidence([0.5], origin=f"run {claim.run_id}")
    results.start_run(engine, second, Facts(evidence=evidence))
    queue.finish(engine, second, "succeeded")
    results.delete(engine, [claim.run_id])
    row = results.get_run(engine, follower)
    assert row.baseline_id is None
    assert row.facts.evidence == evidence
    assert events.log_of(engine, follower)[-1].text == f"its baseline, run {claim.run_id}, was deleted"


def test_baseline_and_follower_go_together(engine):
    ids = queue.submit(engine, [new_run("a"), new_run("b", baseline_index=0)])
    results.delete(engine, ids)
    assert count(engine, "run") == 0


# -- plans -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "SCAN run"),  # all rows in the order of the key: nothing to search, nothing to sort
        ({"limit": 100}, "SCAN run"),  # stops at the hundredth
        ({"status": "running"}, "SEARCH run USING INDEX ix_run_status_id (status=?)"),
        ({"status": ["running", "queued"]}, "SEARCH run USING INDEX ix_run_status_id (status=?)"),
        ({"ids": [1, 2]}, "SEARCH run USING INTEGER PRIMARY KEY (rowid=?)"),
    ],
)
def test_lists_use_an_index_and_never_the_class_table(engine, filters, index):
    given = {"archived": False, "ids": None, "status": None, "text": None, "limit": None} | filters
    used = plan(engine, runs.list_query(**given))
    assert used.startswith(index)
    assert "class_epoch" not in used
    assert ("TEMP B-TREE" in used) == ("status" in filters and not isinstance(filters["status"], str))


def test_the_list_of_those_that_have_a_run_as_their_baseline(engine):
    before, other = queue.submit(engine, [new_run(), new_run(seed=1)])
    mine = queue.submit(engine, [new_run(baseline=before), new_run(baseline=before, seed=1)])
    queue.submit(engine, [new_run(baseline=other)])
    assert list(results.list_runs(engine, baseline=before)["id"]) == sorted(mine, reverse=True)
    assert results.list_runs(engine, baseline=mine[0]).empty
