"""New run, preview: terms that change over the epochs, computed from the validation TPRs of an earlier run.

Which terms change is found by comparing the method's answers between epochs. No method is known here by name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.datasets.spec import DataSpec
from core.experiment.baseline import OtherClasses
from core.experiment.config import RunConfig, from_dict
from core.experiment.replay import LAST_TPR, TermHistory, TprHistory, looks_back, replay, replayable_epochs, with_param
from core.experiment.term_schedule import first_epoch
from core.formatting import count
from core.methods import METHODS, POSTHOC, Method, formula_with, grid_values, slider_param
from core.methods.types import ClassTerms, Evidence
from core.metrics.classification import share
from pages.components.common import cached_reads, plotly_chart
from pages.components.new_run.evidence import cut_run_label, run_labels, with_full_label
from pages.components.new_run.terms import TERMS
from pages.components.preview import component, epoch_component
from reporting import text
from reporting.palette import Palette
from services.tpr_sources import TprSource

FOLLOWED, PRESET = "new_along", "new_along_preset"  # the selected run; the run this page preselected
WEIGHT = "weight"
DRAWN = {WEIGHT: epoch_component.Drawn("Weight per class over the epochs", "weight", "weight")} | {
    name: epoch_component.Drawn(f"{term.label} over the epochs", "value", term.unit, percent=term.form.endswith("%"))
    for name, term in TERMS.items()
}


# -- which run ---------------------------------------------------------------------------------------------------


def candidates(dataset: str) -> dict[str, str]:
    """The runs whose TPRs New run's preview over the epochs may use: trained on the dataset, at least one recorded
    epoch, newest first: id -> label."""
    frame = cached_reads.runs(dataset=dataset, columns=("id", "name", "method", "last_epoch"))
    trained = [m.key for m in METHODS if m.stage != POSTHOC]
    return run_labels(frame[(frame["last_epoch"] >= 1) & frame["method"].isin(trained)])


def pick_earlier_run(spec: DataSpec, config: RunConfig, source: TprSource) -> TprHistory | None:
    """Show the choice of the earlier run for New run's preview over the epochs, by default the baseline. None, with
    what to do on the page, where no run fits."""
    labels = candidates(spec.key)
    if not labels:
        st.info(
            "These terms depend on the run's own validation TPRs, and no run on this dataset has recorded any yet, "
            "so they cannot be shown epoch by epoch. "
            "Train a run first, for example the baseline; the preview then uses its TPRs.",
            icon=":material/timeline:",
        )
        return None
    values, baseline = (
        st.session_state,
        None if source.run is None else str(source.takes.get(config.seed) or source.run.id),
    )
    default = baseline if baseline in labels else next(iter(labels))
    if values.get(FOLLOWED) not in labels or values[FOLLOWED] == values.get(PRESET):
        values[FOLLOWED] = values[PRESET] = default
    chosen = st.selectbox(
        "Preview with TPRs of",
        list(labels),
        format_func=lambda o: cut_run_label(labels[o]),
        key=FOLLOWED,
        persist_state="session",
        help=with_full_label(
            "The preview uses the recorded validation TPRs of this run; the new run will use its own.",
            labels[values[FOLLOWED]],
        ),
    )
    return recorded_tprs(int(chosen), spec)


def recorded_tprs(run_id: int, spec: DataSpec) -> TprHistory | None:
    """For New run's preview over the epochs: the validation TPRs of an earlier run; None, with a warning, where its
    classes differ from the dataset's."""
    row = cached_reads.run(run_id)
    if tuple(cached_reads.class_names(row)) != tuple(spec.classes):
        st.warning(text.sentence(text.of(OtherClasses(run_id, row.dataset))), icon=":material/warning:")
        return None
    history = cached_reads.history(row)
    return TprHistory(share(history.tp, history.support), history.support.astype(float))


# -- what changes over the epochs --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChangingTerms:
    """Names of the terms that change over the epochs, and the TPRs they are computed from. `lacking`: no run can supply these."""

    names: tuple[str, ...] = ()
    past: TprHistory | None = None
    replayed: TermHistory | None = None
    lacking: bool = False


def changing_terms(
    method: Method, config: RunConfig, seen: Evidence, terms: ClassTerms, spec: DataSpec, source: TprSource
) -> ChangingTerms:
    """Which terms New run's preview shows over the epochs; shows the choice of a run where they depend on TPRs.
    `terms`: those of one epoch."""
    if method.stage == POSTHOC:
        return ChangingTerms()
    needs_past = looks_back(config) and bool(terms.set())
    past = pick_earlier_run(spec, config, source) if needs_past else None
    if needs_past and past is None:
        return ChangingTerms(lacking=True)
    present = replay_of(config, seen, past)
    names = present.moving()
    if (
        past is not None
        and terms.weight is not None
        and WEIGHT not in names
        and LAST_TPR in method.needs_with(config.params)
    ):
        names = (WEIGHT, *names)  # constant only at this slider value
    return ChangingTerms(names, past, present)


def replay_of(config: RunConfig, seen: Evidence, past: TprHistory | None) -> TermHistory:
    """The terms under these settings, epoch by epoch, for New run's preview. `seen` holds what is constant: counts and
    the baseline's TPRs."""
    still = replace(seen, last_tpr=None, last_support=None, past=None, epoch=0)
    return replay(config, still, past, most=epoch_component.most_epochs(seen.classes))


@st.cache_data(max_entries=32, show_spinner=False)
def _payload(
    names: tuple[str, ...],
    order: NDArray[np.int64],
    stored: str,
    tpr: NDArray[np.float64] | None,
    support: NDArray[np.float64] | None,
    counts: NDArray[np.float64],
    history: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    term: str,
    dragged: bool,
    p: Palette,
) -> component.Payload:
    """The browser's data for one changing term. `stored` is the RunConfig as JSON, which can be a cache key."""
    config = from_dict(json.loads(stored))
    method, past = METHODS[config.method], None if history is None else TprHistory(*history)
    seen = Evidence(len(names), counts=counts, tpr=tpr, support=support, epochs=config.epochs)
    replays, slider = (replay_of(config, seen, past),), None
    if dragged and slider_param(method, config.params) is not None:
        replays, slider = _over_stops(config, method, seen, past, replays[0])
    begin = first_epoch(config) if config.start > 0 else 0
    return epoch_component.payload(
        epoch_component.Classes(names, tpr, order),
        replays,
        term,
        DRAWN[term],
        p,
        slider=slider,
        begin=begin,
        past=past if looks_back(config) else None,
    )


def _over_stops(
    config: RunConfig, method: Method, seen: Evidence, past: TprHistory | None, present: TermHistory
) -> tuple[Sequence[TermHistory], epoch_component.Slider]:
    """The terms at every stop of the slider if the browser can hold them, else at the current stop only; and the slider."""
    param, params = slider_param(method, config.params), dict(config.params)
    values = grid_values(method, params, component.most_stops(seen.classes))
    formulas = [formula_with(method, params | {param.key: v}) for v in values]
    carried = epoch_component.carries_all_stops(len(values), len(present.epochs), seen.classes)
    replays = [replay_of(with_param(config, {param.key: v}), seen, past) for v in values] if carried else [present]
    return replays, (param, values, formulas, float(params[param.key]))


def draw(
    term: str,
    key: str,
    config: RunConfig,
    seen: Evidence,
    changing: ChangingTerms,
    order: NDArray[np.int64],
    spec: DataSpec,
    *,
    dragged: bool = False,
) -> None:
    """One term that changes over the epochs: chart, epoch slider and bars; with `dragged`, the method's own slider too."""
    history = None if changing.past is None else (changing.past.tpr, changing.past.support)
    component.mount(
        _payload(
            tuple(spec.classes),
            order,
            config.to_json(),
            seen.tpr,
            seen.support,
            seen.counts,
            history,
            term,
            dragged,
            plotly_chart.palette(),
        ),
        key,
    )


def draw_notes(config: RunConfig, changing: ChangingTerms) -> None:
    """Captions on what New run's charts over the epochs leave out."""
    if changing.lacking:
        st.caption(
            "Computed from the selected TPRs, or without TPRs if none are selected. The run uses its own TPRs of each epoch."
        )
    if not changing.names or changing.replayed is None:
        return
    epochs, end = changing.replayed.epochs, replayable_epochs(config, changing.past)
    if end < config.epochs:
        st.caption(
            f"Shown up to epoch {end:,} of {config.epochs:,}: the selected run has recorded {count(end - 1, 'epoch')}."
        )
    if len(epochs) < end:
        st.caption(f"{len(epochs)} of {end:,} epochs are shown, evenly spaced.")
