"""The command line where the folder or the database is not as it should be: newer, read-only or not writable."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from storage import results
from storage.db import migrate
from storage.db.connection import open_database
from tests.commands.kit import QUICK


def one_line(done):
    assert done.code != 0
    assert done.out == ""
    assert re.fullmatch(r"error: [^\n]+\n", done.err), done.err
    return done.err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that root cannot write to either is needed")
@pytest.mark.parametrize("words", [("runs",), QUICK, ("worker", "--drain"), ("health",)])
def test_a_folder_that_cannot_be_written(call, monkeypatch, words):
    monkeypatch.setenv("EVENLY_DATA", "/proc/evenly")
    assert "set EVENLY_DATA to a folder you may write to" in one_line(call(*words))


def test_a_read_only_database(call, baseline, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # tests may run as root, who may write everywhere
    for words in (("runs",), QUICK, ("worker",)):
        assert "is read-only for this user" in one_line(call(*words))


def test_a_database_of_a_newer_evenly(call, tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    assert call("runs").out.startswith("no runs")
    engine = open_database(f"sqlite:///{tmp_path / 'evenly.db'}")
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    engine.dispose()
    for words in (("runs", "--json"), QUICK, ("worker", "--drain")):
        assert "written by a newer Evenly (schema 9999" in one_line(call(*words))


def test_a_bug_is_one_line_too(call, monkeypatch):
    monkeypatch.setattr(results, "list_runs", lambda *_, **__: 1 / 0)
    assert "unexpected ZeroDivisionError: division by zero (a bug" in one_line(call("runs"))
    monkeypatch.setenv("EVENLY_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        call("runs")


def test_a_backup_is_a_database_of_its_own(call, baseline, weighted, tmp_path, refused):
    done = call("backup", str(tmp_path / "copy.db"))
    assert done.code == 0
    assert done.out.endswith(f" to {tmp_path / 'copy.db'}\n")
    copy = open_database(f"sqlite:///{tmp_path / 'copy.db'}")
    migrate.check_schema(copy)
    assert sorted(results.list_runs(copy)["id"]) == [baseline["id"], weighted["id"]]
    copy.dispose()
    assert "give a new file in an existing folder" in refused("backup", str(tmp_path / "copy.db"))
