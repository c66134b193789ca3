"""New run, own images: refused uploads, too small ones, and removing an upload."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from core.datasets import describe, prepare
from core.datasets.uploads import remove_upload, store_upload
from core.errors import DataError
from tests.pages.components.new_run.kit import captions, visit
from tests.pages.kit import words_on
from tests.seed import config_of, submit


def zipped(**classes):
    """A zip with this many images per class."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, count in classes.items():
            for i in range(count):
                picture = io.BytesIO()
                Image.fromarray(np.full((16, 16, 3), i, np.uint8)).save(picture, "PNG")
                archive.writestr(f"{name}/{i}.png", picture.getvalue())
    return data.getvalue()


def uploaded(at, name, data):
    """New run after a zip was uploaded and added."""
    at.file_uploader(key="new_zip").set_value((name, data, "application/zip")).run()
    at.button(key="new_zip_add").click().run()
    assert not at.exception, at.exception
    return at


@pytest.fixture
def tiny(empty, tmp_path):
    """The key of a prepared upload."""
    key = store_upload(tmp_path, "tiny.zip", io.BytesIO(zipped(cat=8, dog=8)))
    prepare(key, tmp_path)
    return key


def test_a_set_without_a_validation_sample_is_refused_at_upload(tmp_path):
    with pytest.raises(
        DataError, match=r"^few\.zip is too small: 2 training samples but no validation samples, .* give every class"
    ):
        store_upload(tmp_path, "few.zip", io.BytesIO(zipped(cat=1, dog=1)))
    assert not list((tmp_path / "uploads").iterdir())


def test_one_class_folder_is_counted_as_one(tmp_path):
    with pytest.raises(DataError, match="1 class folder "):
        store_upload(tmp_path, "one.zip", io.BytesIO(zipped(cat=3)))


def test_a_refused_upload_takes_the_place_of_the_success_before(empty):
    at = uploaded(visit(), "good.zip", zipped(cat=8, dog=8))
    assert [s.value for s in at.success] == ["Added to the datasets and selected: good (your images)."]
    uploaded(at, "few.zip", zipped(cat=1, dog=1))
    assert not at.success
    assert len(at.error) == 1
    assert at.error[0].value.startswith("Not added. few.zip is too small")


def test_an_upload_is_removed_with_what_was_decoded(tiny, tmp_path):
    at = visit(dataset=tiny)
    at.button(key="new_remove").click().run()
    assert not at.exception, at.exception
    assert at.selectbox(key="dataset").value == "mnist1d"
    assert not list((tmp_path / "uploads").glob("*.zip"))
    assert not [p for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"]
    with pytest.raises(DataError, match="unknown dataset"):
        describe(tiny, tmp_path)


def test_an_upload_that_runs_need_is_kept_and_the_runs_named(tiny, empty, tmp_path):
    number = submit(empty, config_of(dataset=tiny, model="mlp"), "tiny: none, seed 0")
    at = visit(dataset=tiny)
    assert at.button(key="new_remove").disabled
    assert f"used by run {number} (tiny: none, seed 0)" in captions(at).replace("\\", "")


def test_what_came_with_the_program_cannot_be_removed(empty, tmp_path):
    assert not [b for b in visit().button if b.key == "new_remove"]
    with pytest.raises(DataError, match="not an uploaded dataset"):
        remove_upload(tmp_path, "mnist1d")


@pytest.mark.parametrize(("name", "asked"), [("dataset", "bogus"), ("model", "resnet20"), ("method", "bogus")])
def test_a_part_of_the_address_that_is_not_there_is_named(empty, name, asked):
    at = visit(**{name: asked})
    assert [w.value for w in at.warning if f"{name} {asked}" in w.value.replace("\\", "")]
    assert asked not in words_on(visit())
