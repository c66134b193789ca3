"""Charts over epochs: loss, accuracy, spread, class x epoch heat map, class weights. Figures are dicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reporting.figure import Figure, Part, axis, layout
from reporting.numbers import minus, percent, signed, weight
from reporting.palette import Palette, faint
from reporting.text import drawn, shortened
from reporting.tpr_charts import NEARLY_ALL, SHARE

Matrix = NDArray[np.float64]
Series = tuple[str, ArrayLike, ArrayLike, str, str]  # name, epochs, values, color, dash
FEW_LINES = 12  # classes drawn as single lines; above, a band with the extremes
FEW_ROWS = 40  # classes, up to which rows show names and numbers
HIGH = 300  # pixels
# Color-blind-safe line colors (Okabe and Ito), with a second cue: the dash changes after every four.
LINES = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7")
DASHES = ("solid", "dot", "dash")


def _clean(values: ArrayLike) -> list[float | None]:
    return [None if v is None or not np.isfinite(v) else float(v) for v in np.asarray(values, dtype=float)]


def _line(
    name: str, x: ArrayLike, y: ArrayLike, color: str, dash: str = "solid", value: str = ".3f", width: float = 2.2
) -> Part:
    """One curve. The hover template reads `name` from the trace, so that a placeholder in a class name stays text."""
    x = [int(v) for v in np.asarray(x)]
    mode = "lines+markers" if len(x) < 2 else "lines"
    return {
        "type": "scatter",
        "mode": mode,
        "name": drawn(name),
        "x": x,
        "y": _clean(y),
        "line": {"color": color, "dash": dash, "width": width},
        "hovertemplate": f"epoch %{{x}}<br>%{{fullData.name}} %{{y:{value}}}<extra></extra>",
    }


def _thin(x: ArrayLike, y: ArrayLike, color: str) -> Part:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [int(v) for v in np.asarray(x)],
        "y": _clean(y),
        "line": {"color": faint(color, 0.45), "width": 1},
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _epochs(p: Palette, last: int, start: float | None = None) -> Part:
    """The epoch axis, with at most ten whole-number ticks."""
    step = next(s for s in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 10**6) if last / s <= 10)
    more = {} if start is None or last < 2 else {"range": [start, last + 0.5]}
    return axis(p, title="epoch", showgrid=False, zeroline=False, dtick=step, tick0=0 if step > 1 else 1, **more)


def step_of(count: int, most: int) -> int:
    """The stride of a chart over epochs that draws about `most` of `count` epochs: 1, 2, 4, 5, 10, 20, 40, 50, ..."""
    return next(step * 10**power for power in range(19) for step in (1, 2, 4, 5) if count <= most * step * 10**power)


def some_epochs(epochs: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Indices of the epochs that a chart draws: the first, those at the stride, the last.

    As a run grows, drawn epochs stay until the stride grows.
    """
    step = step_of(len(epochs), most)
    keep = np.asarray(epochs) % step == 0
    keep[:1] = keep[-1:] = True
    return np.flatnonzero(keep)


def _last(series: Sequence[Series]) -> int:
    return max((int(np.max(x)) for _, x, *_ in series if len(x)), default=1)


def curves(
    p: Palette,
    series: Sequence[Series],
    *,
    share: bool,
    total: int | None = None,
    unit: str = "",
    digits: int = 3,
    thin: Sequence[tuple[ArrayLike, ArrayLike, str]] = (),
) -> Figure:
    """The chart over epochs with one curve per (name, epochs, values, color, dash); shares are drawn in percent, with
    as many decimals as the ticks need.

    `thin` are curves (epochs, values, color) behind the others, without a name. The axis starts at 0 unless all
    values are shares above 90 %.
    """
    form = ".1%" if share else f".{digits}f"
    data = [_thin(x, y, c) for x, y, c in thin] + [_line(n, x, y, c, d, form) for n, x, y, c, d in series]
    least = min((float(np.nanmin(np.asarray(y, float))) for _, _, y, *_ in series if len(y)), default=0.0)
    y = axis(
        p,
        tickformat=SHARE if share else "",
        title=unit,
        nticks=6,
        rangemode="normal" if share and least >= NEARLY_ALL else "tozero",
    )
    return {
        "data": data,
        "layout": layout(p, HIGH, xaxis=_epochs(p, total or _last(series), 0.5), yaxis=y, hovermode="closest"),
    }


def _class_axis(names: list[str], p: Palette, order: NDArray[np.int64]) -> Part:
    """One row per class from the top, in the given order."""
    rows = len(order)
    return axis(
        p,
        range=[rows - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        showticklabels=rows <= FEW_ROWS,
        tickvals=list(range(rows)),
        ticktext=[drawn(names[c], 14) for c in order],
    )


def _tall(rows: int) -> int:
    """Height in px for this many rows."""
    return max(HIGH, min(22 * rows + 70, 620))


def heatmap(names: list[str], epochs: NDArray[np.int64], tpr: Matrix, p: Palette, order: NDArray[np.int64]) -> Figure:
    """The chart of TPRs [E, C] over epochs as a heat map, hardest class on top, epochs to the right."""
    full = [drawn(names[c]) for c in order]
    z = [[None if np.isnan(v) else round(float(v), 4) for v in row] for row in tpr[:, order].T]
    few = len(full) <= FEW_ROWS
    data = [
        {
            "type": "heatmap",
            "x": [int(e) for e in epochs],
            "y": list(range(len(full))),
            "z": z,
            "zmin": _least(tpr),
            "zmax": 1,
            "customdata": [[n] * len(epochs) for n in full],
            "hovertemplate": "%{customdata}, epoch %{x}<br>TPR %{z:.1%}<extra></extra>",
            "colorscale": [[0, p.low], [1, p.high]],
            "colorbar": {
                "tickformat": SHARE,
                "thickness": 10,
                "outlinewidth": 0,
                "tickfont": {"color": p.text},
                "len": 1,
            },
            "xgap": 1 if len(epochs) <= 60 else 0,
            "ygap": 1 if few else 0,
        }
    ]
    y = _class_axis(names, p, order)
    if not few:
        y["title"] = {"text": f"{len(full)} classes, hardest on top", "font": {"color": p.muted, "size": 13}}
    return {"data": data, "layout": layout(p, _tall(len(full)), xaxis=_epochs(p, int(epochs[-1])), yaxis=y)}


def _least(tpr: Matrix) -> float:
    """The lower end of the color scale: 0, or NEARLY_ALL if every TPR is above it. The color bar shows it."""
    least = float(np.nanmin(tpr)) if np.isfinite(tpr).any() else 0.0
    return NEARLY_ALL if least >= NEARLY_ALL else 0.0


def _trajectory_band(epochs: NDArray[np.int64], w: Matrix, p: Palette) -> list[Part]:
    low, high, middle = w.min(1), w.max(1), np.median(w, axis=1)
    edge = {"width": 0, "color": p.after}
    x = [int(e) for e in epochs]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": _clean(high),
            "line": edge,
            "showlegend": False,
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": _clean(low),
            "line": edge,
            "fill": "tonexty",
            "fillcolor": faint(p.after, 0.18),
            "name": "smallest to largest",
            "hoverinfo": "skip",
        },
        _line("median", epochs, middle, p.before, "dot"),
    ]


def weight_curves(names: list[str], epochs: NDArray[np.int64], w: Matrix, p: Palette) -> Figure:
    """The chart of class weights [E, C] over epochs: single lines for few classes, else the range and its two extremes."""
    few = w.shape[1] <= FEW_LINES
    data = [] if few else _trajectory_band(epochs, w, p)
    final = np.argsort(-w[-1], kind="stable")
    shown = final if few else final[[0, 1, -2, -1]]
    for i, c in enumerate(shown):
        data.append(_line(shortened(names[c], 14), epochs, w[:, c], LINES[i % 4], DASHES[i // 4 % 3], ".3f", 2))
    return {
        "data": data,
        "layout": layout(
            p,
            HIGH,
            xaxis=_epochs(p, int(epochs[-1])),
            yaxis=axis(p, title="weight", rangemode="tozero", nticks=6),
            legend={"orientation": "v", "x": 1.02, "y": 1, "xanchor": "left", "font": {"color": p.text, "size": 12}},
        ),
    }


def _class_bars(
    names: list[str],
    values: NDArray[np.float64],
    p: Palette,
    order: NDArray[np.int64],
    written: Callable[[float], str],
    hover: str,
    **more: object,
) -> Figure:
    """One horizontal bar per class, in the given order, labeled by `written` if there are few. `more` goes to the layout."""
    full, values = [drawn(names[c]) for c in order], values[order]
    few = len(full) <= FEW_ROWS
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": _clean(values),
        "y": list(range(len(full))),
        "customdata": full,
        "text": [written(v) for v in values] if few else None,
        "textposition": "outside",
        "textfont": {"color": p.text},
        "cliponaxis": False,
        "marker": {"color": p.after},
        "hovertemplate": f"%{{customdata}}<br>{hover}<extra></extra>",
    }
    y = _class_axis(names, p, order)
    return {"data": [bars], "layout": layout(p, _tall(len(full)), yaxis=y, bargap=0.3, **more)}


def weight_bars(names: list[str], w: NDArray[np.float64], p: Palette, order: NDArray[np.int64]) -> Figure:
    """The chart of class weights that stay the same over the epochs, hardest class first, with a line at the mean."""
    mean = float(w.mean())
    line = {"color": p.muted, "width": 1, "dash": "dot"}
    at_mean = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": mean, "x1": mean, "line": line}
    x = axis(p, rangemode="tozero", nticks=6, range=[0, float(w.max()) * 1.14])
    return _class_bars(names, w, p, order, weight, "weight %{x:.4g}", xaxis=x, shapes=[at_mean])


def _added(value: float) -> str:
    return minus(signed(value, 2))


def bias_bars(names: list[str], bias: NDArray[np.float64], p: Palette, order: NDArray[np.int64]) -> Figure:
    """The chart of the bias that a step added to the logit of each class, as bars to either side of 0, hardest class first."""
    low, high = min(float(bias.min()), 0.0), max(float(bias.max()), 0.0)
    room = 0.18 * (high - low) or 1.0  # for the numbers next to the bars
    x = axis(p, title="added to the logit", nticks=6, range=[low - room, high + room], zerolinecolor=p.muted)
    return _class_bars(names, bias, p, order, _added, "added %{x:+.4g}", xaxis=x)


def alt_bias(names: list[str], bias: NDArray[np.float64]) -> str:
    """The chart of the added biases in one sentence, for screen readers."""
    most, least = int(bias.argmax()), int(bias.argmin())
    return (
        f"Added to the logit of each class: from {_added(bias[least])} for {names[least]} "
        f"to {_added(bias[most])} for {names[most]}"
    )


def alt_weights(names: list[str], w: Matrix) -> str:
    """The chart of the weights over epochs in one sentence, for screen readers."""
    last = w[-1]
    return (
        f"Class weights over epochs; at the end largest {weight(last.max())} for {names[int(last.argmax())]}, "
        f"smallest {weight(last.min())} for {names[int(last.argmin())]}"
    )


def alt_heatmap(names: list[str], tpr: Matrix) -> str:
    """The heat map of TPRs over epochs in one sentence, for screen readers."""
    last = tpr[-1]
    worst = int(np.nanargmin(last))
    return f"TPR per class and epoch; at the last epoch the lowest is {names[worst]} at {percent(last[worst])}"
