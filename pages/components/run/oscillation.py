"""Oscillation of the class weights on the run page: warning, chart, and a link to smoothing."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.diagnostics.weight_oscillation import FACTOR, SMOOTHING, Oscillation, changes, oscillation, smoothable
from core.formatting import listed
from pages.components.common import cached_reads, navigation, plotly_chart
from reporting import epoch_charts, text
from reporting.figure import Figure
from storage.results.runs import RunRow

TICKS = (1, 2, 5, 10, 20, 50, 100, 1000, 10_000, 100_000)
NAMED = 4  # classes named in the warning
MOST_MARKED = 60  # epochs up to which each has its own marker


def no_oscillation_caption(row: RunRow, w: NDArray[np.float64]) -> None:
    """Caption below a run's chart of the weights [E, C] that do not oscillate: their change per epoch, if they change."""
    found = oscillation(w)
    if found is not None and not found.oscillates:
        st.caption(unbroken(text.no_oscillation(found, judged_epochs(row))))


def judged_epochs(row: RunRow) -> str:
    """The epochs that are judged for oscillation, in words; of an unfinished run, those recorded so far."""
    return f"the second half of the {'run' if row.last_epoch == row.epochs else 'epochs so far'}"


def draw(row: RunRow, names: list[str]) -> None:
    """If a run's weights oscillate: by how much, in which classes, and a link to the smoothing of the TPRs. Nothing otherwise."""
    past = cached_reads.history(row)
    found = None if past.weight is None else oscillation(past.weight)
    if found is None or not found.oscillates:
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Change of the weights per epoch", anchor=False)
        plotly_chart.draw(
            oscillation_figure(past.epochs, past.weight, row),
            key="run_swings",
            alt="Factor by which a weight changes from epoch to epoch, mean over classes; "
            f"over {judged_epochs(row)} {found.factor:.1f}",
        )
    with right:
        st.warning(oscillation_warning(found, judged_epochs(row), names), icon=":material/swap_vert:")
        if smoothable(row.config.method, row.config.params):
            navigation.link_method(row.config.method, f"Smoothing of its TPRs: {SMOOTHING}")


def oscillation_warning(found: Oscillation, half: str, names: list[str]) -> str:
    """The warning of a run's page: how much the weights oscillate, and in which classes most."""
    most = listed([text.plain(text.shortened(names[c], 20)) for c in found.classes], NAMED)
    return unbroken(text.oscillation(found, half=half, most=most))


def unbroken(sentence: str) -> str:
    """A sentence on oscillation without a line break before a percent sign."""
    return sentence.replace(" %", "\u00a0%")


def oscillation_figure(epochs: NDArray[np.int64], w: NDArray[np.float64], row: RunRow) -> Figure:
    """The factor by which weights [E, C] change at each epoch, and the threshold above which they oscillate.

    The factor is the geometric mean over the classes.
    """
    p, size = plotly_chart.palette(), np.abs(changes(w))
    known = np.isfinite(size)
    factor = np.exp(np.where(known, size, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    limit = ("2: a weight doubles or halves", epochs[1:], np.full(len(factor), FACTOR), p.muted, "dot")
    figure = epoch_charts.curves(
        p,
        [("mean over classes", epochs[1:], factor, p.after, "solid"), limit],
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


def with_markers(figure: Figure, epochs: int) -> Figure:
    """The figure of weights with a marker at every epoch, so that each oscillation is visible."""
    if epochs <= MOST_MARKED:
        for trace in figure["data"]:
            trace |= {"mode": "lines+markers", "marker": {"size": 4}}
    return figure
