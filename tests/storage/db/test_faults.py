"""The database when things go wrong: no permission, no space, a wrong file; and a writer killed at any moment."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sqlite3
import stat
import tempfile
import time
from pathlib import Path

import pytest
from sqlalchemy import event

from storage import results
from storage.db.connection import open_database
from storage.db.dialects import sqlite
from storage.db.errors import StorageError
from storage.db.migrate import check_schema, upgrade
from storage.jobs import queue, workers
from tests.storage.kit import claimed, count, database, epoch_record, new_run


def setting(engine, name: str):
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


# -- no permission, no space, a wrong file -----------------------------------------------------------------------------


def try_as_somebody(path):
    if os.getuid() == 0:  # root may write everywhere; nobody may not
        os.setgid(65534)
        os.setuid(65534)
    for work in (check_schema, upgrade, lambda e: workers.register_worker(e, 0, "cpu", 1, "h")):
        try:
            work(open_database(f"sqlite:///{path}"))
            print("no error")
        except StorageError as error:
            print(error)


@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions")
def test_a_read_only_database_is_named_with_the_remedy(tmp_path, what, fork):
    folder = Path(tempfile.mkdtemp(prefix="evenly-readonly-"))  # pytest's own folders are closed to others
    try:
        database(tmp_path).dispose()
        shutil.copy(tmp_path / "evenly.db", folder / "evenly.db")
        folder.chmod(0o755 if what == "folder" else 0o777)
        (folder / "evenly.db").chmod(0o666 if what == "folder" else 0o444)
        if os.getuid() != 0 and what == "folder":
            folder.chmod(0o555)
        process = fork(try_as_somebody, folder / "evenly.db")
        process.wait()
        answer = process.said()
        if "PermissionError" in answer and "setgid" in answer:
            pytest.skip("this root cannot become another user")
        lines = answer.splitlines()
        assert len(lines) == 3, answer
        for line in lines[:2]:
            assert "is read-only for this user; make it writable, or set EVENLY_DATA" in line
        assert "read-only" in lines[2] or "cannot be opened" in lines[2]
    finally:
        folder.chmod(stat.S_IRWXU)
        shutil.rmtree(folder)


def test_a_write_that_sqlite_refuses_as_read_only(tmp_path):
    engine = database(tmp_path)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
    with pytest.raises(StorageError, match=r"evenly.db is read-only; make the file and its folder writable"):
        queue.submit(engine, [new_run()])


def test_a_full_disk_loses_nothing_that_was_there_and_space_mends_it(tmp_path):
    engine = database(tmp_path)
    claim = claimed(engine)
    results.record_epoch(engine, claim, epoch_record(1, classes=200))
    most = [setting(engine, "page_count") + 2]
    engine.dispose()
    event.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA max_page_count={most[0]}"))

    def fill():
        for number in range(2, 100):
            results.record_epoch(engine, claim, epoch_record(number, classes=200))

    with pytest.raises(StorageError, match="the disk is full and nothing was written; free some space"):
        fill()
    reached = results.get_run(engine, claim.run_id).last_epoch
    assert count(engine, "class_epoch") == 3 * 200 * reached
    assert count(engine, "epoch") == 3 * reached
    most[0] = 10**6
    engine.dispose()
    results.record_epoch(engine, claim, epoch_record(reached + 1, classes=200))
    assert results.class_history(engine, claim.run_id, "test").tp.shape == (reached + 1, 200)


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "evenly.db"
    path.write_text("Dear diary, " * 1000)
    engine = open_database(f"sqlite:///{path}")
    for work in (check_schema, upgrade, results.list_runs, lambda e: queue.submit(e, [new_run()])):
        with pytest.raises(StorageError, match="is not an Evenly database; move it away"):
            work(engine)
    assert path.read_text().startswith("Dear diary")


def test_a_database_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "photos.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE photo (id)")
    other.close()
    engine = open_database(f"sqlite:///{path}")
    for work in (check_schema, upgrade):
        with pytest.raises(StorageError, match=r"photos.db holds tables of another program \(photo\)"):
            work(engine)


def test_a_damaged_database_is_said_to_be(tmp_path):
    engine = database(tmp_path)
    queue.submit(engine, [new_run(str(i)) for i in range(300)])
    with engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    path = tmp_path / "evenly.db"
    data = bytearray(path.read_bytes())
    data[4096 * 4 :] = b"\xff" * (len(data) - 4096 * 4)
    path.write_bytes(data)
    with pytest.raises(StorageError, match="is damaged; move it away and restore a copy"):
        results.list_runs(database(tmp_path), text="x")


def test_no_database_yet_is_an_error_and_none_is_made(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path}/deep/evenly.db")
    for work in (check_schema, results.list_runs, lambda e: queue.submit(e, [new_run()])):
        with pytest.raises(StorageError, match=r"no database at .*deep/evenly.db yet; `make run`"):
            work(engine)
    assert list(tmp_path.iterdir()) == []


class NoLog:
    """A connection to a file system that cannot keep a write-ahead log."""

    def execute(self, statement):
        self.last = statement
        return self

    def fetchone(self):
        return ("delete",)


def test_no_write_ahead_log_no_service(tmp_path):
    with pytest.raises(
        StorageError, match=r"cannot use a write-ahead log .*set EVENLY_DATA to a folder on a local disk"
    ):
        sqlite._prepare(NoLog(), "page", tmp_path / "evenly.db")


# -- killed at any moment ----------------------------------------------------------------------------------------------


def record(url):
    """Epoch after epoch of the oldest run."""
    engine = open_database(url, role="worker")
    queue.rescue(engine, lambda worker: False)
    claim = queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu")
    done = results.get_run(engine, claim.run_id).last_epoch
    print("on")
    for number in itertools.count(done + 1):
        results.record_epoch(engine, claim, epoch_record(number, classes=100))


def test_a_recorder_killed_at_any_moment_leaves_whole_epochs_only(tmp_path, fork):
    engine = database(tmp_path)
    (run_id,) = queue.submit(engine, [new_run()])
    wait = random.Random(5)
    for kill in range(3):
        queue.rescue(engine, lambda worker: False)
        if queue.ask(engine, run_id, "cancel") == "cancelled":  # attempts start anew
            queue.ask(engine, run_id, "run")
        process = fork(record, str(engine.url))
        process.says("on")
        time.sleep(wait.uniform(0.02, 0.2))
        process.send(signal.SIGKILL)
        process.wait()
        last = results.get_run(engine, run_id).last_epoch
        assert setting(engine, "integrity_check") == "ok"
        assert results.epochs(engine, [run_id], "test")["epoch"].tolist() == list(range(1, last + 1))
        assert results.class_history(engine, run_id, "test").tp.shape == ((last, 100) if last else (0, 0)), kill
        assert count(engine, "class_epoch") == 3 * 100 * last
    assert last > 0
