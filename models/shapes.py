"""Which shapes a network takes, as small checks that return a reason. No torch here: the pages call them."""

from __future__ import annotations

import math
from collections.abc import Callable

from core.modality import MODALITIES

Fits = Callable[[str, tuple[int, ...], int], str | None]


def _named(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def of_kind(only: str | None, check: Callable[[tuple[int, ...]], str | None]) -> Fits:
    """A check of the shape, after the checks common to all networks; `only`: the one modality it takes, None for any."""

    def fits(kind: str, shape: tuple[int, ...], classes: int) -> str | None:
        if classes < 2:
            return f"a classifier needs at least 2 classes, the data has {classes}"
        found = MODALITIES[kind]
        if len(shape) != found.rank or min(shape) < 1:
            takes = " or ".join(f"{m.label} {m.axes}" for m in MODALITIES)
            return f"it takes {takes}, the data is {_named(shape)}"
        if only not in (None, kind):
            return f"it takes {MODALITIES[only].label}, the data is {found.label} of {_named(shape)}"
        return check(shape)

    return fits


def up_to(most: int) -> Fits:
    """Any shape of at most `most` values per sample."""

    def check(shape: tuple[int, ...]) -> str | None:
        values = math.prod(shape)
        return (
            None
            if values <= most
            else f"it takes at most {most:,} values per sample, the data has {values:,} ({_named(shape)})"
        )

    return of_kind(None, check)


def signals(low: int) -> Fits:
    """1-D signals (channels, length) of at least `low` steps."""

    def check(shape: tuple[int, ...]) -> str | None:
        return None if shape[1] >= low else f"it takes signals of at least {low} steps, the data has {shape[1]}"

    return of_kind("signal", check)


def images(channels: tuple[int, ...], *, low: int = 1, high: int = 512, sides: tuple[int, ...] = ()) -> Fits:
    """Images with one of these channel counts and both sides in [low, high], or square with one of `sides`."""
    wanted = " or ".join(f"{side}x{side}" for side in sides) or f"{low}x{low} to {high}x{high}"

    def check(shape: tuple[int, ...]) -> str | None:
        if shape[0] not in channels:
            return f"it takes images with {' or '.join(map(str, channels))} channels, the data has {shape[0]}"
        height, width = shape[1:]
        fine = (
            height == width and height in sides if sides else low <= min(height, width) and max(height, width) <= high
        )
        return None if fine else f"it takes images of {wanted}, the data is {height}x{width}"

    return of_kind("image", check)
