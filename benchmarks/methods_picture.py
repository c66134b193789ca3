"""The picture of docs/results.md: accuracy against TPR variance, a panel for each table, as an SVG that reads in light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from html import escape

import numpy as np
import pandas as pd

WIDTH, HEIGHT = 470, 380  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 58, 456, 40, 336  # its axes
LETTER = 5.6  # width of a letter of a name; a name is 11 high
LED = 8  # names in a panel that may stand further from their mark
STYLE = """
g g{fill-opacity:.85}text{font:11px system-ui,sans-serif;fill:#1f2328}.small{font-size:10px}.title{font-size:13px;font-weight:600}
.back{fill:#ffffff}.grid{stroke:#d8dee4}.axis{stroke:#57606a;fill:none}.baseline{fill:#1f2328}
.trained{fill:#0b62c4}.sampler{fill:#b35900}.second{fill:#177a35}.post-hoc{fill:#9a2a8a}.lead{stroke:#8c959f}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}.grid{stroke:#30363d}.axis{stroke:#9198a1}.baseline{fill:#f0f6fc}
.trained{fill:#6cb0ff}.sampler{fill:#ffa657}.second{fill:#56d364}.post-hoc{fill:#e899dd}.lead{stroke:#6e7681}}
"""
MARKS = {  # kind, which is a class of the style too -> the outline around 0, 0: a shape and a color each
    "baseline": "M0-8 2-2.5 8-2.5 3.2 1.2 5 7 0 3.4-5 7-3.2 1.2-8-2.5-2-2.5Z",
    "trained": "M-4 0A4 4 0 0 0 4 0 4 4 0 0 0-4 0Z",
    "sampler": "M-3.8-3.8H3.8V3.8H-3.8Z",
    "second stage": "M0-5 4.8 3.8-4.8 3.8Z",
    "post-hoc": "M0-5.4 5.4 0 0 5.4-5.4 0Z",
}


def picture(panels: Mapping[str, pd.DataFrame]) -> str:
    """An SVG with two panels a row: title -> cells with their name, kind, accuracy and tpr_variance, the first the baseline."""
    width, high = min(len(panels), 2) * WIDTH, math.ceil(len(panels) / 2) * HEIGHT
    size = f'width="{width}" height="{high + 40}"'
    body = [
        f'<g transform="translate({n % 2 * WIDTH} {n // 2 * HEIGHT})">{_panel(title, cells)}</g>'
        for n, (title, cells) in enumerate(panels.items())
    ]
    body += [_mark(k, 20 + 95 * n, high + 14) + _text(31 + 95 * n, high + 18, k, "") for n, k in enumerate(MARKS)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {high + 40}" {size} role="img">'
        f"<title>Accuracy against TPR variance of every method</title><style>{STYLE}</style>"
        f'<rect class="back" {size} rx="8"/>{"".join(body)}</svg>\n'
    )


def _text(x: float, y: float, text: str, attributes: str = 'class="small"') -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(text)}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _mark(kind: str, x: float, y: float, tooltip: str = "") -> str:
    title = f"<title>{escape(tooltip)}</title>" if tooltip else ""
    return f'<g transform="translate({x:.1f} {y:.1f})" class="{kind}">{title}<path d="{MARKS[kind]}"/></g>'


def _panel(title: str, cells: pd.DataFrame) -> str:
    pad = max(0.06 * np.ptp(cells["accuracy"]), 0.005)
    low, high = cells["accuracy"].min() - pad, cells["accuracy"].max() + pad
    logs = np.log10(cells["tpr_variance"].replace(0, np.nan)).fillna(-7)
    even, uneven = logs.min() - 0.1, logs.max() + 0.1
    x, y = partial(np.interp, xp=[low, high], fp=[LEFT, RIGHT]), partial(np.interp, xp=[even, uneven], fp=[BOTTOM, TOP])
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 7 or s == 0.2)
    out = [_text(LEFT, 22, title, 'class="title"')]
    for v in np.arange(math.ceil(low / step), high / step) * step:
        out.append(_line("grid", x(v), TOP, x(v), BOTTOM))
        out.append(_text(x(v), BOTTOM + 14, f"{100 * v:.0f}", 'class="small" text-anchor="middle"'))
    for v in (m * 10.0**e for e in range(-7, 0) for m in (1, 2, 5)):
        if even <= (log := math.log10(v)) <= uneven:
            out.append(_line("grid", LEFT, y(log), RIGHT, y(log)))
            out.append(_text(LEFT - 6, y(log) + 3.5, f"{v:g}", 'class="small" text-anchor="end"'))
    middle, center = (TOP + BOTTOM) / 2, 'text-anchor="middle"'
    out += [
        f'<rect class="axis" x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"/>',
        _text((LEFT + RIGHT) / 2, BOTTOM + 32, "test accuracy, %: further right is better", center),
        _text(14, middle, "TPR variance: lower is more even", f'transform="rotate(-90 14 {middle:g})" {center}'),
    ]
    places, names = np.column_stack([x(cells["accuracy"]), y(logs)]), cells["name"].str.replace("`", "").tolist()
    marks = [
        _mark(cell.kind, *place, f"{name}: {100 * cell.accuracy:.1f} %, {cell.tpr_variance:.4f}")
        for name, place, cell in zip(names, places, cells.itertuples(), strict=True)
    ]
    return "".join([*out, *reversed(marks), *_names(names, places)])  # the baseline's mark over all others


def _names(names: list[str], places: np.ndarray) -> list[str]:
    """Names beside their marks [n, 2] where they cover no other mark and no other name; left out where there is no such place.

    First come the baseline, the rows that no other beats in both respects, and the others by their distance from the
    baseline. The first few may stand further off, with a line to their mark.
    """
    beaten = [any((q[0] >= p[0]) & (q[1] >= p[1]) & (q != p).any() for q in places) for p in places]
    far = np.linalg.norm(places - places[0], axis=1)
    taken, out = np.hstack([places - 5, places + 5]), []  # boxes: left, top, right, bottom
    for rank, i in enumerate(sorted(range(len(names)), key=lambda i: (i > 0, beaten[i], -far[i]))):
        (px, py), wide = places[i], LETTER * len(names[i])
        beside = [(8, 4), (-8 - wide, 4)]
        further = [(dx, dy + 4) for r in (18, 28, 40, 54) for dx in (6, -6 - wide) for dy in (-r, r)]
        for dx, dy in beside + further * (rank < LED):
            left, top, right, bottom = box = px + dx, py + dy - 9, px + dx + wide, py + dy + 2
            inside = left > LEFT + 2 and right < RIGHT - 2 and top > TOP + 2 and bottom < BOTTOM - 2
            if inside and not ((box[:2] < taken[:, 2:]) & (taken[:, :2] < box[2:])).all(axis=1).any():
                taken = np.vstack([taken, box])
                if (dx, dy) not in beside:
                    out.append(_line("lead", px, py, np.clip(px, left, right), bottom if dy < 0 else top))
                out.append(_text(left, py + dy, names[i]))
                break
    return out
