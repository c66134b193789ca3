"""New run: choices that another page made, written to the widgets before they are shown."""

from __future__ import annotations

import streamlit as st

from core.experiment.config import SETTINGS, RunConfig
from core.experiment.recipes import RECIPES
from core.formatting import number
from core.methods import METHODS, trains
from core.methods.method import Method
from core.methods.samplers import SAMPLERS
from pages.components.common import param_fields
from pages.components.common.param_fields import Values
from pages.components.common.prefill import PREFILL, TPR_TEXT, Prefill
from pages.components.new_run import evidence
from pages.components.new_run.method import preview_key
from pages.components.new_run.settings import EPOCHS_FITTED, SAMPLER, sampler_owner
from pages.components.preview import component
from services import tpr_sources


def write_prefill() -> None:
    """Write what another page chose for New run (Duplicate, use its TPRs) to the widgets."""
    given: Prefill | None = st.session_state.pop(PREFILL, None)
    if given is None:
        return
    config, values = given.config, st.session_state
    if given.dataset is not None:
        values["dataset"] = given.dataset
    if config is not None:
        settings_to_widgets(config)
    if given.method is not None:
        values["method"] = given.method
    if config is not None and given.method in METHODS:
        params_to_widgets(METHODS[given.method], config.params)
    if given.baseline is not None:
        values[evidence.ASKED] = str(given.baseline)
    elif config is not None and config.tpr is not None:
        values[evidence.ASKED] = tpr_sources.GIVEN
        values[TPR_TEXT] = "\n".join("" if v is None else number(v) for v in config.tpr)


def settings_to_widgets(config: RunConfig) -> None:
    """Write the settings of a prefill to New run's widgets, without the method. The single epoch of a post-hoc step is dropped."""
    values, settings = st.session_state, {p.key: getattr(config, p.key) for p in SETTINGS}
    values["dataset"], values["model"], values["new_recipe"] = config.dataset, config.model, config.recipe
    if trains(config.method):
        values[EPOCHS_FITTED] = 0
    else:
        del settings["epochs"]
    param_fields.prefill("run", SETTINGS, settings)
    if config.recipe in RECIPES:
        param_fields.prefill(config.recipe, RECIPES[config.recipe].params, config.recipe_params)
    if config.sampler in SAMPLERS:
        values[SAMPLER], sampler = config.sampler, SAMPLERS[config.sampler]
        param_fields.prefill(sampler_owner(sampler), sampler.params, config.sampler_params)


def params_to_widgets(method: Method, params: Values) -> None:
    """Write the method's parameters of a prefill to New run's widgets, and its main one to the preview's slider."""
    param_fields.prefill(method.key, method.params, params)
    value = params.get(method.slider) if method.slider else None
    if isinstance(value, (int, float)):
        component.preset_slider(preview_key(method), float(value))
