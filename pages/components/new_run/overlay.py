"""New run, preview: up to three other methods beside the selected one, on the same TPRs and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.methods import METHODS, POSTHOC, answer
from core.methods.types import ClassTerms, Evidence
from pages.components.common import plotly_chart
from pages.components.new_run.terms import NAMED_UP_TO, TERMS, Term, class_axis
from reporting import text
from reporting.figure import Figure, axis, layout
from reporting.palette import Palette

MOST = 3
HEIGHT = 280
SHOWN = {"weight": Term("Weight per class", "factor on the loss of a sample of the class")} | TERMS
SYMBOLS = ("circle", "square-open", "diamond", "triangle-up-open")  # so that color is not the only cue
Look = tuple[str, str, str]  # color, symbol, dash


@st.cache_data(max_entries=16, show_spinner=False)
def comparable_methods(evidence: Evidence) -> dict[str, ClassTerms]:
    """The other methods that New run can show beside the selected one: key -> terms, at default parameters, of those
    that set a per-class term here.

    Methods that reject this evidence are left out.
    """
    found = {}
    for method in METHODS:
        if method.stage == POSTHOC:
            continue
        try:
            terms = answer(method.key, evidence)
        except EvenlyError:
            continue
        if any(getattr(terms, name) is not None for name in SHOWN):
            found[method.key] = terms
    return found


def overlay_figure(
    name: str,
    rows: Mapping[str, NDArray[np.float64]],
    order: NDArray[np.int64],
    classes: Sequence[str],
    p: Palette,
    *,
    methods: Sequence[str],
    hard: bool,
) -> Figure:
    """The figure of one term of several methods beside each other on New run: markers for few classes, lines for many.
    `rows`: label of the method -> values [C].

    `methods`: labels of all compared methods, the selected one first; each keeps its style in every chart.
    """
    names, form, looks = [text.drawn(classes[c]) for c in order], SHOWN[name].form, looks_of(methods, p)
    y_axis = axis(p, rangemode="tozero", nticks=6, tickformat="~%" if form.endswith("%") else "~g")
    return {
        "data": [method_trace(label, v[order], names, form, looks[label]) for label, v in rows.items()],
        "layout": layout(p, HEIGHT, showlegend=True, xaxis=class_axis(classes, order, p, hard=hard), yaxis=y_axis),
    }


def looks_of(methods: Sequence[str], p: Palette) -> dict[str, Look]:
    """The style of each of up to 1 + MOST methods beside each other in New run's charts."""
    colors, dashes = (p.after, p.before, p.gain, p.loss), ("solid", "dash", "dot", "dashdot")
    return dict(zip(methods, zip(colors, SYMBOLS, dashes, strict=True), strict=False))


def method_trace(
    label: str, values: NDArray[np.float64], names: Sequence[str], form: str, look: Look
) -> dict[str, Any]:
    """One of several methods beside each other in New run's chart, in Plotly's JSON: one value per class, in the order
    of `names`, formatted by `form`."""
    color, symbol, dash = look
    return {
        "type": "scatter",
        "mode": "markers" if len(names) <= NAMED_UP_TO else "lines",
        "name": text.drawn(label),
        "x": list(range(len(names))),
        "y": values.tolist(),
        "customdata": names,
        "marker": {"color": color, "symbol": symbol, "size": 10, "line": {"width": 2, "color": color}},
        "line": {"color": color, "width": 2, "dash": dash},
        "hovertemplate": f"%{{customdata}}: %{{y:{form}}}<extra>{text.drawn(label)}</extra>",
    }


def draw(
    key: str,
    terms: ClassTerms,
    evidence: Evidence,
    order: NDArray[np.int64],
    classes: Sequence[str],
    *,
    changing: bool = False,
) -> None:
    """The choice of other methods beside the selected one on New run, and a chart of every term that any of them sets.

    `key`, `terms`: the selected method and its terms in the first epoch; `changing`: they change over the epochs.
    """
    if METHODS[key].stage == POSTHOC or all(
        getattr(terms, name) is None for name in SHOWN
    ):  # no per-class term to compare; a post-hoc logit shift is not a term of the loss
        return
    others = comparable_methods(evidence)
    others.pop(key, None)
    chosen = choose_methods(list(others))
    if not chosen:
        return
    if changing or any("last_tpr" in METHODS[k].needs for k in chosen):
        st.caption(one_epoch_only(evidence))
    rows = {METHODS[key].label: terms} | {METHODS[k].label: others[k] for k in chosen}
    for name in SHOWN:
        draw_overlay(name, rows, order, classes, hard=evidence.tpr is not None)


def draw_overlay(
    name: str, rows: Mapping[str, ClassTerms], order: NDArray[np.int64], classes: Sequence[str], *, hard: bool
) -> None:
    """New run's chart of one term of several methods; nothing where only the selected method, the first of `rows`, sets
    it, or none does."""
    values, term = {label: v for label, t in rows.items() if (v := getattr(t, name)) is not None}, SHOWN[name]
    if not values or list(values) == list(rows)[:1]:
        return
    st.markdown(f"**{term.label}** :small[{term.unit}]")
    plotly_chart.draw(
        overlay_figure(name, values, order, classes, plotly_chart.palette(), methods=list(rows), hard=hard),
        key=f"new_overlay_{name}",
        alt=f"{term.label} of {', '.join(values)}",
    )


def choose_methods(others: list[str]) -> list[str]:
    """The choice of up to MOST methods among `others` to show beside the selected one; what is no longer among them is dropped."""
    kept = [k for k in st.session_state.get("new_overlay", []) if k in others]
    if kept != st.session_state.get("new_overlay", kept):
        st.session_state["new_overlay"] = kept
    return st.multiselect(
        "Compare with",
        others,
        format_func=lambda k: f"{METHODS[k].group}: {METHODS[k].label}",
        max_selections=MOST,
        key="new_overlay",
        persist_state="session",
        placeholder=f"up to {MOST} other methods, on the same TPRs and counts",
        help="Shown with default parameters, for comparison only: they are not trained.",
    )


def one_epoch_only(evidence: Evidence) -> str:
    """What the charts of several methods beside each other show of terms that change over the epochs."""
    which = (
        "epoch 1, before the run has its own TPRs"
        if evidence.last_tpr is None
        else "with the baseline's TPRs in place of the run's own"
    )
    return f"Terms that change over the epochs are shown here for one epoch only: {which}. The chart above shows every epoch."
