"""The cache of prepared datasets: one raw array file and one small JSON file per dataset, both written atomically.

<data_root>/cache/<key>.<fingerprint>.bin   the arrays one after the other: x [N, ...], y [N] int64, stats [N, channels, 2] int64
<data_root>/cache/<key>.json                their offsets and shapes, the classes, the split sizes; written last

x is read as a memory map. stats holds each sample's sum and sum of squares per channel, so the mean and standard
deviation of any subset are exact and need no pass over the data. Rows are ordered train, validation, test.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from core.datasets.file_io import gigabytes, make_folder, whole, writing
from core.datasets.spec import Progress
from core.errors import DataError

FORMAT = 1
SPARE_BYTES = 256 * 2**20  # left free beside a new array file: the database and the checkpoints live on the same disk
COPY_BYTES = 2 * 2**30  # a split above this stays on disk (`Rows`) instead of being copied into memory
PATIENCE_SECONDS = 1.0  # between two tries for a lock that another process holds


class Rows:
    """Some rows of an array, read on access: `rows[index]` gives an ndarray. For splits too large to copy."""

    def __init__(self, source: np.ndarray, index: np.ndarray) -> None:
        self._source, self._index = source, index
        self.shape = (len(index), *source.shape[1:])
        self.dtype, self.ndim = source.dtype, source.ndim
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * source.dtype.itemsize

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(self._source[self._index[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._source[self._index], dtype=dtype)


def take(source: np.ndarray, index: np.ndarray, limit: int = COPY_BYTES) -> np.ndarray | Rows:
    """source[index] as an array, or as `Rows` if the copy would exceed `limit` bytes."""
    rows = Rows(source, index)
    return np.asarray(source[index]) if rows.nbytes <= limit else rows


@dataclass(frozen=True)
class Meta:
    """The JSON file. sizes = rows of train, validation and test; counts = the same per class; extra is the dataset's own."""

    format: int
    fingerprint: str
    file: str
    bytes: int
    shape: tuple[int, ...]  # of one row
    dtype: str
    channels: int  # 0: the data is already normalized and has no stats
    classes: tuple[str, ...]
    sizes: tuple[int, int, int]
    counts: tuple[tuple[int, ...], ...]
    skipped: tuple[str, ...]
    extra: dict[str, Any]

    @property
    def rows(self) -> int:
        return sum(self.sizes)


@dataclass(frozen=True, eq=False)
class Prepared:
    """An opened cache entry. x is a read-only memory map [N, ...]; y [N] int64; stats [N, channels, 2] int64 or None."""

    meta: Meta
    x: np.ndarray
    y: np.ndarray
    stats: np.ndarray | None

    def mean_std(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Per channel float32 mean and population standard deviation of x[index] / 255; 0 and 1 for normalized data.

        A constant channel gets standard deviation 1, so that dividing by it is safe.
        """
        if self.stats is None:
            return np.zeros(1, np.float32), np.ones(1, np.float32)
        pixels = len(index) * int(np.prod(self.meta.shape[1:]))
        total, squares = self.stats[index].sum(axis=0, dtype=np.int64).T.astype(np.float64)
        mean = total / pixels
        std = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
        return (mean / 255).astype(np.float32), np.where(std > 0, std / 255, 1).astype(np.float32)


def folder(data_root: Path) -> Path:
    """The cache folder under a data root."""
    return Path(data_root) / "cache"


def read_meta(data_root: Path, key: str) -> Meta | None:
    """The entry's Meta, or None if it is missing, has another format, or its array file is incomplete."""
    path = folder(data_root) / f"{key}.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror or error}; check the permissions of the data folder"
        ) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        return None
    meta = Meta(**{k: _tuples(v) for k, v in data.items()})
    file = folder(data_root) / meta.file
    return meta if file.is_file() and file.stat().st_size == meta.bytes else None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def open_entry(data_root: Path, meta: Meta) -> Prepared:
    """Map the arrays of an entry. Takes almost no time and memory, whatever its size."""
    file = folder(data_root) / meta.file
    n, row = meta.rows, (meta.rows, *meta.shape)
    x = np.memmap(file, dtype=meta.dtype, mode="r", shape=row)
    y = np.fromfile(file, dtype="<i8", count=n, offset=x.nbytes).astype(np.int64)
    if not meta.channels:
        return Prepared(meta, x, y, None)
    stats = np.fromfile(file, dtype="<i8", count=n * meta.channels * 2, offset=x.nbytes + 8 * n)
    return Prepared(meta, x, y, stats.reshape(n, meta.channels, 2))


class Writer:
    """Appends rows to a new array file: `begin`, then `add` as often as needed. The file appears only when complete."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._file = path, file
        self.shape: tuple[int, ...] = ()
        self.dtype, self.channels = np.dtype(np.uint8), 0
        self._stats: list[np.ndarray] = []

    def begin(self, shape: tuple[int, ...], dtype: str) -> None:
        """Set shape and dtype of a row. uint8 rows get statistics per channel (the first axis); float32 is already normalized."""
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.channels = shape[0] if self.dtype == np.uint8 else 0

    def add(self, x: np.ndarray) -> None:
        """Append rows [n, *shape]."""
        x = np.ascontiguousarray(x, dtype=self.dtype)
        if x.shape[1:] != self.shape:
            raise ValueError(f"rows have shape {x.shape[1:]}, expected {self.shape}")
        self._write(x)
        if self.channels and len(x):
            flat = x.reshape(len(x), self.channels, -1)
            squares = np.square(flat, dtype=np.uint32).sum(axis=2, dtype=np.int64)
            self._stats.append(np.stack([flat.sum(axis=2, dtype=np.int64), squares], axis=2))

    def close(self, y: np.ndarray) -> None:
        """Append the labels [N] and the statistics."""
        self._write(np.ascontiguousarray(y, dtype="<i8"))
        if self._stats:
            self._write(np.ascontiguousarray(np.concatenate(self._stats), dtype="<i8"))

    def _write(self, values: np.ndarray) -> None:
        with writing(self._path):
            self._file.write(values.data)


@dataclass(frozen=True)
class Contents:
    """What a builder returns after adding all rows: labels [N], split sizes, classes, unreadable files."""

    y: np.ndarray
    sizes: tuple[int, int, int]
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    extra: dict[str, Any] | None = None


def ensure(
    data_root: Path,
    key: str,
    fingerprint: str,
    build: Callable[[Writer], Contents],
    progress: Progress,
) -> Meta:
    """The entry with this fingerprint; built first by `build` if missing or stale, by one process at a time."""
    meta = read_meta(data_root, key)
    if meta is not None and meta.fingerprint == fingerprint:
        return meta
    with lock(data_root, key, progress):
        meta = read_meta(data_root, key)  # another process may have built it while this one waited
        if meta is not None and meta.fingerprint == fingerprint:
            return meta
        return _build(data_root, key, fingerprint, build)


@contextmanager
def lock(data_root: Path, key: str, progress: Progress) -> Iterator[None]:
    """Hold the entry's lock file; reports progress while another process holds it. The kernel frees it when a process dies."""
    make_folder(folder(data_root))
    held = FileLock(folder(data_root) / f"{key}.lock")
    while not held.is_locked:
        try:
            held.acquire(timeout=PATIENCE_SECONDS)
        except Timeout:
            progress(0.0, "waiting for another process that prepares the same dataset")
    try:
        yield
    finally:
        held.release()


def _build(data_root: Path, key: str, fingerprint: str, build: Callable[[Writer], Contents]) -> Meta:
    cache = folder(data_root)
    for stray in cache.glob(f"{key}.*.tmp"):
        stray.unlink(missing_ok=True)  # from a killed process; we hold the lock
    name = f"{key}.{fingerprint[:12]}.bin"
    with whole(cache / name) as file:
        writer = Writer(cache / name, file)
        contents = build(writer)
        writer.close(contents.y)
    meta = _meta(fingerprint, cache / name, writer, contents)
    write_meta(data_root, key, meta)
    for old in cache.glob(f"{key}.*.bin"):
        if old.name != name:
            old.unlink(missing_ok=True)
    return meta


def remove(data_root: Path, key: str) -> None:
    """Delete an entry, once no process is building it; an array that a run has open stays readable to it.

    Does nothing if there is none.
    """
    with lock(data_root, key, lambda share, text: None):
        for path in (folder(data_root) / f"{key}.json", *folder(data_root).glob(f"{key}.*.bin")):
            path.unlink(missing_ok=True)


def write_meta(data_root: Path, key: str, meta: Meta) -> None:
    """Write the JSON file atomically."""
    path = folder(data_root) / f"{key}.json"
    with whole(path) as file, writing(path):
        file.write(json.dumps(asdict(meta)).encode())


def _meta(fingerprint: str, file: Path, writer: Writer, contents: Contents) -> Meta:
    edges = np.cumsum((0, *contents.sizes))
    if edges[-1] != len(contents.y):
        raise ValueError(f"{len(contents.y)} labels for {edges[-1]} rows")
    parts = [contents.y[a:b] for a, b in pairwise(edges)]
    counts = tuple(tuple(int(n) for n in np.bincount(part, minlength=len(contents.classes))) for part in parts)
    return Meta(
        FORMAT,
        fingerprint,
        file.name,
        file.stat().st_size,
        writer.shape,
        writer.dtype.str,
        writer.channels,
        contents.classes,
        contents.sizes,
        counts,
        contents.skipped,
        contents.extra or {},
    )


def check_space(data_root: Path, needed: int, what: str) -> None:
    """Raise DataError if less than `needed` bytes plus a reserve are free, with both figures and what to do."""
    make_folder(folder(data_root))
    free = shutil.disk_usage(folder(data_root)).free
    if free < needed + SPARE_BYTES:
        raise DataError(
            f"{what} needs {gigabytes(needed + SPARE_BYTES)} of free space under {folder(data_root)}, {gigabytes(free)} available; "
            "free some space, choose a smaller image size or another data folder (EVENLY_DATA)"
        )
