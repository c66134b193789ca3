"""The kinds of sample: their shape as an array, their names, and their augmentations in training."""

from __future__ import annotations

from dataclasses import dataclass

from core.registry import Registry


@dataclass(frozen=True)
class Modality:
    """A kind of sample.

    label          its name in the plural
    rank           number of axes of one sample
    axes           names of the axes, for people
    size           format of a sample's shape on a page, one {} per axis
    augmentations  those that core.training.device_data supports for it, including "none"
    """

    key: str
    label: str
    rank: int
    axes: str
    size: str
    augmentations: tuple[str, ...]

    def shape_text(self, shape: tuple[int, ...]) -> str:
        """The shape of one sample in words."""
        return self.size.format(*shape)


MODALITIES: Registry[Modality] = Registry(
    "modality",
    Modality(key="signal", label="signals", rank=2, axes="(1, length)", size="{} x {}", augmentations=("none",)),
    Modality(
        key="image",
        label="images",
        rank=3,
        axes="(channels, height, width)",
        size="{} x {} x {}",
        augmentations=("none", "crop", "crop_flip"),
    ),
)


def modality_of(shape: tuple[int, ...]) -> Modality | None:
    """The kind of sample with this shape; None if there is none."""
    return next((m for m in MODALITIES if m.rank == len(shape)), None)
