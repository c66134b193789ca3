"""New run, the settings: recipe, epochs, seeds, what is folded away, and settings handed over by another page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import SETTINGS
from core.dataspec import DataSpec, train_counts
from core.methods import METHODS
from core.recipes import RECIPES
from pages.parts import fields, launch, new_evidence, new_method, preview, words

SETTING = {p.key: p for p in SETTINGS}
FOLDED = ("imbalance", "profile", "validation", "reduction", "device")
BATCH = "batch_size"  # every recipe has it
OWN_SPLIT = "This dataset brings its own validation split, so the share changes nothing."


def take_prefill() -> None:
    """Settings handed over by another page (duplicate, use its TPRs) become the widgets' values."""
    given = st.session_state.pop("new_prefill", None)
    if given is None:
        return
    config, values = given["config"], st.session_state
    for key in ("dataset", "model", "method", "recipe"):
        if key in config:
            values["new_recipe" if key == "recipe" else key] = config[key]
    fields.prefill("run", SETTINGS, {k: v for k, v in config.items() if k in SETTING})
    if config.get("recipe") in RECIPES:
        fields.prefill(config["recipe"], RECIPES[config["recipe"]].params, config.get("recipe_params", {}))
    if config.get("method") in METHODS:
        method = METHODS[config["method"]]
        fields.prefill(method.key, method.params, config.get("params", {}))
        dragged = config.get("params", {}).get(method.slider) if method.slider else None
        if isinstance(dragged, (int, float)):
            preview.preset(new_method.preview_key(method), float(dragged))
    if given.get("baseline"):
        values[new_evidence.ASKED] = str(given["baseline"])
    elif config.get("tpr"):
        values[new_evidence.ASKED] = new_evidence.GIVEN
        values["new_tpr_text"] = "\n".join("" if v is None else words.number(v) for v in config["tpr"])


def pick_recipe() -> str:
    """The recipe; choosing one brings its number of epochs."""
    st.session_state.setdefault("new_recipe", RECIPES.keys[0])
    return st.selectbox("Recipe", RECIPES.keys, format_func=lambda k: RECIPES[k].label, key="new_recipe", persist_state="session", on_change=recipe_epochs,
                        help=RECIPES[st.session_state["new_recipe"]].summary)


def recipe_epochs() -> None:
    """A recipe brings its own number of epochs."""
    st.session_state[fields.key_of("run", SETTING["epochs"])] = launch.recipe_epochs(st.session_state["new_recipe"])


def in_sight() -> tuple[dict[str, Any], int]:
    """Epochs, seed, and how many replicates."""
    left, middle, right = st.columns(3)
    with left:
        epochs = fields.field("run", SETTING["epochs"])
    with middle:
        seed = fields.field("run", SETTING["seed"])
    with right:
        st.session_state.setdefault("new_replicates", 1)
        count = st.number_input("Replicates", 1, launch.MOST_REPLICATES, key="new_replicates", persist_state="session",
                                help="Runs with seeds s, s+1, ..., each with the baseline of its own seed. Differences between methods can only be judged over several.")
    return {"epochs": epochs, "seed": seed}, int(count)


def folded(method: Any, recipe: str, spec: DataSpec) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What seldom changes: the method's other parameters, the data's, the recipe's. Returns (params, settings, recipe params)."""
    with st.expander("More settings", icon=":material/tune:", key="new_more"):
        params = new_method.other_parameters(method)
        values = {key: setting(key, spec) for key in FOLDED}
        samples = train_counts(spec, values["validation"], values["imbalance"], values["profile"]).sum()
        fit_batch(recipe, int(samples))
        return params, values, {p.key: fields.field(recipe, p) for p in RECIPES[recipe].params}


def setting(key: str, spec: DataSpec) -> Any:
    """One of SETTINGS; the validation share is off where the dataset has a validation split of its own."""
    if key == "validation" and spec.own_validation:
        return fields.switched_off(SETTING[key], OWN_SPLIT)
    return fields.field("run", SETTING[key])


def fit_batch(recipe: str, samples: int) -> None:
    """Set a batch size that nobody has typed: the recipe's, or as many as there are samples where those are fewer."""
    param = next(p for p in RECIPES[recipe].params if p.key == BATCH)
    key = fields.key_of(recipe, param)
    fitted, ours = min(int(param.default), max(samples, 1)), f"{key}_fitted"
    if st.session_state.get(key, param.default) == st.session_state.get(ours, param.default):
        st.session_state[key] = st.session_state[ours] = fitted
