"""Put a figure on the page in the palette of the theme this browser shows."""

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
    """A figure that goes to the browser as it is.

    Streamlit has Plotly check a dict attribute by attribute, which takes ten milliseconds a picture and half the time of a run's
    page; tests/reporting/test_figures.py has every kind of picture checked instead.
    """

    def __init__(self, figure: Figure) -> None:  # without BaseFigure's, which is what checks
        self._figure = figure

    def to_dict(self) -> Figure:
        return self._figure


def palette() -> Palette:
    """The palette of the theme this browser shows; light before the browser has said."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def draw(figure: Figure, *, key: str, alt: str) -> None:
    """Draw with the picture's own colours (theme=None) and a text for those who do not see it."""
    st.plotly_chart(Ready(figure), key=key, alt=alt, theme=None, config=CONFIG)
