"""Fetching and unpacking known archives: short time limits, progress, checksum, and no file under its name unless whole."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path

from core.dataspec import Progress
from core.errors import DataError
from core.files import gigabytes, make_folder, whole, writing

TIMEOUT_SECONDS = 8.0  # to connect, and between two pieces: without internet the answer must come soon
PIECE_BYTES = 256 * 1024


def fetch(urls: Sequence[str], target: Path, md5: str, progress: Progress, timeout: float = TIMEOUT_SECONDS) -> None:
    """Download the first url that answers to `target`. Raises DataError naming the file to put there by hand."""
    make_folder(target.parent)
    reasons = []
    for url in urls:
        try:
            _fetch_one(url, target, md5, progress, timeout)
            return
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
    raise DataError(f"cannot download {target.name} ({'; '.join(reasons)}). Without internet, put the file at {target}")


def _fetch_one(url: str, target: Path, md5: str, progress: Progress, timeout: float) -> None:
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with urllib.request.urlopen(url, timeout=timeout) as reply:
        total = int(reply.headers.get("Content-Length") or 0)
        with whole(target) as file:
            while piece := reply.read(PIECE_BYTES):
                digest.update(piece)
                with writing(target):
                    file.write(piece)
                done += len(piece)
                of = f" of {gigabytes(total)}" if total else ""
                progress(done / total if total else 0.0, f"downloading {target.name}: {gigabytes(done)}{of}")
            if digest.hexdigest() != md5:  # raised inside `whole`, so the file never appears
                raise OSError(f"the file that came has md5 {digest.hexdigest()}, expected {md5}")


def file_md5(path: Path) -> str:
    """md5 hex of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def unpack(archive: Path) -> None:
    """Unpack a .gz beside itself, or a .tar.gz into its folder. For archives whose checksum is known: nothing is limited."""
    try:
        if archive.name.endswith(".tar.gz"):
            _unpack_tar(archive)
        else:
            target = archive.with_name(archive.name.removesuffix(".gz"))
            with gzip.open(archive) as source, whole(target) as file:
                shutil.copyfileobj(source, file, PIECE_BYTES)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"cannot unpack {archive}: {error}; free some space or replace the file") from error


def _unpack_tar(archive: Path) -> None:
    """Unpack aside first, then move file by file, so that a kill leaves no half-written file under its name."""
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".unpack-") as aside, tarfile.open(archive) as tar:
        tar.extractall(aside, filter="data")
        for file in sorted(p for p in Path(aside).rglob("*") if p.is_file()):
            target = archive.parent / file.relative_to(aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
