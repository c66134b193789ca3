"""Where datasets come from: each source finds what it lists, and every dataset is of one modality."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.datasets import DATASETS, find_dataset, known_as, offered, prepare, sources
from core.datasets.sources import SOURCES, Name
from core.datasets.spec import make_spec
from core.modality import MODALITIES, Modality
from core.training.device import choose
from core.training.device_data import Split, augmentation
from models import MODELS, fitting
from storage.db.data_folder import RUNS
from tests.core.datasets.reversal import REVERSED, Reversed


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A data root with an image folder, a zip of it and the same zip uploaded."""
    for name in "ab":
        folder = tmp_path / "pets" / "train" / name
        folder.mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (10, 10), (i, 0, 0)).save(folder / f"{i}.png")
    (tmp_path / "uploads").mkdir()
    for path in (tmp_path / "cars.zip", tmp_path / "uploads" / "0123456789ab-mine.zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for file in (tmp_path / "pets").rglob("*.png"):
                archive.write(file, file.relative_to(tmp_path / "pets"))
    return tmp_path


def test_every_listed_dataset_is_found_again_by_its_own_source_alone(own: Path) -> None:
    for source in SOURCES:
        for dataset in source.listed(own):
            name = Name(dataset.key, own, inside=True)
            assert [s for s in SOURCES if s.matches(name)] == [source]
            assert source.open(name) == dataset == find_dataset(dataset.key, own)


def test_what_is_offered(own: Path) -> None:
    mine = ["cars.zip", "pets", "uploads/0123456789ab-mine.zip"]
    assert [d.key for d in offered(own)] == [*DATASETS.keys, *mine]
    assert [d.key for d in offered(own) if d.own] == mine
    (own / "pets").rename(own / RUNS)
    assert [d.key for d in offered(own) if d.own] == [key for key in mine if key != "pets"], (
        "the folder of the checkpoints"
    )
    assert [d.key for d in sources.ZIPS.listed(own)] == ["cars.zip", "uploads/0123456789ab-mine.zip"]


def test_stored_keys_are_told_as_people_know_them() -> None:
    assert known_as("mnist1d") == "MNIST-1D"
    assert known_as("uploads/0123456789ab-mine.zip@64") == "mine.zip@64"
    assert known_as("gone/photos") == "gone/photos"


def test_a_folder_and_a_zip_of_it_are_of_the_image_modality(own: Path) -> None:
    for key in ("pets", "cars.zip"):
        spec = prepare(key, own)
        assert spec.kind == "image"
        assert len(spec.shape) == MODALITIES[spec.kind].rank
        assert MODALITIES[spec.kind].shape_text(spec.shape) == "3 x 10 x 10"


@pytest.mark.parametrize("row", DATASETS, ids=DATASETS.keys)
def test_every_row_has_the_shape_and_augmentation_of_its_modality(row) -> None:
    assert len(row.shape) == MODALITIES[row.kind].rank
    assert row.augment in MODALITIES[row.kind].augmentations


def test_a_signal_cannot_be_cropped() -> None:
    counts = [4, 4]
    with pytest.raises(ValueError, match="x: augmentation is 'crop', expected one of none for signal"):
        make_spec(
            "x", "X", "signal", (1, 40), ("a", "b"), pool=counts, own_validation=None, test=counts, validation=0.5,
            augment="crop",
        )  # fmt: skip


def test_a_new_kind_of_sample_is_a_row(monkeypatch) -> None:
    """Specs, models and the data of a run know videos by the row alone."""
    video = Modality(
        key="video", label="videos", rank=4, axes="(channels, frames, height, width)", size="{} x {} x {} x {}",
        augmenting={"reversed": REVERSED},
    )  # fmt: skip
    monkeypatch.setitem(MODALITIES._rows, "video", video)
    shape, counts = (1, 3, 4, 4), np.array([4, 4])
    given = {"pool": counts, "own_validation": None, "test": counts, "validation": 0.5, "augment": "reversed"}
    assert make_spec("x", "X", "video", shape, ("a", "b"), **given).augment == "reversed"
    assert [model.key for model in fitting("video", shape, 2)] == ["mlp"]
    assert MODELS["cnn"].fits("video", shape, 2) == "it takes images, the data is videos of 1x3x4x4"
    x, one = np.random.default_rng(0).random((6, *shape), dtype=np.float32), np.ones(1, np.float32)
    split = Split(x, np.zeros(6, np.int64), 0 * one, one, choose("cpu"), augmentation("video", "reversed"))
    draws = split.draws(seed=1, epoch=0)
    assert sorted(set(draws[:, 0].tolist())) == [0, 1]
    inputs, _ = split.batch(torch.arange(6), draws)
    assert all(
        np.array_equal(a, b[:, ::-1] if turned else b)
        for a, b, turned in zip(inputs.numpy(), x, draws[:, 0], strict=True)
    )
    assert MODELS["mlp"].build(shape, 2)(inputs).shape == (6, 2)


def test_two_kinds_of_sample_may_have_one_rank(monkeypatch) -> None:
    """What a sample is, its dataset says: its shape is that of images."""
    row = Modality(
        key="spectrogram", label="spectrograms", rank=3, axes="(channels, bands, time)", size="{} x {} x {}",
        augmenting={"reversed": REVERSED},
    )  # fmt: skip
    monkeypatch.setitem(MODALITIES._rows, "spectrogram", row)
    assert [model.key for model in fitting("spectrogram", (1, 28, 28), 2)] == ["mlp"]
    assert "lenet5" in [model.key for model in fitting("image", (1, 28, 28), 2)]
    assert MODELS["cnn"].fits("spectrogram", (1, 28, 28), 2) == "it takes images, the data is spectrograms of 1x28x28"
    assert type(augmentation("spectrogram", "reversed")) is Reversed


def test_a_model_of_another_modality_says_which_it_takes() -> None:
    assert MODELS["cnn1d"].fits("image", (3, 32, 32), 10) == "it takes signals, the data is images of 3x32x32"
    assert MODELS["cnn"].fits("signal", (1, 40), 10) == "it takes images, the data is signals of 1x40"
    assert MODELS["mlp"].fits("signal", (40,), 10) == (
        "it takes signals (1, length) or images (channels, height, width), the data is 40"
    )
