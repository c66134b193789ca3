"""Show a Plotly figure in the palette of the browser's theme."""

from __future__ import annotations

import streamlit as st
from plotly.basedatatypes import BaseFigure

from reporting.figure import Figure
from reporting.palette import DARK, LIGHT, Palette

CONFIG = {
    "displaylogo": False,
    "displayModeBar": False,
    "scrollZoom": False,
    "showSendToCloud": False,
    "showEditInChartStudio": False,
    "responsive": True,
}


class Ready(BaseFigure):
    """A figure that is sent to the browser unvalidated.

    Given a dict, Streamlit has Plotly validate every attribute: ten milliseconds per chart, half the time of a run's page.
    tests/reporting/test_figures.py validates every kind of chart instead.
    """

    def __init__(self, figure: Figure) -> None:  # skips BaseFigure.__init__, which validates
        self._figure = figure

    def to_dict(self) -> Figure:
        return self._figure


def palette() -> Palette:
    """The palette in which a page shows Plotly figures: that of the browser's theme; light until the browser has reported it."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def draw(figure: Figure, *, key: str, alt: str) -> None:
    """Show a Plotly figure in its own colors (theme=None), with `alt` for screen readers."""
    st.plotly_chart(Ready(figure), key=key, alt=alt, theme=None, config=CONFIG)
