"""Checkpoint files: whole or not there, every bit checked, swept and pruned; and the rows that name them."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys

import pytest

from storage import results
from storage.db.errors import StorageError
from storage.jobs import queue, workers
from storage.jobs.queue import Lost
from storage.results import checkpoint_files
from storage.results.checkpoint_rows import file_name, sweep_run
from tests.storage.kit import claimed, database

DATA = bytes(range(256)) * 40


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    return database(tmp_path)


def test_what_is_written_is_read(tmp_path):
    path, sha = checkpoint_files.write(tmp_path / "runs" / "1", "epoch-1.pt", DATA)
    assert path == tmp_path / "runs" / "1" / "epoch-1.pt"
    assert sha == hashlib.sha256(DATA).hexdigest()
    assert checkpoint_files.read(path, sha) == DATA
    assert [p.name for p in path.parent.iterdir()] == ["epoch-1.pt"]


def test_a_cut_file_is_noticed_at_every_length(tmp_path):
    path, sha = checkpoint_files.write(tmp_path, "c.pt", DATA)
    for length in range(0, len(DATA), 263):
        path.write_bytes(DATA[:length])
        with pytest.raises(StorageError, match=f"is damaged: its {length} bytes do not match the checksum"):
            checkpoint_files.read(path, sha)


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    path, sha = checkpoint_files.write(tmp_path, "c.pt", DATA)
    for place in range(0, len(DATA), 31):
        flipped = bytearray(DATA)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        with pytest.raises(StorageError, match="is damaged"):
            checkpoint_files.read(path, sha)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"gone.pt cannot be read \(No such file"):
        checkpoint_files.read(tmp_path / "gone.pt", "0" * 64)


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (
            errno.ENOSPC,
            r"the disk is full: checkpoint .*last.pt \(0.0 MB\) was not written, earlier ones are untouched",
        ),
        (errno.EACCES, r"last.pt could not be written \(Permission denied\); earlier ones are untouched"),
    ],
)
def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, step, number, message):
    path, sha = checkpoint_files.write(tmp_path, "last.pt", DATA)

    def fails(*_args, **_options):
        raise OSError(number, os.strerror(number))

    class Full:
        """A file that takes half of what it is given."""

        def __init__(self, place, mode):
            self.file = open(place, mode)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            fails()

    with monkeypatch.context() as patch:
        if step == "write":
            patch.setattr(checkpoint_files, "open", Full, raising=False)
        else:
            patch.setattr(os, step, fails)
        with pytest.raises(StorageError, match=message):
            checkpoint_files.write(tmp_path, "last.pt", b"new" * 1000)
    assert checkpoint_files.read(path, sha) == DATA
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]
    _, sha = checkpoint_files.write(tmp_path, "last.pt", b"new")
    assert checkpoint_files.read(path, sha) == b"new"


@pytest.fixture
def killed(engine, tmp_path):
    """A run rescued from a worker that died before the row of its third file; (its new claim, its folder)."""
    before, folder = claimed(engine), tmp_path / "runs" / "1"
    for epoch in (1, 2, 3):
        path, sha = checkpoint_files.write(folder, file_name(engine, before, epoch, 0), DATA)
        if epoch < 3:
            results.record_checkpoint(engine, before, epoch, ["last"], path, sha, len(DATA))
    (folder / "epoch-4.pt.tmp").write_bytes(b"x")
    return taken_over(engine), folder


def taken_over(engine):
    """A claim of the run whose worker is given up for dead."""
    queue.rescue(engine, lambda worker: False)
    return queue.claim(engine, workers.register_worker(engine, 0, "cpu", 1, "host"), "cpu")


def epochs_in(folder):
    return sorted(path.name[: len("epoch-00001")] for path in folder.iterdir())


def test_who_takes_a_run_up_removes_what_no_row_names(engine, killed):
    claim, folder = killed
    assert len(sweep_run(engine, claim)) == 2
    assert epochs_in(folder) == ["epoch-00001", "epoch-00002"]
    assert sweep_run(engine, claim) == []


def test_only_who_holds_a_run_removes_its_files(engine, killed):
    """One that was given up for dead wakes up when its successor has written a file and not yet named it."""
    before, folder = killed
    assert taken_over(engine).token > before.token
    with pytest.raises(Lost):
        sweep_run(engine, before)
    assert "epoch-00003" in epochs_in(folder)


def test_deleting_a_run_takes_the_file_that_no_row_names(engine, killed):
    claim, folder = killed
    queue.finish(engine, claim, "failed", "an end")
    assert len(results.delete(engine, [claim.run_id])) == 3
    assert [path.name for path in folder.iterdir()] == ["epoch-4.pt.tmp"]


def test_a_run_of_another_database_loses_nothing_here(engine, killed, tmp_path):
    """Two databases in one data folder, also one that took the place of another: their runs have the same numbers."""
    mine, folder = killed
    own = {path.name for path in folder.iterdir()}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = database(elsewhere)
    first = claimed(other)
    assert first.run_id == mine.run_id
    checkpoint_files.write(folder, file_name(other, first, 3, 0), DATA)
    second = taken_over(other)
    assert len(sweep_run(other, second)) == 2  # its own, and what nobody has begun to name
    queue.finish(other, second, "failed", "an end")
    assert results.delete(other, [second.run_id]) == []
    assert {path.name for path in folder.iterdir()} == own - {"epoch-4.pt.tmp"}


def test_sweep_takes_the_litter_of_the_dead_only(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        files = [
            f"a.pt.{gone.pid}.tmp",
            f"b.pt.{os.getpid()}.tmp",
            "c.tmp",
            "deep/d.pt.99999999999999999999.tmp",
            f"e.pt.{living.pid}.tmp",
            "f.pt",
        ]
        (tmp_path / "deep").mkdir()
        for name in files:
            (tmp_path / name).write_bytes(b"x")
        assert sorted(p.name for p in checkpoint_files.sweep(tmp_path)) == sorted(n.split("/")[-1] for n in files[:4])
        assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", files[4], "f.pt"]
        living.stdin.close()
    assert checkpoint_files.sweep(tmp_path / "nowhere") == []


def test_a_file_of_another_users_process_is_left(tmp_path, monkeypatch):
    (tmp_path / "a.pt.1.tmp").write_bytes(b"x")

    def not_yours(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", not_yours)
    assert checkpoint_files.sweep(tmp_path) == []


def test_prune_removes_what_is_there_and_names_what_it_cannot(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"x")
    (tmp_path / "folder.pt").mkdir()
    assert checkpoint_files.prune([tmp_path / "a.pt", tmp_path / "gone.pt"]) == [tmp_path / "a.pt"]
    (tmp_path / "b.pt").write_bytes(b"x")
    with pytest.raises(StorageError, match=r"1 files could not be removed, remove them by hand: .*folder.pt"):
        checkpoint_files.prune([tmp_path / "folder.pt", tmp_path / "b.pt"])
    assert not (tmp_path / "b.pt").exists()


# -- rows --------------------------------------------------------------------------------------------------------


def save(engine, claim, epoch: int, kind: str = "last", name: str | None = None, sha: str = "0" * 64):
    name = name or f"epoch-{epoch}.pt"
    return [
        p.name for p in results.record_checkpoint(engine, claim, epoch, [kind], f"runs/{claim.run_id}/{name}", sha, 5)
    ]


def test_the_last_two_and_the_best_are_kept(engine):
    claim = claimed(engine)
    assert [save(engine, claim, e) for e in (1, 2, 3)] == [[], [], ["epoch-1.pt"]]
    assert save(engine, claim, 3, "best") == []
    assert save(engine, claim, 4) == ["epoch-2.pt"]
    assert save(engine, claim, 5) == []  # 3 is still the best
    assert save(engine, claim, 5, "best") == ["epoch-3.pt"]
    assert [(c.epoch, c.kind) for c in results.list_checkpoints(engine, claim.run_id)] == [
        (5, "last"),
        (5, "best"),
        (4, "last"),
    ]


def test_the_same_epoch_again_takes_the_place_of_the_first(engine):
    claim = claimed(engine)
    save(engine, claim, 1, name="a.pt")
    assert save(engine, claim, 1, name="b.pt", sha="1" * 64) == ["a.pt"]
    assert save(engine, claim, 1, name="b.pt", sha="2" * 64) == []
    (row,) = results.list_checkpoints(engine, claim.run_id)
    assert (row.path.name, row.sha256, row.bytes, row.run_id) == ("b.pt", "2" * 64, 5, claim.run_id)


def test_the_data_folder_can_be_moved(engine, tmp_path, monkeypatch):
    claim = claimed(engine)
    path, sha = checkpoint_files.write(tmp_path / "runs" / "1", "e.pt", DATA)
    results.record_checkpoint(engine, claim, 1, ["last"], path, sha, len(DATA))
    engine.dispose()
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)
    monkeypatch.setenv("EVENLY_DATA", str(moved))
    (row,) = results.list_checkpoints(database(moved), claim.run_id)
    assert row.path == moved / "runs" / "1" / "e.pt"
    assert checkpoint_files.read(row.path, row.sha256) == DATA


def test_a_file_elsewhere_keeps_its_address(engine, tmp_path_factory):
    claim, elsewhere = claimed(engine), tmp_path_factory.mktemp("other") / "e.pt"
    results.record_checkpoint(engine, claim, 1, ["best"], elsewhere, "0" * 64, 1)
    assert results.list_checkpoints(engine, claim.run_id)[0].path == elsewhere


def test_an_unknown_kind_is_refused(engine):
    with pytest.raises(StorageError, match="unknown kind of checkpoint 'first'; known: last, best"):
        save(engine, claimed(engine), 1, "first")
