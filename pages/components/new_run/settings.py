"""New run: recipe, epochs, seeds and the folded settings."""

from __future__ import annotations

import streamlit as st

from core.datasets.spec import DataSpec, train_counts
from core.experiment.config import SETTINGS, shown, usual_epochs
from core.experiment.recipes import RECIPES
from core.methods import POSTHOC, TRAIN
from core.methods.method import Method
from core.methods.samplers import PLAIN, SAMPLERS
from core.registry import Param
from pages.components.common import param_fields
from pages.components.common.param_fields import Value, Values
from pages.components.new_run.method import other_parameters
from reporting import text

EPOCHS = param_fields.key_of("run", SETTINGS["epochs"])
EPOCHS_FITTED = f"{EPOCHS}_fitted"  # what this page set; 0: set by a person or another page
SAMPLER = "new_sampler"
OWN_SAMPLING = "The method's own"
BATCH = "batch_size"  # a parameter of every recipe
MOST_REPLICATES = 10  # fewer than on the command line: this form is planned again at every change
OWN_SPLIT = "This dataset has its own validation split, so this share has no effect."


def pick_recipe() -> str:
    """Show the choice of a recipe on New run, which also sets the number of epochs."""
    st.session_state.setdefault("new_recipe", RECIPES.keys[0])
    return st.selectbox(
        "Recipe",
        RECIPES.keys,
        format_func=lambda k: RECIPES[k].label,
        key="new_recipe",
        persist_state="session",
        on_change=set_usual_epochs,
        help=RECIPES[st.session_state["new_recipe"]].summary,
    )


def set_usual_epochs() -> None:
    """Set New run's number of epochs to the method's own, or else the recipe's."""
    usual = usual_epochs(st.session_state["method"], st.session_state["new_recipe"])
    st.session_state[EPOCHS] = st.session_state[EPOCHS_FITTED] = usual


def fit_epochs(method: Method, recipe: str) -> None:
    """Set New run's number of epochs to the method's own, or else the recipe's, unless a person has changed it."""
    values, default = st.session_state, SETTINGS["epochs"].default
    if values.get(EPOCHS, default) == values.get(EPOCHS_FITTED, default):
        values[EPOCHS] = values[EPOCHS_FITTED] = usual_epochs(method.key, recipe)


def settings_in_sight(trains: bool) -> tuple[Values, int]:
    """Show New run's settings that are not folded: epochs (for a method that trains), seed and number of replicates;
    returns (settings, replicates)."""
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


def folded_settings(method: Method, recipe: str, spec: DataSpec) -> tuple[Values, dict[str, Value | Values], Values]:
    """Show New run's settings that rarely change: of the method, the data and the recipe. Returns (params, settings,
    recipe params)."""
    with st.expander("More settings", icon=":material/tune:", key="new_more"):
        params = other_parameters(method)
        if method.stage == POSTHOC:
            return params, {p.key: setting_field(p, spec) for p in shown("folded") if p.key != "reduction"}, {}
        late = sampling_settings(method)
        values = {p.key: setting_field(p, spec) for p in shown("folded")}
        samples = train_counts(spec, values["validation"], values["imbalance"], values["profile"]).sum()
        fit_batch(recipe, int(samples))
        return params, values | late, {p.key: param_fields.field(recipe, p) for p in RECIPES[recipe].params}


def sampler_owner(sampler: Method) -> str:
    """The owner in the keys of the widgets of New run's sampler."""
    return f"sampler_{sampler.key}"


def sampling_settings(method: Method) -> dict[str, Value | Values]:
    """Show New run's settings of the sampler with its parameters, and of the late start. The page warns of a double
    correction later."""
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
    params = {p.key: param_fields.field(sampler_owner(chosen), p) for p in chosen.params}
    return {
        "sampler": chosen.key,
        "sampler_params": params,
        **{p.key: param_fields.field("run", p) for p in shown("late")},
    }


def setting_field(param: Param, spec: DataSpec) -> Value:
    """Show one of SETTINGS on New run. The validation share is disabled where the dataset has its own validation split."""
    if param.key == "validation" and spec.own_validation:
        return param_fields.switched_off(param, OWN_SPLIT)
    return param_fields.field("run", param)


def fit_batch(recipe: str, samples: int) -> None:
    """Set New run's batch size to the recipe's, at most the number of samples, unless a person has changed it."""
    param = next(p for p in RECIPES[recipe].params if p.key == BATCH)
    key = param_fields.key_of(recipe, param)
    fitted, ours = min(int(param.default), max(samples, 1)), f"{key}_fitted"
    if st.session_state.get(key, param.default) == st.session_state.get(ours, param.default):
        st.session_state[key] = st.session_state[ours] = fitted
