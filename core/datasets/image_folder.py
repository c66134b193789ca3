"""Your own images, a folder or a .zip of one, as a dataset that is decoded once into the array cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import ClassVar

import numpy as np

from core.datasets import array_cache
from core.datasets.array_cache import Contents, Meta, Writer
from core.datasets.file_io import attended
from core.datasets.folder_layout import Entry, FileSource, FolderSource, Layout, at_head, layout
from core.datasets.image_decoding import decode_all
from core.datasets.spec import DataSpec, Progress, make_spec, quiet
from core.datasets.zip_archive import ZipSource
from core.errors import DataError
from core.split_names import DEFAULT_VALIDATION

VERSION = "1"  # part of the fingerprint: raise it when decoding changes
MIN_SIDE, MAX_SIDE = 8, 512
UPLOADS = "uploads"


class Stoppable:
    """Files that cannot be read any more after `stop`, so that decoding on several threads ends within one image."""

    class StoppedError(Exception):
        """Ends the decoding; the caller of `stop` knows why."""

    def __init__(self, source: FileSource) -> None:
        self.entries, self.folders, self._source, self._stopped = source.entries, source.folders, source, False

    def stop(self) -> None:
        self._stopped = True

    def read(self, entry: Entry, first: int | None = None) -> bytes:
        if self._stopped:
            raise self.StoppedError
        return self._source.read(entry, first)

    def close(self) -> None:
        self._source.close()


class Relay:
    """A Progress for a thread: `look` passes its reports on in the calling thread, or repeats the last one if there is no new one."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._reports = progress, SimpleQueue()
        self._last = (0.0, "reading the images")

    def __call__(self, share: float, text: str) -> None:
        self._reports.put((share, text))

    def look(self) -> None:
        for _ in range(max(self._reports.qsize(), 1)):
            with contextlib.suppress(Empty):
                self._last = self._reports.get_nowait()
            self._progress(*self._last)


@dataclass(frozen=True)
class ImageSet(ABC):
    """An image folder or zip. key: its path under the data root, or the absolute one, with "@64" if a size is given."""

    key: str
    path: Path
    size: int | None = None
    embedded: ClassVar[bool] = False
    own: ClassVar[bool] = True
    kind: ClassVar[str] = "image"
    summary: ClassVar[str] = "Your own images, one folder per class."

    @abstractmethod
    def files(self) -> FileSource:
        """The opened source; the caller closes it. Raises DataError."""

    @abstractmethod
    def stat(self) -> list[int] | None:
        """Size and time that identify the whole content; None if every file has its own and all must be checked."""

    @property
    def label(self) -> str:
        name = re.sub(r"^[0-9a-f]{12}-", "", self.path.stem) if self.path.parent.name == UPLOADS else self.path.name
        return f"{name} @ {self.size}" if self.size else name

    @property
    def cache_key(self) -> str:
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", self.label).strip("-")[:40]
        return f"own-{slug}-{hashlib.sha256(os.fsencode(self.key)).hexdigest()[:12]}"

    def at_size(self, side: int) -> ImageSet:
        """The same images decoded at side x side pixels, as a dataset of its own."""
        if not MIN_SIDE <= side <= MAX_SIDE:
            raise DataError(f"image size is {side}, expected {MIN_SIDE} to {MAX_SIDE} pixels a side")
        base = self.key.removesuffix(f"@{self.size}") if self.size else self.key
        return replace(self, key=f"{base}@{side}", size=side)

    def meta(self, data_root: Path) -> Meta | None:
        """The cached Meta, or None if it is missing or the zip has changed since. Cheap."""
        meta = array_cache.read_meta(data_root, self.cache_key)
        return None if meta is None or meta.extra.get("stat") != self.stat() else meta

    def is_ready(self, data_root: Path) -> bool:
        return self.meta(data_root) is not None

    def spec(self, data_root: Path, validation: float = DEFAULT_VALIDATION) -> DataSpec:
        meta = self.meta(data_root)
        if meta is None:
            raise DataError(
                f"{at_head(self.key)} must be prepared first (it is new or has changed): "
                "its images are decoded and resized once; later runs start at once"
            )
        pool, own, test = (np.array(c, dtype=np.int64) for c in meta.counts)
        return make_spec(
            self.key,
            self.label,
            self.kind,
            meta.shape,
            meta.classes,
            pool=pool,
            own_validation=own if meta.sizes[1] else None,
            test=test,
            validation=validation,
            augment="crop_flip",
            skipped=meta.skipped,
            fingerprint=meta.fingerprint,
        )

    def prepared(self, data_root: Path, progress: Progress = quiet) -> Meta:
        """Decode and resize everything into the cache, unless that is already done and no file has changed."""
        stat = self.stat()  # before reading: a zip that changes in the meantime then counts as changed
        if stat is not None and (meta := self.meta(data_root)) is not None:
            return meta
        try:
            source, plan = attended(self._scanned, lambda: progress(0.0, f"scanning {self.label}"))
            with contextlib.closing(source):
                meta = self._decoded(data_root, source, plan, stat, progress)
        except DataError as error:
            raise DataError(f"{at_head(self.label)}: {error}") from error
        if meta.extra.get("stat") != stat:  # the same content with a new time: a copy, or an archive created again
            meta = replace(meta, extra={**meta.extra, "stat": stat})
            array_cache.write_meta(data_root, self.cache_key, meta)
        return meta

    def _scanned(self) -> tuple[FileSource, Layout]:
        """The opened folder or zip, and which of its files belongs where. The caller closes it."""
        source = self.files()
        try:
            return source, layout(source.entries, source.folders)
        except DataError:
            source.close()
            raise

    def _decoded(
        self, data_root: Path, source: FileSource, plan: Layout, stat: list[int] | None, progress: Progress
    ) -> Meta:
        def build(writer: Writer) -> Contents:
            extra, stoppable, relay = {"stat": stat, "ignored": plan.ignored}, Stoppable(source), Relay(progress)
            made = attended(
                lambda: decode_all(stoppable, plan, writer, data_root, self.size, extra, relay),
                relay.look,
                stoppable.stop,
            )
            relay.look()
            return made

        return array_cache.ensure(data_root, self.cache_key, self._fingerprint(plan), build, progress)

    def _fingerprint(self, plan: Layout) -> str:
        """sha256 over names, sizes and stamps. A zip's stamps are checksums; a folder's are times, so its key counts too.

        The key and not the path: a copy of the data folder that keeps file times holds the same data.
        """
        own = self.key if self.stat() is None else ""
        digest = hashlib.sha256(f"{VERSION}/{self.size}/{own}".encode("utf-8", "surrogateescape"))
        for entry in plan.entries:
            digest.update(f"{entry.name}\0{entry.size}\0{entry.stamp}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


class ImageFolder(ImageSet):
    """A folder on disk, whose files may change one by one."""

    def files(self) -> FileSource:
        return FolderSource(self.path)

    def stat(self) -> None:
        return None


class ImageZip(ImageSet):
    """A zip, read in place."""

    def files(self) -> FileSource:
        return ZipSource(self.path)

    def stat(self) -> list[int]:
        try:
            stat = self.path.stat()
        except OSError:
            return [0, 0]  # missing: no cache entry matches, and opening it reports the error
        return [stat.st_size, stat.st_mtime_ns]
