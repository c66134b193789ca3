"""Zip archives of images, read in place and never extracted; no entry is trusted.

Refused, naming the entry: paths that lead outside (.., /, C:, backslash), NUL and control characters, overlong names,
links and other special files, encrypted entries, duplicate names, unusual compression, sizes or ratios of a zip bomb.
The sizes in the central directory are limits: an entry that inflates to more, or to less, is refused when it is read.
"""

from __future__ import annotations

import os
import stat
import struct
import threading
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from core.datasets.file_io import gigabytes
from core.datasets.folder_layout import Entry, at_head, is_junk, quoted
from core.datasets.image_file import MAX_FILE_BYTES, TOO_LARGE, Unreadable
from core.errors import DataError

MAX_NAME = 1_024  # characters of a whole entry name
MAX_PART = 255  # of a folder or file name, the usual limit of file systems
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
MAX_RATIO = 100  # unpacked over packed size ...
RATIO_FROM_BYTES = 2**20  # ... of entries above this size; small flat images compress well and are harmless
DIRECTORY_BYTES_PER_ENTRY = 512  # more than this on average in the central directory means overlong names
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., length of the name, length of the extra field
END_RECORD = struct.Struct("<4s4xHHLL2x")
END_SEARCH_BYTES = 22 + 65_535
DEFLATE_OVERHEAD = 1_024  # incompressible data grows a little


@dataclass(frozen=True)
class Limits:
    """Limits of an archive. None: no limit."""

    archive_bytes: int | None
    unpacked_bytes: int | None
    entries: int


UPLOAD = Limits(200 * 2**20, 500 * 2**20, 100_000)  # CIFAR-10 as files: 60,000 entries, 55 MB
LOCAL = Limits(None, None, 2_000_000)  # a file put there by the machine's owner; the limits per entry still apply


class ZipSource:
    """The entries of a zip. `read` is safe from several threads. The constructor raises DataError for a refused archive."""

    def __init__(self, path: Path, limits: Limits = LOCAL) -> None:
        self.path = path
        _check_archive(path, limits)
        infos = _infos(path)
        if len(infos) > limits.entries:
            raise DataError(f"{at_head(path.name)} has {len(infos):,} entries, at most {limits.entries:,} are allowed")
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self.folders: list[str] = []
        self.entries: list[Entry] = []
        for info in infos:
            self._take(info)
        total = sum(e.size for e in self.entries)
        if limits.unpacked_bytes is not None and total > limits.unpacked_bytes:
            raise DataError(
                f"{at_head(path.name)} unpacks to {gigabytes(total)}, at most {gigabytes(limits.unpacked_bytes)} are allowed"
            )
        self._lock = threading.Lock()
        self._file = open(path, "rb")

    def close(self) -> None:
        self._file.close()

    def _take(self, info: zipfile.ZipInfo) -> None:
        check_entry(info)
        name = info.filename.rstrip("/")
        if is_junk(name):
            return
        if name in self._infos:
            raise DataError(f"entry {quoted(name)} is in the archive twice; zip the folder again")
        self._infos[name] = info
        if info.is_dir():
            self.folders.append(name)
            return
        self.entries.append(Entry(name, info.file_size, info.CRC))
        parts = name.split("/")
        self.folders += ["/".join(parts[:i]) for i in range(1, len(parts))][-1:]

    def read(self, entry: Entry, first: int | None = None) -> bytes:
        """The entry's bytes, checked by size and CRC, or only the first few, unchecked. Raises Unreadable."""
        info = self._infos[entry.name]
        if info.file_size > MAX_FILE_BYTES:
            raise Unreadable(TOO_LARGE)
        packed = self._packed(info, first)
        data = packed if info.compress_type == zipfile.ZIP_STORED else self._inflated(packed, info, first)
        if first is not None:
            return data[:first]
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise Unreadable("damaged: size or checksum does not match the archive's directory")
        return data

    def _packed(self, info: zipfile.ZipInfo, first: int | None) -> bytes:
        length = info.compress_size if first is None else min(info.compress_size, first + DEFLATE_OVERHEAD)
        try:
            with self._lock:
                self._file.seek(info.header_offset)
                header = self._file.read(LOCAL_HEADER.size)
                name_length, extra_length = _local_header(header)
                self._file.seek(name_length + extra_length, os.SEEK_CUR)
                return self._file.read(length)
        except OSError as error:  # a disk error, or a negative offset
            raise Unreadable(f"damaged: {error.strerror or error}") from error

    @staticmethod
    def _inflated(packed: bytes, info: zipfile.ZipInfo, first: int | None) -> bytes:
        """Inflate at most one byte more than declared, so that a false size costs nothing."""
        try:
            data = zlib.decompressobj(-15).decompress(packed, (info.file_size if first is None else first) + 1)
        except zlib.error as error:
            raise Unreadable(f"damaged: {error}") from error
        if len(data) > info.file_size and first is None:
            raise DataError(
                f"entry {quoted(info.filename)} unpacks to more than the {info.file_size:,} bytes it declares: refused as a zip bomb"
            )
        return data


def _local_header(header: bytes) -> tuple[int, int]:
    """Lengths of the name and the extra field between an entry's header and its data."""
    if len(header) < LOCAL_HEADER.size:
        raise Unreadable("damaged: the archive ends before this entry")
    signature, name_length, extra_length = LOCAL_HEADER.unpack(header)
    if signature != b"PK\x03\x04":
        raise Unreadable("damaged: no entry at the offset in the archive's directory")
    return name_length, extra_length


def _check_archive(path: Path, limits: Limits) -> None:
    """Check the size of the file and the number of entries in its end record, before the directory is parsed."""
    try:
        size = path.stat().st_size
        if limits.archive_bytes is not None and size > limits.archive_bytes:
            raise DataError(
                f"{at_head(path.name)} is {gigabytes(size)}, at most {gigabytes(limits.archive_bytes)} are allowed"
            )
        with open(path, "rb") as file:
            file.seek(max(0, size - END_SEARCH_BYTES))
            tail = file.read()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < END_RECORD.size:
        raise DataError(
            f"{at_head(path.name)} is not a zip archive despite its name; expected a .zip of an image folder"
        )
    _, _, entries, directory_bytes, _ = END_RECORD.unpack_from(tail, at)
    if entries != 0xFFFF and entries > limits.entries:  # 0xFFFF: the number is in a zip64 record instead
        raise DataError(f"{at_head(path.name)} declares {entries:,} entries, at most {limits.entries:,} are allowed")
    if directory_bytes != 0xFFFFFFFF and directory_bytes > limits.entries * DIRECTORY_BYTES_PER_ENTRY:
        raise DataError(
            f"{at_head(path.name)} has a directory of {gigabytes(directory_bytes)}, too large for the {limits.entries:,} entries allowed"
        )


def _infos(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        struct.error,
        OSError,
        ValueError,
        NotImplementedError,
        EOFError,
    ) as error:
        raise DataError(
            f"{at_head(path.name)} is not a readable zip archive ({' '.join(str(error).split())}); zip the folder again"
        ) from error


def check_entry(info: zipfile.ZipInfo) -> None:
    """Raise DataError naming the entry if its name, kind or sizes are not plausible for an image or folder."""
    name, reason = info.orig_filename, None
    parts = name.rstrip("/").split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if any(ord(c) < 32 for c in name):
        reason = "has a control character in its name"
    elif len(name) > MAX_NAME or any(len(part) > MAX_PART for part in parts):
        reason = f"has a name of {len(name):,} characters; at most {MAX_PART} for a folder or file and {MAX_NAME:,} in all are allowed"
    elif (
        "\\" in name
        or name.startswith("/")
        or (len(name) > 1 and name[1] == ":")
        or any(p in ("", ".", "..") for p in parts)
    ):
        reason = "has a path that could lead out of the archive; expected names like train/cat/1.jpg"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        reason = "is a link or a special file; put the file itself into the archive"
    elif name.casefold().endswith(ARCHIVES) and not is_junk(name):
        reason = "is an archive inside the archive; unpack it first"
    elif info.flag_bits & 0x41:
        reason = "is encrypted; zip the folder without a password"
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        reason = f"uses compression method {info.compress_type}; zip the folder with the usual method (deflate)"
    elif info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        reason = f"is stored as {info.compress_size:,} bytes but declares {info.file_size:,}"
    elif info.file_size > RATIO_FROM_BYTES and info.file_size > MAX_RATIO * info.compress_size:
        reason = f"unpacks {info.compress_size:,} bytes to {info.file_size:,}, more than {MAX_RATIO} times: refused as a zip bomb"
    if reason:
        raise DataError(f"entry {quoted(name)} {reason}")
