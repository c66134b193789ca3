"""A disk that says no in other ways than "full": a limit on the size of a file, a quota, an error that passes."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from storage import results
from storage.db.dialects.sqlite import Sqlite
from storage.db.errors import StorageError, Unavailable
from storage.results import checkpoint_files
from tests.storage.kit import claimed, database, epoch_record

ROOT = Path(__file__).resolve().parents[2]

LIMITED = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tests.storage.kit import epoch_record
from storage.results import checkpoint_files as checkpoints
from storage.jobs import queue
from storage import results
from storage.db.connection import open_database
engine = open_database(sys.argv[1], role="worker")
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
claim = queue.Claim(*map(int, sys.argv[3:6]), {}, None)
work = {
    "database": lambda: [results.record_epoch(engine, claim, epoch_record(n, classes=300)) for n in range(2, 100)],
    "checkpoint": lambda: checkpoints.write(Path(sys.argv[6]), "big.pt", bytes(700_000)),
}
for what, does in work.items():
    try:
        does()
    except Exception as error:
        print(what, type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of a file")
def test_a_limit_on_the_size_of_a_file_passes_and_is_named(tmp_path):
    engine = database(tmp_path)
    claim = claimed(engine, epochs=200)
    results.record_epoch(engine, claim, epoch_record(1, classes=300))
    given = [str(engine.url), str(ROOT), *map(str, (claim.run_id, claim.token, claim.attempt)), str(tmp_path)]
    answer = subprocess.run(
        [sys.executable, "-c", LIMITED, *given], cwd=ROOT, capture_output=True, text=True, check=False
    )
    of_database, of_checkpoint = answer.stdout.splitlines()
    assert of_database.startswith("database Unavailable the database ")
    assert "the limit on file size (ulimit -f)" in of_database
    assert of_checkpoint.startswith("checkpoint StorageError it exceeds the limit on file size: checkpoint ")
    assert of_checkpoint.endswith("(0.7 MB) was not written, earlier ones are untouched; raise the limit (ulimit -f)")
    assert not list(tmp_path.glob("*.pt*"))
    last = results.get_run(engine, claim.run_id).last_epoch
    results.record_epoch(engine, claim, epoch_record(last + 1, classes=300))  # without the limit it goes on
    assert results.class_history(engine, claim.run_id, "test").tp.shape == (last + 1, 300)


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        (778, True),
        (1034, True),
        (266, True),
        (4874, True),  # write, fsync, read, shared memory
        (13, True),
        (5, True),  # full, busy
        (522, False),
        (8202, False),
        (8458, False),  # cut short, bad checksum, damaged file system
        (11, False),
        (8, False),  # corrupt, read-only
    ],
)
def test_what_can_be_asked_again_is_told_from_what_cannot(tmp_path, code, passes):
    error = OperationalError("", {}, SimpleNamespace(sqlite_errorcode=code))
    said = Sqlite().explained(error, database(tmp_path))
    assert isinstance(said, StorageError)
    assert isinstance(said, Unavailable) is passes


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "the disk is full: .*; free some space$"),
        (errno.EDQUOT, "the disk quota is used up: .*; free some space or raise the quota$"),
        (errno.EFBIG, r"it exceeds the limit on file size: .*; raise the limit \(ulimit -f\)$"),
        (errno.EACCES, "could not be written .*; check the folder's permissions$"),
    ],
)
def test_a_checkpoint_that_cannot_be_written_says_why_and_what_to_do(tmp_path, monkeypatch, number, text):
    def refuse(*_):
        raise OSError(number, "no")

    monkeypatch.setattr(checkpoint_files.os, "fsync", refuse)
    with pytest.raises(StorageError, match=text):
        checkpoint_files.write(tmp_path, "epoch-1.pt", b"bits")
