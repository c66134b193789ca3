"""Orders while data is fetched, checked, unpacked, read or decoded: obeyed between two pieces, and nothing half-written stays.

No test measures time. What is stopped here waits for something that only the order brings about, or never ends.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.datasets import array_cache, download, file_io, find_dataset, image_decoding, prepare
from core.datasets.file_io import PIECE_BYTES, attended, file_md5, unwatched
from core.datasets.spec import quiet
from core.datasets.torchvision_sets import MNIST, VisionSet


class StoppedError(Exception):
    """The order that comes in the middle of the work."""


def after(looks: int) -> Callable[..., None]:
    """A look, or a Progress, that ends the work when it is called for the n-th time."""
    left = iter(range(looks - 1))

    def look(*_: object) -> None:
        if next(left, None) is None:
            raise StoppedError

    return look


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


# -- one file --------------------------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A .gz or .tar.gz whose content is many pieces long."""
    content = np.random.default_rng(0).bytes(8 * PIECE_BYTES)
    if request.param == "a.gz":
        (tmp_path / "a.gz").write_bytes(gzip.compress(content, 1))
    else:
        with tarfile.open(tmp_path / "a.tar.gz", "w:gz", compresslevel=1) as tar:
            for name in ("set/one", "set/two"):
                about = tarfile.TarInfo(name)
                about.size = len(content)
                tar.addfile(about, io.BytesIO(content))
    return tmp_path / request.param


@pytest.mark.parametrize("looks", [1, 2, 5])
@pytest.mark.parametrize("archive", ["a.gz", "a.tar.gz"], indirect=True)
def test_unpacking_ends_between_two_pieces_and_leaves_nothing(archive: Path, looks: int) -> None:
    with pytest.raises(StoppedError):
        download.unpack(archive, after(looks))
    assert names(archive.parent) == [archive.name]
    download.unpack(archive)
    assert len(names(archive.parent)) > 1


@pytest.mark.parametrize("archive", ["a.gz"], indirect=True)
def test_a_checksum_ends_between_two_pieces(archive: Path) -> None:
    with pytest.raises(StoppedError):
        file_md5(archive, after(3))
    looks: list[int] = []
    file_md5(archive, lambda: looks.append(1))
    assert len(looks) >= archive.stat().st_size // PIECE_BYTES


@pytest.mark.parametrize("archive", ["a.tar.gz"], indirect=True)
def test_what_a_killed_unpacking_left_is_removed(archive: Path) -> None:
    left = archive.parent / ".unpack-a.tar.gz-killed"
    left.mkdir()
    (left / "one").write_bytes(b"half")
    download.unpack(archive)
    assert names(archive.parent) == ["a.tar.gz", "set", "set/one", "set/two"]


@pytest.mark.parametrize("link", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_what_is_neither_file_nor_folder_is_not_unpacked(tmp_path: Path, link: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        about = tarfile.TarInfo("inside")
        about.type, about.linkname = link, "/etc/passwd"
        tar.addfile(about)
    with pytest.raises(download.DataError, match=r"cannot unpack .*a\.tar\.gz"):
        download.unpack(tmp_path / "a.tar.gz")
    assert names(tmp_path) == ["a.tar.gz"]


@pytest.fixture
def stalling() -> Iterator[tuple[str, threading.Event]]:
    """A server that sends nothing (/silent), or half a file (/half), and then waits for the end of the test."""
    over, waits = threading.Event(), threading.Event()

    class Stalling(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/half":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"half")
                self.wfile.flush()
            waits.set()
            over.wait(60)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Stalling)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", waits
    over.set()
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.mark.parametrize("path", ["/silent", "/half"])
def test_a_download_that_stalls_can_be_ended(tmp_path: Path, stalling: tuple[str, threading.Event], path: str) -> None:
    address, waits = stalling
    told: list[str] = []

    def order(share: float, text: str) -> None:
        told.append(text)
        if waits.is_set() and (
            path == "/silent" or told.count("downloading x: 0 kB of 1 kB") == 3
        ):  # again and again: nothing comes
            raise StoppedError

    with pytest.raises(StoppedError):
        download.fetch([address + path], tmp_path / "x", "0", order, timeout=50)
    assert names(tmp_path) == []


def test_reading_a_published_set_can_be_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, over = threading.Event(), threading.Event()

    def read(*_: object) -> None:
        reads.set()
        over.wait(60)

    def order(share: float, text: str) -> None:
        if reads.is_set():
            raise StoppedError

    monkeypatch.setattr(VisionSet, "_obtain", lambda *_: None)
    monkeypatch.setattr(VisionSet, "_read", read)
    with pytest.raises(StoppedError):
        array_cache.ensure(tmp_path, "x", "1", lambda writer: MNIST.build(tmp_path, writer, order), quiet)
    over.set()
    assert names(tmp_path / "cache") == ["x.lock"]


# -- many images -----------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(40):
            Image.new("RGB", (16, 16), (i, 90, 9)).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize("threads_from", [0, 10**9], ids=["threads", "one thread"])
@pytest.mark.parametrize("step", ["_size", "_decoded"])
def test_decoding_ends_within_an_image_on_every_thread(
    photos: Path, monkeypatch: pytest.MonkeyPatch, step: str, threads_from: int
) -> None:
    """The work waits for the order, which comes in the middle of the first chunk."""
    began, ordered, real = [], threading.Event(), getattr(image_decoding, step)

    def waits(*given: object) -> object:
        began.append(1)
        assert ordered.wait(60)
        return real(*given)

    def order(share: float, text: str) -> None:
        if began:
            ordered.set()
            raise StoppedError

    monkeypatch.setattr(image_decoding, "THREADS_FROM_PIXELS", threads_from)
    monkeypatch.setattr(image_decoding, step, waits)
    with pytest.raises(StoppedError):
        prepare("photos", photos, order)
    assert len(began) <= 2 * image_decoding.THREADS
    assert names(photos / "cache") == [f"{find_dataset('photos', photos).cache_key}.lock"]
    monkeypatch.setattr(image_decoding, step, real)
    assert prepare("photos", photos).train_counts.sum() > 0


def test_looking_through_a_folder_can_be_ended(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walks, over, real = threading.Event(), threading.Event(), os.scandir

    def scandir(path: str) -> object:
        walks.set()
        over.wait(60)
        return real(path)

    def order(share: float, text: str) -> None:
        if walks.is_set():
            raise StoppedError

    monkeypatch.setattr("core.datasets.folder_layout.os.scandir", scandir)
    with pytest.raises(StoppedError):
        prepare("photos", photos, order)
    over.set()
    assert not (photos / "cache").exists()


# -- the thread that looks -------------------------------------------------------------------------------------------


def test_attended_work_gives_its_result_or_its_error() -> None:
    assert attended(lambda: 3, unwatched) == 3
    with pytest.raises(KeyError, match="x"):
        attended(lambda: {}["x"], unwatched)


def test_work_that_writes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_io, "LOOK_SECONDS", 0.01)
    told, over = threading.Event(), []

    def work() -> None:
        assert told.wait(60)
        over.append("tidied up")

    with pytest.raises(StoppedError):
        attended(work, after(1), told.set)
    assert over == ["tidied up"]
