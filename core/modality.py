"""The kinds of sample: their shape as an array, their names, and their augmentations in training.

A new kind is a row here. Models of any shape (the MLP) take it at once; one for this kind alone has a `fits` made by
`models.shapes.of_kind`. Its datasets name the row's key; it may have the rank of another kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.registry import Registry


@dataclass(frozen=True)
class Modality:
    """A kind of sample.

    label          its name in the plural
    rank           number of axes of one sample
    axes           names of the axes, for people
    size           format of a sample's shape on a page, one {} per axis
    augmenting     augmentations that its datasets may name: key -> "module:Class" of an `Augmentation`
                   (core.training.device_data), imported when a run trains with it
    """

    key: str
    label: str
    rank: int
    axes: str
    size: str
    augmenting: Mapping[str, str] = field(default_factory=dict)

    @property
    def augmentations(self) -> tuple[str, ...]:
        """The keys that a dataset of this kind may name: "none" and those of `augmenting`."""
        return ("none", *self.augmenting)

    def shape_text(self, shape: tuple[int, ...]) -> str:
        """The shape of one sample in words."""
        return self.size.format(*shape)


MODALITIES: Registry[Modality] = Registry(
    "modality",
    Modality(key="signal", label="signals", rank=2, axes="(1, length)", size="{} x {}"),
    Modality(
        key="image",
        label="images",
        rank=3,
        axes="(channels, height, width)",
        size="{} x {} x {}",
        augmenting={"crop": "core.training.crop:Crop", "crop_flip": "core.training.crop:CropFlip"},
    ),
)
