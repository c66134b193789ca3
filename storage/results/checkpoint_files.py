"""Checkpoint files as bytes: written atomically, read only if the checksum matches.

What the bytes mean is known only to core. A file is written under a temporary name beside its final one, synced to the
disk and then renamed, so that the final name always has either the complete old or the complete new file.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from storage.db.errors import StorageError

FULL = {  # errno -> (cause, what to do)
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or raise the quota"),
    errno.EFBIG: ("it exceeds the limit on file size", "raise the limit (ulimit -f)"),
}


def write(folder: Path, name: str, data: bytes) -> tuple[Path, str]:
    """Write `data` as folder/name; returns the path and its sha256. If the disk is full or not writable, the old file stays unchanged."""
    path = folder / name
    part = folder / f"{name}.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync_folder(folder)
    except OSError as error:
        raise StorageError(_reason(path, len(data), error)) from error
    finally:
        with suppress(OSError):  # does not exist after the rename; on a failing disk the next sweep removes it
            part.unlink(missing_ok=True)
    return path, hashlib.sha256(data).hexdigest()


def _reason(path: Path, size: int, error: OSError) -> str:
    if error.errno in FULL:
        cause, remedy = FULL[error.errno]
        return f"{cause}: checkpoint {path} ({size / 1e6:.1f} MB) was not written, earlier ones are untouched; {remedy}"
    return f"checkpoint {path} could not be written ({error.strerror or error}); earlier ones are untouched; check the folder's permissions"


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and a rename needs no sync
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path, sha256: str) -> bytes:
    """The bytes of a checkpoint. Missing, truncated or changed by a single bit: StorageError."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise StorageError(f"checkpoint {path} cannot be read ({error.strerror or error})") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StorageError(
            f"checkpoint {path} is damaged: its {len(data)} bytes do not match the checksum recorded when it was written"
        )
    return data


def prune(paths: Iterable[Path]) -> list[Path]:
    """Remove files; returns those that existed. Raises StorageError if one cannot be removed."""
    removed, left = [], []
    for path in paths:
        try:
            path.unlink()
            removed.append(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            left.append(f"{path} ({error.strerror or error})")
    if left:
        raise StorageError(f"{len(left)} files could not be removed, remove them by hand: {'; '.join(left[:3])}")
    return removed


def sweep(folder: Path) -> list[Path]:
    """Remove the *.tmp files of dead writers, also in subfolders; a live writer's file stays. Returns the removed files."""
    stray = [part for part in sorted(folder.rglob("*.tmp")) if not _being_written(part)]
    return prune(stray)


def _being_written(part: Path) -> bool:
    """True if the pid in the name belongs to another live process. Our own pid is left over from an earlier process."""
    pid = part.name.split(".")[-2] if part.name.count(".") >= 2 else ""
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
