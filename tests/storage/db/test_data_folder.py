"""One database, one data folder: the first worker's is kept, another is refused before anything is touched."""

from __future__ import annotations

import runpy
import shutil
import socket
import sys
import threading
from unittest import TestCase

import pytest
from filelock import FileLock, Timeout

from storage import results
from storage.db import data_folder
from storage.db.connection import open_database
from storage.db.dialects import checked_url, dialect_of
from storage.db.errors import StorageError
from storage.db.migrate import check_schema, upgrade
from storage.db.paths import lock_folder
from storage.db.schema import place as table
from storage.jobs import queue
from tests.storage.kit import count, database, in_background, new_run
from work import worker as door
from work.locks import ALREADY_ON, lock_path, taken
from work.worker import Worker


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """A database beside two data folders, EVENLY_DATA on the first: (its engine, the first, the second)."""
    folders = [tmp_path / name for name in ("ra", "rb")]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setenv("EVENLY_DATABASE_URL", f"sqlite:///{tmp_path}/evenly.db")
    monkeypatch.setenv("EVENLY_DATA", str(folders[0]))
    engine = database(tmp_path)
    yield engine, *folders
    engine.dispose()


def recorded(engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(table.select().with_only_columns(table.c.data)))


def test_the_first_folder_is_adopted_and_a_second_one_refused_everywhere(apart, monkeypatch):
    engine, first, second = apart
    for look in (check_schema, upgrade):
        look(engine)
    assert recorded(engine) == []  # looking is not using
    data_folder.settle(engine)
    data_folder.settle(engine)
    assert recorded(engine) == ["ra"]
    monkeypatch.setenv("EVENLY_DATA", str(second))
    for work in (data_folder.settle, check_schema, upgrade):
        with pytest.raises(
            StorageError,
            match=rf"belongs to the data folder {first}, .* not to {second}; set EVENLY_DATA={first}, or EVENLY_DATABASE_URL",
        ) as refusal:
            work(engine)
        assert "\n" not in str(refusal.value)
    assert recorded(engine) == ["ra"]


def test_another_name_of_the_same_folder_is_the_same_folder(apart, tmp_path, monkeypatch):
    engine, first, _ = apart
    data_folder.settle(engine)
    (tmp_path / "link").symlink_to(first)
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path / "link"))
    data_folder.settle(engine)
    assert recorded(engine) == ["ra"]


@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_that_was_moved_with_its_database_goes_on(tmp_path, monkeypatch, inside):
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "data").mkdir(parents=True)
    monkeypatch.setenv("EVENLY_DATA", str(old if inside else old / "data"))
    engine = database(old)
    data_folder.settle(engine)
    engine.dispose()
    shutil.copytree(old, new)  # a copy, with the first still there
    monkeypatch.setenv("EVENLY_DATA", str(new if inside else new / "data"))
    copy = open_database(f"sqlite:///{new}/evenly.db")
    check_schema(copy)
    data_folder.settle(copy)


def test_a_copy_of_the_database_alone_is_read_with_the_folder_that_has_its_checkpoints(tmp_path, monkeypatch):
    data, backup = tmp_path / "data", tmp_path / "backup"
    for folder in (data, backup):
        folder.mkdir()
    monkeypatch.setenv("EVENLY_DATA", str(data))
    engine = database(data)
    data_folder.settle(engine)
    engine.dispose()
    shutil.copy(data / "evenly.db", backup / "evenly.db")
    check_schema(open_database(f"sqlite:///{backup}/evenly.db"))


def test_a_folder_that_is_gone_is_replaced_and_said(apart, monkeypatch):
    engine, first, second = apart
    data_folder.settle(engine)
    shutil.rmtree(first)
    monkeypatch.setenv("EVENLY_DATA", str(second))
    check_schema(engine)
    with TestCase().assertLogs() as logged:
        data_folder.settle(engine)
    assert recorded(engine) == ["rb"]
    assert f"the data folder {first} of" in logged.output[0]


def test_a_second_folder_cannot_take_the_run_of_a_living_worker(apart, monkeypatch):
    """Both workers were alive, and the second declared the first dead: its lock lay in the other folder."""
    engine, first, second = apart
    (run_id,) = queue.submit(engine, [new_run()])
    with Worker(0) as living:
        claim = queue.claim(engine, living.id, "cpu")
        monkeypatch.setenv("EVENLY_DATA", str(second))
        with pytest.raises(Timeout):
            Worker(0).__enter__()
        with pytest.raises(StorageError, match=f"set EVENLY_DATA={first}"):
            Worker(1).__enter__()
        assert queue.wanted(engine, claim) == "run"
        assert results.get_run(engine, run_id).attempt == 1
        assert not taken(living.locks, 1)  # refused and let go
        assert count(engine, "worker") == 1


@pytest.mark.parametrize(("seconds", "code"), [(0.3, 0), (300, ALREADY_ON)])
def test_a_worker_is_refused_a_slot_that_is_taken_and_not_one_that_is_asked_about(apart, monkeypatch, seconds, code):
    """Whoever asks whether a slot is taken holds it for a moment."""
    locks, held, over = lock_folder(), threading.Event(), threading.Event()
    locks.mkdir()

    def asks():
        with FileLock(lock_path(locks, 0)):
            held.set()
            over.wait(seconds)

    if code == 0:  # a busy machine may hold whoever asks for longer than a moment
        monkeypatch.setattr(door, "PROBED_SECONDS", 300.0)
    monkeypatch.setattr(door, "on_signals", lambda handler: None)
    monkeypatch.setattr(Worker, "warm_up", lambda self: None)
    asking = in_background(asks)
    assert held.wait(300)
    try:
        assert door.serve(0, drain=True) == code
    finally:
        over.set()
        asking.result()


def test_life_is_decided_beside_the_database_and_two_databases_of_a_folder_differ(tmp_path):
    folders = {
        name: dialect_of(url).locks(url)
        for name in ("evenly.db", "more.db")
        for url in [checked_url(f"sqlite:///{tmp_path / name}")]
    }
    assert folders == {"evenly.db": tmp_path / "locks", "more.db": tmp_path / "more.db.locks"}


def test_two_databases_do_not_work_in_one_data_folder_at_once(apart, tmp_path, monkeypatch):
    """A data folder has one worker a device, whatever database it works for."""
    with Worker(0):
        monkeypatch.setenv("EVENLY_DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
        with pytest.raises(Timeout):
            Worker(0).__enter__()


def enter(program, *options):
    """As `python program options`."""
    sys.argv = [program, *options]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__")


@pytest.mark.parametrize(
    "command", [("worker.py", "--slot", "0"), ("serve.py",), ("cli.py", "runs"), ("storage.db.migrate",)]
)
def test_every_door_refuses_with_one_line(apart, command, fork, monkeypatch):
    engine, first, second = apart
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("EVENLY_PORT", str(probe.getsockname()[1]))
    data_folder.settle(engine)
    monkeypatch.setenv("EVENLY_DATA", str(second))
    launched = fork(enter, *command)
    assert launched.wait() in (1, 2)
    told = [line for line in launched.said().splitlines() if "set EVENLY_DATA=" in line]
    assert len(told) == 1
    assert str(first) in told[0]
    assert "Traceback" not in launched.said()
