"""New run: data, model, method; the weights live while the slider is dragged; start."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from core import config as settings
from core.config import SETTINGS, RunConfig
from core.dataspec import DataSpec, train_counts
from core.errors import EvenlyError
from core.methods import METHODS
from core.recipes import RECIPES
from core.snippet import cli_command, pytorch_snippet
from pages.parts import fields, launch, nav, new_data, new_evidence, new_method, preview, words
from pages.parts.guard import told

SETTING = {p.key: p for p in SETTINGS}
FOLDED = ("imbalance", "profile", "validation", "reduction", "device")

BATCH = "batch_size"  # every recipe has it

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
        count = st.number_input("Replicates", 1, launch.MOST_REPLICATES, key="new_replicates", persist_state="page",
                                help="Runs with seeds s, s+1, ... Differences between methods can only be judged over several.")
    return {"epochs": epochs, "seed": seed}, int(count)


def folded(method: Any, recipe: str, spec: DataSpec) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What seldom changes: the method's other parameters, the data's, the recipe's. Returns (params, settings, recipe params)."""
    with st.expander("More settings", icon=":material/tune:", key="new_more"):
        params = new_method.other_parameters(method)
        values = {key: fields.field("run", SETTING[key]) for key in FOLDED}
        fit_batch(recipe, int(spec.train_counts.sum()))
        return params, values, {p.key: fields.field(recipe, p) for p in RECIPES[recipe].params}


def fit_batch(recipe: str, samples: int) -> None:
    """Lower a batch size that nobody has touched to the samples of a small dataset."""
    param = next(p for p in RECIPES[recipe].params if p.key == BATCH)
    key = fields.key_of(recipe, param)
    if param.default > samples and st.session_state.get(key, param.default) == param.default:
        st.session_state[key] = samples


def upload() -> None:
    """A zip of images becomes a dataset under the data root."""
    with st.expander("Your own images", icon=":material/upload:", key="new_upload"):
        st.caption("A zip with one folder per class, or train/, val/ and test/ with one folder per class in each. Folders and zips that lie "
                   "under the data folder are offered above.")
        file = st.file_uploader("Zip file", type=["zip"], key="new_zip", max_upload_size=200)
        if file is not None and st.button("Add to the datasets", key="new_zip_add"):
            with told():
                key = new_data.keep_upload(file.name, file)
                new_data.prepare_images(key)
                st.session_state["new_prefill"] = {"config": {"dataset": key}}
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


def copies(config: RunConfig, count: int, source: new_evidence.Source, terms: Any, classes: tuple[str, ...]) -> None:
    """The same run as a command and as PyTorch with exactly these weights."""
    with st.expander("Copy as a command or as PyTorch", icon=":material/code:", key="new_copy"):
        st.code(command(config, count, source), language="bash", wrap_lines=True)
        if terms is not None:
            st.code(pytorch_snippet(terms, classes, config.reduction), language="python", height=260)


def command(config: RunConfig, count: int, source: new_evidence.Source) -> str:
    """The command line; with a baseline to be trained first, both commands."""
    seeds = f" --seeds {count}" if count > 1 else ""
    if source.kind != new_evidence.TRAIN_FIRST:
        return cli_command(config, baseline=source.run.id if source.run is not None else None) + seeds
    first = cli_command(replace(config, method=launch.unweighted(), params={}))
    return f"{first}\n# then, with the number that this printed:\n{cli_command(config)} --baseline RUN"


def given_tprs(source: new_evidence.Source) -> dict[str, Any]:
    """The settings that carry TPRs a person gave; none where a run supplies them."""
    if source.kind != new_evidence.GIVEN or source.tpr is None:
        return {}
    return settings.given_tprs(source.tpr, source.support, source.name)


@dataclass(frozen=True)
class Form:
    """What the left side gives."""

    spec: DataSpec
    label: str
    method: Any
    source: new_evidence.Source
    config: RunConfig
    count: int


def form() -> Form | None:
    """The left side; None while the dataset is not prepared or nothing fits it."""
    data, network = st.columns(2)
    with data:
        dataset, label = new_data.pick_dataset()
    spec = new_data.known(dataset)
    with network:
        model = None if spec is None else new_data.pick_model(spec)
    if spec is None or model is None:
        upload()
        return None
    new_data.facts(spec)
    method = new_method.pick()
    source = new_evidence.pick(dataset, spec, method)
    params = new_method.main_parameter(method)
    recipe = pick_recipe()
    values, count = in_sight()
    others, more, recipe_params = folded(method, recipe, spec)
    upload()
    config = RunConfig(dataset=dataset, model=model, method=method.key, params=params | others, recipe=recipe, recipe_params=recipe_params, **values, **more,
                       **given_tprs(source))
    return Form(spec, label, method, source, config, count)


def weights(f: Form) -> Any:
    """The weights, live; returns the answer in force, or None while there is none."""
    heading = st.container()
    counts = train_counts(f.spec, f.config.validation, f.config.imbalance, f.config.profile)
    try:
        seen = new_method.evidence(f.method, f.spec, counts, f.source)
        if seen is None:
            new_method.missing(f.source)
            return None
        terms = new_method.draw_preview(f.method, seen, f.spec, dict(f.config.params))
    except EvenlyError as error:
        new_method.problem(error)
        return None
    what = "Weight per class" if terms.focus is None else "Factor per sample"
    heading.subheader(what if f.source.tpr is None or terms.weight is None else f"{what}, from {words.plain(f.source.name)}", anchor=False)
    if "last_tpr" in f.method.needs and seen.last_tpr is not None:
        st.caption("As the first refreshed epoch would see the baseline's TPRs; the run then uses its own, epoch by epoch.")
    return terms


def hindrance(f: Form) -> str | None:
    """Why these settings cannot start, or None."""
    if "tpr" in f.method.needs and f.source.kind == new_evidence.GIVEN and f.source.tpr is None:
        return "Needs one TPR per class first."
    samples = int(train_counts(f.spec, f.config.validation, f.config.imbalance, f.config.profile).sum())
    if f.config.recipe_params[BATCH] > samples:
        return f"Batch size {f.config.recipe_params[BATCH]:,} is larger than the {samples:,} training samples. Lower it under More settings."
    return None


def start_button(f: Form) -> None:
    """The primary action, with the reason where it is off."""
    waits = hindrance(f)
    many = f.count * (2 if f.source.kind == new_evidence.TRAIN_FIRST else 1)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Start" if many == 1 else f"Start {many} runs", key="new_start", type="primary", icon=":material/play_arrow:", disabled=waits is not None,
                  on_click=start, args=(f.config, f.count, f.source, f.label))
        if waits:
            st.caption(waits, width="content")
        elif many > 1:
            st.caption(f"{'A baseline and a weighted run each, seeds' if many > f.count else 'Seeds'} {f.config.seed} to {f.config.seed + f.count - 1}"
                       if f.count > 1 else "The baseline first, then the weighted run", width="content")


def main() -> None:
    """The page."""
    if "new_open" in st.session_state:
        nav.open_run(st.session_state.pop("new_open"))
    take_prefill()
    st.session_state.setdefault("new_submit_key", f"new-{uuid.uuid4()}")
    st.title("New run")
    left, right = st.columns([5, 6], gap="large")
    with left:
        f = form()
    if f is None:
        return
    with right:
        terms = weights(f)
        start_button(f)
        new_method.formula(f.method, dict(f.config.params))
        copies(f.config, f.count, f.source, terms, f.spec.classes)


with told():
    main()
