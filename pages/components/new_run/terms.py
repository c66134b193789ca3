"""New run, the preview: what a method and a sampler change besides the weight.

A small picture of each term, and what is only decided later.

Pure functions make the figures; `draw` puts them on the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.findings import Finding
from core.methods import CLASSIFIER, FINETUNE, POSTHOC, Method
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
    """A term as people read it: its name, what its numbers are, and the format of a value."""

    label: str
    unit: str
    form: str = ".3g"


TERMS = {
    "shift": Term("Shift of the logit", "added to the class's logit"),
    "scale": Term("Scale of the logit", "factor on the class's logit"),
    "margin": Term("Margin", "taken off the logit of the true class"),
    "smoothing": Term("Label smoothing", "share of the label spread over all classes", ".1%"),
    "mask": Term("Mask", "probability that the class's logit is left out for a sample of another class", ".1%"),
    "sampling": Term("Sampling", "probability that a drawn training sample is of the class", ".1%"),
}

STAGES = {
    CLASSIFIER: "The features of the finished run stay as they are; only its last layer is trained.",
    FINETUNE: "The whole network of the finished run is trained on.",
}


def sentences(method: Method, sampler: Method) -> list[str]:
    """What no picture can show: where a second stage begins, and what is decided in a step or after training."""
    return [text for text in (STAGES.get(method.stage, ""), method.decided, sampler.decided) if text]


def drawn_bars(method: Method, frames: Sequence[ClassTerms]) -> bool:
    """Whether the live preview has bars for this method: weights, the factor of a sample, or no term at all."""
    return method.stage != POSTHOC and any(
        t.weight is not None or t.focus is not None or not (t.set() or method.decided) for t in frames
    )


def picture(
    name: str,
    values: Mapping[str, NDArray[np.float64]],
    order: NDArray[np.int64],
    classes: Sequence[str],
    p: Palette,
    *,
    hard: bool,
) -> Figure:
    """Bars of one term per class in drawing order; `values` holds one row [C], or the first and the last epoch's."""
    term = TERMS[name]
    at, names = list(range(len(order))), [drawn(classes[c]) for c in order]
    colours = [p.after] if len(values) == 1 else [p.before, p.after]
    data = [
        {
            "type": "bar",
            "name": label,
            "x": at,
            "y": v[order].tolist(),
            "customdata": names,
            "marker": {"color": colour},
            "hovertemplate": f"%{{customdata}}: %{{y:{term.form}}}<extra></extra>",
        }
        for (label, v), colour in zip(values.items(), colours, strict=True)
    ]
    return {
        "data": data,
        "layout": layout(
            p,
            HEIGHT,
            barmode="group",
            bargap=0.3,
            showlegend=len(values) > 1,
            xaxis=class_axis(classes, order, p, hard=hard),
            yaxis=axis(p, rangemode="tozero", nticks=5, tickformat="~%" if term.form.endswith("%") else "~g"),
        ),
    }


def class_axis(classes: Sequence[str], order: NDArray[np.int64], p: Palette, *, hard: bool) -> dict[str, Any]:
    """The classes in drawing order, by name where there are few."""
    if len(classes) > NAMED_UP_TO:
        title = f"{len(classes)} classes, {'hardest first' if hard else 'in their own order'}"
        return axis(p, title=title, showgrid=False, showticklabels=False)
    names = [drawn(classes[c], 14) for c in order]
    return axis(p, showgrid=False, tickvals=list(range(len(order))), ticktext=names)


def alternative(name: str, values: Mapping[str, NDArray[np.float64]], classes: Sequence[str]) -> str:
    """The same for those who do not see it."""
    last, term = list(values.values())[-1], TERMS[name]
    low, high = (format(float(v), term.form) for v in (last.min(), last.max()))
    return f"{term.label} per class, {term.unit}: from {low} ({classes[int(last.argmin())]}) to {high} ({classes[int(last.argmax())]})"


def everywhere(name: str, values: Mapping[str, NDArray[np.float64]]) -> str:
    """A term that is one number for all classes and epochs, in words; "" where it is not."""
    every = np.concatenate(list(values.values()))
    return f"{format(float(every[0]), TERMS[name].form)} for every class." if np.allclose(every, every[0]) else ""


def over_time(name: str, first: ClassTerms, last: ClassTerms) -> dict[str, NDArray[np.float64]]:
    """A term's row, or its first and its last epoch's where they differ."""
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
    told: Sequence[Finding] = (),
    elsewhere: Sequence[str] = (),
) -> None:
    """A picture of every term but the weight, then the sentences and the notes that were not `told` already.

    `first` and `last`: the terms of those epochs. A term that is the same for every class is a sentence, not a picture; one drawn
    `elsewhere`, epoch by epoch, is left out.
    """
    for name in TERMS:
        if name in elsewhere or (getattr(first, name) is None and getattr(last, name) is None):
            continue
        values = over_time(name, first, last)
        st.markdown(f"**{TERMS[name].label}** :small[{TERMS[name].unit}]")
        if alike := everywhere(name, values):
            st.markdown(alike)
            continue
        plotly_chart.draw(
            picture(name, values, order, classes, plotly_chart.palette(), hard=hard),
            key=f"new_term_{name}",
            alt=alternative(name, values, classes),
        )
    for line in sentences(method, sampler):
        st.markdown(f":material/info: {line}")
    for note in dict.fromkeys(n for n in last.notes if n not in told):
        st.caption(plain(text.of(note)))
