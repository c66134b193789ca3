"""Layout and axes of all charts. Figures are plain dicts, which are fast to build; needs no Streamlit."""

from __future__ import annotations

from typing import Any

from reporting.palette import Palette

Figure = dict[str, Any]  # Plotly's JSON
Part = dict[str, Any]  # a trace, a shape or an axis of it
FONT = '"Source Sans", "Source Sans 3", system-ui, sans-serif'


def axis(p: Palette, **more: object) -> Part:
    """An axis of any chart in the palette's colors; `more` overrides."""
    base = {
        "gridcolor": p.grid,
        "linecolor": p.grid,
        "zerolinecolor": p.grid,
        "color": p.muted,
        "tickfont": {"color": p.text, "size": 13},
        "fixedrange": True,
        "automargin": True,
        "autotickangles": [0, -45, -90],  # a label rotated this way ends at its tick and stays inside the chart
    }
    if isinstance(more.get("title"), str):
        more["title"] = {"text": more["title"], "font": {"color": p.muted, "size": 13}, "standoff": 8}
    return {**base, **more}


def layout(p: Palette, height: int, **more: object) -> Part:
    """The common layout of all charts: transparent background, one font, a constant uirevision so that live updates
    keep the view."""
    base = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": p.text},
        "hoverlabel": {"bgcolor": p.background, "bordercolor": p.grid, "font": {"color": p.text, "family": FONT}},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"color": p.text, "size": 13},
            "itemclick": False,
            "itemdoubleclick": False,
        },
        "uirevision": "keep",
        "dragmode": False,
        "separators": ".,",
    }
    return {**base, **more}
