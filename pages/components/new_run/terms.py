"""New run, preview: the terms of method and sampler besides the weight, a small chart each, and what is decided in training.

Pure functions build the figures; `draw` shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.findings import Finding
from core.formatting import count
from core.methods import Method
from core.methods.types import ClassTerms
from pages.components.common import plotly_chart
from reporting import text
from reporting.figure import Figure, axis, layout
from reporting.palette import Palette
from reporting.text import drawn, plain

NAMED_UP_TO = 30  # classes; above, the axis says how they are ordered
HEIGHT = 210


@dataclass(frozen=True)
class Term:
    """Display of a term: its name, what its values mean, and their format."""

    label: str
    unit: str
    form: str = ".3g"


TERMS = {
    "shift": Term("Logit shift", "added to the class logit"),
    "scale": Term("Logit scale", "factor on the class logit"),
    "margin": Term("Margin", "subtracted from the logit of the true class"),
    "smoothing": Term("Label smoothing", "share of the label spread over all classes", ".1%"),
    "mask": Term("Mask", "probability that the class logit is left out for a sample of another class", ".1%"),
    "sampling": Term("Sampling", "probability that a drawn training sample belongs to the class", ".1%"),
}


def decided_in_training(method: Method, sampler: Method) -> list[str]:
    """Below New run's charts of the terms, in sentences: what a second stage trains, and what is decided during or
    after training."""
    return [line for line in (text.TRAINED.get(method.stage, ""), method.decided, sampler.decided) if line]


def term_figure(
    name: str,
    values: Mapping[str, NDArray[np.float64]],
    order: NDArray[np.int64],
    classes: Sequence[str],
    p: Palette,
    *,
    hard: bool,
) -> Figure:
    """The figure of one term on New run, bars with classes in `order`; `values` holds one row [C], or the first and the
    last epoch's."""
    names, form = [drawn(classes[c]) for c in order], TERMS[name].form
    colors = [p.after] if len(values) == 1 else [p.before, p.after]
    y_axis = axis(p, rangemode="tozero", nticks=5, tickformat="~%" if form.endswith("%") else "~g")
    return {
        "data": [
            term_bars(label, v[order], names, form, color)
            for (label, v), color in zip(values.items(), colors, strict=True)
        ],
        "layout": layout(
            p,
            HEIGHT,
            barmode="group",
            bargap=0.3,
            showlegend=len(values) > 1,
            xaxis=class_axis(classes, order, p, hard=hard),
            yaxis=y_axis,
        ),
    }


def term_bars(label: str, values: NDArray[np.float64], names: Sequence[str], form: str, color: str) -> dict[str, Any]:
    """The bars of one epoch in New run's chart of a term, in Plotly's JSON: one value per class, in the order of
    `names`, formatted by `form`."""
    return {
        "type": "bar",
        "name": label,
        "x": list(range(len(names))),
        "y": values.tolist(),
        "customdata": names,
        "marker": {"color": color},
        "hovertemplate": f"%{{customdata}}: %{{y:{form}}}<extra></extra>",
    }


def class_axis(classes: Sequence[str], order: NDArray[np.int64], p: Palette, *, hard: bool) -> dict[str, Any]:
    """The axis of New run's charts of the terms: the classes in `order`; with names up to NAMED_UP_TO classes."""
    if len(classes) > NAMED_UP_TO:
        title = f"{count(len(classes), 'class')}, {'hardest first' if hard else 'in dataset order'}"
        return axis(p, title=title, showgrid=False, showticklabels=False)
    names = [drawn(classes[c], 14) for c in order]
    return axis(p, showgrid=False, tickvals=list(range(len(order))), ticktext=names)


def term_alt(name: str, values: Mapping[str, NDArray[np.float64]], classes: Sequence[str]) -> str:
    """The chart of one term on New run as a sentence, for screen readers."""
    last, term = list(values.values())[-1], TERMS[name]
    low, high = (format(float(v), term.form) for v in (last.min(), last.max()))
    return f"{term.label} per class, {term.unit}: from {low} ({classes[int(last.argmin())]}) to {high} ({classes[int(last.argmax())]})"


def constant_term(name: str, values: Mapping[str, NDArray[np.float64]]) -> str:
    """In words a term of New run's preview that is the same for all classes and epochs; "" where it is not."""
    every = np.concatenate(list(values.values()))
    return f"{format(float(every[0]), TERMS[name].form)} for every class." if np.allclose(every, every[0]) else ""


def first_and_last_epoch(name: str, first: ClassTerms, last: ClassTerms) -> dict[str, NDArray[np.float64]]:
    """The rows of a term's chart, label -> values [C]: one, or the first and the last epoch's where they differ."""
    a, b = getattr(first, name), getattr(last, name)
    if a is None or b is None or np.allclose(a, b):
        return {"every epoch": b if a is None else a}
    return {"first epoch": a, "last epoch": b}


def draw(
    method: Method,
    sampler: Method,
    first: ClassTerms,
    last: ClassTerms,
    order: NDArray[np.int64],
    classes: Sequence[str],
    *,
    hard: bool,
    shown: Sequence[Finding] = (),
    elsewhere: Sequence[str] = (),
) -> None:
    """New run's chart of every term but the weight, then the sentences and the notes that are not `shown` yet.

    `first` and `last`: the terms of those epochs. Terms `elsewhere`, shown epoch by epoch, are left out.
    """
    for name in TERMS:
        if name in elsewhere or (getattr(first, name) is None and getattr(last, name) is None):
            continue
        draw_term(name, first_and_last_epoch(name, first, last), order, classes, hard=hard)
    for line in decided_in_training(method, sampler):
        st.markdown(f":material/info: {line}")
    for note in dict.fromkeys(n for n in last.notes if n not in shown):
        st.caption(plain(text.of(note)))


def draw_term(
    name: str,
    values: Mapping[str, NDArray[np.float64]],
    order: NDArray[np.int64],
    classes: Sequence[str],
    *,
    hard: bool,
) -> None:
    """New run's chart of one term, or a sentence where it is the same for every class."""
    st.markdown(f"**{TERMS[name].label}** :small[{TERMS[name].unit}]")
    if alike := constant_term(name, values):
        st.markdown(alike)
        return
    plotly_chart.draw(
        term_figure(name, values, order, classes, plotly_chart.palette(), hard=hard),
        key=f"new_term_{name}",
        alt=term_alt(name, values, classes),
    )
