"""The database after a power cut, and its write-ahead log under a reader that never lets go."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from sqlalchemy import event, text

from storage import results
from storage.jobs import queue, workers
from tests.storage.kit import claimed, count, database, epoch_record

FRAME, HEADER = 24 + 4096, 32  # bytes of a page in the log, and of the log's own head
LIMIT = 64 * 2**20  # storage.db.connection's journal_size_limit


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, int]:
    """A run of 12 recorded epochs, all of it in the write-ahead log still, as a power cut would find it."""
    engine = database(tmp_path)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA wal_autocheckpoint=0"))
    claim = claimed(engine, epochs=20)
    for number in range(1, 13):
        results.record_epoch(engine, claim, epoch_record(number, classes=50))
        results.record_checkpoint(engine, claim, number, ["last"], f"runs/1/epoch-{number}.pt", "0" * 64, 1)
    copy = tmp_path / "found"
    copy.mkdir()
    for name in ("evenly.db", "evenly.db-wal"):
        shutil.copy(tmp_path / name, copy / name)
    engine.dispose()
    return copy, claim.run_id


@pytest.mark.parametrize("damage", ["cut", "garbled"])
def test_a_log_that_lost_its_end_leaves_whole_epochs_and_no_checkpoint_ahead_of_them(recorded, tmp_path, damage):
    found, run_id = recorded
    whole = (found / "evenly.db-wal").read_bytes()
    assert len(whole) > 100 * FRAME
    chance, reached = random.Random(3), set()
    for cut in [len(whole), 0, HEADER, *(chance.randrange(len(whole)) for _ in range(9))]:
        place = tmp_path / f"{damage}-{cut}"
        place.mkdir()
        shutil.copy(found / "evenly.db", place)
        lost = b"" if damage == "cut" else chance.randbytes(len(whole) - cut)
        (place / "evenly.db-wal").write_bytes(whole[:cut] + lost)
        reached.add(check(database(place), run_id))
    assert 12 in reached
    assert len(reached) > 5


def check(engine, run_id: int) -> int:
    """Whole epochs from the first on, a checkpoint for no other; and the run can go on. Returns the epochs."""
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
        if connection.scalar(text("SELECT count(*) FROM run")) == 0:
            return 0
    last = results.get_run(engine, run_id).last_epoch
    assert results.epochs(engine, [run_id], "test")["epoch"].tolist() == list(range(1, last + 1))
    assert count(engine, "class_epoch") == 3 * 50 * last
    assert all(saved.epoch <= last for saved in results.list_checkpoints(engine, run_id))
    queue.rescue(engine, lambda worker: False)
    claim = queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu")
    results.record_epoch(engine, claim, epoch_record(last + 1, classes=50))
    engine.dispose()
    return last


def test_the_log_shrinks_again_once_a_reader_lets_go(tmp_path):
    engine = database(tmp_path, role="page")
    claim = claimed(engine)
    log = tmp_path / "evenly.db-wal"
    with engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM run"))  # from here on the reader sees this state
        while log.stat().st_size < 1.2 * LIMIT:
            queue.note(engine, claim, "data", "x" * 20_000)
    for _ in range(3):
        queue.note(engine, claim, "data", "x")
    assert log.stat().st_size <= LIMIT
