"""New run: the method, its parameters, and the live preview with the formula below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.datasets.spec import DataSpec
from core.errors import EvenlyError
from core.experiment.config import RunConfig
from core.experiment.term_schedule import first_epoch, in_force
from core.findings import Finding
from core.methods import METHODS, POSTHOC, Grid, answer, formula_with, grid, grid_values, slider_param, what_if
from core.methods.method import Method
from core.methods.samplers import SAMPLERS
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import Source, check_params
from pages.components.common import param_fields, plotly_chart, query_params
from pages.components.common.param_fields import Value, Values
from pages.components.new_run import epochs, overlay, terms
from pages.components.preview import component
from pages.components.preview.latex_text import latex_in_text
from reporting import tpr_charts
from reporting.text import message, plain
from services.tpr_sources import TRAIN_FIRST, TprSource

LABEL = "Method"
HELP = "Grouped by what the method uses. Type part of a name to search; the Methods page explains each method."


def pick_method(finished: bool) -> Method:
    """Show the choice of a method on New run, by group. `finished`: this dataset has a finished run with this model."""
    groups = list(dict.fromkeys(m.group for m in METHODS))
    first = next(m.group for m in METHODS if "tpr" in m.needs)  # listed first: the methods Evenly is built for
    keys = [m.key for m in sorted(METHODS, key=lambda m: (m.group != first, groups.index(m.group)))]
    labels = {m.key: f"{m.group}: {m.label}" for m in METHODS}
    query_params.take("method", labels, default=keys[0])
    if st.session_state.get("method", keys[0]) not in keys:
        st.session_state["method"] = keys[0]
    here = st.session_state.get("method", keys[0])  # its label stays unmarked: the page says below what is missing

    def label(key: str) -> str:
        return labels[key] if key == here else f"{labels[key]}{unavailable(METHODS[key], finished)}"

    chosen = st.selectbox(LABEL, keys, format_func=label, key="method", persist_state="session", help=HELP)
    gray_out_methods([i for i, key in enumerate(keys) if key != here and unavailable(METHODS[key], finished)])
    query_params.keep("method", chosen, default=keys[0])
    return METHODS[chosen]


def unavailable(method: Method, finished: bool) -> str:
    """What a method in New run's list lacks under any settings; "" where it can be used. Short enough for one line on a phone."""
    return " (needs a finished run)" if method.stage == POSTHOC and not finished else ""


def gray_out_methods(indices: list[int]) -> None:
    """Show these methods in New run's list in gray. They can still be selected; the page then says what is missing and
    what to do."""
    if indices:
        options = ", ".join(f'[role="listbox"][aria-label="{LABEL}"] [data-key="{i}"]' for i in indices)
        st.html(f"<style>{options} {{ color: {plotly_chart.palette().muted}; font-style: italic }}</style>")


def method_needs(method: Method, params: Values) -> tuple[frozenset[str], EvenlyError | None]:
    """What the method chosen on New run needs under these parameters. For invalid ones, what it needed before, and the error."""
    kept = f"new_needs_{method.key}"
    try:
        st.session_state[kept] = method.needs_with(check_params(method.params, params, method.key))
    except EvenlyError as error:
        return st.session_state.get(kept, method.needs), error
    return st.session_state[kept], None


def preview_key(method: Method) -> str:
    """The key of New run's preview of a method, one per method, so that each keeps its slider value."""
    return f"new_preview_{method.key}"


def main_parameter(method: Method, classes: int) -> Values:
    """The parameter of the method that New run's preview has a slider for, or the word it is set to. A method without a
    slider gets its fields here."""
    if method.slider is None:
        for p in method.params:
            param_fields.fit_list(method.key, p, classes)
        return {p.key: param_fields.field(method.key, p) for p in method.params}
    param = next(p for p in method.params if p.key == method.slider)
    word = param_fields.word_choice(method.key, param) if param.words else param_fields.FIXED
    if word != param_fields.FIXED:
        return {param.key: word}
    return {param.key: component.released_value(preview_key(method), param_fields.number_default(param))}


def other_parameters(method: Method) -> Values:
    """The method's parameters without the slider's, shown under More settings of New run."""
    return (
        {}
        if method.slider is None
        else {p.key: param_fields.field(method.key, p) for p in method.params if p.key != method.slider}
    )


def preview_evidence(
    needs: frozenset[str], spec: DataSpec, counts: NDArray[np.int64], source: TprSource, epochs: int
) -> Evidence | None:
    """The evidence on which New run previews the method; None while required TPRs are missing."""
    if source.tpr is None and "tpr" in needs:
        return None
    return replace(
        what_if(len(spec.classes), tpr=source.tpr, support=source.support, counts=np.asarray(counts, float)),
        epochs=epochs,
    )


def draw_preview(method: Method, seen: Evidence, spec: DataSpec, config: RunConfig, source: TprSource) -> ClassTerms:
    """The method's preview on New run: slider and bars, then the other terms and the sampler's. Returns the first
    epoch's terms, ignoring a late start.

    A term that changes over the epochs is shown epoch by epoch, with an earlier run's TPRs where it depends on the run's own.
    """
    seen = replace(seen, start=first_epoch(config))
    in_force(config, seen)  # raises for a late start that delays nothing, as the worker would
    first, last = (in_force(replace(config, start=0.0), replace(seen, epoch=epoch)) for epoch in (0, seen.epochs - 1))
    changing = epochs.changing_terms(method, config, seen, first, spec, source)
    known = seen.tpr if seen.tpr is not None or changing.past is None else changing.past.tpr[-1]
    order = tpr_charts.ordering(np.arange(len(spec.classes), dtype=float) if known is None else known)
    shown = draw_weights(method, config, seen, changing, order, spec)
    for name in (n for n in changing.names if n in terms.TERMS):
        epochs.draw(name, f"new_along_{name}", config, seen, changing, order, spec)
    epochs.draw_notes(config, changing)
    sampler, hard = SAMPLERS[config.sampler], known is not None
    terms.draw(method, sampler, first, last, order, spec.classes, hard=hard, shown=shown, elsewhere=changing.names)
    overlay.draw(method.key, first, seen, order, spec.classes, changing=bool(changing.names) or changing.lacking)
    return first


def draw_weights(
    method: Method,
    config: RunConfig,
    seen: Evidence,
    changing: epochs.ChangingTerms,
    order: NDArray[np.int64],
    spec: DataSpec,
) -> Sequence[Finding]:
    """The method's weights on New run under its slider: epoch by epoch where they change, else as bars; without weights
    the slider alone.

    Returns the notes on the terms that it shows.
    """
    params = dict(config.params)
    if epochs.WEIGHT in changing.names:
        epochs.draw(epochs.WEIGHT, preview_key(method), config, seen, changing, order, spec, dragged=True)
        return ()
    drawn = answer(config.sampler, replace(seen, epoch=seen.start), config.sampler_params, table=SAMPLERS).sampling
    answers = _at_every_stop(method, params, seen, drawn)
    if not has_bars(method, answers.frames):
        draw_method_slider(method, params)
        return ()
    param, p = slider_param(method, params), plotly_chart.palette()
    value = float(params[param.key]) if param else 0.0
    bars = component.payload(list(spec.classes), order, seen.tpr, answers, param, value, p, seen.counts)
    component.mount(bars, preview_key(method))
    return answer(method.key, seen, params).notes


def has_bars(method: Method, frames: Sequence[ClassTerms]) -> bool:
    """Whether the method's preview on New run shows bars: for weights, a factor per sample, or no term at all."""
    return method.stage != POSTHOC and any(
        t.weight is not None or t.focus is not None or not (t.set() or method.decided) for t in frames
    )


def _at_every_stop(method: Method, params: Values, seen: Evidence, sampling: Vector | None) -> Grid:
    """Cached: the method at every stop of its slider; `sampling` [C] as in `grid`. Arrays become tuples, which can be cache keys."""
    tpr, support, drawn = (None if v is None else tuple(v.tolist()) for v in (seen.tpr, seen.support, sampling))
    counts = tuple(seen.counts.tolist())
    return _grid(method.key, tuple(params.items()), tpr, support, counts, seen.epochs, seen.start, drawn)


PerClass = tuple[float, ...]  # [C]


@st.cache_data(max_entries=64, show_spinner=False)
def _grid(
    key: str,
    params: tuple[tuple[str, Value], ...],
    tpr: PerClass | None,
    support: PerClass | None,
    counts: PerClass,
    epochs: int,
    start: int,
    sampling: PerClass | None,
) -> Grid:
    tpr_C, support_C, sampling_C = (None if v is None else np.array(v, float) for v in (tpr, support, sampling))
    seen = replace(
        what_if(len(counts), tpr=tpr_C, support=support_C, counts=np.array(counts, float)), epochs=epochs, start=start
    )
    return grid(key, seen, dict(params), limit=component.most_stops(len(counts)), sampling=sampling_C)


def draw_method_slider(method: Method, params: Values) -> None:
    """The method's slider on New run without bars, while there are no weights to show; its value is still used."""
    param = slider_param(method, params)
    if param is None:
        return
    values = grid_values(method, params, component.most_stops(1))
    formulas = [formula_with(method, params | {param.key: v}) for v in values]
    component.mount(
        component.slider_alone(values, formulas, param, float(params[param.key]), plotly_chart.palette()),
        preview_key(method),
    )


def draw_formula(method: Method, params: Values) -> None:
    """The method's formula below New run's preview, unless that shows it; summary, caveat and source of the method."""
    if method_needs(method, params)[1] is None and (
        slider_param(method, params) is None or not latex_in_text(formula_with(method, params))
    ):
        st.markdown(rf"$\displaystyle {formula_with(method, params)}$", text_alignment="center")
    st.caption(plain(" ".join(filter(None, [method.summary, method.caveat]))))
    if method.source:
        st.markdown(f":small[{source_link(method.source)}]")  # no caption: its links have too little contrast


def source_link(source: Source) -> str:
    """The method's publication below New run's preview as Markdown, linked if it has a URL."""
    text = plain(str(source))
    return f"Source: [{text}]({source.url})." if source.url else f"Source: {text}."


def preview_waits(method: Method, params: Values, source: TprSource | None) -> None:
    """The method's slider on New run, and below it what the preview is waiting for."""
    draw_method_slider(method, params)
    with st.container(border=True, key="new_waiting"):
        if source is not None and source.kind == TRAIN_FIRST:
            st.markdown("**The weights come from a baseline that is trained first**")
            st.markdown(
                "Both runs are queued together. The class weights appear on the second run's page once the baseline has finished."
            )
            return
        st.markdown("**No weights to show yet**")
        st.markdown(
            "Choose a finished run under *TPRs from*, or enter your own TPRs; "
            "the class weights then appear here and follow the slider."
        )


def preview_error(method: Method, params: Values, error: EvenlyError) -> None:
    """Show on New run why the method rejects these values, with the slider to change them."""
    if method_needs(method, params)[1] is None:
        draw_method_slider(method, params)
    st.error(message(str(error)), icon=":material/error:")
