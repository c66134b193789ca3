"""Atomic file writes with clear errors, and long work with files that can be interrupted between two pieces."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from core.errors import DataError

T = TypeVar("T")
Look = Callable[[], None]  # called between pieces of long work; an exception from it ends the work
PIECE_BYTES = 256 * 1024
LOOK_SECONDS = 0.2  # between two looks while `attended` work is running


def unwatched() -> None:
    """A Look that never interrupts."""


def pieces(file: BinaryIO, look: Look) -> Iterator[bytes]:
    """The rest of a file, piece by piece, with a look before each."""
    look()
    while piece := file.read(PIECE_BYTES):
        yield piece
        look()


def file_md5(path: Path, look: Look = unwatched) -> str:
    """md5 hex of a file's content."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        for piece in pieces(file, look):
            digest.update(piece)
    return digest.hexdigest()


def attended(work: Callable[[], T], look: Look, end: Callable[[], None] | None = None) -> T:
    """`work()` in its own thread, while this thread calls `look` five times a second; for calls that cannot do so themselves.

    What `look` raises is raised here: with `end`, after `end()` has stopped the work; without it, at once. The work then
    continues in the background until it is done, so without `end` it may only read.
    """
    done: Future[T] = Future()
    threading.Thread(target=_carry_out, args=(work, done), daemon=True, name="attended").start()
    try:
        while not wait([done], LOOK_SECONDS).done:
            look()
        return done.result()
    except BaseException:
        if end is not None:
            end()
            wait([done])
        raise
    finally:
        del done  # an error and its traceback would keep each other alive, and any file open in between


def _carry_out(work: Callable[[], T], done: Future[T]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised again by `attended`, in the calling thread
        done.set_exception(error)
        del done


@contextmanager
def whole(path: Path) -> Iterator[Any]:
    """A binary file that appears under its name only when complete and on disk; a failure leaves nothing behind."""
    tmp = path.with_name(path.name + ".tmp")
    try:
        with writing(path):
            file = open(tmp, "wb")
        with file:
            yield file
            with writing(path):
                file.flush()
                os.fsync(file.fileno())
        with writing(path):
            os.replace(tmp, path)
    finally:
        tmp.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write (disk full, read-only) into a DataError with the file and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"cannot write {path}: {reason}; free some space or set EVENLY_DATA to another folder"
        ) from error


def make_folder(path: Path) -> None:
    """Create a folder, or raise DataError naming it."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


def gigabytes(n: float) -> str:
    """Bytes in words: 1.2 GB, 85 MB, 40 kB."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB" if n >= 1e6 else f"{n / 1e3:.0f} kB"
