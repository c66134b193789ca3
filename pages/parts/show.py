"""Put a figure on the page in the palette of the theme this browser shows."""

from __future__ import annotations

import streamlit as st

from pages.parts.figure import Figure
from pages.parts.palette import DARK, LIGHT, Palette

CONFIG = {
    "displaylogo": False,
    "displayModeBar": False,
    "scrollZoom": False,
    "showSendToCloud": False,
    "showEditInChartStudio": False,
    "responsive": True,
}


def palette() -> Palette:
    """The palette of the theme this browser shows; light before the browser has said."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def draw(figure: Figure, *, key: str, alt: str) -> None:
    """Draw with the picture's own colours (theme=None) and a text for those who do not see it."""
    st.plotly_chart(figure, key=key, alt=alt, theme=None, config=CONFIG)
