"""A run's page: whether the class weights swing, in words and as a picture, and New run with smoothed TPRs."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.diagnostics.weight_oscillation import FACTOR, Oscillation, changes, oscillation, smoothed
from core.formatting import listed
from pages.components.common import cached_reads, plotly_chart
from pages.components.run import duplicate
from reporting import epoch_charts, text
from reporting.figure import Figure
from storage.results.runs import RunRow

TICKS = (1, 2, 5, 10, 20, 50, 100, 1000, 10_000, 100_000)
NAMED = 4  # classes named in the warning
MOST_MARKED = 60  # epochs up to which every one has its own point


def calm(row: RunRow, w: NDArray[np.float64]) -> None:
    """Under the picture of the weights [E, C]: how far they move an epoch, where they move and do not swing."""
    found = oscillation(w)
    if found is not None and not found.oscillates:
        st.caption(sentence(found, half(row)))


def half(row: RunRow) -> str:
    """The epochs that are judged: of a run that is not through, those it has."""
    return f"the second half of the {'run' if row.last_epoch == row.epochs else 'epochs so far'}"


def draw(row: RunRow, names: list[str]) -> None:
    """Where the weights swing: how far, in which classes, and the way to smoothing. Nothing where they do not."""
    past = cached_reads.history(row)
    found = None if past.weight is None else oscillation(past.weight)
    if found is None or not found.oscillates:
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Change of the weights per epoch", anchor=False)
        plotly_chart.draw(
            picture(past.epochs, past.weight, row),
            key="run_swings",
            alt="Factor by which a weight changes from epoch to epoch, mean of the classes; "
            f"over {half(row)} {found.factor:.1f}",
        )
    with right:
        st.warning(warning(found, half(row), names), icon=":material/swap_vert:")
        if row.status not in cached_reads.LIVE:  # what is live holds no input
            smooth(row)


def sentence(found: Oscillation, half: str) -> str:
    """The figures of weights that do not swing."""
    return (
        f"From epoch to epoch a weight changes by a factor of {found.factor:.2f} on average and turns back at "
        f"{100 * found.reversal:.0f}\u00a0% of the epochs ({half})."
    )


def warning(found: Oscillation, half: str, names: list[str]) -> str:
    """Weights that swing, and in which classes."""
    most = listed([text.plain(text.short(names[c], 20)) for c in found.classes], NAMED)
    return text.oscillation(found, half=half, most=most).replace(" %", "\u00a0%")


def smooth(row: RunRow) -> None:
    """A button to New run with the TPRs smoothed, where the method can and does not yet."""
    params = smoothed(row.config.method, row.config.params)
    if params is not None and st.button(
        "Smooth the TPRs",
        key="run_smooth",
        icon=":material/content_copy:",
        help="New run with these settings and smoothed TPRs.",
    ):
        duplicate.duplicate(row, params=params)


def picture(epochs: NDArray[np.int64], w: NDArray[np.float64], row: RunRow) -> Figure:
    """The factor by which weights [E, C] change at each epoch, and the line above which they swing.

    The factor is the mean of the classes (of their logarithms).
    """
    p, size = plotly_chart.palette(), np.abs(changes(w))
    known = np.isfinite(size)
    factor = np.exp(np.where(known, size, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    limit = ("2: a weight doubles or halves", epochs[1:], np.full(len(factor), FACTOR), p.muted, "dot")
    figure = epoch_charts.lines(
        p,
        [("mean of the classes", epochs[1:], factor, p.after, "solid"), limit],
        share=False,
        total=int(row.epochs),
        unit="factor",
        digits=1,
    )
    top = math.log10(max(float(factor.max()), FACTOR))
    figure["layout"]["yaxis"] |= {
        "type": "log",
        "range": [0, 1.06 * top],
        "tickvals": [v for v in TICKS if v <= 10 ** (1.06 * top)],
    }
    return figure


def marked(figure: Figure, epochs: int) -> Figure:
    """The same with a point at every epoch, so that each change is seen."""
    if epochs <= MOST_MARKED:
        for trace in figure["data"]:
            trace |= {"mode": "lines+markers", "marker": {"size": 4}}
    return figure
