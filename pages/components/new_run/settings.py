"""New run: recipe, epochs, seeds, the folded settings, and settings prefilled by another page."""

from __future__ import annotations

import streamlit as st

from core.datasets.spec import DataSpec, train_counts
from core.experiment.config import SETTINGS, RunConfig, shown, usual_epochs
from core.experiment.recipes import RECIPES
from core.methods import METHODS, POSTHOC, TRAIN, trains
from core.methods.method import Method
from core.methods.samplers import PLAIN, SAMPLERS
from core.registry import Param
from pages.components.common import param_fields
from pages.components.common.param_fields import Value, Values
from pages.components.common.prefill import PREFILL, TPR_TEXT, Prefill
from pages.components.new_run import evidence
from pages.components.new_run.method import other_parameters, preview_key
from pages.components.preview import component
from reporting import numbers, text
from services import tpr_sources

EPOCHS = param_fields.key_of("run", SETTINGS["epochs"])
EPOCHS_FITTED = f"{EPOCHS}_fitted"  # what this page set; 0: set by a person or another page
SAMPLER = "new_sampler"
OWN_SAMPLING = "The method's own"
BATCH = "batch_size"  # a parameter of every recipe
MOST_REPLICATES = 10  # fewer than on the command line: this form is planned again at every change
OWN_SPLIT = "This dataset has its own validation split, so this share has no effect."


def take_prefill() -> None:
    """Write choices of another page (Duplicate, use its TPRs) to the widgets."""
    given: Prefill | None = st.session_state.pop(PREFILL, None)
    if given is None:
        return
    config, values = given.config, st.session_state
    if given.dataset is not None:
        values["dataset"] = given.dataset
    if config is not None:
        take_settings(config)
    if given.method is not None:
        values["method"] = given.method
    if config is not None and given.method in METHODS:
        take_params(METHODS[given.method], config.params)
    if given.baseline is not None:
        values[evidence.ASKED] = str(given.baseline)
    elif config is not None and config.tpr is not None:
        values[evidence.ASKED] = tpr_sources.GIVEN
        values[TPR_TEXT] = "\n".join("" if v is None else numbers.number(v) for v in config.tpr)


def take_settings(config: RunConfig) -> None:
    """Write a run's settings to the widgets, without its method. The single epoch of a post-hoc step is dropped."""
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
        param_fields.prefill(owner_of(sampler), sampler.params, config.sampler_params)


def take_params(method: Method, params: Values) -> None:
    """Write the method's parameters to the widgets, and its main one to the preview's slider."""
    param_fields.prefill(method.key, method.params, params)
    value = params.get(method.slider) if method.slider else None
    if isinstance(value, (int, float)):
        component.preset(preview_key(method), float(value))


def pick_recipe() -> str:
    """Show the choice of a recipe, which also sets the number of epochs."""
    st.session_state.setdefault("new_recipe", RECIPES.keys[0])
    return st.selectbox(
        "Recipe",
        RECIPES.keys,
        format_func=lambda k: RECIPES[k].label,
        key="new_recipe",
        persist_state="session",
        on_change=recipe_epochs,
        help=RECIPES[st.session_state["new_recipe"]].summary,
    )


def recipe_epochs() -> None:
    """Set the number of epochs to the method's own, or else the recipe's."""
    usual = usual_epochs(st.session_state["method"], st.session_state["new_recipe"])
    st.session_state[EPOCHS] = st.session_state[EPOCHS_FITTED] = usual


def fit_epochs(method: Method, recipe: str) -> None:
    """Set the number of epochs to the method's own, or else the recipe's, unless a person has changed it."""
    values, default = st.session_state, SETTINGS["epochs"].default
    if values.get(EPOCHS, default) == values.get(EPOCHS_FITTED, default):
        values[EPOCHS] = values[EPOCHS_FITTED] = usual_epochs(method.key, recipe)


def in_sight(trains: bool) -> tuple[Values, int]:
    """Show epochs (for a method that trains), seed and number of replicates; returns (settings, replicates)."""
    params = [p for p in shown("in_sight") if trains or p.key != "epochs"]
    *places, last = st.columns(len(params) + 1)
    values = {}
    for param, place in zip(params, places, strict=True):
        with place:
            values[param.key] = param_fields.field("run", param)
    with last:
        st.session_state.setdefault("new_replicates", 1)
        count = st.number_input(
            "Replicates",
            1,
            MOST_REPLICATES,
            key="new_replicates",
            persist_state="session",
            help="Runs with seeds s, s+1, ..., each with the baseline of the same seed. "
            "Comparing methods takes several seeds.",
        )
    return values, int(count)


def folded(method: Method, recipe: str, spec: DataSpec) -> tuple[Values, dict[str, Value | Values], Values]:
    """Settings that rarely change: of the method, the data and the recipe. Returns (params, settings, recipe params)."""
    with st.expander("More settings", icon=":material/tune:", key="new_more"):
        params = other_parameters(method)
        if method.stage == POSTHOC:
            return params, {p.key: setting(p, spec) for p in shown("folded") if p.key != "reduction"}, {}
        late = sampling(method)
        values = {p.key: setting(p, spec) for p in shown("folded")}
        samples = train_counts(spec, values["validation"], values["imbalance"], values["profile"]).sum()
        fit_batch(recipe, int(samples))
        return params, values | late, {p.key: param_fields.field(recipe, p) for p in RECIPES[recipe].params}


def owner_of(sampler: Method) -> str:
    """The owner in the keys of the sampler's widgets."""
    return f"sampler_{sampler.key}"


def sampling(method: Method) -> dict[str, Value | Values]:
    """Show the sampler with its parameters, and the late start. The page warns of a double correction later."""
    own = method.stage != TRAIN
    keys = [s.key for s in SAMPLERS if s.stage in (TRAIN, method.stage)]
    if st.session_state.get(SAMPLER, PLAIN) not in keys:
        st.session_state[SAMPLER] = PLAIN
    st.session_state.setdefault(SAMPLER, PLAIN)
    chosen = SAMPLERS[st.session_state[SAMPLER]]
    st.selectbox(
        "Sampler",
        keys,
        format_func=lambda k: OWN_SAMPLING if own and k == PLAIN else SAMPLERS[k].label,
        key=SAMPLER,
        persist_state="session",
        help=text.plain(" ".join(filter(None, [chosen.summary, chosen.caveat]))),
    )
    params = {p.key: param_fields.field(owner_of(chosen), p) for p in chosen.params}
    return {
        "sampler": chosen.key,
        "sampler_params": params,
        **{p.key: param_fields.field("run", p) for p in shown("late")},
    }


def setting(param: Param, spec: DataSpec) -> Value:
    """One of SETTINGS. The validation share is disabled where the dataset has its own validation split."""
    if param.key == "validation" and spec.own_validation:
        return param_fields.switched_off(param, OWN_SPLIT)
    return param_fields.field("run", param)


def fit_batch(recipe: str, samples: int) -> None:
    """Set the batch size to the recipe's, at most the number of samples, unless a person has changed it."""
    param = next(p for p in RECIPES[recipe].params if p.key == BATCH)
    key = param_fields.key_of(recipe, param)
    fitted, ours = min(int(param.default), max(samples, 1)), f"{key}_fitted"
    if st.session_state.get(key, param.default) == st.session_state.get(ours, param.default):
        st.session_state[key] = st.session_state[ours] = fitted
