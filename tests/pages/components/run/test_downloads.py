"""The checkpoint of a run's page: the newest one, and only a file of the data folder."""

from __future__ import annotations

from storage.db.connection import write
from storage.db.schema import checkpoint
from storage.results import checkpoint_files
from storage.results.checkpoint_rows import run_folder
from tests.pages.kit import RUN, visit


def stored(engine, run_id, path, epoch):
    row = {"kind": "last", "epoch": epoch, "path": str(path), "sha256": "0" * 64, "bytes": 3, "at": 0.0}
    write(engine, lambda c: c.execute(checkpoint.insert().values(row | {"run_id": run_id})))


def offered(run_id):
    return [b.proto.label for b in visit(RUN, id=run_id).get("download_button") if b.key == "run_checkpoint"]


def test_the_newest_checkpoint_is_offered(full):
    engine, ids = full
    assert offered(ids["baseline"]) == []
    for epoch in (10, 20):
        path, _ = checkpoint_files.write(run_folder(ids["baseline"]), f"epoch-{epoch}.pt", b"net")
        stored(engine, ids["baseline"], path, epoch)
    assert offered(ids["baseline"]) == ["Checkpoint"]
    path.unlink()
    assert offered(ids["baseline"]) == [], "its file is gone"


def test_a_file_outside_the_data_folder_is_not_offered(full, tmp_path):
    engine, ids = full
    (outside := tmp_path / "secret.pt").write_bytes(b"net")
    stored(engine, ids["baseline"], outside, 20)
    assert offered(ids["baseline"]) == []
