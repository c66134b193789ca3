"""The signature picture: TPR per class before and after, hardest class of the baseline first.

Evening out is the band (mean +- one standard deviation) shrinking, its price the line sinking.
Pure functions: two `Side`s and a palette in, a Plotly figure as a dict out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pages.parts.figure import Figure, axis, layout
from pages.parts.palette import Palette, faint
from pages.parts.words import drawn, percent, points

Vector = NDArray[np.float64]  # [C]
BARS_UP_TO = 15  # classes; above, dumbbells
DUMBBELLS_UP_TO = 60  # classes; above, the sorted strip
ORDERS = {"difficulty": "Baseline difficulty", "gain": "Gain", "class": "Class"}
IN_ORDER = {"difficulty": "hardest first", "gain": "largest gain first", "class": "in their own order"}


@dataclass(frozen=True)
class Side:
    """One state of a classifier: TPRs [C] in 0..1 (NaN where the split holds no sample) and their 95 % limits."""

    label: str
    tpr: Vector
    low: Vector
    high: Vector

    @property
    def mean(self) -> float:
        return float(np.nanmean(self.tpr))

    @property
    def sd(self) -> float:
        """Population standard deviation of the TPRs: the spread."""
        return float(np.nanstd(self.tpr))


def default_kind(classes: int) -> str:
    """bars, dumbbell or strip: the form that can be read at this number of classes."""
    return "bars" if classes <= BARS_UP_TO else "dumbbell" if classes <= DUMBBELLS_UP_TO else "strip"


def ordering(before: Vector, after: Vector | None = None, by: str = "difficulty") -> NDArray[np.int64]:
    """Class indices in drawing order. Undefined TPRs come last; ties keep the class order."""
    keys = {
        "difficulty": before,
        "gain": before if after is None else before - after,  # largest gain first
        "class": np.arange(len(before), dtype=float),
    }
    return np.argsort(np.where(np.isnan(keys[by]), np.inf, keys[by]), kind="stable")


def _legend(side: Side) -> str:
    return f"{drawn(side.label)}: mean {percent(side.mean)}, spread {100 * side.sd:.1f} points"


def _levels(p: Palette, sides: list[tuple[Side, str, str, float]], across: str) -> list[dict]:
    """Band and mean line of each side. `across` is the axis the TPR lies on."""
    other = "x" if across == "y" else "y"
    shapes = []
    for side, colour, _, alpha in sides:
        lo, hi = max(side.mean - side.sd, 0.0), min(side.mean + side.sd, 1.0)
        shapes.append({"type": "rect", f"{other}ref": "paper", f"{other}0": 0, f"{other}1": 1, f"{across}0": lo, f"{across}1": hi,
                       "fillcolor": faint(colour, alpha), "line": {"width": 0}, "layer": "below"})
    for side, colour, dash, _ in sides:
        shapes.append({"type": "line", f"{other}ref": "paper", f"{other}0": 0, f"{other}1": 1, f"{across}0": side.mean, f"{across}1": side.mean,
                       "line": {"color": colour, "width": 2, "dash": dash}, "layer": "above"})
    return shapes


def _sides(p: Palette, before: Side, after: Side | None) -> list[tuple[Side, str, str, float]]:
    strong = 0.16 if p.name == "light" else 0.18
    pair = [(before, p.before, "dot", strong)]
    return pair if after is None else [*pair, (after, p.after, "solid", strong)]


def _errors(side: Side, order: NDArray[np.int64], colour: str) -> dict:
    t = side.tpr[order]
    return {"type": "data", "symmetric": False, "array": (side.high[order] - t).tolist(), "arrayminus": (t - side.low[order]).tolist(),
            "color": colour, "thickness": 1.2, "width": 3}


def _rounded(values: Vector) -> list[float | None]:
    return [None if np.isnan(v) else round(float(v), 5) for v in values]


def bars(names: list[str], before: Side, after: Side | None, p: Palette, order: NDArray[np.int64], height: int = 360) -> Figure:
    """Grouped bars from 0: before grey and hatched, after blue and solid, 95 % limits thin. Many classes: without limits and names."""
    ticks, few = list(range(len(order))), len(order) <= DUMBBELLS_UP_TO
    full = [drawn(names[c]) for c in order]
    data = []
    for side, colour, _, _ in _sides(p, before, after):
        first = side is before
        pattern = {"shape": "/", "size": 6, "solidity": 0.28, "fgcolor": faint(p.background, 0.75), "bgcolor": colour}
        data.append({
            "type": "bar", "name": _legend(side), "x": ticks, "y": _rounded(side.tpr[order]), "customdata": full,
            "marker": {"color": colour, **({"pattern": pattern} if first else {}), "cornerradius": 2},
            **({"error_y": _errors(side, order, p.text if p.name == "light" else faint(p.text, 0.75))} if few else {}),
            "hovertemplate": f"%{{customdata}}<br>{side.label} %{{y:.1%}}<extra></extra>",
        })
    named = {"tickvals": ticks, "ticktext": [drawn(names[c], 12) for c in order]} if few else {"showticklabels": False, "title": f"{len(order)} classes"}
    return {"data": data, "layout": layout(
        p, height, bargap=0.24, bargroupgap=0.06, barmode="group", shapes=_levels(p, _sides(p, before, after), "y"),
        xaxis=axis(p, showgrid=False, zeroline=False, **named),
        yaxis=axis(p, range=[0, 1.02], tickformat=".0%", dtick=0.2),
    )}


def _segments(before: Vector, after: Vector, wanted: NDArray[np.bool_]) -> tuple[list, list]:
    """Line pieces (position, TPR) of the wanted classes, parted by None so that one trace holds them all."""
    values, places = [], []
    for i in np.flatnonzero(wanted):
        values += [float(before[i]), float(after[i]), None]
        places += [int(i), int(i), None]
    return values, places


def _moves(before: Vector, after: Vector, p: Palette) -> list[tuple[str, str, NDArray[np.bool_]]]:
    change = after - before
    return [("gain", p.gain, change >= 0), ("loss", p.loss, change < 0)]


def dumbbell(names: list[str], before: Side, after: Side, p: Palette, order: NDArray[np.int64]) -> Figure:
    """Hollow grey before, solid blue after, the move between them green with + or orange with −."""
    b, a, full = before.tpr[order], after.tpr[order], [drawn(names[c]) for c in order]
    rows = list(range(len(order)))
    data = [_limits(side, order, faint(colour, 0.8)) for side, colour, _, _ in _sides(p, before, after)]
    for name, colour, wanted in _moves(b, a, p):
        x, y = _segments(b, a, wanted)
        data.append({"type": "scatter", "mode": "lines", "x": x, "y": y, "line": {"color": colour, "width": 4}, "name": name,
                     "showlegend": bool(x), "hoverinfo": "skip"})
    hollow = {"size": 11, "color": p.background, "line": {"width": 2.5, "color": p.text if p.name == "dark" else p.muted}}
    for side, values, marker in ((before, b, hollow), (after, a, {"size": 11, "color": p.after})):
        data.append({"type": "scatter", "mode": "markers", "x": _rounded(values), "y": rows, "name": _legend(side), "customdata": full,
                     "marker": marker, "hovertemplate": f"%{{customdata}}<br>{side.label} %{{x:.1%}}<extra></extra>"})
    edge = np.fmax(before.high[order], after.high[order])
    data.append({"type": "scatter", "mode": "text", "x": _rounded(edge), "y": rows, "text": [f"  {points(d)}" for d in a - b],
                 "textposition": "middle right", "textfont": {"size": 12, "color": p.text}, "showlegend": False, "hoverinfo": "skip",
                 "cliponaxis": False})
    lows, highs = np.fmin(before.low, after.low), np.fmax(before.high, after.high)
    start = max(0.0, np.floor(20 * np.nanmin(lows) - 0.2) / 20)
    height = max(260, 30 * len(order) + 96)
    return {"data": data, "layout": layout(
        p, height, margin={"l": 8, "r": 44, "t": 8, "b": 8}, shapes=_levels(p, _sides(p, before, after), "x"),
        xaxis=axis(p, range=[start, min(1.0, float(np.nanmax(highs)) + 0.01)], tickformat=".0%", nticks=7),
        yaxis=axis(p, tickvals=rows, ticktext=[drawn(names[c], 18) for c in order], range=[len(order) - 0.5, -0.5], showgrid=False, zeroline=False),
    )}


def _limits(side: Side, order: NDArray[np.int64], colour: str) -> dict:
    x, y = _segments(side.low[order], side.high[order], ~np.isnan(side.tpr[order]))
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": {"color": colour, "width": 1.3}, "showlegend": False, "hoverinfo": "skip"}


def _named(names: list[str], order: NDArray[np.int64]) -> dict[str, object]:
    """Class names on the axis of a strip where they fit, nothing but the order where they do not."""
    if len(names) > 20:
        return {"showticklabels": False}
    return {"tickvals": list(range(1, len(order) + 1)), "ticktext": [drawn(names[c], 12) for c in order]}


def strip(names: list[str], before: Side, after: Side, p: Palette, order: NDArray[np.int64], marked: int | None = None, by: str = "difficulty",
          height: int = 400) -> Figure:
    """Many classes: one thin upright move per class, the baseline as a line; `marked` is a class index, `by` what `order` is sorted by."""
    b, a = before.tpr[order], after.tpr[order]
    ranks = list(range(1, len(order) + 1))
    hover = [f"{drawn(names[c])}<br>{before.label} {percent(x)}, {after.label} {percent(y)} ({points(y - x)})" for c, x, y in zip(order, b, a, strict=True)]
    data = []
    for name, colour, wanted in _moves(b, a, p):
        y, x = _segments(b, a, wanted)
        data.append({"type": "scatter", "mode": "lines", "x": [None if v is None else v + 1 for v in x], "y": y, "name": name,
                     "line": {"color": colour, "width": 1.4}, "hoverinfo": "skip"})
    data.append({"type": "scatter", "mode": "lines", "x": ranks, "y": _rounded(b), "name": _legend(before), "hoverinfo": "skip",
                 "line": {"color": p.before, "width": 2}})
    data.append({"type": "scatter", "mode": "markers", "x": ranks, "y": _rounded(a), "name": _legend(after), "text": hover,
                 "marker": {"size": 5, "color": p.after}, "hovertemplate": "%{text}<extra></extra>"})
    if marked is not None:
        place = int(np.flatnonzero(order == marked)[0])
        data.append({"type": "scatter", "mode": "markers+text", "x": [place + 1], "y": _rounded(a[[place]]), "text": [drawn(names[marked], 18)],
                     "textposition": "top center", "showlegend": False, "hoverinfo": "skip",
                     "marker": {"size": 14, "symbol": "circle-open", "color": p.text, "line": {"width": 2}}})
    return {"data": data, "layout": layout(
        p, height, hovermode="closest", shapes=_levels(p, _sides(p, before, after), "y"),
        xaxis=axis(p, title=f"classes, {IN_ORDER[by]}", range=[0, len(order) + 1], showgrid=False, zeroline=False, **_named(names, order)),
        yaxis=axis(p, range=[0, 1.02], tickformat=".0%", dtick=0.2),
    )}


def picture(kind: str, names: list[str], before: Side, after: Side | None, p: Palette, by: str = "difficulty", marked: int | None = None) -> Figure:
    """The figure of this kind ("bars", "dumbbell" or "strip"); one side alone is always bars."""
    order = ordering(before.tpr, None if after is None else after.tpr, by)
    if after is None:
        return bars(names, before, None, p, order)
    if kind == "strip":
        return strip(names, before, after, p, order, marked, by)
    return (bars if kind == "bars" else dumbbell)(names, before, after, p, order)


def describe(names: list[str], before: Side, after: Side | None) -> str:
    """The picture in one sentence, for screen readers."""
    hardest = names[int(np.nanargmin(before.tpr))]
    text = f"TPR per class, {before.label}: mean {percent(before.mean)}, spread {100 * before.sd:.1f} points, hardest class {hardest} at {percent(np.nanmin(before.tpr))}"
    if after is None:
        return text
    worst = int(np.nanargmin(after.tpr))
    return f"{text}; {after.label}: mean {percent(after.mean)}, spread {100 * after.sd:.1f} points, lowest {names[worst]} at {percent(after.tpr[worst])}"
