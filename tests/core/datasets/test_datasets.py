"""The table of datasets and its cache: what is promised without loading, what is loaded, and what happens when it goes wrong."""

from __future__ import annotations

import gzip
import hashlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.datasets import (
    DATASETS,
    array_cache,
    builtin,
    describe,
    download,
    file_io,
    find_dataset,
    is_ready,
    load,
    prepare,
    train_counts,
)
from core.datasets.spec import quiet
from core.datasets.torchvision_sets import VisionSet
from core.errors import DataError, EvenlyError
from core.split_names import PROFILES
from tests.work.forked import until

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data root for the tests that only read what is embedded."""
    path = tmp_path_factory.mktemp("data")
    for key in ("mnist1d", "digits"):
        prepare(key, path)
    return path


@pytest.fixture(scope="module")
def mnist_root(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A writable data root in which the real MNIST lies."""
    path = tmp_path_factory.mktemp("mnist")
    (path / "MNIST").symlink_to((shared_data / "MNIST").resolve())
    return path


# --- the table ---


@pytest.mark.parametrize("key", DATASETS.keys)
def test_every_row_describes_itself_without_data(key: str, tmp_path: Path) -> None:
    row, spec = DATASETS[key], describe(key, tmp_path)
    assert not list(tmp_path.iterdir()), "describing writes nothing"
    assert (spec.key, spec.kind) == (key, row.kind)
    assert len(set(spec.classes)) == len(spec.classes) >= 2
    for counts in (spec.train_counts, spec.val_counts, spec.test_counts, spec.pool_counts):
        assert counts.shape == (len(spec.classes),)
        assert (counts > 0).all()
    if not spec.own_validation:
        assert (spec.train_counts + spec.val_counts == spec.pool_counts).all()
    assert row.summary.endswith(".")
    assert row.source.url.startswith("https://")
    assert not is_ready(key, tmp_path)


def test_published_sizes() -> None:
    totals = {row.key: (sum(row.pool), sum(row.test), row.shape, len(row.classes)) for row in DATASETS}
    assert totals == {
        "mnist1d": (4000, 10000, (1, 40), 10),
        "digits": (1258, 539, (1, 8, 8), 10),
        "mnist": (60000, 10000, (1, 28, 28), 10),
        "fashion_mnist": (60000, 10000, (1, 28, 28), 10),
        "cifar10": (50000, 10000, (3, 32, 32), 10),
        "cifar100": (50000, 10000, (3, 32, 32), 100),
    }


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"unknown dataset 'mnist2'; known: mnist1d, digits, mnist, .*; or the path of an image folder"
    ):
        find_dataset("mnist2", tmp_path)


def test_describing_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from core.datasets import DATASETS, describe, image_sets\n"
        f"[describe(k, {str(tmp_path)!r}) for k in DATASETS.keys]; image_sets({str(tmp_path)!r})\n"
        "print(sorted({'torch', 'torchvision', 'sklearn', 'mnist1d', 'matplotlib', 'PIL', 'streamlit', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_image_size_is_refused_for_a_table_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Digits .* has a fixed size"):
        prepare("digits", tmp_path, size=64)


# --- what is loaded ---


@pytest.mark.parametrize("key", ["mnist1d", "digits"])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("validation", "imbalance"), [(0.1, 1.0), (0.25, 10.0), (0.01, 100.0)])
def test_the_preview_counts_are_the_loaded_counts(
    root: Path, key: str, profile: str, validation: float, imbalance: float
) -> None:
    spec = describe(key, root, validation)
    data = load(key, root, seed=3, validation=validation, imbalance=imbalance, profile=profile)
    expected = train_counts(spec, validation, imbalance, profile)
    assert (data.counts == expected).all()
    assert (np.bincount(data.train_y) == expected).all()
    assert (np.bincount(data.val_y) == spec.val_counts).all()
    assert (np.bincount(data.test_y) == spec.test_counts).all()
    assert data.train_x.shape == (expected.sum(), *spec.shape)


@pytest.mark.parametrize("key", ["mnist1d", "digits"])
def test_splits_are_disjoint_and_the_same_for_the_same_seed(root: Path, key: str) -> None:
    a, b, c = (load(key, root, seed=s, imbalance=5) for s in (0, 0, 1))
    parts = [a.train_index, a.val_index, a.test_index]
    assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts))
    assert a.index_hash == b.index_hash != c.index_hash
    assert np.array_equal(a.train_x, b.train_x)
    assert np.array_equal(a.test_index, c.test_index), "the test split never depends on the seed"


def test_the_long_tail_leaves_validation_and_test_alone(root: Path) -> None:
    even, tail = load("digits", root, seed=0), load("digits", root, seed=0, imbalance=20)
    assert np.array_equal(even.val_index, tail.val_index)
    assert np.array_equal(even.test_index, tail.test_index)
    assert set(tail.train_index) < set(even.train_index)


def test_mean_and_std_are_those_of_the_training_split(root: Path) -> None:
    data = load("digits", root, seed=1, imbalance=10)
    x = data.train_x / 255.0
    np.testing.assert_allclose(data.mean, x.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.std, x.std(axis=(0, 2, 3)), rtol=1e-6)
    assert data.mean.dtype == data.std.dtype == np.float32


def test_digits_are_scikit_learns(root: Path) -> None:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    assert tuple(np.bincount(y)) == builtin.DIGITS_COUNTS
    data = load("digits", root, seed=0)
    ours = np.concatenate([data.train_x, data.val_x, data.test_x]).reshape(-1, 64)
    labels = np.concatenate([data.train_y, data.val_y, data.test_y])
    assert ours.dtype == np.uint8
    rows = {(*a, b) for a, b in zip((ours // 15).tolist(), labels.tolist(), strict=True) for a in [tuple(a)]}
    assert rows == {(*map(int, a), int(b)) for a, b in zip(x, y, strict=True)}


def test_mnist1d_training_data_is_the_packages_standard_draw(root: Path) -> None:
    data, _ = builtin._mnist1d_modules()
    with builtin.restored_global_generators():
        standard = data.make_dataset(data.get_dataset_args())
    ours = load("mnist1d", root, seed=0)
    assert np.array_equal(ours.train_x[:, 0], standard["x"].astype(np.float32)), "bit for bit"
    assert np.array_equal(ours.train_y, standard["y"])
    assert tuple(np.bincount(standard["y"])) == builtin.MNIST1D_TRAIN_COUNTS


def test_mnist1d_splits_are_on_one_scale_and_share_no_signal(root: Path) -> None:
    data = load("mnist1d", root, seed=0)
    assert (data.mean, data.std) == (0, 1)
    assert data.train_x.dtype == np.float32
    assert (len(data.train_x), len(data.val_x), len(data.test_x)) == (4000, 2000, 10000)
    for x in (data.val_x, data.test_x):
        assert abs(float(x.mean())) < 0.02
        assert abs(float(x.std()) - 1) < 0.02
    signals = {x.tobytes() for part in (data.train_x, data.val_x, data.test_x) for x in part}
    assert len(signals) == 16000


def test_drawing_mnist1d_leaves_the_global_generators_as_they_were() -> None:
    random.seed(5)
    np.random.seed(5)
    expected = (random.Random(5).random(), np.random.RandomState(5).rand())
    builtin.draw_mnist1d(20, 9)
    assert (random.random(), np.random.rand()) == expected


# --- the cache ---


def _count_builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []
    real = builtin.build_digits
    monkeypatch.setattr(builtin, "build_digits", lambda w, p: calls.append("digits") or real(w, p))
    return calls


def test_a_second_prepare_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _count_builds(monkeypatch)
    prepare("digits", tmp_path)
    prepare("digits", tmp_path)
    load("digits", tmp_path, seed=0)
    assert calls == ["digits"]
    assert is_ready("digits", tmp_path)


@pytest.mark.parametrize("damage", ["cut", "gone", "no json", "other format", "list"])
def test_a_damaged_cache_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    prepare("digits", tmp_path)
    before = load("digits", tmp_path, seed=0)
    meta, file = tmp_path / "cache" / "digits.json", next((tmp_path / "cache").glob("digits.*.bin"))
    {
        "cut": lambda: os.truncate(file, 1000),
        "gone": file.unlink,
        "no json": lambda: meta.write_text("{"),
        "other format": lambda: meta.write_text(json.dumps({"format": 0})),
        "list": lambda: meta.write_text("[]"),
    }[damage]()
    calls = _count_builds(monkeypatch)
    after = load("digits", tmp_path, seed=0)
    assert calls == ["digits"]
    assert np.array_equal(before.train_x, after.train_x)
    assert before.index_hash == after.index_hash


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("digits.abc.bin.tmp", "digits.old.bin", "mnist.abc.bin.tmp"):
        (cache / name).write_bytes(b"x")
    prepare("digits", tmp_path)
    assert sorted(p.name for p in cache.iterdir()) == [
        "digits.digits-1.bin",
        "digits.json",
        "digits.lock",
        "mnist.abc.bin.tmp",
    ]


def _prepare_in_child(root: str, barrier: Any, waits: Any, results: Any) -> None:
    """The builder goes on once the other process has said that it waits."""
    built, real = [], builtin.build_digits
    builtin.build_digits = lambda w, p: built.append(waits.wait()) or real(w, p)
    array_cache.PATIENCE_SECONDS = 0.05
    barrier.wait()
    prepare("digits", root, lambda s, t: waits.set() if t.startswith("waiting") else None)
    results.put((len(built), load("digits", root, seed=0).index_hash))


def test_two_processes_at_once_build_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, waits, results = context.Barrier(2), context.Event(), context.Queue()
    children = [
        context.Process(target=_prepare_in_child, args=(str(tmp_path), barrier, waits, results)) for _ in range(2)
    ]
    for child in children:
        child.start()
    answers = [results.get(timeout=300) for _ in children]
    for child in children:
        child.join()
    assert sorted(n for n, _ in answers) == [0, 1]
    assert answers[0][1] == answers[1][1]


def test_waiting_for_another_process_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_cache, "PATIENCE_SECONDS", 0.05)
    told: list[str] = []
    with array_cache.lock(tmp_path, "digits", quiet):
        waiter = threading.Thread(target=prepare, args=("digits", tmp_path, lambda s, t: told.append(t)))
        waiter.start()
        until(lambda: told)
        assert not is_ready("digits", tmp_path)
    waiter.join()
    assert "waiting for another process that prepares the same dataset" in told
    assert is_ready("digits", tmp_path)


def test_too_little_free_disk_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10_000_000})
    monkeypatch.setattr(array_cache.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        DataError, match=r"Digits .* needs 269 MB of free space under .*cache, 10 MB available; free some space"
    ):
        prepare("digits", tmp_path)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["digits.lock"]


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_a_disk_that_fills_up_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    if moment == "write":
        monkeypatch.setattr(builtin, "build_digits", lambda writer, progress: full_writer(writer))
    else:
        monkeypatch.setattr(file_io.os, moment, full)

    def full_writer(writer: array_cache.Writer) -> None:
        writer._file = type("Full", (), {"write": full})()
        writer.add(np.zeros((1, 1, 8, 8), np.uint8))

    with pytest.raises(DataError, match=r"cannot write .*cache/digits.*No space left on device; free some space"):
        prepare("digits", tmp_path)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["digits.lock"]


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=r"cannot write .*file/cache.*; free some space or set EVENLY_DATA to another folder"
    ):
        prepare("digits", tmp_path / "file")


def test_a_cache_that_cannot_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(array_cache.Path, "read_text", denied)
    with pytest.raises(
        DataError,
        match=r"cannot read .*cache/digits\.json: Permission denied; check the permissions of the data folder",
    ):
        is_ready("digits", tmp_path)


@pytest.mark.parametrize(("labels", "shape"), [(3, (1, 8, 8)), (2, (1, 9, 9))])
def test_a_builder_that_contradicts_itself_is_an_error_and_leaves_nothing(
    tmp_path: Path, labels: int, shape: tuple[int, ...]
) -> None:
    def build(writer: array_cache.Writer) -> array_cache.Contents:
        writer.begin((1, 8, 8), "uint8")
        writer.add(np.zeros((2, *shape), np.uint8))
        return array_cache.Contents(np.zeros(labels, np.int64), (2, 0, 0), ("a",))

    with pytest.raises(ValueError, match=r"labels for 2 rows|rows have shape"):
        array_cache.ensure(tmp_path, "x", "1", build, quiet)
    assert array_cache.read_meta(tmp_path, "x") is None


def test_a_progress_that_stops_the_work_leaves_nothing_behind(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(share: float, text: str) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        prepare("digits", tmp_path, stop)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["digits.lock"]


def test_a_split_too_large_to_copy_is_read_row_by_row(root: Path) -> None:
    entry = array_cache.open_entry(root, array_cache.read_meta(root, "digits"))
    index = np.array([5, 1, 7])
    rows = array_cache.take(entry.x, index, limit=10)
    assert isinstance(rows, array_cache.Rows)
    assert (len(rows), rows.shape, rows.dtype, rows.ndim, rows.nbytes) == (3, (3, 1, 8, 8), np.uint8, 4, 192)
    assert np.array_equal(rows[np.array([2, 0])], entry.x[[7, 5]])
    assert np.array_equal(np.ascontiguousarray(rows), entry.x[index])
    assert isinstance(entry.x, np.memmap)


# --- torchvision's sets: absent, downloaded, damaged ---


@pytest.fixture
def no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(download.urllib.request, "urlopen", refuse)


@pytest.mark.parametrize(
    ("key", "file"),
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte.gz"),
        ("fashion_mnist", "FashionMNIST/raw/train-images-idx3-ubyte.gz"),
        ("cifar10", "cifar-10-python.tar.gz"),
        ("cifar100", "cifar-100-python.tar.gz"),
    ],
)
def test_absent_without_internet_says_which_file_goes_where(
    tmp_path: Path, no_internet: None, key: str, file: str
) -> None:
    with pytest.raises(DataError, match=r"cannot download .*Without internet, put the file at ") as refusal:
        prepare(key, tmp_path)
    assert str(refusal.value).endswith(str(tmp_path / file))
    assert "\n" not in str(refusal.value)
    left = [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert left == []


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A web server on this machine: its address and its folder."""
    folder = tmp_path_factory.mktemp("www")
    http = HTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/", folder
    http.shutdown()
    thread.join()
    http.server_close()


def _idx(values: np.ndarray) -> bytes:
    """The IDX format of the MNIST files: 0, 0, type, dimensions, sizes, values."""
    return bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


def _tiny_mnist(folder: Path) -> tuple[list[tuple[str, str]], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    arrays_ = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": np.arange(20, dtype=np.uint8) % 10,
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (10, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": np.arange(10, dtype=np.uint8),
    }
    resources = []
    for name, values in arrays_.items():
        packed = gzip.compress(_idx(values))
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    return resources, arrays_


TINY = VisionSet("MNIST", "MNIST/raw", (2,) * 10, (1,) * 10, tuple("0123456789"))


@pytest.fixture
def tiny(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """MNIST's class at torchvision pointed at our own server, with 20 + 10 images."""
    from core.torchvision_compat import torchvision

    resources, values = _tiny_mnist(server[1])
    monkeypatch.setattr(torchvision().datasets.MNIST, "mirrors", ["http://127.0.0.1:9/", server[0]])
    monkeypatch.setattr(torchvision().datasets.MNIST, "resources", resources)
    return values


def _build_tiny(root: Path, told: list[tuple[float, str]] | None = None) -> array_cache.Prepared:
    def build(writer: array_cache.Writer) -> array_cache.Contents:
        writer.begin((1, 28, 28), "uint8")
        return TINY.build(root, writer, lambda s, t: told.append((s, t)) if told is not None else None)

    return array_cache.open_entry(root, array_cache.ensure(root, "tiny", "1", build, quiet))


def test_a_download_goes_to_the_second_mirror_and_becomes_arrays(tmp_path: Path, tiny: dict[str, np.ndarray]) -> None:
    told: list[tuple[float, str]] = []
    entry = _build_tiny(tmp_path, told)
    assert entry.meta.sizes == (20, 0, 10)
    assert np.array_equal(entry.x[:20, 0], tiny["train-images-idx3-ubyte"])
    assert np.array_equal(entry.y[20:], np.arange(10))
    shares = [s for s, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert any("downloading train-images-idx3-ubyte.gz" in t for _, t in told)


def test_archives_put_there_by_hand_are_unpacked_without_the_network(
    tmp_path: Path, tiny: dict[str, np.ndarray], server: tuple[str, Path], no_internet: None
) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in server[1].iterdir():
        (raw / file.name).write_bytes(file.read_bytes())
    assert np.array_equal(_build_tiny(tmp_path).y[:20], tiny["train-labels-idx1-ubyte"])


def test_a_damaged_archive_put_there_by_hand_is_named(
    tmp_path: Path, tiny: dict[str, np.ndarray], no_internet: None
) -> None:
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz does not have the md5 .*; delete or replace it"):
        _build_tiny(tmp_path)


def test_unpacked_files_that_are_damaged_are_named(tmp_path: Path, tiny: dict[str, np.ndarray]) -> None:
    _build_tiny(tmp_path)
    labels = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x00")  # one label changed
    (tmp_path / "cache" / "tiny.json").unlink()
    with pytest.raises(
        DataError,
        match=r"MNIST in .*MNIST/raw cannot be read \(class counts are .*delete that folder to download it again",
    ):
        _build_tiny(tmp_path)
    labels.write_bytes(b"\x00")
    with pytest.raises(DataError, match=r"MNIST in .*cannot be read"):
        _build_tiny(tmp_path)


def test_a_download_with_the_wrong_checksum_leaves_no_file(tmp_path: Path, server: tuple[str, Path]) -> None:
    (server[1] / "a.gz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"cannot download a\.gz .*expected 123"):
        download.fetch([server[0] + "a.gz"], tmp_path / "a.gz", "123", quiet)
    assert not list(tmp_path.iterdir())


def test_a_file_the_server_lacks_is_named_with_the_reason(tmp_path: Path, server: tuple[str, Path]) -> None:
    with pytest.raises(DataError, match=r"cannot download b\.gz \(http.*b\.gz: .*(404|not found)"):
        download.fetch([server[0] + "b.gz"], tmp_path / "b.gz", "123", quiet)


def test_a_server_that_hangs_is_given_up_on(tmp_path: Path) -> None:
    class Hanging(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            released.wait(300)

        def log_message(self, *args: object) -> None:
            pass

    released = threading.Event()
    http = HTTPServer(("127.0.0.1", 0), Hanging)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    with pytest.raises(DataError, match="timed out"):
        download.fetch([f"http://127.0.0.1:{http.server_port}/x"], tmp_path / "x", "0", quiet, timeout=0.3)
    released.set()
    http.shutdown()
    thread.join()
    http.server_close()


def test_a_tar_is_unpacked_beside_itself_and_cannot_reach_outside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "batch").write_bytes(b"data")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "in" / "batch", "set/batch")
    download.unpack(tmp_path / "a.tar.gz")
    assert (tmp_path / "set" / "batch").read_bytes() == b"data"
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "in" / "batch", "../../evil")
    with pytest.raises(DataError, match=r"cannot unpack .*b\.tar\.gz"):
        download.unpack(tmp_path / "b.tar.gz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz", "b.tar.gz", "in", "set"]


def test_a_broken_gz_leaves_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(100_000))[:50])
    with pytest.raises(DataError, match=r"cannot unpack .*x\.gz"):
        download.unpack(tmp_path / "x.gz")
    assert [p.name for p in tmp_path.iterdir()] == ["x.gz"]


def test_real_mnist(mnist_root: Path) -> None:
    prepare("mnist", mnist_root)
    data = load("mnist", mnist_root, seed=0)
    assert (len(data.train_x), len(data.val_x), len(data.test_x)) == (54000, 6000, 10000)
    pooled = np.concatenate([data.train_x, data.val_x])[np.argsort(np.concatenate([data.train_index, data.val_index]))]
    # md5 of the whole training image file, known from the web, is over a 16-byte header and these very bytes
    header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (60000, 28, 28))
    assert hashlib.md5(header + pooled.tobytes()).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    assert data.mean == pytest.approx([0.1307], abs=5e-4)
    assert data.std == pytest.approx([0.3081], abs=5e-4)
    made = {p: p.stat().st_mtime_ns for p in (mnist_root / "cache").iterdir() if p.suffix != ".lock"}
    load("mnist", mnist_root, seed=1, imbalance=100)
    assert {p: p.stat().st_mtime_ns for p in made} == made, "the arrays were made again"


def test_every_error_is_one_line(tmp_path: Path, no_internet: None) -> None:
    for key in ("mnist", "cifar10", "no such set", "no\nsuch\nset"):
        with pytest.raises(EvenlyError) as refusal:
            prepare(key, tmp_path)
        assert "\n" not in str(refusal.value)
