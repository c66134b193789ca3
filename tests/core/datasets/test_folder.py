"""Your own image folder: what is accepted, what is refused by name, and that decoding is right, complete and done once."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from core.datasets import (
    array_cache,
    describe,
    find_dataset,
    image_decoding,
    image_file,
    image_sets,
    is_ready,
    load,
    prepare,
    sources,
    train_counts,
)
from core.datasets.folder_layout import Entry, FolderSource, layout, quoted
from core.datasets.image_decoding import in_order
from core.datasets.image_file import Unreadable, automatic_side, decode, image_size, quick_size
from core.datasets.spec import quiet
from core.errors import DataError


def picture(path: Path, seed: int, size: tuple[int, int] = (32, 32), **options: object) -> np.ndarray:
    """Write a noise image and return its pixels [H, W, 3]."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def make_set(root: Path, counts: dict[str, int], size: tuple[int, int] = (32, 32)) -> dict[str, np.ndarray]:
    """counts: "train/cat" -> number of PNG files. Returns the pixels by relative name."""
    made = {}
    for folder, count in counts.items():
        for i in range(count):
            name = f"{folder}/{i:03d}.png"
            made[name] = picture(root / name, seed=len(made), size=size)
    return made


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A data root with pets/: 12 cats and 8 dogs to train, 3 and 2 to test."""
    make_set(tmp_path / "pets", {"train/dog": 8, "train/cat": 12, "test/cat": 3, "test/dog": 2})
    return tmp_path


# --- loading ---


def test_a_folder_loads_pixel_for_pixel_with_sorted_classes(tmp_path: Path) -> None:
    made = make_set(tmp_path / "pets", {"train/dog": 4, "train/cat": 6, "test/cat": 3, "test/dog": 2})
    spec = prepare("pets", tmp_path)
    assert (spec.key, spec.label, spec.kind, spec.shape, spec.classes) == (
        "pets",
        "pets",
        "image",
        (3, 32, 32),
        ("cat", "dog"),
    )
    data = load("pets", tmp_path, seed=0)
    assert data.test_y.tolist() == [0, 0, 0, 1, 1]
    for x, name in zip(
        data.test_x, ["test/cat/000.png", "test/cat/001.png", "test/cat/002.png", "test/dog/000.png"], strict=False
    ):
        assert np.array_equal(x, made[name].transpose(2, 0, 1))
    pool = np.concatenate([data.train_x, data.val_x])[np.argsort(np.concatenate([data.train_index, data.val_index]))]
    names = [f"train/cat/{i:03d}.png" for i in range(6)] + [f"train/dog/{i:03d}.png" for i in range(4)]
    assert np.array_equal(pool, np.stack([made[n].transpose(2, 0, 1) for n in names]))


@pytest.mark.parametrize("imbalance", [1.0, 4.0])
def test_counts_are_known_after_preparing(pets: Path, imbalance: float) -> None:
    prepare("pets", pets)
    spec = describe("pets", pets, 0.25)
    data = load("pets", pets, seed=1, validation=0.25, imbalance=imbalance)
    assert spec.val_counts.tolist() == [3, 2] == np.bincount(data.val_y).tolist()
    assert (
        data.counts.tolist()
        == train_counts(spec, 0.25, imbalance, "exponential").tolist()
        == ([9, 6] if imbalance == 1 else [9, 2])
    )
    assert spec.test_counts.tolist() == [3, 2]


@pytest.mark.parametrize("name", ["val", "validation", "valid", "Val"])
def test_a_validation_folder_is_used_as_it_is(tmp_path: Path, name: str) -> None:
    make_set(tmp_path / "s", {"train/a": 5, "train/b": 5, f"{name}/a": 2, f"{name}/b": 3, "test/a": 1, "test/b": 1})
    spec = prepare("s", tmp_path)
    assert spec.own_validation
    data = load("s", tmp_path, seed=0, validation=0.5)
    assert np.bincount(data.val_y).tolist() == [2, 3] == spec.val_counts.tolist()
    assert data.counts.tolist() == [5, 5]


def test_without_splits_a_fixed_fifth_is_the_test_split(tmp_path: Path) -> None:
    make_set(tmp_path / "s", {"a": 20, "b": 11})
    prepare("s", tmp_path)
    first, second = load("s", tmp_path, seed=0), load("s", tmp_path, seed=1)
    assert np.bincount(first.test_y).tolist() == [4, 2]
    assert np.array_equal(first.test_x, second.test_x)
    assert not np.array_equal(first.val_index, second.val_index)


def test_a_folder_around_everything_and_subfolders_of_classes_are_looked_through(tmp_path: Path) -> None:
    make_set(
        tmp_path / "s",
        {
            "inner/train/a/monday": 3,
            "inner/train/a/tuesday": 3,
            "inner/train/b": 4,
            "inner/test/a": 1,
            "inner/test/b": 1,
        },
    )
    assert prepare("s", tmp_path).pool_counts.tolist() == [6, 4]


def test_what_operating_systems_leave_behind_is_ignored(pets: Path) -> None:
    for junk in (
        "train/cat/.DS_Store",
        "train/cat/Thumbs.db",
        "__MACOSX/train/cat/._000.png",
        ".git/config",
        "train/dog/desktop.ini",
    ):
        (pets / "pets" / junk).parent.mkdir(parents=True, exist_ok=True)
        (pets / "pets" / junk).write_text("junk")
    (pets / "pets" / "README.txt").write_text("about the pets")
    spec = prepare("pets", pets)
    assert spec.pool_counts.tolist() == [12, 8]
    assert spec.skipped == ()


def test_class_names_are_data(tmp_path: Path) -> None:
    names = ["<script>alert(1)", "=cmd", "[link](x)", "Ünï cödé", "a b"]
    make_set(tmp_path / "s", dict.fromkeys(names, 3))
    assert prepare("s", tmp_path).classes == tuple(sorted(names))


def test_a_class_name_that_is_no_text_can_still_be_shown(tmp_path: Path) -> None:
    bad = os.fsdecode(b"caf\xe9")
    make_set(tmp_path / "s", {bad: 3, "tea": 3})
    assert prepare("s", tmp_path).classes == ("caf\ufffd", "tea")


# --- done once ---


def _count_decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    real = image_decoding.decode
    monkeypatch.setattr(image_decoding, "decode", lambda data, side: calls.append(side) or real(data, side))
    return calls


def test_a_second_prepare_decodes_nothing(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _count_decodes(monkeypatch)
    prepare("pets", pets)
    assert len(calls) == 25
    prepare("pets", pets)
    load("pets", pets, seed=0)
    assert len(calls) == 25


@pytest.mark.parametrize("change", ["add", "remove", "replace"])
def test_a_changed_folder_is_decoded_again(pets: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    prepare("pets", pets)
    before = load("pets", pets, seed=0)
    first = pets / "pets" / "train" / "cat" / "000.png"
    if change == "add":
        picture(first.with_name("999.png"), 99)
    elif change == "remove":
        first.unlink()
    else:
        picture(first, 98)
    calls = _count_decodes(monkeypatch)
    after = load("pets", pets, seed=0)
    assert calls
    assert after.index_hash != before.index_hash
    assert describe("pets", pets).pool_counts[0] == {"add": 13, "remove": 11, "replace": 12}[change]
    assert len(list((pets / "cache").glob("own-*.bin"))) == 1, "the old array file is gone"


def test_a_copy_of_the_data_folder_holds_the_same_data(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare("pets", pets)
    prepare("pets@16", pets)
    copy = pets.with_name(pets.name + "-copy")
    shutil.copytree(pets, copy)  # with the times of the files, as cp -a does it
    calls = _count_decodes(monkeypatch)
    for name in ("pets", "pets@16"):
        there = load(name, copy, seed=0)
        assert there.index_hash == load(name, pets, seed=0).index_hash
        assert there.spec.fingerprint == describe(name, pets).fingerprint
    assert calls == []
    picture(copy / "pets" / "train" / "cat" / "000.png", 98)
    assert load("pets", copy, seed=0).index_hash != load("pets", pets, seed=0).index_hash


def test_folders_alike_in_names_sizes_and_times_are_kept_apart(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    for root, shift in ((first, 0), (second, 50)):
        for i in range(6):
            picture(root / "ab"[i % 2] / f"{i}.bmp", seed=i + shift, size=(8, 8))
    for place in (first, second):
        for file in place.rglob("*.bmp"):
            os.utime(file, ns=(10**18, 10**18))
    outside = [prepare(str(place), tmp_path / "data") for place in (first, second)]
    inside = [prepare(place.name, tmp_path) for place in (first, second)]
    assert len({spec.fingerprint for spec in (*outside, *inside)}) == 4
    x, y = (load(place.name, tmp_path, seed=0).train_x for place in (first, second))
    assert not np.array_equal(x, y)


def test_sizes_are_datasets_of_their_own(pets: Path) -> None:
    spec = prepare("pets", pets, size=16)
    assert (spec.key, spec.shape) == ("pets@16", (3, 16, 16))
    assert load("pets@16", pets, seed=0).train_x.shape[1:] == (3, 16, 16)
    assert prepare("pets@20", pets).shape == (3, 20, 20)
    assert prepare("pets@20", pets, size=24).key == "pets@24"
    assert not is_ready("pets", pets)
    assert prepare("pets", pets).shape == (3, 32, 32)


@pytest.mark.parametrize("size", [0, 7, 513, -1])
def test_a_size_out_of_range_is_refused(pets: Path, size: int) -> None:
    with pytest.raises(DataError, match=f"image size is {size}, expected 8 to 512 pixels"):
        prepare("pets", pets, size=size)


def test_progress_runs_from_0_to_1_and_names_the_step(pets: Path) -> None:
    told: list[tuple[float, str]] = []
    prepare("pets", pets, lambda share, text: told.append((share, text)))
    shares = [s for s, _ in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert told[-1][1] == "decoded 25 of 25 images"


def test_describing_before_preparing_says_so(pets: Path) -> None:
    with pytest.raises(DataError, match="pets must be prepared first"):
        describe("pets", pets)


# --- finding ---


def test_a_folder_is_found_under_the_data_root_by_full_path_and_from_the_working_directory(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_dataset("pets", pets).key == "pets"
    assert find_dataset(str(pets / "pets"), pets).key == "pets"
    elsewhere = pets / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(pets)
    for name in ("pets", "./pets", "elsewhere/../pets"):
        assert find_dataset(name, elsewhere).key == str(pets / "pets")


@pytest.mark.parametrize("name", ["../pets", "/etc", "a/../../x", ".."])
def test_names_from_a_page_cannot_leave_the_data_root(pets: Path, name: str) -> None:
    inner = pets / "inner"
    inner.mkdir()
    with pytest.raises(DataError, match="is outside the data folder"):
        find_dataset(name, inner, inside=True)


@pytest.mark.parametrize("name", ["", "no such", "x" * 5000, "nul\0byte", "MNIST", "cache"])
def test_names_that_mean_nothing_are_refused(pets: Path, name: str) -> None:
    prepare("digits", pets)
    (pets / "MNIST").mkdir()
    with pytest.raises(DataError, match="unknown dataset"):
        find_dataset(name, pets)


def test_a_file_that_is_neither_folder_nor_zip_is_refused(pets: Path) -> None:
    (pets / "list.csv").write_text("a,b")
    with pytest.raises(DataError, match=r"list\.csv is neither a folder nor a \.zip file"):
        find_dataset("list.csv", pets)


def test_image_sets_lists_what_looks_like_one(pets: Path) -> None:
    make_set(pets / "flat", {"a": 1, "b": 1})
    prepare("digits", pets)
    for other in ("MNIST/raw", "empty", "notes/text"):
        (pets / other).mkdir(parents=True)
    (pets / "evenly.db").write_text("")
    assert [s.key for s in image_sets(pets)] == ["flat", "pets"]
    assert image_sets(pets / "not there") == []


# --- refused, by name ---

REFUSALS = {
    "one class": ({"train/cat": 3}, r"1 class folder \('cat'\) to train on, expected at least 2"),
    "nothing": ({}, "no images found; expected train/<class>/image"),
    "no train": ({"test/cat": 2, "val/cat": 2}, r"found a folder 'test' but no train/"),
    "beside train": ({"train/a": 2, "train/b": 2, "extra/a": 1}, "folder 'extra' is beside train/"),
    "twice validation": (
        {"train/a": 2, "train/b": 2, "val/a": 1, "validation/a": 1},
        "'val' and 'validation' are both the validation split",
    ),
    "unknown class": ({"train/a": 2, "train/b": 2, "test/c": 1}, "class 'c' is in the test split but not in train/"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_wrong_layout_is_refused_by_name(tmp_path: Path, case: str) -> None:
    counts, message = REFUSALS[case]
    (tmp_path / "s").mkdir()
    make_set(tmp_path / "s", counts)
    with pytest.raises(DataError, match=f"^s: .*{message}"):
        prepare("s", tmp_path)
    assert list((tmp_path / "cache").glob("*.bin*")) == [] if (tmp_path / "cache").exists() else True


def test_an_empty_class_and_an_empty_split_are_refused(pets: Path) -> None:
    (pets / "pets" / "train" / "fish").mkdir()
    with pytest.raises(
        DataError, match="class 'fish' has no image in the training split; add images or remove the folder"
    ):
        prepare("pets", pets)
    (pets / "pets" / "train" / "fish").rmdir()
    (pets / "pets" / "validation").mkdir()
    with pytest.raises(DataError, match="the validation folder has no image; add images or remove the folder"):
        prepare("pets", pets)


def test_an_image_outside_the_class_folders_is_refused(pets: Path) -> None:
    picture(pets / "pets" / "train" / "stray.png", 5)
    with pytest.raises(DataError, match=r"image 'train/stray\.png' is outside the class folders"):
        prepare("pets", pets)


def test_ten_thousand_classes_are_refused_before_any_is_read() -> None:
    entries = [Entry(f"c{i:05d}/1.png", 10, 0) for i in range(10_000)]
    with pytest.raises(DataError, match="10,000 class folders, expected at most 1,000"):
        layout(entries, [])
    assert len(layout(entries[:1000], []).classes) == 1000


def test_a_link_back_to_a_parent_ends(pets: Path) -> None:
    (pets / "pets" / "train" / "cat" / "loop").symlink_to(pets / "pets" / "train")
    with pytest.raises(DataError, match="more than 8 levels deep; check for a link back"):
        prepare("pets", pets)


def test_long_and_hostile_names_stay_on_one_short_line() -> None:
    assert quoted("a\nb\x1b[31m") == r"'a\nb\x1b[31m'"
    assert len(quoted("x" * 10_000)) <= 82
    assert quoted(os.fsdecode(b"\xff")) == "'?'"


# --- unreadable images ---


def test_up_to_one_percent_is_left_out_and_listed(tmp_path: Path) -> None:
    make_set(tmp_path / "s", {"train/a": 60, "train/b": 60, "test/a": 40, "test/b": 40}, size=(8, 8))
    (tmp_path / "s" / "train" / "a" / "000.png").write_text("no image")
    whole = (tmp_path / "s" / "train" / "b" / "001.png").read_bytes()
    (tmp_path / "s" / "train" / "b" / "001.png").write_bytes(whole[:-40])
    spec = prepare("s", tmp_path)
    assert spec.pool_counts.tolist() == [59, 59]
    assert len(spec.skipped) == 2
    assert spec.skipped[0] == "'train/a/000.png': not a PNG, JPEG, BMP, WEBP image"
    assert spec.skipped[1].startswith("'train/b/001.png': ")
    data = load("s", tmp_path, seed=0)
    assert data.skipped == spec.skipped
    assert len(data.train_x) + len(data.val_x) == 118


def test_more_than_one_percent_refuses_the_set_and_names_the_first(pets: Path) -> None:
    for i in range(2):
        (pets / "pets" / "train" / "cat" / f"{i:03d}.png").write_text("no image")
    with pytest.raises(
        DataError,
        match=r"at least 2 of 25 images cannot be read, at most 1% may be: 'train/cat/000\.png': not a PNG.*001\.png",
    ):
        prepare("pets", pets)
    assert [p.suffix for p in (pets / "cache").iterdir()] == [".lock"]


def test_a_small_set_without_a_single_image_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "s" / name).mkdir(parents=True)
        (tmp_path / "s" / name / "1.png").write_text("no image")
    with pytest.raises(DataError, match="at least 2 of 2 images cannot be read"):
        prepare("s", tmp_path)


def test_a_size_behind_a_large_preview_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_set(tmp_path / "s", {"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1})
    picture(tmp_path / "s" / "train" / "a" / "9.jpg", 1, comment=b"x" * 60_000, exif=b"Exif\0\0" + bytes(60_000))
    assert quick_size((tmp_path / "s" / "train" / "a" / "9.jpg").read_bytes()[: image_file.HEADER_BYTES]) is None
    assert prepare("s", tmp_path).pool_counts.tolist() == [4, 3]


def test_a_file_that_cannot_be_opened_is_unreadable(pets: Path) -> None:
    source = FolderSource(pets / "pets")
    (pets / "pets" / "train" / "cat" / "000.png").unlink()
    gone = next(e for e in source.entries if e.name == "train/cat/000.png")
    with pytest.raises(Unreadable, match="No such file"):
        source.read(gone)


def test_what_is_neither_file_nor_folder_is_passed_over(pets: Path) -> None:
    os.mkfifo(pets / "pets" / "train" / "cat" / "pipe.png")
    (pets / "pets" / "train" / "cat" / "dangling.png").symlink_to("nowhere")
    assert prepare("pets", pets).pool_counts.tolist() == [12, 8]


def test_a_folder_that_cannot_be_listed_is_not_offered(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def denied(path: str | Path) -> object:  # of this folder alone: from Python 3.13 on, Path.iterdir asks here too
        if Path(path).is_relative_to(pets / "flat"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(sources.os, "scandir", denied)
    make_set(pets / "flat", {"a": 1, "b": 1})
    assert [s.key for s in image_sets(pets)] == ["pets"]


def test_a_set_of_text_files_is_given_up_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(300):
        for name in ("a", "b"):
            file = tmp_path / "s" / name / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("no image")
    seen: list[int] = []
    real = image_decoding.image_size
    monkeypatch.setattr(image_decoding, "image_size", lambda data: seen.append(1) or real(data))
    with pytest.raises(DataError, match="cannot be read"):
        prepare("s", tmp_path)
    assert len(seen) < 10


def test_a_class_that_loses_its_only_image_is_refused(tmp_path: Path) -> None:
    make_set(tmp_path / "s", {"train/a": 120, "train/b": 1, "test/a": 1, "test/b": 1}, size=(8, 8))
    (tmp_path / "s" / "train" / "b" / "000.png").write_text("no image")
    with pytest.raises(DataError, match=r"class 'b' has no readable training image left: 'train/b/000\.png'"):
        prepare("s", tmp_path)


def test_a_disk_without_room_is_refused_before_decoding(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr(array_cache.shutil, "disk_usage", lambda path: usage)
    calls = _count_decodes(monkeypatch)
    with pytest.raises(
        DataError, match=r"25 images of 32 x 32 pixels needs 269 MB of free space .*choose a smaller image size"
    ):
        prepare("pets", pets)
    assert calls == []


def test_a_failure_in_the_middle_leaves_no_array_file(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(share: float, text: str) -> None:
        if text.startswith("decoded"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("pets", pets, break_down)
    assert [p.suffix for p in (pets / "cache").iterdir()] == [".lock"]


def test_a_folder_that_vanishes_says_so(pets: Path) -> None:
    dataset = find_dataset("pets", pets)
    shutil.rmtree(pets / "pets")
    with pytest.raises(DataError, match=r"cannot read .*pets: No such file"):
        dataset.prepared(pets, quiet)


# --- one image ---


def encoded(image: Image.Image, fmt: str, **options: object) -> bytes:
    import io

    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def test_grey_16_bit_keeps_its_upper_bits() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    out = decode(encoded(Image.fromarray(ramp), "PNG"), 64)
    assert np.array_equal(out[0], (ramp >> 8).astype(np.uint8))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_other_colour_modes_become_rgb(mode: str) -> None:
    image = Image.new("RGB", (16, 16), (255, 255, 255)).convert(mode)
    fmt = "JPEG" if mode == "CMYK" else "PNG"
    out = decode(encoded(image, fmt), 16)
    assert out.shape == (3, 16, 16)
    assert out.dtype == np.uint8
    assert (out >= 250).all()


def test_exif_orientation_is_applied() -> None:
    upright = np.zeros((40, 40, 3), np.uint8)
    upright[:20] = 255  # white on top
    exif = Image.Exif()
    exif[0x0112] = 6  # turn 90 degrees clockwise to show it upright
    lying = Image.fromarray(np.rot90(upright, 1))
    out = decode(encoded(lying, "JPEG", exif=exif, quality=95), 40)
    assert out[:, :18].min() > 200
    assert out[:, 22:].max() < 50


def test_the_short_side_is_scaled_and_the_middle_kept() -> None:
    wide = np.zeros((50, 150, 3), np.uint8)
    wide[:, 50:100] = 200  # the middle third
    out = decode(encoded(Image.fromarray(wide), "PNG"), 25)
    assert out.shape == (3, 25, 25)
    assert (out[:, :, 1:-1] == 200).all()


def test_a_large_photograph_is_scaled_like_the_slow_way() -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    photo = small.resize((1600, 1200), Image.Resampling.BICUBIC)
    out = decode(encoded(photo, "JPEG", quality=95), 64).astype(int)
    slow = np.asarray(photo.crop((200, 0, 1400, 1200)).resize((64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(out - slow).mean() < 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a PNG"),
        (b"hello", "not a PNG"),
        (b"\x89PNG\r\n\x1a\n", "not a PNG"),
        (b"MZ\x90\x00" + bytes(100), "not a PNG"),
        (b"GIF89a" + bytes(20), "not a PNG"),
        (b"%PDF-1.7", "not a PNG"),
        (b"II*\x00" + bytes(50), "not a PNG"),
    ],
)
def test_what_is_no_image_is_unreadable(data: bytes, reason: str) -> None:
    for use in (image_size, lambda d: decode(d, 8)):
        with pytest.raises(Unreadable, match=reason):
            use(data)


def test_a_gif_is_not_taken_whatever_its_name() -> None:
    with pytest.raises(Unreadable, match="not a PNG, JPEG, BMP, WEBP image"):
        image_size(encoded(Image.new("P", (8, 8)), "GIF"))


def test_every_truncation_of_a_file_is_unreadable_and_nothing_worse() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    for fmt in ("PNG", "JPEG", "BMP", "WEBP"):
        whole = encoded(noise, fmt)
        for cut in range(0, len(whole) - 30, max(1, len(whole) // 40)):
            with pytest.raises(Unreadable):
                decode(whole[:cut], 16)


def test_flipped_bytes_never_escape_as_another_error() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    rng = np.random.default_rng(1)
    for fmt in ("PNG", "JPEG", "BMP", "WEBP"):
        whole = bytearray(encoded(noise, fmt))
        for _ in range(150):
            bad = whole.copy()
            for at in rng.integers(0, len(bad), 3):
                bad[at] = rng.integers(0, 256)
            with contextlib.suppress(Unreadable):
                assert decode(bytes(bad), 16).shape == (3, 16, 16)


def _png_header(width: int, height: int) -> bytes:
    import struct
    import zlib

    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + body
        + struct.pack(">I", zlib.crc32(body))
        + encoded(Image.new("RGB", (1, 1)), "PNG")[33:]
    )


@pytest.mark.parametrize("size", [(50_000, 50_000), (12_000, 10_000), (5_000, 4_001)])
def test_a_pixel_bomb_is_refused_before_it_is_decoded(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("it was decoded"))
    for use in (image_size, lambda d: decode(d, 8)):
        with pytest.raises(Unreadable, match=r"at most 20 million|decompression bomb"):
            use(_png_header(*size))


def test_a_pixel_bomb_in_a_set_refuses_it_by_name(pets: Path) -> None:
    (pets / "pets" / "train" / "cat" / "000.png").write_bytes(_png_header(6_000, 6_000))
    with pytest.raises(DataError, match=r"'train/cat/000\.png': 6000 x 6000 pixels, at most 20 million are allowed"):
        prepare("pets", pets)


def test_a_file_too_large_for_an_image_is_not_read(pets: Path) -> None:
    file = pets / "pets" / "train" / "cat" / "000.png"
    os.truncate(file, image_file.MAX_FILE_BYTES + 1)
    with pytest.raises(DataError, match=r"'train/cat/000\.png': larger than the 64 MB allowed for one image"):
        prepare("pets", pets)


@pytest.mark.parametrize("fmt", ["PNG", "JPEG"])
def test_the_quick_size_is_the_real_size(fmt: str) -> None:
    for size in ((1, 1), (7, 300), (640, 480)):
        data = encoded(Image.new("RGB", size), fmt)
        assert quick_size(data) == image_size(data) == size
    assert quick_size(b"BM" + bytes(60)) is None
    assert quick_size(b"\xff\xd8\xff") is None


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(32, 32)] * 3, 32),
        ([(28, 28)] * 3, 28),
        ([(96, 96)], 96),
        ([(97, 97)], 96),
        ([(32, 32), (32, 33)], 32),
        ([(4, 4)] * 2, 8),
        ([(20, 30)], 32),
        ([(500, 400)] * 3, 224),
        ([(130, 200), (100, 90), (150, 160)], 128),
        ([(64, 48)], 32),
    ],
)
def test_automatic_size(sizes: list[tuple[int, int]], side: int) -> None:
    assert automatic_side(sizes) == side


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_keep_the_order_and_pass_errors_on(threads: int) -> None:
    def work(i: int) -> int:
        time.sleep(0.001 * ((7 * i) % 5))
        if i == 30:
            raise ValueError("thirty")
        return i * i

    assert list(in_order(work, range(25), threads)) == [i * i for i in range(25)]
    with pytest.raises(ValueError, match="thirty"):
        list(in_order(work, range(60), threads))


def test_photographs_are_decoded_on_threads_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(tmp_path / "s", {"a": 6, "b": 6}, size=(260, 240))
    monkeypatch.setattr(image_decoding, "THREADS", 1)
    prepare("s", tmp_path)
    one = load("s", tmp_path, seed=0).train_x
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr(image_decoding, "THREADS", 3)
    monkeypatch.setattr(image_decoding, "MAX_CHUNK", 2)
    assert prepare("s", tmp_path).shape == (3, 224, 224)
    assert np.array_equal(one, load("s", tmp_path, seed=0).train_x)
