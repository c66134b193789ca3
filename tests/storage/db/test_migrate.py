"""Schemas: a new database, an older one, a newer one, two processes at once; and a quick look at every start."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from storage import results
from storage.db import migrate
from storage.db.connection import open_database
from storage.db.dialects import sqlite
from storage.db.errors import StorageError
from storage.db.schema import metadata
from storage.jobs import queue
from tests.storage.kit import claimed, count, database, epoch_record, new_run

ROOT = Path(__file__).resolve().parents[3]

LAST = migrate.REVISIONS[-1]
NEXT = f"{int(LAST) + 1:04d}"
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{new}", "{last}"
def upgrade():
    with op.batch_alter_table("run", recreate="always") as batch:
        batch.add_column(sa.Column("colour", sa.Text(), nullable=False, server_default="blue"))
    {then}
"""


@pytest.fixture
def engine(tmp_path):
    return open_database(f"sqlite:///{tmp_path}/evenly.db", role="worker")


@pytest.fixture
def next_schema(tmp_path, monkeypatch):
    """A second migration, that rebuilds the table every other one points at; `then` is what it does next."""

    def make(then: str = "pass") -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(migrate.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / f"{NEXT}_next.py").write_text(SECOND.format(then=then, new=NEXT, last=LAST))
        monkeypatch.setattr(migrate, "MIGRATIONS", folder)
        monkeypatch.setattr(migrate, "REVISIONS", (*migrate.REVISIONS, NEXT))

    return make


def schema(engine) -> dict[str, list[str]]:
    """Every table and index with the parts of its SQL, whatever their order."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'")
        )
        return {name: parts(sql) for name, sql in rows}


def parts(sql: str) -> list[str]:
    """What stands before, between the outer commas of, and after the outer brackets. A column added later stands last there."""
    before, _, rest = sql.replace('"', "").partition("(")
    inside, _, after = rest.rpartition(")")
    cut = re.split(r",(?![^()]*\))", inside)
    return sorted(" ".join(part.split()) for part in (before, after, *cut))


def test_a_fresh_upgrade_equals_the_tables_in_the_code(engine, tmp_path):
    migrate.upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    made = create_engine(f"sqlite:///{tmp_path}/made.db")
    metadata.create_all(made)
    assert schema(engine) == schema(made)  # compare_metadata does not look at checks, WITHOUT ROWID and the like
    made.dispose()  # from Python 3.13 on an open connection is reported


def test_the_newest_revision_is_the_one_the_code_names():
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [migrate.REVISIONS[-1]]
    assert tuple(s.revision for s in script.walk_revisions())[::-1] == migrate.REVISIONS


def test_upgrading_again_changes_nothing(engine, tmp_path):
    migrate.upgrade(engine)
    queue.submit(engine, [new_run()])
    before = schema(engine)
    migrate.upgrade(engine)
    migrate.check_schema(engine)
    assert schema(engine) == before
    assert count(engine, "run") == 1
    assert list(tmp_path.glob("*.backup.db")) == []


def test_an_empty_database_is_not_migrated_until_upgraded(engine, tmp_path):
    (tmp_path / "evenly.db").touch()
    for read in (migrate.check_schema, results.list_runs):
        with pytest.raises(
            StorageError, match=r"was written by an older Evenly; `make run` or `python -m storage.db.migrate`"
        ):
            read(engine)
    migrate.upgrade(engine)
    migrate.check_schema(engine)


def test_a_newer_database_is_refused_and_untouched(tmp_path):
    engine = database(tmp_path)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    for work in (migrate.check_schema, migrate.upgrade):
        with pytest.raises(
            StorageError,
            match=r"was written by a newer Evenly \(schema 0099, this one supports up to "
            + LAST
            + r"\); update Evenly",
        ):
            work(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0099"
    assert list(tmp_path.glob("*.backup.db")) == []


def test_an_older_database_is_copied_then_upgraded_with_all_its_rows(tmp_path, next_schema):
    engine = database(tmp_path)
    claim = claimed(engine, name="precious")
    results.record_epoch(engine, claim, epoch_record(1))
    next_schema()
    with pytest.raises(StorageError, match="by an older Evenly"):
        migrate.check_schema(engine)
    migrate.upgrade(engine)
    migrate.check_schema(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT colour FROM run")) == "blue"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert [count(engine, t) for t in ("run", "epoch", "class_epoch", "event")] == [1, 3, 6, 2]  # nothing cascaded away
    (backup,) = tmp_path.glob(f"evenly-{LAST}-*.backup.db")
    copy = open_database(f"sqlite:///{backup}")
    with pytest.raises(StorageError, match="by an older Evenly"):
        migrate.check_schema(copy)
    assert results.get_run(copy, claim.run_id).name == "precious"


@pytest.mark.parametrize(
    ("then", "error"),
    [
        ("raise RuntimeError('half way')", RuntimeError),
        ("op.execute('INSERT INTO event (run_id, at, kind, text) VALUES (999, 0, 0, 0)')", StorageError),
    ],
)
def test_an_upgrade_that_fails_changes_nothing(tmp_path, next_schema, then, error):
    engine = database(tmp_path)
    queue.submit(engine, [new_run()])
    before = schema(engine)
    next_schema(then)
    with pytest.raises(error):
        migrate.upgrade(engine)
    assert schema(engine) == before
    assert migrate.revision(engine) == LAST
    assert count(engine, "run") == 1
    assert len(list(tmp_path.glob("*.backup.db"))) == 1


def test_no_upgrade_without_a_copy(tmp_path, next_schema, monkeypatch):
    engine = database(tmp_path)
    next_schema()
    monkeypatch.setattr(migrate.time, "strftime", lambda form: "now")
    (tmp_path / f"evenly-{LAST}-now.backup.db").write_text("in the way")
    with pytest.raises(StorageError, match=r"could not be backed up before its upgrade \(.*\); nothing was changed"):
        migrate.upgrade(engine)
    assert migrate.revision(engine) == LAST


def test_processes_that_start_at_once_make_one_database(tmp_path):
    environment = {**os.environ, "EVENLY_DATA": str(tmp_path)}
    environment.pop("EVENLY_DATABASE_URL", None)
    command = [sys.executable, "-m", "storage.db.migrate"]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = [process.communicate() for process in started]
    assert [out for out, _ in answers] == [f"database ready: {tmp_path}/evenly.db\n"] * 3
    migrate.check_schema(open_database(f"sqlite:///{tmp_path}/evenly.db"))


def test_the_command_says_a_refusal_in_one_line(tmp_path):
    (tmp_path / "evenly.db").write_text("no database " * 100)
    environment = {**os.environ, "EVENLY_DATABASE_URL": f"sqlite:///{tmp_path}/evenly.db"}
    answer = subprocess.run(
        [sys.executable, "-m", "storage.db.migrate"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (1, "")
    *before, refusal = answer.stderr.splitlines()
    assert "is not an Evenly database" in refusal
    assert all("pysqlite3" in line for line in before)  # an old SQLite is warned of


def test_another_upgrade_that_takes_too_long_is_named(tmp_path, engine, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr(sqlite, "LOCK_SECONDS", 0.05)
    with FileLock(tmp_path / "evenly.db.lock"), pytest.raises(StorageError, match="another process has been upgrading"):
        migrate.upgrade(engine)


def test_network_disks_are_refused(engine, monkeypatch):
    monkeypatch.setattr(sqlite, "_file_system", lambda path: "nfs4")
    with pytest.raises(StorageError, match=r"is on a network file system \(nfs4\)"):
        migrate.upgrade(engine)


@pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason="reads Linux's list of mounts")
def test_the_file_system_is_found():
    assert sqlite._file_system(Path("/proc/self/status")) == "proc"
    assert sqlite._file_system(Path("/")) != ""


def test_mounts_with_names_in_any_encoding_are_read(tmp_path, monkeypatch):
    """A name in Latin-1, and a space of Japanese that is none between two fields."""
    (tmp_path / "mounts").write_bytes(
        b"a / ext4 rw 0 0\nb /caf\xe9 nfs rw 0 0\n" + "c /研究　室 nfs4 rw 0 0\nd /my\\040disk xfs rw 0 0\n".encode()
    )
    monkeypatch.setattr(sqlite, "MOUNTS", tmp_path / "mounts")
    kinds = [sqlite._file_system(Path(name)) for name in ("/home", "/caf\udce9/x", "/研究　室/x", "/my disk/x")]
    assert kinds == ["ext4", "nfs", "nfs4", "xfs"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=r"cannot be created .*set EVENLY_DATA"):
        migrate.upgrade(open_database(f"sqlite:///{tmp_path}/data/evenly.db"))


def test_a_start_imports_neither_alembic_nor_anything_heavy(tmp_path):
    """The schema check and the queue are asked at every start; storage never needs streamlit or torch."""
    database(tmp_path).dispose()
    code = (
        "import sys; from storage.jobs import queue, workers; from storage.db.connection import open_database; "
        "from storage.db.migrate import check_schema, upgrade\n"
        f"e = open_database('sqlite:///{tmp_path}/evenly.db'); check_schema(e); upgrade(e); workers.newest(e)\n"
        "print([m for m in ('alembic', 'filelock', 'pandas', 'streamlit', 'torch') if m in sys.modules])\n"
        "from storage import results; from storage.results import checkpoint_files\n"
        "print([m for m in ('alembic', 'filelock', 'streamlit', 'torch') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n[]\n"
