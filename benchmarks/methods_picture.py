"""The picture of docs/results.md: accuracy against TPR variance, a panel for each table, as an SVG that reads in light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape

import numpy as np
import pandas as pd

WIDTH, HEIGHT = 470, 380  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 58, 456, 40, 336  # its axes
LETTER, LINE = 5.6, 11  # size of a letter of a name, for keeping names apart
LED = 8  # names in a panel that may stand further off
STYLE = """
g g{fill-opacity:.85}text{font:11px system-ui,sans-serif;fill:#1f2328}.small{font-size:10px}.title{font-size:13px;font-weight:600}
.back{fill:#ffffff}.grid{stroke:#d8dee4}.axis{stroke:#57606a;fill:none}.baseline{fill:#1f2328}
.trained{fill:#0b62c4}.sampler{fill:#b35900}.second{fill:#177a35}.post-hoc{fill:#9a2a8a}.lead{stroke:#8c959f}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}.grid{stroke:#30363d}.axis{stroke:#9198a1}.baseline{fill:#f0f6fc}
.trained{fill:#6cb0ff}.sampler{fill:#ffa657}.second{fill:#56d364}.post-hoc{fill:#e899dd}.lead{stroke:#6e7681}}
"""
MARKS = {  # kind, which is a class of the style too -> the outline around 0, 0: told apart by shape as well as by colour
    "baseline": "M0-8 2-2.5 8-2.5 3.2 1.2 5 7 0 3.4-5 7-3.2 1.2-8-2.5-2-2.5Z",
    "trained": "M-4 0A4 4 0 0 0 4 0 4 4 0 0 0-4 0Z",
    "sampler": "M-3.8-3.8H3.8V3.8H-3.8Z",
    "second stage": "M0-5 4.8 3.8-4.8 3.8Z",
    "post-hoc": "M0-5.4 5.4 0 0 5.4-5.4 0Z",
}


def picture(panels: Mapping[str, pd.DataFrame]) -> str:
    """An SVG with two panels a row: title -> cells with their name, kind, accuracy and tpr_variance, the first the baseline."""
    width, high = min(len(panels), 2) * WIDTH, math.ceil(len(panels) / 2) * HEIGHT
    body = [
        f'<g transform="translate({n % 2 * WIDTH} {n // 2 * HEIGHT})">{_panel(title, found)}</g>'
        for n, (title, found) in enumerate(panels.items())
    ]
    for n, kind in enumerate(MARKS):
        body.append(_mark(kind, 20 + 95 * n, high + 14) + _text(31 + 95 * n, high + 18, kind, ""))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {high + 40}" width="{width}" height="{high + 40}" role="img">'
        f"<title>Accuracy against TPR variance of every method</title><style>{STYLE}</style>"
        f'<rect class="back" width="{width}" height="{high + 40}" rx="8"/>{"".join(body)}</svg>\n'
    )


def _text(x: float, y: float, words: str, more: str = 'class="small"') -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _mark(kind: str, x: float, y: float, told: str = "") -> str:
    title = f"<title>{escape(told)}</title>" if told else ""
    return f'<g transform="translate({x:.1f} {y:.1f})" class="{kind}">{title}<path d="{MARKS[kind]}"/></g>'


def _panel(title: str, found: pd.DataFrame) -> str:
    pad = max(0.06 * np.ptp(found["accuracy"]), 0.005)
    low, high = found["accuracy"].min() - pad, found["accuracy"].max() + pad
    logs = np.log10(found["tpr_variance"].replace(0, np.nan)).fillna(-7)
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
    turned = f'transform="rotate(-90 14 {(TOP + BOTTOM) / 2:g})" text-anchor="middle"'
    out += [
        f'<rect class="axis" x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"/>',
        _text((LEFT + RIGHT) / 2, BOTTOM + 32, "test accuracy, %: further right is better", 'text-anchor="middle"'),
        _text(14, (TOP + BOTTOM) / 2, "TPR variance: lower is more even", turned),
    ]
    places = np.column_stack([x(found["accuracy"]), y(logs)])
    told = found["name"].str.replace("`", "")
    for i in reversed(range(len(found))):  # the baseline last, so that nothing lies on it
        cell = found.iloc[i]
        figures = f"{100 * cell['accuracy']:.1f} %, {cell['tpr_variance']:.4f}"
        out.append(_mark(cell["kind"], *places[i], f"{told.iloc[i]}: {figures}"))
    return "".join([*out, *_names(list(told), places)])


def _names(names: Sequence[str], places: np.ndarray) -> list[str]:
    """Names beside their marks [n, 2] where they cover no other mark and no other name; left out where there is no such place.

    First come the baseline, the rows that no other beats in both respects, and the others by their distance from the
    baseline. The first few may stand further off, with a line to their mark.
    """
    beaten = [any((q[0] >= p[0]) & (q[1] >= p[1]) & (q != p).any() for q in places) for p in places]
    far = np.linalg.norm(places - places[0], axis=1)
    far[0] = np.inf
    taken = [(px - 5, py - 5, px + 5, py + 5) for px, py in places]
    out = []
    for rank, i in enumerate(sorted(range(len(names)), key=lambda i: (i > 0, beaten[i], -far[i]))):
        (px, py), wide = places[i], LETTER * len(names[i])
        beside = [(8, 4), (-8 - wide, 4)]
        further = [(dx, dy + 4) for r in (18, 28, 40, 54) for dx in (6, -6 - wide) for dy in (-r, r)]
        for dx, dy in beside + further * (rank < LED):
            box = (px + dx, py + dy - 9, px + dx + wide, py + dy + LINE - 9)
            inside = box[0] > LEFT + 2 and box[2] < RIGHT - 2 and box[1] > TOP + 2 and box[3] < BOTTOM - 2
            if inside and not any(_cross(box, other) for other in taken):
                taken.append(box)
                if (dx, dy) not in beside:
                    out.append(_line("lead", px, py, np.clip(px, box[0], box[2]), box[3] if dy < 0 else box[1]))
                out.append(_text(box[0], py + dy, names[i]))
                break
    return out


def _cross(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
