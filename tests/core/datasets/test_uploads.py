"""Zips of images: read in place, distrusted entry by entry, stored whole or not at all."""

from __future__ import annotations

import io
import os
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.datasets import describe, find_dataset, image_sets, is_ready, load, prepare, uploads, zip_archive
from core.datasets.folder_layout import layout
from core.datasets.image_file import Unreadable
from core.datasets.uploads import safe_stem, store_upload
from core.datasets.zip_archive import Limits, ZipSource
from core.errors import DataError

ROOT = Path(__file__).parents[3]
PLAIN = {f"{split}/{name}/{i}.png": None for split in ("train", "test") for name in ("a", "b") for i in range(3)}


def png(seed: int = 0, side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def zipped(
    files: dict[str, bytes | None], method: int = zipfile.ZIP_DEFLATED, extra: list[zipfile.ZipInfo] = ()
) -> bytes:
    """A zip in memory; None stands for a small image of its own."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for i, (name, data) in enumerate(files.items()):
            z.writestr(name, png(i) if data is None else data)
        for info in extra:
            z.writestr(info, b"target")
    return out.getvalue()


def entry(name: str, **fields: object) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def store(root: Path, data: bytes, name: str = "pets.zip", **options: object) -> str:
    return store_upload(root, name, io.BytesIO(data), **options)


def refused(root: Path, data: bytes, message: str, **options: object) -> None:
    """The upload is refused with this message, on one line, and nothing is left behind."""
    with pytest.raises(DataError, match=message) as refusal:
        store(root, data, **options)
    assert "\n" not in str(refusal.value)
    assert ".tmp" not in str(refusal.value)
    assert list((root / "uploads").iterdir()) == []


# --- what works ---


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_an_upload_becomes_a_dataset(tmp_path: Path, method: int) -> None:
    name = store(tmp_path, zipped(PLAIN, method), "My Pets (1).zip")
    assert name.startswith("uploads/")
    assert name.endswith("-My-Pets-1.zip")
    assert [s.key for s in image_sets(tmp_path)] == [name]
    spec = prepare(name, tmp_path)
    assert (spec.label, spec.classes, spec.pool_counts.tolist(), spec.shape) == (
        "My-Pets-1",
        ("a", "b"),
        [3, 3],
        (3, 8, 8),
    )
    assert find_dataset(name, tmp_path, inside=True).key == name
    data = load(name, tmp_path, seed=0)
    expected = np.asarray(Image.open(io.BytesIO(png(6)))).transpose(2, 0, 1)  # the 7th file: test/a/0.png
    assert np.array_equal(data.test_x[0], expected)


def test_nothing_is_ever_extracted(tmp_path: Path) -> None:
    prepare(store(tmp_path, zipped(PLAIN)), tmp_path)
    kinds = sorted(p.suffix for p in tmp_path.rglob("*") if p.is_file())
    assert kinds == [".bin", ".json", ".lock", ".zip"]


def test_the_same_content_is_kept_once(tmp_path: Path) -> None:
    data = zipped(PLAIN)
    assert store(tmp_path, data, "one.zip") == store(tmp_path, data, "two.zip")
    assert len(list((tmp_path / "uploads").iterdir())) == 1
    assert store(tmp_path, zipped({**PLAIN, "train/a/9.png": None}), "one.zip").endswith("-one.zip")
    assert len(list((tmp_path / "uploads").iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("pets.zip", "pets"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.zip", "y"),
        ("..", "images"),
        ("", "images"),
        ("é ö.zip", "images"),
        ("a" * 300 + ".zip", "a" * 60),
        ("CON.zip", "CON"),
        ("<b>.zip", "b"),
        ("a\nb\0c.zip", "a-b-c"),
    ],
)
def test_the_stored_name_is_our_own(tmp_path: Path, name: str, stem: str) -> None:
    assert safe_stem(name) == stem
    kept = store(tmp_path, zipped(PLAIN), name)
    assert (tmp_path / kept).parent == tmp_path / "uploads"
    assert Path(kept).name[12:] == f"-{stem}.zip"


def test_a_zip_anywhere_on_disk_is_a_dataset_and_is_prepared_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "pets.zip"
    path.write_bytes(zipped(PLAIN))
    first = load(str(path), tmp_path / "data", seed=0)
    assert is_ready(str(path), tmp_path / "data")
    monkeypatch.setattr(zip_archive, "_infos", lambda p: pytest.fail("opened again"))
    assert load(str(path), tmp_path / "data", seed=0).index_hash == first.index_hash


def test_a_touched_zip_is_not_decoded_again_but_a_changed_one_is(tmp_path: Path) -> None:
    path = tmp_path / "pets.zip"
    path.write_bytes(zipped(PLAIN))
    first = load("pets.zip", tmp_path, seed=0)
    made = next((tmp_path / "cache").glob("*.bin")).stat().st_mtime_ns
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match="must be prepared first"):
        describe("pets.zip", tmp_path)
    assert load("pets.zip", tmp_path, seed=0).index_hash == first.index_hash
    assert describe("pets.zip", tmp_path).classes == ("a", "b")
    assert next((tmp_path / "cache").glob("*.bin")).stat().st_mtime_ns == made
    path.write_bytes(zipped({**PLAIN, "train/a/0.png": png(77)}))
    assert load("pets.zip", tmp_path, seed=0).index_hash != first.index_hash


def test_a_zip_that_changes_while_it_is_decoded_counts_as_changed(tmp_path: Path) -> None:
    path = tmp_path / "pets.zip"
    path.write_bytes(zipped(PLAIN))
    with pytest.raises(DataError, match=r"must be prepared first \(it is new or has changed\)"):
        prepare("pets.zip", tmp_path, lambda share, text: os.utime(path, ns=(1, 1)))
    assert not is_ready("pets.zip", tmp_path)


def test_a_zip_gives_the_same_arrays_as_the_folder_in_it(tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(zipped(PLAIN))
    with zipfile.ZipFile(tmp_path / "pets.zip") as whole:
        whole.extractall(tmp_path / "pets")
    a, b = load("pets.zip", tmp_path, seed=0), load("pets", tmp_path, seed=0)
    for x, y in ((a.train_x, b.train_x), (a.val_x, b.val_x), (a.test_x, b.test_x), (a.train_y, b.train_y)):
        assert np.array_equal(x, y)


def test_junk_of_operating_systems_is_ignored(tmp_path: Path) -> None:
    junk = {
        "__MACOSX/train/a/._0.png": b"x",
        ".DS_Store": b"x",
        "train/a/Thumbs.db": b"x",
        "train/.hidden/1.png": b"x",
        "README.md": b"hello",
    }
    spec = prepare(store(tmp_path, zipped({**PLAIN, **junk})), tmp_path)
    assert spec.pool_counts.tolist() == [3, 3]
    assert spec.skipped == ()


# --- names ---

BAD_NAMES = {
    "parent": "train/../../evil.png",
    "parent first": "../evil.png",
    "absolute": "/etc/evil.png",
    "drive": "C:/evil.png",
    "drive relative": "C:evil.png",
    "backslash": "train\\..\\evil.png",
    "unc": "\\\\server\\share\\evil.png",
    "double slash": "train//evil.png",
    "dot": "./train/a/1.png",
    "unc slashes": "//server/evil.png",
}


@pytest.mark.parametrize("case", BAD_NAMES)
def test_names_that_lead_out_are_refused(tmp_path: Path, case: str) -> None:
    name = BAD_NAMES[case]
    data = zipped(PLAIN, extra=[entry(name)])
    refused(tmp_path, data, "could lead out of the archive; expected names like train/cat/1.jpg")


@pytest.mark.parametrize("folder", ["../", "train/../", "/"])
def test_folder_entries_that_lead_out_are_refused(tmp_path: Path, folder: str) -> None:
    refused(tmp_path, zipped(PLAIN, extra=[entry(folder)]), "could lead out")


@pytest.mark.parametrize("name", ["train/a/1\n2.png", "train/a/\x1b[2J.png", "train/a/tab\t.png"])
def test_control_characters_are_refused_and_escaped_in_the_message(tmp_path: Path, name: str) -> None:
    refused(tmp_path, zipped(PLAIN, extra=[entry(name)]), "has a control character in its name")


def test_a_nul_in_a_name_is_refused(tmp_path: Path) -> None:
    data = zipped({**PLAIN, "train/a/evil.png": None}).replace(b"evil.png", b"ev\0l.png")
    refused(tmp_path, data, r"entry 'train/a/ev\\x00l\.png' has a control character")


@pytest.mark.parametrize("name", ["train/a/" + "x" * 300 + ".png", "/".join(["d" * 200] * 6) + "/1.png", "x" * 60_000])
def test_overlong_names_are_refused_in_a_short_message(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"has a name of .* characters; at most 255") as refusal:
        store(tmp_path, zipped(PLAIN, extra=[entry(name)]))
    assert len(str(refusal.value)) < 300


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    data = zipped({**PLAIN, "train/a/7.png": None, "train/a/8.png": None}).replace(b"a/8.png", b"a/7.png")
    refused(tmp_path, data, r"entry 'train/a/7\.png' is in the archive twice")


# --- kinds ---


@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o020644, 0o060644, 0o140644])
def test_links_and_special_files_are_refused(tmp_path: Path, mode: int) -> None:
    data = zipped(PLAIN, extra=[entry("train/a/link.png", external_attr=mode << 16, create_system=3)])
    refused(tmp_path, data, r"entry 'train/a/link\.png' is a link or a special file")


def test_encrypted_entries_are_refused(tmp_path: Path) -> None:
    data = bytearray(zipped(PLAIN))
    at = data.rfind(b"PK\x01\x02")
    data[at + 8] |= 1
    refused(tmp_path, bytes(data), r"entry 'test/b/2\.png' is encrypted; zip the folder without a password")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(tmp_path: Path, method: int) -> None:
    refused(
        tmp_path,
        zipped(PLAIN, method),
        r"entry 'train/a/0\.png' uses compression method \d+; zip the folder with the usual method",
    )


@pytest.mark.parametrize("name", ["train/a/more.zip", "train/a/MORE.ZIP", "inner.tar", "x.7z", "train/b/y.tar.gz"])
def test_nested_archives_are_refused(tmp_path: Path, name: str) -> None:
    refused(tmp_path, zipped({**PLAIN, name: zipped(PLAIN)}), "is an archive inside the archive; unpack it first")


def test_an_archive_named_as_an_image_is_no_image(tmp_path: Path) -> None:
    refused(
        tmp_path,
        zipped({**PLAIN, "train/a/9.png": zipped(PLAIN)}),
        r"1 of 13 images cannot be read.*'train/a/9\.png': not a PNG",
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ\x90\x00" + bytes(1000),
        b"name,score\na,1\n",
        png(),
        b"PK\x03\x04" + bytes(100),
        b"PK\x05\x06" + b"\xff" * 18,
    ],
)
def test_a_file_that_is_no_zip_is_refused_whatever_its_name(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path, data, r"pets\.zip (is not a (readable )?zip archive|declares)")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_zip_is_refused(tmp_path: Path, keep: float) -> None:
    data = zipped(PLAIN)
    refused(tmp_path, data[: int(len(data) * keep)], r"pets\.zip is not a .*zip archive")


def test_random_damage_is_refused_or_harmless_but_never_another_error(tmp_path: Path) -> None:
    whole, rng = zipped(PLAIN), np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(whole)
        for at in rng.integers(0, len(bad), 4):
            bad[at] = rng.integers(0, 256)
        try:
            store(tmp_path, bytes(bad))
        except DataError as refusal:
            if "\n" in str(refusal):
                raise
    assert not list((tmp_path / "uploads").glob("*.tmp"))


# --- layouts ---


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train/a/1.png": None, "test/a/1.png": None}, r"1 class folder \('a'\)"),
        ({"a.png": None}, "image 'a.png' is outside the class folders"),
        ({}, "no images found"),
        ({**PLAIN, "train/empty/": b""}, "class 'empty' has no image in the training split"),
        (
            {**PLAIN, "train/a/notes.txt": b"text", "train/a/b.exe": b"MZ"},
            r"2 of 14 images cannot be read.*'train/a/b\.exe': not a PNG",
        ),
        ({**PLAIN, "train/0.png": None}, "is outside the class folders"),
    ],
)
def test_layouts_that_cannot_be_trained_on_are_refused(
    tmp_path: Path, files: dict[str, bytes | None], message: str
) -> None:
    refused(tmp_path, zipped(files), message)


def test_ten_thousand_classes_are_refused(tmp_path: Path) -> None:
    refused(
        tmp_path,
        zipped({f"c{i}/1.png": b"" for i in range(10_000)}, zipfile.ZIP_STORED),
        "10,000 class folders, expected at most 1,000",
    )


# --- bombs ---

SMALL = Limits(archive_bytes=100_000, unpacked_bytes=3_000_000, entries=50)


def test_a_bomb_by_declared_size_is_refused_without_inflating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped({**PLAIN, "train/a/bomb.png": bytes(300_000_000)})
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *_: pytest.fail("it was inflated"))
    refused(
        tmp_path,
        bomb,
        r"entry 'train/a/bomb\.png' unpacks [\d,]+ bytes to 300,000,000, more than 100 times: refused as a zip bomb",
    )


def test_many_modest_entries_are_refused_by_their_sum(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(500_000)
    files = {f"train/a/{i}.png": noise[:1000] + bytes(499_000) for i in range(8)}
    refused(tmp_path, zipped({**PLAIN, **files}), r"pets\.zip unpacks to 4 MB, at most 3 MB are allowed", limits=SMALL)


def _declare(data: bytes, name: str, size: int) -> bytes:
    """Change the unpacked size that the central directory declares for an entry."""
    out = bytearray(data)
    at = out.rfind(name.encode()) - 46
    assert out[at : at + 4] == b"PK\x01\x02"
    out[at + 24 : at + 28] = struct.pack("<L", size)
    return bytes(out)


def test_a_bomb_that_lies_about_its_size_is_stopped_at_what_it_declares(tmp_path: Path) -> None:
    import tracemalloc

    bomb = _declare(zipped({**PLAIN, "train/a/bomb.png": bytes(200_000_000)}), "train/a/bomb.png", 1000)
    tracemalloc.start()
    refused(
        tmp_path,
        bomb,
        r"entry 'train/a/bomb\.png' unpacks to more than the 1,000 bytes it declares: refused as a zip bomb",
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_lying_bomb_is_stopped_when_a_local_zip_is_prepared_too(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(
        _declare(zipped({**PLAIN, "train/a/0.png": png() + bytes(5_000_000)}), "train/a/0.png", len(png()))
    )
    with pytest.raises(DataError, match=r"b\.zip: entry 'train/a/0\.png' unpacks to more than"):
        prepare("b.zip", tmp_path)
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".lock"]


def test_entries_that_declare_more_than_they_hold_are_unreadable(tmp_path: Path) -> None:
    refused(tmp_path, _declare(zipped(PLAIN), "train/b/1.png", 90_000), r"'train/b/1\.png': damaged: size or checksum")


def test_a_stored_entry_must_declare_its_own_size(tmp_path: Path) -> None:
    refused(
        tmp_path,
        _declare(zipped(PLAIN, zipfile.ZIP_STORED), "train/b/1.png", 90_000),
        r"entry 'train/b/1\.png' is stored as \d+ bytes but declares 90,000",
    )


def test_a_wrong_checksum_is_unreadable(tmp_path: Path) -> None:
    data = bytearray(zipped(PLAIN, zipfile.ZIP_STORED))
    data[data.find(b"IDAT") + 10] ^= 1
    refused(tmp_path, bytes(data), r"'train/a/0\.png': damaged: size or checksum does not match")


def test_too_many_entries_are_refused_by_the_end_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped({f"{c}/{i}.png": b"" for c in "ab" for i in range(30)}, zipfile.ZIP_STORED)
    monkeypatch.setattr(zip_archive, "_infos", lambda path: pytest.fail("the directory was parsed"))
    refused(tmp_path, data, r"pets\.zip declares 60 entries, at most 50 are allowed", limits=SMALL)


def test_too_many_entries_are_refused_where_the_end_record_lies(tmp_path: Path) -> None:
    data = bytearray(zipped({f"{c}/{i}.png": b"" for c in "ab" for i in range(30)}, zipfile.ZIP_STORED))
    at = data.rfind(b"PK\x05\x06")
    data[at + 8 : at + 12] = struct.pack("<HH", 3, 3)
    refused(tmp_path, bytes(data), r"pets\.zip has 60 entries, at most 50 are allowed", limits=SMALL)


def test_a_directory_too_long_for_its_entries_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(zipped({f"{c}/{'x' * 250}{i}.png": b"" for c in "ab" for i in range(60)}, zipfile.ZIP_STORED))
    at = data.rfind(b"PK\x05\x06")
    data[at + 8 : at + 12] = b"\xff" * 4
    monkeypatch.setattr(zip_archive, "_infos", lambda path: pytest.fail("the directory was parsed"))
    refused(tmp_path, bytes(data), r"has a directory of \d+ kB, too large for the 50 entries allowed", limits=SMALL)


def test_an_upload_over_the_size_limit_stops_while_it_is_copied(tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, n: int = -1) -> bytes:
            self.given += n
            return bytes(n)

    source = Endless()
    with pytest.raises(DataError, match=r"big\.zip is larger than 100 kB; put it into the data folder instead"):
        store_upload(tmp_path, "big.zip", source, limits=SMALL)
    assert source.given <= 2 * uploads.PIECE_BYTES
    assert list((tmp_path / "uploads").iterdir()) == []


def test_overlapping_entries_count_in_full(tmp_path: Path) -> None:
    """Many directory records that point at one packed piece: each is honest, only the sum is not."""
    data = bytearray(zipped({**PLAIN, **{f"train/a/z{i}.png": bytes(1_000_000) for i in range(9)}}))
    first = data.find(b"train/a/z0.png") - 30
    for i in range(1, 9):
        at = data.rfind(f"train/a/z{i}.png".encode()) - 46
        data[at + 42 : at + 46] = struct.pack("<L", first)
    refused(tmp_path, bytes(data), r"unpacks to 9 MB, at most 3 MB", limits=SMALL)


def test_cifar_10_as_files_is_within_the_limits() -> None:
    assert zip_archive.UPLOAD.entries > 60_000
    assert zip_archive.UPLOAD.archive_bytes == 200 * 2**20
    assert zip_archive.UPLOAD.unpacked_bytes == 500 * 2**20


# --- faults while storing ---


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    for moment in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(uploads.os, moment, full)
            with pytest.raises(DataError, match=r"cannot write .*No space left on device; free some space"):
                store(tmp_path, zipped(PLAIN))
        assert list((tmp_path / "uploads").iterdir()) == []


def test_an_upload_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(io.RawIOBase):
        def read(self, n: int = -1) -> bytes:
            raise ConnectionResetError("the browser went away")

    with pytest.raises(ConnectionResetError):
        store_upload(tmp_path, "x.zip", Broken())
    assert list((tmp_path / "uploads").iterdir()) == []


def test_what_a_killed_upload_left_is_swept_after_an_hour(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    for name, age in (("old.tmp", 4_000), ("new.tmp", 10)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    store(tmp_path, zipped(PLAIN))
    assert sorted(p.suffix for p in folder.iterdir()) == [".tmp", ".zip"]
    assert (folder / "new.tmp").exists()


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    store_upload(tmp_path, "x.zip", io.BytesIO(zipped(PLAIN)), lambda share, text: told.append(text))
    assert told == ["checking 0 of 12 images"]


# --- reading entries ---


def test_entries_can_be_read_from_several_threads(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    files = {f"a/{i}.bin": np.random.default_rng(i).bytes(5_000) for i in range(200)}
    (tmp_path / "x.zip").write_bytes(zipped(files))
    source = ZipSource(tmp_path / "x.zip")
    with ThreadPoolExecutor(4) as pool:
        for item, data in zip(source.entries, pool.map(source.read, source.entries), strict=True):
            assert data == files[item.name]
            assert source.read(item, 100) == data[:100]
    source.close()


def test_a_zip_cut_after_it_was_opened_gives_unreadable_entries(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(zipped(PLAIN, zipfile.ZIP_STORED))
    source = ZipSource(path)
    os.truncate(path, 200)
    for item in source.entries[2:]:
        with pytest.raises(Unreadable, match="damaged"):
            source.read(item)
    source.close()


def test_a_local_header_that_is_not_where_the_directory_says(tmp_path: Path) -> None:
    data = bytearray(zipped(PLAIN))
    data[0:4] = b"XXXX"
    refused(tmp_path, bytes(data), r"'train/a/0\.png': damaged: no entry at the offset|not a readable zip")


def test_a_zip_behind_other_bytes_is_read(tmp_path: Path) -> None:
    """Self-extracting archives have a program before the first entry; offsets then count from the archive's own start."""
    data = b"#!/bin/sh\n" + zipped(PLAIN)
    assert prepare(store(tmp_path, data), tmp_path).pool_counts.tolist() == [3, 3]


def test_an_entry_too_large_for_an_image_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "MAX_FILE_BYTES", 2_000)
    refused(
        tmp_path,
        zipped({**PLAIN, "train/a/9.png": png(0, 40)}),
        r"'train/a/9\.png': larger than the 64 MB allowed for one image",
    )


def test_a_zip_that_vanishes_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped(PLAIN))
    prepare("x.zip", tmp_path)
    dataset = find_dataset("x.zip", tmp_path)
    (tmp_path / "x.zip").unlink()
    assert not dataset.is_ready(tmp_path)
    with pytest.raises(DataError, match=r"x\.zip: cannot read .*No such file"):
        dataset.prepared(tmp_path)


def test_checksums_are_those_of_zlib(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped(PLAIN))
    source = ZipSource(tmp_path / "x.zip")
    assert all(item.stamp == zlib.crc32(source.read(item)) for item in source.entries)
    source.close()


@pytest.mark.slow
def test_the_cifar_zip(tmp_path: Path) -> None:
    """All 60,000 images, when they are there: counts, names, and that a second start makes nothing anew."""
    for place in (Path(os.environ.get("EVENLY_DATA", "")), ROOT.parent / "shared" / "data"):
        if (place / "cifar10-jpeg.zip").is_file():
            break
    else:
        pytest.skip("cifar10-jpeg.zip is neither in the data folder nor in ../shared/data")
    source = ZipSource(place / "cifar10-jpeg.zip", zip_archive.UPLOAD)
    plan = layout(source.entries, source.folders)
    source.close()
    assert plan.classes == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    assert np.bincount(plan.split).tolist() == [50_000, 0, 10_000]
    (tmp_path / "cifar10-jpeg.zip").symlink_to((place / "cifar10-jpeg.zip").resolve())
    assert prepare("cifar10-jpeg.zip", tmp_path).pool_counts.tolist() == [5_000] * 10
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"}
    data = load("cifar10-jpeg.zip", tmp_path, seed=0)
    assert {p: p.stat().st_mtime_ns for p in made} == made, "the images were decoded again"
    assert (data.train_x.shape, data.test_x.shape, data.skipped) == ((45_000, 3, 32, 32), (10_000, 3, 32, 32), ())
    with zipfile.ZipFile(tmp_path / "cifar10-jpeg.zip") as original:
        raw = original.read("test/airplane/0000.jpg")
    first = np.asarray(Image.open(io.BytesIO(raw)))
    assert np.array_equal(data.test_x[0], first.transpose(2, 0, 1))
