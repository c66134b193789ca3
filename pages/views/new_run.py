"""New run: choose data, model and method, preview the class weights live, start."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

import streamlit as st

from core.datasets import describe
from core.datasets.spec import DataSpec, train_counts
from core.errors import EvenlyError
from core.experiment.config import RunConfig, with_given_tprs
from core.experiment.term_schedule import first_epoch
from core.methods import trains
from core.methods.method import Method
from core.methods.types import ClassTerms
from core.metrics.classification import Counts
from pages.components.common import cached_reads, navigation, plan_findings, query_params
from pages.components.common.error_guard import showing_errors
from pages.components.new_run import data as new_data
from pages.components.new_run import method as new_method
from pages.components.new_run import prefilled
from pages.components.new_run.evidence import COLUMNS, pick_source
from pages.components.new_run.settings import fit_epochs, folded_settings, pick_recipe, settings_in_sight
from reporting import text
from reporting.code_snippet import cli_command, pytorch_snippet
from services import submission, tpr_sources
from services.baselines import DatasetRuns, unweighted
from services.posthoc import any_applicable
from services.submission import Plan
from services.tpr_sources import TprSource
from storage.db.paths import data_root, surroundings
from storage.jobs import queue

STARTED = "new_started"  # the run that this session started last


@dataclass(frozen=True)
class Form:
    """The input on the left side."""

    spec: DataSpec
    method: Method
    needs: frozenset[str]
    error: EvenlyError | None  # why the method rejects its parameters
    source: TprSource
    config: RunConfig
    count: int
    plan: Plan
    unplanned: str  # why there is no plan; "" where there is one

    @property
    def seeds(self) -> list[int]:
        return [self.config.seed + i for i in range(self.count)]

    @property
    def first(self) -> list[int]:
        """Seeds whose baseline is trained first."""
        return self.source.trained_first(self.seeds)


# -- submit ------------------------------------------------------------------------------------------------------


def start_runs(f: Form) -> None:
    """New run's Start: queue all runs in one transaction, once per view of the form, and open the run's page."""
    key = st.session_state.get("new_submit_key")
    if key is None:  # second click of a double click: the first one has queued the runs
        st.session_state[navigation.OPEN] = st.session_state[STARTED]
        return
    with showing_errors():
        ids = queue.submit(cached_reads.database(), list(f.plan.rows), key)
        st.session_state[navigation.OPEN] = st.session_state[STARTED] = ids[-f.count]


# -- as command and code -----------------------------------------------------------------------------------------


def copy_as_code(f: Form, terms: ClassTerms | None) -> None:
    """New run's section of what to copy: the run as a command, and as PyTorch code with exactly these weights."""
    with st.expander("Copy as a command or as PyTorch", icon=":material/code:", key="new_copy"):
        st.code("\n# then:\n".join(commands_to_copy(f)), language=None, wrap_lines=True)
        if terms is not None:
            st.code(
                pytorch_snippet(terms, f.spec.classes, f.config.reduction, method=f.config.method),
                language="python",
                height=260,
            )


def commands_to_copy(f: Form) -> list[str]:
    """The commands that New run shows: of the run, after those of the baselines that are trained first."""
    if f.source.kind == tpr_sources.TRAIN_FIRST:
        first = command_to_copy(unweighted(f.config)) + replicated(f.count)
        return [
            first,
            f"{command_to_copy(f.config)} --baseline RUN{replicated(f.count)}  # RUN: the number that the first command printed",
        ]
    run = f.source.run
    one = (
        " --same-baseline"
        if run is not None and set(f.source.takes.values()) == {run.id} and set(f.seeds) != {run.seed}
        else ""
    )
    own = command_to_copy(f.config, baseline=None if run is None else run.id) + replicated(f.count) + one
    return [
        *(command_to_copy(replace(run.config, seed=seed), baseline=run.baseline_id) for seed in f.first),
        own,
    ]


def command_to_copy(config: RunConfig, baseline: int | None = None) -> str:
    """The command of one run that New run shows, for the data folder and database of this page."""
    return cli_command(config, baseline, surroundings())


def replicated(count: int) -> str:
    """The option of a command on New run that adds its replicates: " --seeds 3"; "" without any."""
    return f" --seeds {count}" if count > 1 else ""


# -- the page ----------------------------------------------------------------------------------------------------


def form() -> Form | None:
    """The left side of New run; None while the dataset is not prepared or no model fits it.

    Facts, warnings and the choice of a baseline depend on settings below them, so their containers are filled last.
    """
    dataset, spec, model = new_data.pick_data_and_model()
    if spec is None or model is None:
        new_data.upload_area(dataset)
        return None
    frame = cached_reads.runs(archived=None, dataset=dataset, columns=COLUMNS)
    facts, method, evidence = st.container(), new_method.pick_method(any_applicable(frame, model)), st.container()
    config, count = pick_settings(RunConfig(dataset=dataset, model=model, method=method.key), method, spec)
    needs, error = new_method.method_needs(method, dict(config.params))
    settings = st.container()
    new_data.upload_area(dataset)
    spec = describe(dataset, data_root(), config.validation)
    with facts:
        new_data.dataset_facts(spec, config)
    with evidence:
        runs = DatasetRuns(frame, cached_reads.drawn_by(dataset), spec)
        source = pick_source(runs, method, needs, config, count)
    config = with_given(config, source) if trains(method.key) else replace(config, epochs=1)
    plan, unplanned = planned_runs(config, spec, count, source, error)
    with evidence:
        plan_findings.draw(plan.findings, plan_findings.BASELINE)
    with settings:  # the preview shows what is about the terms, stop by stop
        plan_findings.draw(plan.findings, plan_findings.SETTINGS)
    return Form(spec, method, needs, error, source, config, count, plan, unplanned)


def pick_settings(config: RunConfig, method: Method, spec: DataSpec) -> tuple[RunConfig, int]:
    """Show on New run the method's parameters, the recipe and the other settings; returns the config with them and the
    number of replicates."""
    params, training = new_method.main_parameter(method, len(spec.classes)), trains(method.key)
    recipe = pick_recipe() if training else config.recipe
    if training:
        fit_epochs(method, recipe)
    values, count = settings_in_sight(training)
    others, more, recipe_params = folded_settings(method, recipe, spec)
    chosen = replace(config, params=params | others, recipe=recipe, recipe_params=recipe_params, **values, **more)
    return chosen, count


def planned_runs(
    config: RunConfig, spec: DataSpec, count: int, source: TprSource, error: EvenlyError | None
) -> tuple[Plan, str]:
    """The runs of New run's form, and why they cannot be planned, "" where they can. `error`: of the method's parameters."""
    seeds = [config.seed + i for i in range(count)]
    try:
        if error is not None:
            raise error
        return submission.plan(cached_reads.database(), config, spec, seeds, source), ""
    except EvenlyError as why:
        return Plan(), text.sentence(str(why))


def with_given(config: RunConfig, source: TprSource) -> RunConfig:
    """The config of New run's form with the TPRs that a person gave; unchanged where a run supplies them."""
    if source.kind != tpr_sources.GIVEN or source.tpr is None:
        return config
    return with_given_tprs(config, source.tpr, source.support, source.name)


def preview(f: Form) -> tuple[ClassTerms | None, str | None]:
    """The right side of New run: preview of the weights and other terms. Returns (terms or None, why the run cannot
    start or None)."""
    heading, params = st.container(), dict(f.config.params)
    try:
        if f.error is not None:
            raise f.error
        seen = new_method.preview_evidence(f.needs, f.spec, training_counts(f), f.source, f.config.epochs)
        if seen is None:
            new_method.preview_waits(f.method, params, f.source)
            return None, None
        terms = new_method.draw_preview(f.method, seen, f.spec, f.config, f.source)
    except EvenlyError as error:
        new_method.preview_error(f.method, params, error)
        return None, "The method rejects these values; see the message above."
    what = preview_heading(f.method, terms)
    heading.subheader(
        what
        if f.source.tpr is None or terms.weight is None or "tpr" not in f.needs
        else f"{what}, from {text.plain(f.source.name)}",
        anchor=False,
    )
    if f.config.start > 0 and (first := first_epoch(f.config)):
        what = "weight and sampling" if f.config.deferred == "weight" else "the method and the sampler"
        st.caption(f"Late start: {what} act from epoch {first + 1:,} of {f.config.epochs:,}.")
    return terms, None


def preview_heading(method: Method, terms: ClassTerms) -> str:
    """The heading above New run's preview."""
    if terms.weight is not None or not (terms.set() or method.decided):
        return "Weight per class"
    return "What the method changes" if terms.focus is None else "Factor per sample"


def training_counts(f: Form) -> Counts:
    """[C] training samples under the settings of New run's form."""
    return train_counts(f.spec, f.config.validation, f.config.imbalance, f.config.profile)


def blocked_by(f: Form) -> str | None:
    """Why a run with the settings of New run's form cannot start; None where it can."""
    if f.source.absent:
        return f.source.absent
    if "tpr" in f.needs and f.source.kind == tpr_sources.GIVEN and f.source.tpr is None:
        return "Enter one TPR per class first."
    return f.unplanned or None


def start_button(f: Form, refused: str | None) -> None:
    """The primary action of New run, with the reason where it is disabled."""
    reason, many = refused or blocked_by(f), f.count + len(f.first)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Start" if many == 1 else f"Start {many} runs",
            key="new_start",
            type="primary",
            icon=":material/play_arrow:",
            disabled=reason is not None,
            on_click=start_runs,
            args=(f,),
        )
        if reason or many > 1:
            st.caption(reason or what_starts(f), width="content")


def what_starts(f: Form) -> str:
    """Beside New run's button: which runs start, where there are several."""
    if not f.first:
        return text.message(text.numbered("seed", f.seeds))
    if f.count == 1:
        return (
            f"The {'run it continues from' if 'network' in f.needs else 'baseline'} first, "
            f"then {'this one' if 'network' in f.needs else 'the weighted run'}"
        )
    if len(f.first) == f.count:
        return text.message(f"{text.numbered('seed', f.seeds)}: a baseline and a weighted run each")
    return f"Baselines for {text.numbered('seed', f.first)}, then {text.numbered('seed', f.seeds)}"


def main() -> None:
    """The page New run."""
    prefilled.write_prefill()
    st.session_state.setdefault("new_submit_key", f"new-{uuid.uuid4()}")
    st.title("New run")
    left, right = st.columns([5, 6], gap="large")
    with left:
        f = form()
    query_params.write()
    if f is None:
        return
    with right:
        terms, refused = preview(f)
        start_button(f, refused)
        new_method.draw_formula(f.method, dict(f.config.params))
        copy_as_code(f, terms)


with showing_errors():
    main()
