"""File names at the head of a message: from the file that is refused to what a page shows, letter for letter."""

import io
import zipfile

import pytest

from core.datasets import find_dataset
from core.datasets.folder_layout import at_head
from core.datasets.uploads import store_upload
from core.errors import DataError
from reporting import text


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("notzip.zip", "notzip.zip is"),
        ("my file.zip", "'my file.zip' is"),
        ("the cats.zip", "'the cats.zip' is"),
        ("a  b.zip", "'a b.zip' is"),
    ],
)
def test_an_upload_keeps_its_name(tmp_path, name, head):
    with pytest.raises(DataError) as refused:
        store_upload(tmp_path, name, io.BytesIO(b"no zip"))
    assert text.message(str(refused.value)).startswith(head)


@pytest.mark.parametrize(("folder", "head"), [("insects", "insects\\: "), ("my insects", "'my insects'\\: ")])
def test_an_image_folder_keeps_its_name(tmp_path, folder, head):
    (tmp_path / folder / "train" / "ant").mkdir(parents=True)
    with pytest.raises(DataError) as refused:
        find_dataset(str(tmp_path / folder), tmp_path).prepared(tmp_path)
    assert text.message(str(refused.value)).startswith(head)


def test_an_archive_keeps_its_name(tmp_path):
    path = tmp_path / "my file.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no images")
    with pytest.raises(DataError) as refused:
        find_dataset(str(path), tmp_path).prepared(tmp_path)
    assert text.message(str(refused.value)).startswith("'my file.zip'\\: ")


def test_a_name_of_one_word_is_not_quoted():
    assert at_head("cats.zip") == "cats.zip"
    assert at_head("two cats.zip") == "'two cats.zip'"


def test_a_sentence_begins_with_a_capital():
    assert text.message("no images found in 'my file.zip'") == "No images found in 'my file.zip'"
