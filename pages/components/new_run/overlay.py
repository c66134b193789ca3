"""New run, the preview: up to three further methods beside the chosen one, on the same TPRs and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
SYMBOLS = ("circle", "square-open", "diamond", "triangle-up-open")  # never colour alone


@st.cache_data(max_entries=16, show_spinner=False)
def comparable(evidence: Evidence) -> dict[str, ClassTerms]:
    """The methods that change something per class here, with their default parameters: key -> terms.

    What refuses this evidence is left out.
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


def picture(
    name: str,
    rows: Mapping[str, NDArray[np.float64]],
    order: NDArray[np.int64],
    classes: Sequence[str],
    p: Palette,
    *,
    methods: Sequence[str],
    hard: bool,
) -> Figure:
    """One term of several methods: dots for few classes, lines for many. `rows`: the method's label -> [C].

    `methods`: the labels of all that are compared, the chosen one first; a method looks the same in every picture.
    """
    few, at = len(classes) <= NAMED_UP_TO, list(range(len(order)))
    names, form = [text.drawn(classes[c]) for c in order], SHOWN[name].form
    looks = dict(
        zip(
            methods,
            zip((p.after, p.before, p.gain, p.loss), SYMBOLS, ("solid", "dash", "dot", "dashdot"), strict=True),
            strict=False,
        )
    )
    data = [
        {
            "type": "scatter",
            "mode": "markers" if few else "lines",
            "name": text.drawn(label),
            "x": at,
            "y": v[order].tolist(),
            "customdata": names,
            "marker": {"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colour}},
            "line": {"color": colour, "width": 2, "dash": dash},
            "hovertemplate": f"%{{customdata}}: %{{y:{form}}}<extra>{text.drawn(label)}</extra>",
        }
        for label, v in rows.items()
        for colour, symbol, dash in [looks[label]]
    ]
    return {
        "data": data,
        "layout": layout(
            p,
            HEIGHT,
            showlegend=True,
            xaxis=class_axis(classes, order, p, hard=hard),
            yaxis=axis(p, rangemode="tozero", nticks=6, tickformat="~%" if form.endswith("%") else "~g"),
        ),
    }


def draw(
    key: str,
    terms: ClassTerms,
    evidence: Evidence,
    order: NDArray[np.int64],
    classes: Sequence[str],
    *,
    moving: bool = False,
) -> None:
    """The choice of further methods, and a picture of every term that any of them changes.

    `key`, `terms`: the chosen method as it is set, in its first epoch; `moving`: it changes over the epochs.
    """
    if METHODS[key].stage == POSTHOC or all(
        getattr(terms, name) is None for name in SHOWN
    ):  # nothing per class to compare; a shift when predicting is not one in the loss
        return
    others = comparable(evidence)
    others.pop(key, None)
    kept = [k for k in st.session_state.get("new_overlay", []) if k in others]
    if kept != st.session_state.get("new_overlay", kept):
        st.session_state["new_overlay"] = kept
    chosen = st.multiselect(
        "Compare with",
        list(others),
        format_func=lambda k: f"{METHODS[k].group}: {METHODS[k].label}",
        max_selections=MOST,
        key="new_overlay",
        persist_state="session",
        placeholder=f"up to {MOST} further methods, on the same TPRs and counts",
        help="Drawn with their default parameters. Nothing that is chosen here is trained.",
    )
    if not chosen:
        return
    if moving or any("last_tpr" in METHODS[k].needs for k in chosen):
        st.caption(
            "Terms that change over the epochs are drawn here for one moment, "
            + (
                "epoch 1, before the run has TPRs of its own"
                if evidence.last_tpr is None
                else "as if the baseline's TPRs were the run's own of its last epoch"
            )
            + "; the picture above has them epoch by epoch."
        )
    rows = {METHODS[key].label: terms} | {METHODS[k].label: others[k] for k in chosen}
    for name, term in SHOWN.items():
        values = {label: v for label, t in rows.items() if (v := getattr(t, name)) is not None}
        if not values or list(values) == [METHODS[key].label]:
            continue
        st.markdown(f"**{term.label}** :small[{term.unit}]")
        hard = evidence.tpr is not None
        plotly_chart.draw(
            picture(name, values, order, classes, plotly_chart.palette(), methods=list(rows), hard=hard),
            key=f"new_overlay_{name}",
            alt=f"{term.label} of {', '.join(values)}",
        )
