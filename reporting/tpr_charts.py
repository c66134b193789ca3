"""The chart of TPRs per class before and after, hardest class of the baseline first.

The band is mean +- one standard deviation: it shrinks as TPRs get more equal; a lower line is the loss in mean TPR.
Pure functions: two `ChartSide`s and a palette in, a Plotly figure as a dict out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reporting import numbers
from reporting.figure import Figure, Part, axis, layout
from reporting.numbers import percent, points
from reporting.palette import Palette, faint
from reporting.text import drawn
from reporting.tpr_series import ChartSide

Vector = NDArray[np.float64]  # [C]
DrawnSide = tuple[ChartSide, str, str, float]  # color, dash of the mean, opacity of the band
BARS_UP_TO = 15  # classes; above, dumbbells
DUMBBELLS_UP_TO = 60  # classes; above, the sorted strip
BAR_GAP = 0.24  # free share of a class's width between its bars and the next
NEARLY_ALL = 0.9  # if every TPR is above, bars from 0 would look alike: draw dots, on an axis that states its start
STEPS = (
    0.0001,
    0.0002,
    0.0005,
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
)  # between two ticks of an axis that may not start at 0
HALO = 6  # stacked shadows in the background color, so that whatever lies behind a number fades out around it
SHARE = ".3~%"  # ticks: as many decimals as they need
ORDERS = {"difficulty": "Baseline difficulty", "gain": "Gain", "class": "Class"}
IN_ORDER = {"difficulty": "hardest first", "gain": "largest gain first", "class": "in dataset order"}

WILSON = "Thin lines: 95 % Wilson intervals."
MARKS = {  # caption of the marks: (form, means over seeds)
    ("bars", False): WILSON,
    ("dumbbell", False): WILSON,
    ("strip", False): "",
    ("bars", True): "Bars: means over the seeds. Small dots: each seed.",
    (
        "dumbbell",
        True,
    ): "Large marks: means over the seeds. Small dots: each seed. Thin lines: from the lowest seed to the highest.",
    ("strip", True): "Lines and dots: means over the seeds.",
}


def default_kind(classes: int, lowest: float = 0.0) -> str:
    """bars, dumbbell or strip: the form of the TPR chart that is readable for this number of classes and this lowest TPR."""
    if classes <= BARS_UP_TO:
        return "dumbbell" if lowest >= NEARLY_ALL else "bars"
    return "dumbbell" if classes <= DUMBBELLS_UP_TO else "strip"


def usual_kind(*sides: ChartSide) -> str:
    """The form of the TPR chart that suits these states."""
    return default_kind(len(sides[0].tpr), min(float(np.nanmin(s.tpr)) for s in sides))


LINES = "Dotted: mean before. Solid: mean after. Band: mean and one standard deviation, the spread."
LINES_ALONE = "Line: mean. Band: mean and one standard deviation, the spread."


def marks(kind: str, side: ChartSide) -> str:
    """What the small marks of this form of the TPR chart are, for the caption."""
    return MARKS[kind, side.each is not None]


def tpr_range(low: float, high: float) -> Part:
    """The range of a TPR chart's axis for dots and lines, which may not start at 0; the title states where it starts."""
    step = next((s for s in STEPS if (high - low) / s <= 8), STEPS[-1])
    start = max(0.0, float(np.floor(low / step - 0.2)) * step)
    title = f"TPR; the axis starts at {100 * start:g} %" if start else "TPR"
    return {
        "range": [start, min(high + 0.25 * step, 1 + 0.15 * step)],
        "tick0": start,
        "dtick": step,
        "tickformat": SHARE,
        "title": title,
    }


def ordering(before: Vector, after: Vector | None = None, by: str = "difficulty") -> NDArray[np.int64]:
    """The order of the classes in a TPR chart, as indices. Undefined TPRs come last; ties keep the class order."""
    keys = {
        "difficulty": before,
        "gain": before if after is None else before - after,  # largest gain first
        "class": np.arange(len(before), dtype=float),
    }
    return np.argsort(np.where(np.isnan(keys[by]), np.inf, keys[by]), kind="stable")


def _legend(side: ChartSide) -> str:
    return f"{drawn(side.label)}: mean {percent(side.mean)}, spread {numbers.spread_points(side.sd)} points"


def _levels(p: Palette, sides: list[DrawnSide], across: str, line_layer: str = "above") -> list[Part]:
    """Band and mean line of each side. `across` is the axis of the TPR."""
    other = "x" if across == "y" else "y"
    shapes = []
    for side, color, _, alpha in sides:
        lo, hi = max(side.mean - side.sd, 0.0), min(side.mean + side.sd, 1.0)
        shapes.append(
            {
                "type": "rect",
                f"{other}ref": "paper",
                f"{other}0": 0,
                f"{other}1": 1,
                f"{across}0": lo,
                f"{across}1": hi,
                "fillcolor": faint(color, alpha),
                "line": {"width": 0},
                "layer": "below",
            }
        )
    for side, color, dash, _ in sides:
        shapes.append(
            {
                "type": "line",
                f"{other}ref": "paper",
                f"{other}0": 0,
                f"{other}1": 1,
                f"{across}0": side.mean,
                f"{across}1": side.mean,
                "line": {"color": color, "width": 2, "dash": dash},
                "layer": line_layer,
            }
        )
    return shapes


def _sides(p: Palette, before: ChartSide, after: ChartSide | None) -> list[DrawnSide]:
    strong = 0.16 if p.name == "light" else 0.18
    if after is None:
        return [(before, p.after, "solid", strong) if before.weighted else (before, p.before, "dot", strong)]
    return [(before, p.before, "dot", strong), (after, p.after, "solid", strong)]


def _errors(side: ChartSide, order: NDArray[np.int64], color: str) -> Part:
    t = side.tpr[order]
    return {
        "type": "data",
        "symmetric": False,
        "array": (side.high[order] - t).tolist(),
        "arrayminus": (t - side.low[order]).tolist(),
        "color": color,
        "thickness": 1.2,
        "width": 3,
    }


def _dots(side: ChartSide, order: NDArray[np.int64], offset: float, p: Palette, across: str) -> list[Part]:
    """The TPR of each seed as small dots next to the class's position; `across` is the axis of the TPR.

    Empty if the side is one run.
    """
    if side.each is None:
        return []
    other = "x" if across == "y" else "y"
    return [
        {
            "type": "scatter",
            "mode": "markers",
            across: [v for c in order for v in _rounded(side.each[:, c])],
            other: [round(i + offset, 4) for i in range(len(order)) for _ in side.each],
            "showlegend": False,
            "hoverinfo": "skip",
            "marker": {"size": 5, "color": p.background, "line": {"width": 1.2, "color": p.text}},
        }
    ]


def _rounded(values: Vector) -> list[float | None]:
    return [None if np.isnan(v) else round(float(v), 5) for v in values]


def bars(
    names: list[str],
    before: ChartSide,
    after: ChartSide | None,
    p: Palette,
    order: NDArray[np.int64],
    height: int = 360,
) -> Figure:
    """The TPR chart as grouped bars from 0: before gray and hatched, after blue and solid, 95 % limits thin. With many
    classes no limits and names."""
    ticks, few, sides = list(range(len(order))), len(order) <= DUMBBELLS_UP_TO, _sides(p, before, after)
    data = [_bars_of(names, side, order, color, p, limits=few and side.each is None) for side, color, *_ in sides]
    if few:
        for side, *_ in sides:  # dots at the middle of their bars
            data += _dots(side, order, (-1 if side is before else 1) * (1 - BAR_GAP) / 4, p, "y")
    named = (
        {"tickvals": ticks, "ticktext": [drawn(names[c], 12) for c in order]}
        if few
        else {"showticklabels": False, "title": f"{len(order)} classes"}
    )
    return {
        "data": data,
        "layout": layout(
            p,
            height,
            bargap=BAR_GAP,
            bargroupgap=0.06,
            barmode="group",
            showlegend=True,
            shapes=_levels(p, sides, "y"),
            xaxis=axis(p, showgrid=False, zeroline=False, range=[-0.5, len(order) - 0.5], **named),
            yaxis=axis(p, range=[0, 1.02], tickformat=".0%", dtick=0.2),
        ),
    }


def _bars_of(
    names: list[str], side: ChartSide, order: NDArray[np.int64], color: str, p: Palette, *, limits: bool
) -> Part:
    """The bars of one side; `limits` draws its 95 % limits."""
    hatch = {"shape": "/", "size": 6, "solidity": 0.28, "fgcolor": faint(p.background, 0.75), "bgcolor": color}
    ink = p.text if p.name == "light" else faint(p.text, 0.75)
    return {
        "type": "bar",
        "name": _legend(side),
        "x": list(range(len(order))),
        "y": _rounded(side.tpr[order]),
        "customdata": [drawn(names[c]) for c in order],
        "marker": {"color": color, **({"pattern": hatch} if color == p.before else {}), "cornerradius": 2},
        **({"error_y": _errors(side, order, ink)} if limits else {}),
        "hovertemplate": f"%{{customdata}}<br>{side.label} %{{y:.1%}}<extra></extra>",
    }


def _segments(before: Vector, after: Vector, wanted: NDArray[np.bool_]) -> tuple[list[float | None], list[int | None]]:
    """Line pieces (position, TPR) of the wanted classes, separated by None so that one trace holds them all."""
    values, places = [], []
    for i in np.flatnonzero(wanted):
        values += [float(before[i]), float(after[i]), None]
        places += [int(i), int(i), None]
    return values, places


def _moves(before: Vector, after: Vector, p: Palette) -> list[tuple[str, str, NDArray[np.bool_]]]:
    change = after - before
    return [("gain", p.gain, change >= 0), ("loss", p.loss, change < 0)]


def dumbbell(
    names: list[str], before: ChartSide, after: ChartSide | None, p: Palette, order: NDArray[np.int64]
) -> Figure:
    """The TPR chart as dumbbells: hollow gray before, solid blue after, a line between them in green for a gain, orange for a loss.

    A single side: its dots with their limits.
    """
    sides, rows = _sides(p, before, after), list(range(len(order)))
    data = [_limits(side, order, faint(color, 0.8)) for side, color, _, _ in sides]
    data += [] if after is None else _lines_between(before.tpr[order], after.tpr[order], p)
    for (side, *_), offset in zip(sides, (-0.27, 0.27), strict=False):
        data += _dots(side, order, offset, p, "x")
    data += [_row_marks(names, side, order, color, p) for side, color, *_ in sides]
    if after is not None:
        data.append(_change_labels(before, after, p, order))
    low, high = min(float(np.nanmin(s.low)) for s, *_ in sides), max(float(np.nanmax(s.high)) for s, *_ in sides)
    height = max(260, 30 * len(order) + 120)
    return {
        "data": data,
        "layout": layout(
            p,
            height,
            margin={"l": 8, "r": 44, "t": 8, "b": 8},
            shapes=_levels(p, sides, "x", "between"),  # the numbers next to the marks are drawn over the lines
            xaxis=axis(p, **tpr_range(low, high)),
            yaxis=axis(
                p,
                tickvals=rows,
                ticktext=[drawn(names[c], 18) for c in order],
                range=[len(order) - 0.5, -0.5],
                showgrid=False,
                zeroline=False,
            ),
        ),
    }


def _row_marks(names: list[str], side: ChartSide, order: NDArray[np.int64], color: str, p: Palette) -> Part:
    """The TPRs of one side of a dumbbell: hollow for the gray side, solid for the blue one."""
    edge = {"width": 2.5, "color": p.text if p.name == "dark" else p.muted}
    hollow = {"size": 11, "color": p.background, "line": edge}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": _rounded(side.tpr[order]),
        "y": list(range(len(order))),
        "name": _legend(side),
        "customdata": [drawn(names[c]) for c in order],
        "marker": hollow if color == p.before else {"size": 11, "color": p.after},
        "hovertemplate": f"%{{customdata}}<br>{side.label} %{{x:.2%}}<extra></extra>",
    }


def _lines_between(b: Vector, a: Vector, p: Palette) -> list[Part]:
    """The lines from before to after: one trace of the classes that gain, one of those that lose."""
    data = []
    for name, color, wanted in _moves(b, a, p):
        x, y = _segments(b, a, wanted)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": y,
                "line": {"color": color, "width": 4},
                "name": name,
                "showlegend": bool(x),
                "hoverinfo": "skip",
            }
        )
    return data


def _change_labels(before: ChartSide, after: ChartSide, p: Palette, order: NDArray[np.int64]) -> Part:
    """The change of every class in points, right of its marks, readable on top of a mean line or a band."""
    edge = np.fmax(before.high[order], after.high[order])
    return {
        "type": "scatter",
        "mode": "text",
        "x": _rounded(edge),
        "y": list(range(len(order))),
        "text": [f"  {points(d)}" for d in (after.tpr - before.tpr)[order]],
        "textposition": "middle right",
        "textfont": {"size": 12, "color": p.text, "shadow": ", ".join([f"0 0 3px {p.background}"] * HALO)},
        "showlegend": False,
        "hoverinfo": "skip",
        "cliponaxis": False,
    }


def _limits(side: ChartSide, order: NDArray[np.int64], color: str) -> Part:
    x, y = _segments(side.low[order], side.high[order], ~np.isnan(side.tpr[order]))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": color, "width": 1.3},
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _named(names: list[str], order: NDArray[np.int64]) -> Part:
    """Class names on the axis of a strip if they fit, else no labels."""
    if len(names) > 20:
        return {"showticklabels": False}
    return {"tickvals": list(range(1, len(order) + 1)), "ticktext": [drawn(names[c], 12) for c in order]}


def strip(
    names: list[str],
    before: ChartSide,
    after: ChartSide,
    p: Palette,
    order: NDArray[np.int64],
    marked: int | None = None,
    by: str = "difficulty",
    height: int = 400,
) -> Figure:
    """The TPR chart of many classes: one thin vertical line per class, the baseline as a curve; `marked` is a class
    index, `by` the sort key of `order`."""
    lowest = float(np.nanmin([before.tpr, after.tpr]))
    data = [*_changes(before, after, order, p), _curve(before, order, p), _points_after(names, before, after, order, p)]
    if marked is not None:
        data.append(_mark(names, after, order, marked, p))
    xaxis = axis(
        p,
        title=f"classes, {IN_ORDER[by]}",
        range=[0, len(order) + 1],
        showgrid=False,
        zeroline=False,
        **_named(names, order),
    )
    shares = tpr_range(lowest, 1.0) if lowest >= NEARLY_ALL else {"range": [0, 1.02], "tickformat": ".0%", "dtick": 0.2}
    levels = _levels(p, _sides(p, before, after), "y")
    return {
        "data": data,
        "layout": layout(p, height, hovermode="closest", shapes=levels, xaxis=xaxis, yaxis=axis(p, **shares)),
    }


def _changes(before: ChartSide, after: ChartSide, order: NDArray[np.int64], p: Palette) -> list[Part]:
    """A strip's vertical lines from before to after, one trace for gains and one for losses."""
    b, a = before.tpr[order], after.tpr[order]
    lines = []
    for name, color, wanted in _moves(b, a, p):
        y, x = _segments(b, a, wanted)
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [None if v is None else v + 1 for v in x],
                "y": y,
                "name": name,
                "line": {"color": color, "width": 1.4},
                "hoverinfo": "skip",
            }
        )
    return lines


def _curve(before: ChartSide, order: NDArray[np.int64], p: Palette) -> Part:
    """A strip's baseline: its TPRs as a curve over the ranks."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(range(1, len(order) + 1)),
        "y": _rounded(before.tpr[order]),
        "name": _legend(before),
        "hoverinfo": "skip",
        "line": {"color": p.before, "width": 2},
    }


def _points_after(names: list[str], before: ChartSide, after: ChartSide, order: NDArray[np.int64], p: Palette) -> Part:
    """A strip's dots, the TPRs after, with both TPRs and the change on hover."""
    b, a = before.tpr[order], after.tpr[order]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(range(1, len(order) + 1)),
        "y": _rounded(a),
        "name": _legend(after),
        "text": [
            f"{drawn(names[c])}<br>{before.label} {percent(x)}, {after.label} {percent(y)} ({points(y - x)})"
            for c, x, y in zip(order, b, a, strict=True)
        ],
        "marker": {"size": 5, "color": p.after},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _mark(names: list[str], after: ChartSide, order: NDArray[np.int64], marked: int, p: Palette) -> Part:
    """A circle and the name at one class of a strip."""
    place = int(np.flatnonzero(order == marked)[0])
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [place + 1],
        "y": _rounded(after.tpr[order][[place]]),
        "text": [drawn(names[marked], 18)],
        "textposition": "top center",
        "showlegend": False,
        "hoverinfo": "skip",
        "marker": {"size": 14, "symbol": "circle-open", "color": p.text, "line": {"width": 2}},
    }


def tpr_figure(
    kind: str,
    names: list[str],
    before: ChartSide,
    after: ChartSide | None,
    p: Palette,
    by: str = "difficulty",
    marked: int | None = None,
) -> Figure:
    """The TPR chart of this kind ("bars", "dumbbell" or "strip"); a single side has no strip."""
    order = ordering(before.tpr, None if after is None else after.tpr, by)
    if after is None:
        return (dumbbell if kind == "dumbbell" else bars)(names, before, None, p, order)
    if kind == "strip":
        return strip(names, before, after, p, order, marked, by)
    return (bars if kind == "bars" else dumbbell)(names, before, after, p, order)


def describe(names: list[str], before: ChartSide, after: ChartSide | None) -> str:
    """The TPR chart in one sentence, for screen readers."""
    hardest = names[int(np.nanargmin(before.tpr))]
    text = (
        f"TPR per class, {before.label}: mean {percent(before.mean)}, spread {numbers.spread_points(before.sd)} points, "
        f"hardest class {hardest} at {percent(np.nanmin(before.tpr))}"
    )
    if after is None:
        return text
    worst = int(np.nanargmin(after.tpr))
    return (
        f"{text}; {after.label}: mean {percent(after.mean)}, spread {numbers.spread_points(after.sd)} points, "
        f"lowest {names[worst]} at {percent(after.tpr[worst])}"
    )
