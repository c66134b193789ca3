"""Downloading and unpacking known archives: short timeouts, progress, checksum; a file appears only when complete.

Slow steps call a Look (core.datasets.file_io) between two pieces, so that a request to stop takes effect within a second.
"""

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
from typing import BinaryIO

from core.datasets.file_io import PIECE_BYTES, Look, attended, gigabytes, make_folder, pieces, unwatched, whole, writing
from core.datasets.spec import Progress
from core.errors import DataError

TIMEOUT_SECONDS = 8.0  # to connect, and between two pieces: without internet the error must come soon


def fetch(urls: Sequence[str], target: Path, md5: str, progress: Progress, timeout: float = TIMEOUT_SECONDS) -> None:
    """Download the first url that responds to `target`. Raises DataError naming the file to put there by hand."""
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
    digest, done, share, text = hashlib.md5(usedforsecurity=False), 0, 0.0, f"downloading {target.name}"

    def look() -> None:
        progress(share, text)

    # After an interrupt the reply is not closed here: the thread that waits for the network holds and releases it.
    reply = attended(lambda: urllib.request.urlopen(url, timeout=timeout), look)
    total = int(reply.headers.get("Content-Length") or 0)
    with whole(target) as file:
        while piece := attended(lambda: reply.read1(PIECE_BYTES), look):
            digest.update(piece)
            with writing(target):
                file.write(piece)
            done += len(piece)
            share, of = (done / total, f" of {gigabytes(total)}") if total else (0.0, "")
            text = f"downloading {target.name}: {gigabytes(done)}{of}"
            look()
        reply.close()
        if digest.hexdigest() != md5:  # raised inside `whole`, so the file never appears
            raise OSError(f"the downloaded file has md5 {digest.hexdigest()}, expected {md5}")


def unpack(archive: Path, look: Look = unwatched) -> None:
    """Unpack a .gz beside itself, or a .tar.gz into its folder. For archives with a known checksum: no size limits.

    One process at a time may unpack an archive (core.datasets.array_cache.lock); leftovers of a killed one are removed.
    """
    try:
        if archive.name.endswith(".tar.gz"):
            _unpack_tar(archive, look)
        else:
            with gzip.open(archive) as source:
                _copy(source, archive.with_name(archive.name.removesuffix(".gz")), look)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"cannot unpack {archive}: {error}; free some space or replace the file") from error


def _copy(source: BinaryIO, target: Path, look: Look) -> None:
    with whole(target) as file:
        for piece in pieces(source, look):
            file.write(piece)


def _unpack_tar(archive: Path, look: Look) -> None:
    """Unpack into a temporary folder, then move file by file, so that a kill leaves no half-written file."""
    prefix = f".unpack-{archive.name}-"
    for stray in archive.parent.glob(f"{prefix}*"):
        shutil.rmtree(stray)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=prefix) as aside, tarfile.open(archive) as tar:
        for member in tar:
            look()
            inside = tarfile.data_filter(member, aside)  # refuses paths that lead outside, devices and the like
            if inside.isfile():  # folders are created with their files
                path = Path(aside) / inside.name
                path.parent.mkdir(parents=True, exist_ok=True)
                _copy(tar.extractfile(member), path, look)
        for file in sorted(p for p in Path(aside).rglob("*") if p.is_file()):
            target = archive.parent / file.relative_to(aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
