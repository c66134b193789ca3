"""The colors of all charts, one set per theme. Color is never the only cue: hatching, hollow marks or a sign go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Palette:
    """Hex colors. `before` and `after` are the two states, `gain` and `loss` the change between them."""

    name: str
    before: str
    after: str
    gain: str
    loss: str
    text: str
    muted: str
    grid: str
    background: str
    low: str  # 0 on a heat map
    high: str  # 1 on a heat map


LIGHT = Palette(
    "light",
    "#9AA3B2",
    "#0B65C2",
    "#009E73",
    "#D55E00",
    "#1C2430",
    "#5A6475",
    "#E6EAF0",
    "#FFFFFF",
    "#F1F5FA",
    "#0A4A8F",
)
DARK = Palette(
    "dark", "#9AA3B2", "#3B82F6", "#009E73", "#D55E00", "#E8ECF2", "#A5AFBD", "#2A323C", "#14181D", "#1B222B", "#B6D3FF"
)


def inks(scale: Sequence[tuple[float, str]], t: ArrayLike) -> list[str]:
    """Black or white, whichever contrasts more with the colors at `t` [N], 0 to 1, of a color scale: at least 4.5 (WCAG 2)."""
    at = [place for place, _ in scale]
    rgb = np.array([np.interp(t, at, [int(color[i : i + 2], 16) / 255 for _, color in scale]) for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = np.array([0.2126, 0.7152, 0.0722]) @ linear
    black = (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05)
    return ["#000000" if dark else "#FFFFFF" for dark in black]


def faint(color: str, alpha: float) -> str:
    """A color of a chart, `#RRGGBB`, as an rgba() string with this opacity."""
    r, g, b = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha:g})"
