"""Confusion matrices as charts: of one run, and the difference between two. Above 20 classes a table of the top pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reporting.figure import Figure, axis, layout
from reporting.numbers import minus, signed
from reporting.palette import Palette, inks
from reporting.text import drawn

Counts = NDArray[np.int64]  # [C, C], rows = true class
TEXT_UP_TO = 20
MEANS = {
    (True, True): "more correct",
    (True, False): "fewer correct",
    (False, True): "more errors",
    (False, False): "fewer errors",
}  # (diagonal, rises)


def row_shares(confusion: Counts) -> NDArray[np.float64]:
    """Each row of a confusion matrix divided by its sum: the share of a true class that was predicted as each class;
    empty rows are NaN."""
    total = confusion.sum(1, keepdims=True).astype(float)
    return np.divide(confusion, total, out=np.full(confusion.shape, np.nan), where=total > 0)


Scale = list[tuple[float, str]]


def _matrix(
    names: list[str],
    z: NDArray[np.float64],
    p: Palette,
    order: NDArray[np.int64],
    text: list[list[str]],
    limits: tuple[float, float],
    scale: Scale,
    **trace: object,
) -> Figure:
    """Cells colored between two limits, classes in `order`; `text` [C, C] in that order.

    The text is a trace of its own: a heat map's text has one gray on all dark cells.
    """
    z, last = z[np.ix_(order, order)], len(order) - 0.5
    common = {
        "tickvals": list(range(len(order))),
        "ticktext": [drawn(names[c], 12) for c in order],
        "showgrid": False,
        "zeroline": False,
    }
    return {
        "data": [_cells(names, z, order, limits, scale) | trace, _cell_texts(z, text, limits, scale)],
        "layout": layout(
            p,
            max(340, min(26 * len(order) + 110, 640)),
            xaxis=axis(p, **common, range=[-0.5, last], side="bottom", title="predicted class"),
            yaxis=axis(p, **common, range=[last, -0.5], title="true class"),
        ),
    }


def _cells(
    names: list[str], z: NDArray[np.float64], order: NDArray[np.int64], limits: tuple[float, float], scale: Scale
) -> dict[str, object]:
    """The colored cells; both class names are in `customdata` for the hover text. `z` in `order`."""
    ticks = list(range(len(order)))
    true = [[drawn(names[c])] * len(order) for c in order]
    return {
        "type": "heatmap",
        "x": ticks,
        "y": ticks,
        "z": [[None if np.isnan(v) else round(float(v), 4) for v in row] for row in z],
        "customdata": np.dstack([true, np.transpose(true)]).tolist(),
        "xgap": 1,
        "ygap": 1,
        "zmin": limits[0],
        "zmax": limits[1],
        "colorscale": scale,
        "showscale": False,
    }


def _cell_texts(
    z: NDArray[np.float64], text: list[list[str]], limits: tuple[float, float], scale: Scale
) -> dict[str, object]:
    """The texts of the cells that have one, in an ink that can be read on the cell's color."""
    low, high = limits
    filled = [(x, y) for y in range(len(text)) for x in range(len(text)) if text[y][x]]
    return {
        "type": "scatter",
        "mode": "text",
        "x": [x for x, _ in filled],
        "y": [y for _, y in filled],
        "text": [text[y][x] for x, y in filled],
        "textfont": {"size": 11, "color": inks(scale, [(z[y, x] - low) / (high - low) for x, y in filled])},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def confusion_matrix(names: list[str], confusion: Counts, p: Palette, order: NDArray[np.int64]) -> Figure:
    """The chart of a confusion matrix: row shares as color and as whole percents; zeros stay blank."""
    z = row_shares(confusion)
    text = [
        ["" if np.isnan(v) or not round(100 * v) else f"{100 * v:.0f}" for v in row] for row in z[np.ix_(order, order)]
    ]
    return _matrix(
        names,
        z,
        p,
        order,
        text,
        (0, 1),
        [(0, p.low), (1, p.high)],
        hovertemplate="%{z:.1%} of %{customdata[0]}<br>predicted as %{customdata[1]}<extra></extra>",
    )


def confusion_change(names: list[str], before: Counts, after: Counts, p: Palette, order: NDArray[np.int64]) -> Figure:
    """The chart of the change of a confusion matrix: after minus before in points of the true class, signed in the cell.

    Blue: better (more correct on the diagonal, fewer errors off it). Orange: worse.
    """
    z = 100 * (row_shares(after) - row_shares(before))
    better = np.where(np.eye(len(z), dtype=bool), z, -z)
    top = max(float(np.nanmax(np.abs(z))), 1.0)
    shown = z[np.ix_(order, order)]
    text = [["" if np.isnan(v) or not round(v) else minus(f"{v:+.0f}") for v in row] for row in shown]
    change = [["" if np.isnan(v) else minus(signed(v, 1)) for v in row] for row in shown]
    return _matrix(
        names,
        better,
        p,
        order,
        text,
        (-top, top),
        [(0, p.loss), (0.5, p.background), (1, p.after)],
        hovertext=change,
        hovertemplate="%{customdata[0]} predicted as %{customdata[1]}<br>%{hovertext} points<extra></extra>",
    )


def top_confusions(names: list[str], confusion: Counts, limit: int = 12) -> pd.DataFrame:
    """The most frequent confusions, instead of a chart: true class, predicted class, count, share of the true class in percent."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    flat = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    rows, cols = np.unravel_index(flat, wrong.shape)
    share = row_shares(confusion)
    keep = wrong[rows, cols] > 0
    return pd.DataFrame(
        {
            "true class": [names[r] for r in rows],
            "predicted class": [names[c] for c in cols],
            "count": wrong[rows, cols],
            "share": 100 * share[rows, cols],
        }
    )[keep]


def top_changes(names: list[str], before: Counts, after: Counts, limit: int = 12) -> pd.DataFrame:
    """The largest changes between two confusion matrices, instead of a chart, largest first: points of the true class,
    and their meaning in words."""
    b, a = row_shares(before), row_shares(after)
    change = 100 * (a - b)
    flat = np.argsort(-np.abs(np.nan_to_num(change)), axis=None, kind="stable")[:limit]
    rows, cols = np.unravel_index(flat, change.shape)
    return pd.DataFrame(
        {
            "change": change[rows, cols],
            "true class": [names[r] for r in rows],
            "predicted as": [names[c] for c in cols],
            "means": [MEANS[r == c, bool(change[r, c] > 0)] for r, c in zip(rows, cols, strict=True)],
            "before": 100 * b[rows, cols],
            "after": 100 * a[rows, cols],
        }
    )[np.nan_to_num(change[rows, cols]) != 0]
