"""New run, the method: choice, parameters, and the live preview with the formula under it."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.dataspec import DataSpec
from core.errors import EvenlyError
from core.evidence import ClassTerms, Evidence
from core.methods import METHODS, Grid, answer, formula_with, grid, grid_values, slider_param, what_if
from pages.parts import fields, preview, show, signature, words
from pages.parts.new_evidence import TRAIN_FIRST, Source


def pick() -> Any:
    """The method's row; the list keeps the groups together."""
    groups = list(dict.fromkeys(m.group for m in METHODS))
    first = next(m.group for m in METHODS if "tpr" in m.needs)  # what this program is for
    keys = [m.key for m in sorted(METHODS, key=lambda m: (m.group != first, groups.index(m.group)))]
    if st.session_state.get("method", keys[0]) not in keys:
        st.session_state["method"] = keys[0]
    label = {m.key: f"{m.group}: {m.label}" for m in METHODS}.get
    return METHODS[st.selectbox("Method", keys, format_func=label, key="method", bind="query-params")]


def preview_key(method: Any) -> str:
    """The component's key, one per method so that each keeps its own value."""
    return f"new_preview_{method.key}"


def main_parameter(method: Any) -> dict[str, Any]:
    """The parameter the preview drags, or the word it is set to; a method with one that is not dragged draws it here."""
    if method.slider is None:
        return {p.key: fields.field(method.key, p) for p in method.params}
    param = next(p for p in method.params if p.key == method.slider)
    word = fields.word_choice(method.key, param) if param.words else fields.FIXED
    if word != fields.FIXED:
        return {param.key: word}
    return {param.key: preview.value_of(preview_key(method), fields.number_default(param))}


def other_parameters(method: Any) -> dict[str, Any]:
    """The rest, drawn among the folded settings."""
    return {} if method.slider is None else {p.key: fields.field(method.key, p) for p in method.params if p.key != method.slider}


def evidence(method: Any, spec: DataSpec, counts: NDArray[np.int64], source: Source | None) -> Evidence | None:
    """What the preview lets the method look at; None while it has no TPRs that it needs."""
    tpr = None if source is None else source.tpr
    if tpr is None and "tpr" in method.needs:
        return None
    return what_if(len(spec.classes), tpr=tpr, support=None if source is None else source.support, counts=np.asarray(counts, float))


@st.cache_data(max_entries=64, show_spinner=False)
def _grid(key: str, params: tuple, tpr: tuple | None, support: tuple | None, counts: tuple) -> Grid:
    tpr_C, support_C = (None if v is None else np.array(v, float) for v in (tpr, support))
    return grid(key, what_if(len(counts), tpr=tpr_C, support=support_C, counts=np.array(counts, float)), dict(params), limit=preview.stops_for(len(counts)))


def draw_preview(method: Any, seen: Evidence, spec: DataSpec, params: dict[str, Any]) -> ClassTerms:
    """The slider and the bars; returns the answer at the value in force."""
    tpr, support = (None if v is None else tuple(v.tolist()) for v in (seen.tpr, seen.support))
    answers = _grid(method.key, tuple(params.items()), tpr, support, tuple(seen.counts.tolist()))
    order = signature.ordering(np.arange(len(spec.classes), dtype=float) if seen.tpr is None else seen.tpr)
    param = slider_param(method, params)
    value = float(params[param.key]) if param else 0.0
    preview.mount(preview.payload(list(spec.classes), order, seen.tpr, answers, param, value, show.palette()), preview_key(method))
    return answer(method.key, seen, params)


def draw_slider(method: Any, params: dict[str, Any]) -> None:
    """The slider alone, for as long as there are no weights to draw: its value counts all the same."""
    param = slider_param(method, params)
    if param is None:
        return
    values = grid_values(method, params, preview.stops_for(1))
    formulas = [formula_with(method, params | {param.key: v}) for v in values]
    preview.mount(preview.slider_alone(values, formulas, param, float(params[param.key]), show.palette()), preview_key(method))


def formula(method: Any, params: dict[str, Any]) -> None:
    """The formula, unless the preview shows it with the slider's value in it; where it comes from and what to watch."""
    if slider_param(method, params) is None:
        st.markdown(rf"$\displaystyle {formula_with(method, params)}$", text_alignment="center")
    st.caption(words.plain(" ".join(filter(None, [method.summary, method.caveat]))))
    if method.source:
        st.markdown(f":small[{source_link(method.source)}]")  # no caption: a faded link is hard to read


def source_link(source: Any) -> str:
    """Where a method was published, as Markdown, linked where there is an address."""
    text = words.plain(str(source))
    return f"Source: [{text}]({source.url})." if source.url else f"Source: {text}."


def missing(method: Any, params: dict[str, Any], source: Source | None) -> None:
    """What the preview waits for, under the slider."""
    draw_slider(method, params)
    with st.container(border=True, key="new_waiting"):
        if source is not None and source.kind == TRAIN_FIRST:
            st.markdown("**The weights come from a baseline that is trained first**")
            st.markdown("Both runs are queued together. The weights per class appear on the second run's page as soon as the baseline has finished.")
            return
        st.markdown("**No weights to show yet**")
        st.markdown("Choose a finished run under *TPRs from*, or give TPRs of your own; the weights of every class then appear here and move with the slider.")


def problem(method: Any, params: dict[str, Any], error: EvenlyError) -> None:
    """The method refused these values; the slider stays, so that they can be changed."""
    draw_slider(method, params)
    st.error(words.message(str(error)), icon=":material/error:")
