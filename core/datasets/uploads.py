"""Uploaded zips: every entry is checked, then the file is kept under <data_root>/uploads with a name we choose."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np

from core.datasets import array_cache
from core.datasets.file_io import gigabytes, make_folder, writing
from core.datasets.folder_layout import Layout, at_head, layout
from core.datasets.image_decoding import Skips
from core.datasets.image_file import Unreadable, image_size
from core.datasets.image_folder import UPLOADS, ImageZip
from core.datasets.sources import image_sets
from core.datasets.spec import Progress, check_validation, make_spec, quiet
from core.datasets.zip_archive import UPLOAD, Limits, ZipSource
from core.errors import DataError
from core.split_names import DEFAULT_VALIDATION

FOLDER = UPLOADS
PIECE_BYTES = 2**20
STALE_SECONDS = 3_600  # no upload takes an hour
REPORT_SECONDS = 1.0  # longest time between two progress reports; a caller that raises there ends the upload


def store_upload(
    data_root: Path | str, filename: str, fileobj: BinaryIO, progress: Progress = quiet, limits: Limits = UPLOAD
) -> str:
    """Keep an uploaded zip and return its dataset name, "uploads/<hash>-<name>.zip"; the same content gives the same name.

    Every entry is read, inflated and its image header checked before the file gets its name. A refused upload leaves
    nothing behind. Raises DataError with the file or entry, what was expected and what to do.
    """
    folder = Path(data_root) / FOLDER
    make_folder(folder)
    _sweep(folder)
    with writing(folder):
        handle, tmp_name = tempfile.mkstemp(dir=folder, suffix=".tmp")
    tmp = Path(tmp_name)
    try:
        with os.fdopen(handle, "wb") as file:
            digest = _copy(fileobj, file, tmp, filename, limits)
        check_upload(tmp, filename, progress, limits)
        name = f"{digest[:12]}-{safe_stem(filename)}.zip"
        kept = next(folder.glob(f"{digest[:12]}-*.zip"), None)
        if kept is None:
            with writing(folder / name):
                tmp.chmod(0o644)  # mkstemp makes it private; the worker may run as another user
                os.replace(tmp, folder / name)
        return f"{FOLDER}/{kept.name if kept else name}"
    finally:
        tmp.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove leftovers of killed uploads."""
    for stray in folder.glob("*.tmp"):
        if time.time() - stray.stat().st_mtime > STALE_SECONDS:
            stray.unlink(missing_ok=True)


def _copy(source: BinaryIO, target: BinaryIO, path: Path, filename: str, limits: Limits) -> str:
    """Copy to disk within the size limit; returns the sha256 hex of the content."""
    digest, done = hashlib.sha256(), 0
    while piece := source.read(PIECE_BYTES):
        done += len(piece)
        if limits.archive_bytes is not None and done > limits.archive_bytes:
            raise DataError(
                f"{label(filename)} is larger than {gigabytes(limits.archive_bytes)}; put it into the data folder instead of uploading it"
            )
        digest.update(piece)
        with writing(path):
            target.write(piece)
    with writing(path):
        target.flush()
        os.fsync(target.fileno())
    return digest.hexdigest()


def check_upload(path: Path, filename: str, progress: Progress, limits: Limits) -> None:
    """Read every entry in full.

    Raises DataError if the archive, its layout or more than 1 % of its images are bad, or too few are left to validate.
    """
    try:
        source = ZipSource(path, limits)
    except DataError as error:
        raise DataError(str(error).replace(path.name, label(filename))) from error
    try:
        plan = layout(source.entries, source.folders)
        skips, due, read = Skips(len(plan.entries)), 0.0, np.ones(len(plan.entries), dtype=bool)
        for i, entry in enumerate(plan.entries):
            try:
                image_size(source.read(entry))
            except Unreadable as reason:
                skips.add(entry.name, str(reason))
                read[i] = False
            if i % 500 == 0 or time.monotonic() > due:  # a few large images take as long as many small ones
                due = time.monotonic() + REPORT_SECONDS
                progress(i / len(plan.entries), f"checking {i:,} of {len(plan.entries):,} images")
        skips.check()
        _enough(plan, read, filename)
    finally:
        source.close()


def _enough(plan: Layout, read: np.ndarray, filename: str) -> None:
    """Raise DataError if the images that can be `read` [N] leave no validation samples."""
    pool, own, test = (np.bincount(plan.y[read & (plan.split == s)], minlength=len(plan.classes)) for s in range(3))
    spec = make_spec(
        "",
        filename,
        "image",
        (),
        plan.classes,
        pool=pool,
        own_validation=own if own.any() else None,
        test=test,
        validation=DEFAULT_VALIDATION,
    )
    try:
        check_validation(spec, int(spec.train_counts.sum()))
    except DataError as error:
        raise DataError(f"{label(filename)} is too small: {error}") from error


def is_upload(key: str) -> bool:
    """Whether a dataset was uploaded and may therefore be removed."""
    return key.startswith(f"{FOLDER}/")


def remove_upload(data_root: Path | str, key: str) -> None:
    """Delete an uploaded zip and its cache entry.

    The caller checks whether a run needs it. Raises DataError for anything that is not an upload.
    """
    root = Path(data_root)
    found = next((s for s in image_sets(root) if s.key == key), None)
    if not isinstance(found, ImageZip) or not is_upload(key):
        raise DataError(
            f"{key!r} is not an uploaded dataset and cannot be removed here; choose one that was added as a zip"
        )
    with writing(found.path):
        found.path.unlink(missing_ok=True)
    array_cache.remove(root, found.cache_key)


def label(filename: str) -> str:
    """The uploaded file's own name without folders, fit for a message."""
    name = re.split(r"[/\\]", filename)[-1][:80]
    return at_head(name) if name else "the upload"


def safe_stem(filename: str) -> str:
    """Letters, digits, - and _ of a file name without its extension, at most 60 characters; "images" if none are left."""
    stem = re.split(r"[/\\]", filename)[-1].rsplit(".", 1)[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:60] or "images"
