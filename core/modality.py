"""The kinds of sample: what one looks like as an array, in words, and what may be done to it in training."""

from __future__ import annotations

from dataclasses import dataclass

from core.registry import Registry


@dataclass(frozen=True)
class Modality:
    """A kind of sample.

    label          several of them, in words
    rank           axes of one sample
    axes           what they are, for people
    size           a sample's shape as a page shows it, a {} an axis
    augmentations  what core.training.device_data may do to it, "none" among them
    """

    key: str
    label: str
    rank: int
    axes: str
    size: str
    augmentations: tuple[str, ...]

    def shown(self, shape: tuple[int, ...]) -> str:
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
    """The kind of sample that has this shape; None where none has."""
    return next((m for m in MODALITIES if m.rank == len(shape)), None)
