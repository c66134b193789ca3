"""Image folders: which file belongs where (`layout`, shared with zip archives), and reading files from a folder on disk.

train/<class>/image, with an optional validation/ (or val/, valid/) and test/ of the same classes; or just <class>/image,
then a fixed, stratified 20 % becomes the test split. A single folder around everything is skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from core.datasets.image_file import MAX_FILE_BYTES, SUFFIXES, TOO_LARGE, Unreadable
from core.datasets.splits import take_per_class, validation_counts
from core.errors import DataError
from core.formatting import count
from core.split_names import SPLITS

SPLIT_FOLDERS = {"train": 0, "val": 1, "validation": 1, "valid": 1, "test": 2}  # name of a folder -> position in SPLITS
MAX_CLASSES = 1_000
MAX_DEPTH = 8
TEST_SHARE, TEST_SEED = 0.2, 20_240_102  # fixed, so the test split never depends on a run's seed
JUNK = {"__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file: its name relative to the set, with /; its size in bytes; a stamp that changes with its content."""

    name: str
    size: int
    stamp: int


class FileSource(Protocol):
    """Where files come from: a folder or a zip. `read` gives the whole file or its first bytes; raises Unreadable."""

    entries: list[Entry]
    folders: list[str]

    def read(self, entry: Entry, first: int | None = None) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Layout:
    """Which entry belongs where. entries, split [N] (0 train, 1 validation, 2 test), y [N]: sorted by split, class, name.

    ignored: files outside the class folders that are no images (a README, a list of labels).
    """

    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    split: np.ndarray
    y: np.ndarray
    ignored: tuple[str, ...]


def is_junk(name: str) -> bool:
    """Files that operating systems leave behind: hidden ones, __MACOSX, Thumbs.db, desktop.ini."""
    return any(part.startswith(".") or part.casefold() in JUNK for part in name.split("/"))


def quoted(name: str, length: int = 80) -> str:
    """A file name fit for a one-line message: quoted, control characters escaped, shortened in the middle."""
    text = name.encode("utf-8", "replace").decode()
    if len(text) > length:
        text = f"{text[: length // 2 - 2]}...{text[-(length // 2 - 2) :]}"
    return repr(text)


def at_head(name: str) -> str:
    """A name at the start of a message: unchanged, or quoted if spaces would blur where it ends."""
    return quoted(name) if len(name.split()) != 1 else name


def layout(entries: Iterable[Entry], folders: Iterable[str]) -> Layout:
    """Sort files into splits and classes. Raises DataError naming the folder or file that does not fit.

    Classes are the sorted folder names of the training split. Every file in a class folder counts as an image.
    """
    files = {e.name: e for e in entries}
    parts, dirs = _without_wrapper([n.split("/") for n in sorted(files)], [f.split("/") for f in folders])
    by_split = _has_splits({p[0] for p in parts if len(p) > 1} | {d[0] for d in dirs})
    depth = 1 if by_split else 0
    ignored = _loose(parts, depth)
    rows = [
        (SPLIT_FOLDERS[p[0].casefold()] if by_split else 0, p[depth], "/".join(p), e)
        for p, e in zip(parts, (files[n] for n in sorted(files)), strict=True)
        if len(p) > depth + 1
    ]
    listed = {(SPLIT_FOLDERS[d[0].casefold()] if by_split else 0, d[depth]) for d in dirs if len(d) > depth}
    classes = _classes(rows, listed, {SPLIT_FOLDERS[d[0].casefold()] for d in dirs} if by_split else {0})
    ids = {name: i for i, name in enumerate(classes)}
    rows.sort(key=lambda r: (r[0], ids[r[1]], r[2]))
    split, y = np.array([r[0] for r in rows]), np.array([ids[r[1]] for r in rows])
    if not (split == 2).any():
        split = _fixed_test(split, y)
    order = np.argsort(split, kind="stable")
    return Layout(classes, tuple(rows[i][3] for i in order), split[order], y[order], ignored)


def _without_wrapper(parts: list[list[str]], dirs: list[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Drop folders that only wrap everything else (pets/train/..., pets/cat/...)."""
    while parts and max(map(len, parts)) > 2:
        tops = {p[0] for p in parts} | {d[0] for d in dirs}
        if len(tops) != 1 or next(iter(tops)).casefold() in SPLIT_FOLDERS:
            break
        parts, dirs = [p[1:] for p in parts], [d[1:] for d in dirs if len(d) > 1]
    return parts, dirs


def _has_splits(tops: set[str]) -> bool:
    """Whether the top folders are splits; raises DataError for a mixture, a missing train/ or two folders for one split."""
    found: dict[int, str] = {}
    for top in sorted(tops):
        split = SPLIT_FOLDERS.get(top.casefold())
        if split is not None and split in found:
            raise DataError(
                f"folders {quoted(found[split])} and {quoted(top)} are both the {SPLITS[split]} split; keep one"
            )
        if split is not None:
            found[split] = top
    if not found:
        return False
    if 0 not in found:
        raise DataError(
            f"found a folder {quoted(next(iter(found.values())))} but no train/; add train/ with one folder per class"
        )
    for top in sorted(tops):
        if top.casefold() not in SPLIT_FOLDERS:
            raise DataError(
                f"folder {quoted(top)} is beside train/; expected only train/, validation/ (or val/) and test/"
            )
    return True


def _loose(parts: list[list[str]], depth: int) -> tuple[str, ...]:
    loose = ["/".join(p) for p in parts if len(p) <= depth + 1]
    for name in loose:
        if name.casefold().endswith(SUFFIXES):
            raise DataError(
                f"image {quoted(name)} is outside the class folders; put each image into the folder of its class"
            )
    return tuple(loose)


def _classes(
    rows: list[tuple[int, str, str, Entry]], listed: set[tuple[int, str]], splits: set[int]
) -> tuple[str, ...]:
    """Sorted class names of the training split; raises DataError for none, one, too many, empty or unknown ones."""
    filled = {(split, name) for split, name, _, _ in rows}
    if not filled:
        raise DataError("no images found; expected train/<class>/image or <class>/image")
    classes = tuple(sorted(name for split, name in filled | listed if split == 0))
    if len(classes) < 2:
        names = f" ({quoted(classes[0])})" if classes else ""
        raise DataError(
            f"{count(len(classes), 'class folder')}{names} to train on, expected at least 2: one folder per class"
        )
    if len(classes) > MAX_CLASSES:
        raise DataError(
            f"{len(classes):,} class folders, expected at most {MAX_CLASSES:,}; merge classes or check the folder level"
        )
    for name in classes:
        if (0, name) not in filled:
            raise DataError(f"class {quoted(name)} has no image in the training split; add images or remove the folder")
    for split, name in sorted(filled):
        if (0, name) not in filled:
            raise DataError(
                f"class {quoted(name)} is in the {SPLITS[split]} split but not in train/; remove it or add it there"
            )
    for split in sorted(splits - {s for s, _ in filled}):
        raise DataError(f"the {SPLITS[split]} folder has no image; add images or remove the folder")
    return classes


def _fixed_test(split: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Move a fixed, stratified TEST_SHARE of the training rows to the test split."""
    train = np.flatnonzero(split == 0)
    counts = validation_counts(np.bincount(y[train]), TEST_SHARE)
    taken, _ = take_per_class(y[train], counts, np.random.default_rng(TEST_SEED))
    split = split.copy()
    split[train[taken]] = 2
    return split


class FolderSource:
    """The files under a folder on disk. Links are followed: the owner of the folder set them up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self.folders: list[str] = []
        try:
            for entry in _walk(str(path), "", 0):
                if isinstance(entry, Entry):
                    self.entries.append(entry)
                else:
                    self.folders.append(entry)
        except OSError as error:
            raise DataError(f"cannot read the folder {error.filename or path}: {error.strerror or error}") from error

    def read(self, entry: Entry, first: int | None = None) -> bytes:
        if entry.size > MAX_FILE_BYTES:
            raise Unreadable(TOO_LARGE)
        try:
            with open(self.path / entry.name, "rb", buffering=0) as file:
                return file.read(MAX_FILE_BYTES if first is None else first)
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from error

    def close(self) -> None:
        """Nothing is held open."""


def _walk(folder: str, prefix: str, depth: int) -> Iterator[Entry | str]:
    """Entries of files and names of folders below `folder`, junk left out; names relative, with /."""
    if depth > MAX_DEPTH:
        raise DataError(
            f"folder {quoted(prefix)} is more than {MAX_DEPTH} levels deep; check for a link back to a parent"
        )
    with os.scandir(folder) as found:
        for item in found:
            if is_junk(item.name):
                continue
            if item.is_dir():
                yield prefix + item.name
                yield from _walk(item.path, f"{prefix}{item.name}/", depth + 1)
            elif item.is_file():
                stat = item.stat()
                yield Entry(prefix + item.name, stat.st_size, stat.st_mtime_ns)
