"""The picture of docs/results.md: accuracy against TPR variance, a panel for each table, as an SVG that reads in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Point = tuple[float, float, str, str]  # accuracy, TPR variance, kind, name
WIDTH, HEIGHT = 470, 380  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 40, 44  # its margins
LEGEND = 40
LETTER, LINE = 5.6, 11  # size of a letter of a label, for keeping labels apart
LED = 8  # names in a panel that may stand further off

STYLE = """
g g{fill-opacity:.85}text{font:11px system-ui,sans-serif;fill:#1f2328}.small{font-size:10px}.title{font-size:13px;font-weight:600}
.back{fill:#ffffff}.grid{stroke:#d8dee4}.axis{stroke:#57606a;fill:none}.baseline{fill:#1f2328}
.trained{fill:#0b62c4}.sampler{fill:#b35900}.second{fill:#177a35}.post{fill:#9a2a8a}.lead{stroke:#8c959f}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}.grid{stroke:#30363d}.axis{stroke:#9198a1}.baseline{fill:#f0f6fc}
.trained{fill:#6cb0ff}.sampler{fill:#ffa657}.second{fill:#56d364}.post{fill:#e899dd}.lead{stroke:#6e7681}}
"""
# kind -> class of the style and the outline of a mark around 0, 0: told apart by shape as well as by colour
MARKS = {
    "baseline": ("baseline", '<path d="M0-8 2-2.5 8-2.5 3.2 1.2 5 7 0 3.4-5 7-3.2 1.2-8-2.5-2-2.5Z"/>'),
    "trained": ("trained", '<circle r="4"/>'),
    "sampler": ("sampler", '<rect x="-3.8" y="-3.8" width="7.6" height="7.6"/>'),
    "second stage": ("second", '<path d="M0-5 4.8 3.8-4.8 3.8Z"/>'),
    "post-hoc": ("post", '<path d="M0-5.4 5.4 0 0 5.4-5.4 0Z"/>'),
}


@dataclass(frozen=True)
class Scale:
    """From values to pixels; `log` for the variance, which spans powers of ten."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, v = ((math.log10(x) if self.log else x) for x in (self.low, self.high, value))
        return self.start + (v - low) / (high - low) * (self.end - self.start)


def picture(panels: Sequence[tuple[str, Sequence[Point]]]) -> str:
    """An SVG with two panels a row; each is a title and its points, the first of which is the baseline."""
    columns = min(len(panels), 2)
    rows = math.ceil(len(panels) / 2)
    width, height = columns * WIDTH, rows * HEIGHT + LEGEND
    body = [
        f'<g transform="translate({n % 2 * WIDTH} {n // 2 * HEIGHT})">{_panel(title, points)}</g>'
        for n, (title, points) in enumerate(panels)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>Accuracy against TPR variance of every method</title><style>{STYLE}</style>"
        f'<rect class="back" width="{width}" height="{height}" rx="8"/>{"".join(body)}{_legend(rows * HEIGHT + 14)}</svg>\n'
    )


def _legend(y: float) -> str:
    x, out = 20.0, []
    for kind in MARKS:
        out.append(f"{_mark(kind, x, y)}<text x='{x + 11:g}' y='{y + 4:g}'>{kind}</text>".replace("'", '"'))
        x += 34 + 6.6 * len(kind)
    return "".join(out)


def _mark(kind: str, x: float, y: float, name: str = "") -> str:
    style, shape = MARKS[kind]
    told = f"<title>{escape(name)}</title>" if name else ""
    return f'<g transform="translate({x:.1f} {y:.1f})" class="{style}">{told}{shape}</g>'


def _panel(title: str, points: Sequence[Point]) -> str:
    x = _accuracy_scale([p[0] for p in points])
    y = _variance_scale([p[1] for p in points])
    out = [f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>']
    for v in _steps(x.low, x.high):
        out.append(
            f'<line class="grid" x1="{x(v):.1f}" x2="{x(v):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="small" x="{x(v):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{100 * v:.0f}</text>'
        )
    for v in _decades(y.low, y.high):
        out.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
            f'<text class="small" x="{LEFT - 6}" y="{y(v) + 3.5:.1f}" text-anchor="end">{v:g}</text>'
        )
    out.append(
        f'<rect class="axis" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{HEIGHT - BOTTOM + 32}" text-anchor="middle">'
        "test accuracy, %: further right is better</text>"
        f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2:g}) rotate(-90)" text-anchor="middle">'
        "TPR variance: lower is more even</text>"
    )
    places = [(x(a), y(v)) for a, v, _, _ in points]
    # the baseline last, so that nothing lies on it
    out += [
        _mark(kind, *place, f"{name}: {100 * a:.1f} %, {v:.4f}")
        for (a, v, kind, name), place in reversed(list(zip(points, places, strict=True)))
    ]
    return "".join([*out, *_labels(points, places)])


def _accuracy_scale(values: Sequence[float]) -> Scale:
    pad = max(0.06 * (max(values) - min(values)), 0.005)
    return Scale(min(values) - pad, max(values) + pad, LEFT, WIDTH - RIGHT)


def _variance_scale(values: Sequence[float]) -> Scale:
    known = [v for v in values if v > 0] or [1e-4]
    return Scale(min(known) / 1.25, max(known) * 1.25, HEIGHT - BOTTOM, TOP, log=True)


def _steps(low: float, high: float) -> list[float]:
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 7 or s == 0.2)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    marks = [m * 10.0**e for e in range(-7, 1) for m in (1, 2, 5)]
    return [v for v in marks if low <= v <= high]


def _worth_a_name(points: Sequence[Point], places: Sequence[tuple[float, float]]) -> list[int]:
    """Which points to name first: the baseline, the rows that no other beats in both respects, the least accurate and the
    least even, then the others by their distance from the baseline."""
    front = [
        i for i, p in enumerate(points) if not any(q[0] >= p[0] and q[1] <= p[1] and q[:2] != p[:2] for q in points)
    ]
    worst = (
        sorted(range(len(points)), key=lambda i: points[i][0])[:3]
        + sorted(range(len(points)), key=lambda i: -points[i][1])[:3]
    )
    far = sorted(range(len(points)), key=lambda i: -math.dist(places[i], places[0]))
    return list(dict.fromkeys([0, *front, *worst, *far]))


def _labels(points: Sequence[Point], places: Sequence[tuple[float, float]]) -> list[str]:
    """Names beside their marks where they cover no other mark and no other name; left out where there is no such place.

    The first few may stand further off, with a line to their mark.
    """
    taken = [(px - 5, py - 5, px + 5, py + 5) for px, py in places]
    out: list[str] = []
    for rank, i in enumerate(_worth_a_name(points, places)):
        (px, py), name = places[i], points[i][3]
        wide = LETTER * len(name)
        for dx, dy in _beside(wide, rank < LED):
            box = (px + dx, py + dy - 9, px + dx + wide, py + dy + LINE - 9)
            inside = (
                box[0] > LEFT + 2 and box[2] < WIDTH - RIGHT - 2 and box[1] > TOP + 2 and box[3] < HEIGHT - BOTTOM - 2
            )
            if inside and not any(_cross(box, other) for other in taken):
                taken.append(box)
                if abs(dy - 4) > 9:
                    out.append(
                        f'<line class="lead" x1="{px:.1f}" y1="{py:.1f}" x2="{min(max(px, box[0]), box[2]):.1f}" '
                        f'y2="{box[3] if dy < 0 else box[1]:.1f}"/>'
                    )
                out.append(f'<text class="small" x="{box[0]:.1f}" y="{py + dy:.1f}">{escape(name)}</text>')
                break
    return out


def _beside(wide: float, led: bool) -> list[tuple[float, float]]:
    """Where a name of this width may begin, from its mark: right, left, and with a line above and below."""
    near = [(8.0, 4.0), (-8 - wide, 4.0)]
    return (
        near
        + [
            (side if side > 0 else side - wide, up + 4)
            for r in (18, 28, 40, 54)
            for side in (6.0, -6.0)
            for up in (-r, r)
        ]
        * led
    )


def _cross(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
