"""Writing files so that they appear whole or not at all, and saying it plainly where that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import DataError


@contextmanager
def whole(path: Path) -> Iterator[Any]:
    """A binary file that appears under its name only when complete and on disk; on any failure nothing is left."""
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
    """Turn a failure to write (disk full, read-only) into a DataError that names the file and the remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"cannot write {path}: {reason}; free some space or set EVENLY_DATA to another folder") from error


def make_folder(path: Path) -> None:
    """Create a folder, or raise DataError naming it."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


def gigabytes(n: float) -> str:
    """Bytes in words: 1.2 GB, 85 MB, 40 kB."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB" if n >= 1e6 else f"{n / 1e3:.0f} kB"
