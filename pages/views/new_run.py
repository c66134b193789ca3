"""New run: data, model, method; the weights live while the slider is dragged; start."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from core.config import SETTINGS, RunConfig
from core.dataspec import DataSpec, train_counts
from core.errors import EvenlyError
from core.methods import METHODS
from core.recipes import RECIPES
from pages.parts import fields, launch, nav, new_data, new_evidence, new_method, preview, words
from pages.parts.guard import told

SETTING = {p.key: p for p in SETTINGS}
FOLDED = ("imbalance", "profile", "validation", "reduction", "device")


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
    fields.prefill(config.get("recipe", ""), RECIPES[config["recipe"]].params if config.get("recipe") in RECIPES else (), config.get("recipe_params", {}))
    if config.get("method") in METHODS:
        method = METHODS[config["method"]]
        fields.prefill(method.key, method.params, config.get("params", {}))
        dragged = config.get("params", {}).get(method.slider) if method.slider else None
        if isinstance(dragged, (int, float)):
            preview.preset(new_method.preview_key(method), float(dragged))
    if given.get("baseline"):
        values["new_baseline"] = str(given["baseline"])
    elif config.get("tpr"):
        values["new_baseline"] = new_evidence.GIVEN
        values["new_tpr_text"] = "\n".join("" if v is None else words.number(v) for v in config["tpr"])


def pick_recipe() -> tuple[str, dict[str, Any]]:
    """The recipe, its epochs as the default, its parameters folded."""
    st.session_state.setdefault("new_recipe", RECIPES.keys[0])
    key = st.selectbox("Recipe", RECIPES.keys, format_func=lambda k: RECIPES[k].label, key="new_recipe", persist_state="session", on_change=recipe_epochs,
                       help=RECIPES[st.session_state["new_recipe"]].summary)
    return key, {}


def recipe_epochs() -> None:
    """A recipe brings its own number of epochs."""
    st.session_state[fields.key_of("run", SETTING["epochs"])] = launch.recipe_epochs(st.session_state["new_recipe"])


def settings(recipe: str) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Epochs, seed and replicates in sight; the rest folded."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epochs = fields.field("run", SETTING["epochs"])
        seed = fields.field("run", SETTING["seed"])
        st.session_state.setdefault("new_replicates", 1)
        count = st.number_input("Replicates", 1, launch.MOST_REPLICATES, key="new_replicates", persist_state="page",
                                help="Runs with seeds s, s+1, ... Differences between methods can only be judged over several.")
    with st.expander("More settings", icon=":material/tune:", key="new_more"):
        values = {key: fields.field("run", SETTING[key]) for key in FOLDED}
        recipe_params = {p.key: fields.field(recipe, p) for p in RECIPES[recipe].params}
    return {"epochs": epochs, "seed": seed, **values}, recipe_params, int(count)


def upload() -> None:
    """A zip of images becomes a dataset under the data root."""
    with st.expander("Your own images", icon=":material/upload:", key="new_upload"):
        st.caption("A zip with one folder per class, or train/, val/ and test/ with one folder per class in each. Folders and zips that lie "
                   "under the data folder are offered above.")
        file = st.file_uploader("Zip file", type=["zip"], key="new_zip", max_upload_size=200)
        if file is not None and st.button("Add to the datasets", key="new_zip_add"):
            with told():
                st.session_state["new_prefill"] = {"config": {"dataset": new_data.keep_upload(file.name, file)}}
                st.rerun()


def start(config: RunConfig, count: int, source: new_evidence.Source, label: str) -> None:
    """Queue everything in one transaction, once per form view, and go to the run's page."""
    with told():
        runs = planned(config, count, source, label)
        ids = launch.send(runs, st.session_state["new_submit_key"])
        st.session_state["new_open"] = ids[-1] if count == 1 else ids[len(runs) - count]


def planned(config: RunConfig, count: int, source: new_evidence.Source, label: str) -> list[Any]:
    """The rows for the queue: replicates, each behind its own baseline where one is trained first."""
    seeds = launch.replicates(config, count)
    if source.run is None and source.kind != new_evidence.TRAIN_FIRST:
        return [launch.new_run(c, label) for c in seeds]
    if source.kind == new_evidence.TRAIN_FIRST:
        pairs = [launch.pair(replace(c, method=launch.unweighted(), params={}), c, label) for c in seeds]
        firsts = [p[0] for p in pairs]
        return [*firsts, *(replace(p[1], baseline_index=i) for i, p in enumerate(pairs))]
    return [launch.new_run(c, label, baseline=source.run.id, baseline_group=source.run.group_sha) for c in seeds]


def copies(config: RunConfig, source: new_evidence.Source, terms: Any) -> None:
    """The same run as a command and as PyTorch."""


def left() -> tuple[str, DataSpec | None, str | None, Any, new_evidence.Source | None, dict, RunConfig | None, int]:
    """The form."""
    dataset, spec = new_data.pick_dataset()
    upload()
    if spec is None:
        return dataset, None, None, None, None, {}, None, 1
    model = new_data.pick_model(spec)
    method = new_method.pick()
    source = new_evidence.pick(dataset, spec, method)
    params = new_method.parameters(method)
    recipe, _ = pick_recipe()
    values, recipe_params, count = settings(recipe)
    tpr = None
    if source.kind == new_evidence.GIVEN and source.tpr is not None:
        tpr = tuple(None if np.isnan(v) else float(v) for v in source.tpr)
    config = RunConfig(dataset=dataset, model=model, method=method.key, params=params, recipe=recipe, recipe_params=recipe_params, tpr=tpr,
                       tpr_source=source.name if tpr is not None else "", **values)
    return dataset, spec, model, method, source, params, config, count


def right(spec: DataSpec, method: Any, source: new_evidence.Source, params: dict[str, Any], config: RunConfig) -> Any:
    """The weights, live; returns the answer in force or None."""
    st.subheader("Weight per class" if source.tpr is None else f"Weight per class, from {words.plain(source.name)}", anchor=False)
    counts = train_counts(spec, config.validation, config.imbalance, config.profile)
    terms = None
    try:
        seen = new_method.evidence(method, spec, counts, source)
        if seen is None:
            new_method.missing(source)
        else:
            terms = new_method.draw_preview(method, seen, spec, params)
            if "last_tpr" in method.needs and seen.last_tpr is not None:
                st.caption("As the first refreshed epoch would see the baseline's TPRs; the run then uses its own, epoch by epoch.")
    except EvenlyError as error:
        new_method.problem(error)
    new_method.formula(method, params)
    copies(config, source, terms)
    return terms


def startable(method: Any, source: new_evidence.Source) -> str | None:
    """Why the run cannot start, or None."""
    if "tpr" in method.needs and source.kind == new_evidence.GIVEN and source.tpr is None:
        return "Give one TPR per class first."
    return None


def main() -> None:
    """The page."""
    if "new_open" in st.session_state:
        nav.open_run(st.session_state.pop("new_open"))
    take_prefill()
    st.session_state.setdefault("new_submit_key", f"new-{uuid.uuid4()}")
    st.title("New run")
    form, picture = st.columns([5, 7], gap="large")
    with form:
        dataset, spec, model, method, source, params, config, count = left()
    if config is None or model is None:
        return
    with picture:
        right(spec, method, source, params, config)
    with form:
        reason = startable(method, source)
        many = count * (2 if source.kind == new_evidence.TRAIN_FIRST else 1)
        st.button("Start" if many == 1 else f"Start {many} runs", key="new_start", type="primary", icon=":material/play_arrow:", disabled=reason is not None,
                  on_click=start, args=(config, count, source, new_data.dataset_label(dataset)), help=reason)


with told():
    main()
