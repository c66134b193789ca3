"""Decoding a whole image set into the array cache, in order, with progress; unreadable files are listed and left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from core.datasets import array_cache
from core.datasets.array_cache import Contents, Writer
from core.datasets.folder_layout import Entry, FileSource, Layout, quoted
from core.datasets.image_file import (
    HEADER_BYTES,
    MAX_PIXELS,
    THREADS,
    THREADS_FROM_PIXELS,
    Unreadable,
    automatic_side,
    decode,
    image_size,
    quick_size,
)
from core.datasets.spec import Progress
from core.errors import DataError

CHUNK_BYTES = 8 * 2**20  # decoded at a time
MAX_CHUNK = 256
SIZING_SHARE = 0.2  # of the progress, for reading the sizes

A, B = TypeVar("A"), TypeVar("B")


def decode_all(
    source: FileSource,
    plan: Layout,
    writer: Writer,
    data_root: Path,
    side: int | None,
    extra: dict,
    progress: Progress,
) -> Contents:
    """Decode every image of the plan to side x side (None: the automatic size) and append it; unreadable ones are left out."""
    skips = Skips(len(plan.entries))
    sizes = _sizes(source, plan, skips, progress)
    wanted = [i for i, size in enumerate(sizes) if size is not None]
    known = [size for size in sizes if size is not None]
    side = side or automatic_side(known)
    array_cache.check_space(data_root, len(known) * 3 * side * side, f"{len(known):,} images of {side} x {side} pixels")
    writer.begin((3, side, side), "uint8")
    threads = THREADS if np.median([w * h for w, h in known]) >= THREADS_FROM_PIXELS else 1
    kept = np.array(list(_decode_rows(source, plan, wanted, side, threads, writer, skips, progress)), dtype=np.int64)
    skips.check()
    return _contents(plan, kept, skips, extra)


def _sizes(source: FileSource, plan: Layout, skips: Skips, progress: Progress) -> list[tuple[int, int] | None]:
    """(width, height) of every image from its header; None, and an entry in `skips`, if it is not an image."""
    sizes: list[tuple[int, int] | None] = []
    for i, entry in enumerate(plan.entries):
        try:
            sizes.append(_size(source, entry))
        except Unreadable as reason:
            skips.add(entry.name, str(reason))
            sizes.append(None)
        if i % 500 == 0:
            progress(SIZING_SHARE * i / len(plan.entries), f"read the size of {i:,} of {len(plan.entries):,} images")
    if not any(sizes):
        skips.check()
    return sizes


def _size(source: FileSource, entry: Entry) -> tuple[int, int]:
    header = source.read(entry, HEADER_BYTES)
    quick = quick_size(header)
    if quick is not None and 0 < quick[0] * quick[1] <= MAX_PIXELS:
        return quick
    try:
        return image_size(header)
    except Unreadable:
        if entry.size <= HEADER_BYTES:
            raise
    return image_size(source.read(entry))  # some cameras put a large preview before the size


def _decode_rows(
    source: FileSource,
    plan: Layout,
    wanted: list[int],
    side: int,
    threads: int,
    writer: Writer,
    skips: Skips,
    progress: Progress,
) -> Iterator[int]:
    """Append the images in order and yield the plan positions of those that could be decoded."""
    step = max(1, min(MAX_CHUNK, CHUNK_BYTES // (3 * side * side)))
    chunks = [wanted[i : i + step] for i in range(0, len(wanted), step)]

    def work(chunk: list[int]) -> list[np.ndarray | Unreadable]:
        return [_decoded(source, plan.entries[i], side) for i in chunk]

    done = 0
    for chunk, results in zip(chunks, in_order(work, chunks, threads), strict=True):
        good = [(i, x) for i, x in zip(chunk, results, strict=True) if not isinstance(x, Unreadable)]
        for i, x in zip(chunk, results, strict=True):
            if isinstance(x, Unreadable):
                skips.add(plan.entries[i].name, str(x))
        if good:
            writer.add(np.stack([x for _, x in good]))
        yield from (i for i, _ in good)
        done += len(chunk)
        share = SIZING_SHARE + (1 - SIZING_SHARE) * done / len(wanted)
        progress(share, f"decoded {done:,} of {len(wanted):,} images")


def _decoded(source: FileSource, entry: Entry, side: int) -> np.ndarray | Unreadable:
    try:
        return decode(source.read(entry), side)
    except Unreadable as reason:
        return reason


def in_order(work: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[B]:
    """work(item) for every item, in order, on several threads, with no more than a few results waiting in memory."""
    if threads <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        source = iter(items)
        waiting: list[Future[B]] = [pool.submit(work, item) for item in islice(source, 2 * threads)]
        try:
            while waiting:
                result = waiting.pop(0).result()
                waiting += [pool.submit(work, item) for item in islice(source, 1)]
                yield result
        finally:
            for left in waiting:
                left.cancel()


def _contents(plan: Layout, kept: np.ndarray, skips: Skips, extra: dict) -> Contents:
    """Labels and split sizes of the kept images. Raises DataError if a class has no training image left."""
    split, y = plan.split[kept], plan.y[kept]
    left = np.bincount(y[split == 0], minlength=len(plan.classes))
    if not left.all():
        name = plan.classes[int(np.argmin(left))]
        raise DataError(
            f"class {quoted(name)} has no readable training image left: {'; '.join(skips.files[:3])}; repair or replace them"
        )
    train, validation, test = np.bincount(split, minlength=3).tolist()
    names = tuple(os.fsencode(name).decode("utf-8", "replace") for name in plan.classes)
    return Contents(y, (train, validation, test), names, tuple(skips.files), extra)


MAX_SHARE = 0.01
NAMED = 5  # files named in the error message


class Skips:
    """Collects unreadable files of a set of `total` images. `add` raises DataError as soon as there are too many."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.files: list[str] = []

    def add(self, name: str, reason: str) -> None:
        """Record a file and why. Stops early: checks the share as soon as NAMED files are known."""
        self.files.append(f"{quoted(name)}: {reason}")
        if len(self.files) >= NAMED:
            self.check()

    def check(self) -> None:
        """Raise DataError naming the first few if more than 1 % of the images are unreadable."""
        if len(self.files) <= MAX_SHARE * self.total:
            return
        more = "" if len(self.files) <= NAMED else " and more"
        raise DataError(
            f"at least {len(self.files):,} of {self.total:,} images cannot be read, at most {MAX_SHARE:.0%} may be: "
            f"{'; '.join(self.files[:NAMED])}{more}; repair or remove them"
        )
