"""The engine: settings, transactions, and writers that wait for each other."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from pathlib import Path
from unittest import TestCase

import numpy as np
import pytest
from sqlalchemy import text

from storage import results
from storage.db.connection import backup, database_warning, once, open_database, reading, write
from storage.db.dialects.sqlite import Sqlite, sqlite_module
from storage.db.errors import StorageError, Unavailable
from storage.db.migrate import upgrade
from storage.db.paths import data_root, database_url
from storage.jobs import queue
from tests.storage.kit import count, database, new_run

ROOT = Path(__file__).resolve().parents[3]


def holder(engine, release: threading.Event, held: threading.Event) -> threading.Thread:
    """A thread that holds the writers' lock until told to let go."""

    def hold():
        connection = sqlite_module().connect(engine.url.database, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        held.set()
        release.wait(300)
        connection.execute("ROLLBACK")
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(300)
    return thread


def setting(engine, name: str):
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "synchronous"), [("worker", 2), ("page", 1)])
def test_connections_are_set_up(tmp_path, role, synchronous):
    engine = database(tmp_path, role=role)
    found = {name: setting(engine, name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}
    assert found == {"journal_mode": "wal", "synchronous": synchronous, "foreign_keys": 1, "busy_timeout": 5000}


def test_the_sqlite_in_use_has_no_known_damage_or_says_so():
    assert (database_warning() is None) == (sqlite_module().sqlite_version_info >= (3, 51, 3))


def test_an_old_sqlite_is_used_with_a_warning_where_there_is_no_other(monkeypatch):
    if sqlite3.sqlite_version_info >= (3, 51, 3):
        pytest.skip("this Python's own SQLite is current")
    monkeypatch.setitem(sys.modules, "pysqlite3", None)
    sqlite_module.cache_clear()
    try:
        with TestCase().assertLogs() as logged:
            assert sqlite_module() is sqlite3
        assert "install the package pysqlite3" in logged.output[0]
        assert sqlite3.sqlite_version in database_warning()
    finally:
        sqlite_module.cache_clear()


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path / "my data"))
    assert database_url() == f"sqlite:///{tmp_path}/my data/evenly.db"
    engine = open_database()
    upgrade(engine)
    assert (tmp_path / "my data" / "evenly.db").exists()
    monkeypatch.setenv("EVENLY_DATABASE_URL", f"sqlite:///{tmp_path}/100% odd?name#1.db")
    assert open_database().url.database.startswith(f"{tmp_path}/100% odd")
    for bad in ("sqlite://", "sqlite:///:memory:", "postgresql://me:secret@host/db", "not a url"):
        with pytest.raises(StorageError, match=r"EVENLY_DATABASE_URL is .*expected ") as caught:
            open_database(bad)
        assert "secret" not in str(caught.value)
        assert str(caught.value).endswith("expected a file: sqlite:///path/to/evenly.db")
    with pytest.raises(StorageError, match="role is 'reader'"):
        open_database(role="reader")


def test_the_usual_data_folder_lies_beside_the_program(monkeypatch):
    monkeypatch.delenv("EVENLY_DATA", raising=False)
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
    assert data_root() == ROOT / "data"
    assert database_url() == f"sqlite:///{ROOT}/data/evenly.db"


def test_a_backup_is_whole_while_another_writes(tmp_path):
    """What stands in the write-ahead log is in it, what is not committed is not."""
    engine = database(tmp_path)
    queue.submit(engine, [new_run(name="kept")])
    release, held = threading.Event(), threading.Event()
    thread = holder(engine, release, held)
    try:
        backup(engine, tmp_path / "copy.db")
    finally:
        release.set()
        thread.join()
    copy = open_database(f"sqlite:///{tmp_path}/copy.db")
    assert list(results.list_runs(copy)["name"]) == ["kept"]
    assert setting(copy, "integrity_check") == "ok"


def test_a_backup_overwrites_nothing_and_leaves_no_half(tmp_path):
    engine = database(tmp_path)
    (tmp_path / "mine").write_text("mine")
    for target in (tmp_path / "mine", tmp_path / "none" / "copy.db"):
        with pytest.raises(StorageError, match="give a new file in an existing folder"):
            backup(engine, target)
    assert (tmp_path / "mine").read_text() == "mine"
    with reading(engine) as connection:
        connection.execute(text("SELECT 1"))  # in a transaction SQLite makes no copy
        with pytest.raises(StorageError, match="SQLite refused VACUUM INTO"):
            Sqlite().backup(connection, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_ids_out_of_a_data_frame_work(tmp_path):
    engine = database(tmp_path)
    queue.submit(engine, [new_run(seed=3, tpr=(0.5,))])
    results.archive(engine, np.array([1]), True)
    config = results.get_run(engine, 1).config
    assert (config.seed, config.tpr) == (3, (0.5,))
    assert queue.ask(engine, np.int64(1), "pause") == "paused"
    assert results.get_run(engine, np.int64(1)).archived


# -- transactions ------------------------------------------------------------------------------------------------------


def test_a_read_sees_one_state(tmp_path):
    engine = database(tmp_path)
    with reading(engine) as connection:
        before = connection.scalar(text("SELECT count(*) FROM run"))
        queue.submit(engine, [new_run()])
        assert connection.scalar(text("SELECT count(*) FROM run")) == before == 0
    assert count(engine, "run") == 1


def test_a_failing_write_leaves_nothing(tmp_path):
    engine = database(tmp_path)

    def work(connection):
        connection.execute(
            text(
                "INSERT INTO worker (slot, device, pid, host, state, started_at, seen_at) VALUES (0,'c',1,'h','i',0,0)"
            )
        )
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        write(engine, work)
    assert count(engine, "worker") == 0
    with pytest.raises(StorageError, match="refused the record: CHECK constraint failed"):
        write(
            engine,
            lambda c: (queue._insert(c, new_run(), None, None, 0), c.execute(text("UPDATE run SET status = 'odd'"))),
        )
    assert count(engine, "run") == 0


def test_a_bug_in_a_statement_is_not_dressed_up(tmp_path):
    with pytest.raises(Exception, match="syntax error") as caught:
        write(database(tmp_path), lambda c: c.execute(text("SELEKT 1")))
    assert not isinstance(caught.value, StorageError)


# -- locks -------------------------------------------------------------------------------------------------------------


def test_a_write_waits_for_a_lock_that_comes_free(tmp_path):
    engine = database(tmp_path)
    release, held = threading.Event(), threading.Event()
    thread = holder(engine, release, held)
    started = time.monotonic()
    threading.Timer(1.0, release.set).start()
    assert queue.submit(engine, [new_run()]) == [1]
    assert time.monotonic() - started > 0.9
    thread.join()


def test_a_write_tries_again_when_the_wait_is_over(tmp_path):
    engine = database(tmp_path, timeout=0.05, tries=1000)
    release, held = threading.Event(), threading.Event()
    thread = holder(engine, release, held)
    threading.Timer(0.5, release.set).start()
    assert queue.submit(engine, [new_run()]) == [1]
    thread.join()
    assert count(engine, "run") == 1


def test_a_lock_that_stays_is_said_in_one_line_and_readers_go_on(tmp_path):
    engine = database(tmp_path, timeout=0.05, tries=2)
    release, held = threading.Event(), threading.Event()
    thread = holder(engine, release, held)
    try:
        with pytest.raises(StorageError, match=r"evenly.db is locked by another program .* try again$") as caught:
            queue.submit(engine, [new_run()])
        assert "\n" not in str(caught.value)
        assert results.list_runs(engine).empty
    finally:
        release.set()
        thread.join()
    assert queue.submit(engine, [new_run()]) == [1]


def test_only_locks_are_tried_again(tmp_path):
    engine, tried = database(tmp_path), []

    def work(connection):
        tried.append(1)
        connection.execute(text("INSERT INTO run (id) VALUES (1)"))

    with pytest.raises(StorageError, match="refused the record"):
        write(engine, work)
    assert len(tried) == 1


def test_eight_writers_and_a_reader_meet_no_error(tmp_path):
    engine, errors, go = database(tmp_path, role="page"), [], threading.Barrier(9)

    def submit_and_read(i: int):
        go.wait()
        try:
            for j in range(20):
                queue.submit(engine, [new_run(f"{i}-{j}")])
                queue.ask(engine, results.list_runs(engine, limit=1)["id"].iloc[0], "run")
        except Exception as error:  # noqa: BLE001 - told by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=submit_and_read, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    go.wait()
    while any(t.is_alive() for t in threads):
        results.list_runs(engine)
    assert errors == []
    assert count(engine, "run") == 160


def test_who_waits_in_a_loop_of_his_own_has_one_try(empty, monkeypatch):
    patient, pauses = open_database(str(empty.url), timeout=0.05, tries=3), []
    release, held = threading.Event(), threading.Event()
    thread = holder(empty, release, held)
    monkeypatch.setattr("storage.db.connection.time.sleep", pauses.append)
    for asked, expected in ((patient, 2), (once(patient), 0)):
        pauses.clear()
        with pytest.raises(Unavailable, match="is locked by another program"):
            write(asked, lambda connection: None)
        assert len(pauses) == expected
    release.set()
    thread.join()
    assert write(once(patient), lambda connection: 1) == 1


def test_the_data_folder_outlives_the_folder_one_stands_in(tmp_path, monkeypatch):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv("EVENLY_DATA", "data")  # from where one stands
        assert data_root() == tmp_path / name / "data"
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path / "data"))
    (tmp_path / "there").rmdir()
    assert data_root() == tmp_path / "data"
    monkeypatch.delenv("EVENLY_DATA")
    assert data_root() == ROOT / "data"
