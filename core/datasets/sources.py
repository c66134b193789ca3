"""Where datasets come from, one row per source, and finding and listing them all.

A name belongs to the first source that matches it: a built-in dataset, one of torchvision's, an image folder, a zip of
one. A new source is a row of SOURCES; page and command line list its datasets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from core.datasets.array_cache import Meta
from core.datasets.folder_layout import quoted
from core.datasets.image_file import SUFFIXES
from core.datasets.image_folder import UPLOADS, ImageFolder, ImageSet, ImageZip
from core.datasets.registry import DATASETS
from core.datasets.spec import DataSpec, Progress
from core.errors import DataError

NOT_IMAGES = {"cache", "runs", UPLOADS, "MNIST", "FashionMNIST", "cifar-10-batches-py", "cifar-100-python"}


class AnyDataset(Protocol):
    """What the datasets of every source have in common. own: the user's own data."""

    @property
    def key(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def embedded(self) -> bool: ...
    @property
    def own(self) -> bool: ...

    def spec(self, data_root: Path, validation: float) -> DataSpec: ...
    def prepared(self, data_root: Path, progress: Progress) -> Meta: ...
    def is_ready(self, data_root: Path) -> bool: ...


@dataclass(frozen=True)
class Name:
    """A dataset's name as given. `inside`: its path must not lead outside the data root."""

    text: str
    data_root: Path
    inside: bool

    @cached_property
    def place(self) -> tuple[Path | None, int | None]:
        """The existing path it refers to and the pixels per side: "photos@64" is photos at 64 x 64."""
        found = re.fullmatch(r"(.+)@(\d{1,4})", self.text)
        if (path := _locate(self.text, self.data_root, self.inside)) is None and found:
            return _locate(found[1], self.data_root, self.inside), int(found[2])
        return path, None

    @property
    def path(self) -> Path | None:
        return self.place[0]


@dataclass(frozen=True)
class DataSource:
    """A place that datasets come from.

    matches  whether a name is one of its datasets
    open     the dataset of a name that matches
    listed   the datasets that can be offered with this data root; cheap: no full scan
    """

    matches: Callable[[Name], bool]
    open: Callable[[Name], AnyDataset]
    listed: Callable[[Path], Iterable[AnyDataset]]


def _of_table(*, embedded: bool) -> DataSource:
    """The rows of DATASETS that come with Evenly, or those that are downloaded."""
    return DataSource(
        lambda name: name.text in DATASETS and DATASETS[name.text].embedded is embedded,
        lambda name: DATASETS[name.text],
        lambda data_root: [row for row in DATASETS if row.embedded is embedded],
    )


def _of_images(made: type[ImageSet], fits: Callable[[Path], bool], offered: Callable[[Path], bool]) -> DataSource:
    """Images at a path that `fits`; lists those directly under the data root and its uploads that may be `offered`."""

    def opened(name: Name) -> ImageSet:
        path, size = name.place
        assert path is not None  # it matches
        found = made(_key(path, name.data_root), path)
        return found.at_size(size) if size else found

    def listed(data_root: Path) -> list[ImageSet]:
        paths = (p for place in (data_root, data_root / UPLOADS) if place.is_dir() for p in place.iterdir())
        kept = [Path(os.path.abspath(p)) for p in paths if not p.name.startswith(".") and offered(p)]
        return [made(_key(path, data_root), path) for path in kept]

    return DataSource(lambda name: name.path is not None and fits(name.path), opened, listed)


def _is_zip(path: Path) -> bool:
    return path.suffix.casefold() == ".zip" and not path.is_dir()


def _looks_like_images(folder: Path) -> bool:
    """Whether a folder has train/, or a folder with an image among its first few files."""
    try:
        inner = [p for p in folder.iterdir() if p.is_dir()] if folder.is_dir() else []
        return any(p.name.casefold() == "train" for p in inner) or any(_first_image(p) for p in inner)
    except OSError:
        return False  # an unreadable folder is not offered; giving its name shows the error


def _first_image(folder: Path) -> bool:
    with os.scandir(folder) as files:
        return any(f.name.casefold().endswith(SUFFIXES) for f, _ in zip(files, range(5), strict=False))


BUILTIN = _of_table(embedded=True)
TORCHVISION = _of_table(embedded=False)
FOLDERS = _of_images(ImageFolder, Path.is_dir, lambda path: path.name not in NOT_IMAGES and _looks_like_images(path))
ZIPS = _of_images(ImageZip, _is_zip, lambda path: _is_zip(path) and path.is_file())  # uploads among them
SOURCES = (BUILTIN, TORCHVISION, FOLDERS, ZIPS)


def find_dataset(name: str, data_root: Path | str, *, inside: bool = False) -> AnyDataset:
    """The row, folder or zip that `name` refers to: a key of DATASETS, or a path, absolute, under the data root, under its
    uploads, or under the working directory. "photos@64" is the folder photos decoded at 64 x 64 pixels.

    `inside` refuses paths that lead outside the data root (for names that come from a page). Store the row's `key`, not
    `name`: it does not depend on the working directory. Raises DataError listing the known keys.
    """
    given = Name(name, Path(data_root), inside)
    for source in SOURCES:
        if source.matches(given):
            return source.open(given)
    if given.path is None:
        raise DataError(
            f"unknown dataset {quoted(name)}; known: {', '.join(DATASETS.keys)}; or the path of an image folder or .zip, "
            f"absolute or relative to {given.data_root}"
        )
    raise DataError(
        f"{given.path} is neither a folder nor a .zip file; expected train/<class>/image in a folder or a .zip of it"
    )


def offered(data_root: Path | str) -> list[AnyDataset]:
    """All datasets of the sources: first the rows of the table, in its order, then the user's own by name."""
    found = [dataset for source in SOURCES for dataset in source.listed(Path(data_root))]
    own = sorted((d for d in found if d.own), key=lambda d: Path(d.key))
    return [*(d for d in found if not d.own), *own]


def image_sets(data_root: Path | str) -> list[ImageSet]:
    """The folders and zips under the data root, and its uploads, that look like image sets, by name."""
    return [d for d in offered(data_root) if isinstance(d, ImageSet)]


def known_as(key: str) -> str:
    """A stored key as people know it, whether or not the dataset still exists: an upload by its original name."""
    return DATASETS[key].label if key in DATASETS else re.sub(f"^{UPLOADS}/[0-9a-f]{{12}}-", "", key)


def _locate(name: str, data_root: Path, inside: bool) -> Path | None:
    """The existing path a name refers to, made absolute without following links; None if there is none.

    Looked for under the data root, its uploads, and (not `inside`) the working directory; "./x" and "../x" only there.
    """
    if not name or "\0" in name:
        return None
    root, here = Path(os.path.abspath(data_root)), Path(os.path.abspath(name))
    explicit = name.split("/")[0] in (".", "..")
    places = [here] if explicit and not inside else [root / name, root / UPLOADS / name, *([] if inside else [here])]
    for path in (Path(os.path.normpath(place)) for place in places):
        if inside and root not in path.parents:
            raise DataError(
                f"{quoted(name)} is outside the data folder {root}; put the images there or use the command line"
            )
        if os.path.exists(path) and not (path.parent == root and path.name in NOT_IMAGES):
            return path
    return None


def _key(path: Path, data_root: Path) -> str:
    root = Path(os.path.abspath(data_root))
    return path.relative_to(root).as_posix() if root in path.parents else path.as_posix()
