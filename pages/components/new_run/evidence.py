"""New run: the source of the TPRs: a finished run on the same data, a baseline trained first, or given numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd
import streamlit as st

from core.datasets.spec import DataSpec
from core.errors import EvenlyError
from core.experiment.config import RunConfig
from core.experiment.tpr_file import parse
from core.formatting import count
from core.methods import POSTHOC
from core.methods.method import Method
from core.methods.no_weighting import UNWEIGHTED
from core.methods.samplers import PLAIN
from pages.components.common import cached_reads
from pages.components.common.prefill import TPR_TEXT
from reporting import text as words
from services import tpr_sources
from services.baselines import Candidates, DatasetRuns, another_seed, candidates, preset, trained
from services.tpr_sources import GIVEN, NOTHING, TRAIN_FIRST, TprSource

OTHERS = "others"  # the option that shows a second list
UNREAD = "settings not read yet"
TEXTS = {
    TRAIN_FIRST: "Train a baseline first, same settings",
    GIVEN: "My own TPRs, pasted or from a file",
    NOTHING: "None",
    OTHERS: "Other runs on this dataset, with other data settings or models",
}
HELP_NEEDED = "The run whose validation TPRs become the weights. The test split is never used."
HELP_NETWORK = (
    "The finished run that this one continues from: same data, seed and model. "
    "Its network is copied; the finished run does not change."
)
HELP_COMPARE = "This method does not use its TPRs; the run's page shows both side by side."
CHOSEN, PRESET, ASKED = (
    "new_baseline",
    "new_baseline_preset",
    "new_baseline_asked",
)  # the selection; what this page preselected; what another page requests


COLUMNS = (
    "id",
    "name",
    "status",
    "model",
    "method",
    "seed",
    "group_sha",
    "archived",
)  # columns of the runs on a dataset that are read here
LONGEST = 52  # characters of a run's label that fit the list


def cut_run_label(label: str) -> str:
    """A run's label in New run's list of TPR sources, cut to LONGEST characters. The middle is cut, since names differ
    at both ends."""
    return label if len(label) <= LONGEST else f"{label[:30].rstrip()}…{label[31 - LONGEST :].lstrip()}"


def with_full_label(text: str, label: str | None) -> str:
    """The help of New run's list of TPR sources, followed by the full label of the selection where the list shows it cut."""
    return text if label is None or len(label) <= LONGEST else f"{text}\n\nSelected: {words.plain(label)}"


def run_labels(frame: pd.DataFrame) -> dict[str, str]:
    """The labels of runs in New run's list of TPR sources, by id."""
    return {str(i): f"Run {i}: {name}" for i, name in zip(frame["id"].tolist(), frame["name"].tolist(), strict=True)}


def other_labels(found: Candidates) -> dict[str, str]:
    """The labels, by id, of TPR sources with other data settings or another model, with the difference in parentheses."""
    differs = {str(number): UNREAD if how is None else words.of(how) for number, how in found.differs.items()}
    return {key: f"{label} ({differs[key]})" for key, label in run_labels(found.others).items()}


def baseline_option_label(labels: Mapping[str, str], option: str) -> str:
    """What New run's list of TPR sources shows for an option: a run's label, cut, or the words of a special choice."""
    return cut_run_label(labels[option]) if option in labels else TEXTS[option]


def pick_source(runs: DatasetRuns, method: Method, needs: frozenset[str], config: RunConfig, count: int) -> TprSource:
    """Show the choice of the source of the TPRs on New run and return the selection.

    A method that needs no TPRs may still name a baseline to compare with.
    """
    if method.key == UNWEIGHTED and config.sampler == PLAIN:  # the unweighted method is itself the baseline
        return TprSource(NOTHING)
    if "network" in needs:
        return pick_network_source(runs, method, needs, config, count)
    found, needed = candidates(runs, config), "tpr" in needs
    labels, others = run_labels(found.alike), other_labels(found)
    options = [*labels, *((TRAIN_FIRST, GIVEN) if needed else (NOTHING,)), *([OTHERS] if others else [])]
    preselect_source(found.alike, others, options, config.seed, TRAIN_FIRST if needed else NOTHING)
    chosen = st.selectbox(
        "TPRs from" if needed else "Baseline to compare with",
        options,
        format_func=partial(baseline_option_label, labels),
        key=CHOSEN,
        persist_state="session",
        help=with_full_label(HELP_NEEDED if needed else HELP_COMPARE, labels.get(st.session_state[CHOSEN])),
    )
    if chosen == OTHERS:
        chosen = pick_other(others)
    if chosen in (TRAIN_FIRST, NOTHING):
        return TprSource(chosen)
    if chosen == GIVEN:
        return given_source(runs.spec)
    return pick_per_seed(runs, int(chosen), needs, config, count)


def pick_network_source(
    runs: DatasetRuns, method: Method, needs: frozenset[str], config: RunConfig, count: int
) -> TprSource:
    """Show on New run the choice of the run that a second stage or a post-hoc step continues from: same data, seed and model.

    For a second stage it can be trained first; a post-hoc step needs a finished run.
    """
    alike = trained(candidates(runs, config).alike, config.seed)
    labels, first = run_labels(alike), [TRAIN_FIRST] * (method.stage != POSTHOC)
    options = [*labels, *first]
    if not labels:
        text = (
            f"{method.label} continues from a finished run, but none has this dataset, tail, "
            f"validation share, model and seed {config.seed}. "
            + (
                "One is trained first."
                if first
                else "Train one first, without a post-hoc step, or choose the settings of a finished run."
            )
        )
        st.caption(f":material/info: {words.plain(text)}")
        if not first:
            return TprSource(NOTHING, absent="Needs a finished run on the same data, with the same seed and model.")
    preselect_source(alike, {}, options, config.seed, options[0])
    chosen = st.selectbox(
        "Continues from",
        options,
        format_func=partial(baseline_option_label, labels),
        key=CHOSEN,
        persist_state="session",
        help=with_full_label(HELP_NETWORK, labels.get(st.session_state[CHOSEN])),
    )
    if chosen == TRAIN_FIRST:
        return TprSource(TRAIN_FIRST)
    return pick_per_seed(runs, int(chosen), needs, config, count, own_seed=True)


def preselect_source(
    alike: pd.DataFrame, others: Mapping[str, str], options: list[str], seed: int, default: str
) -> None:
    """Before New run's list of TPR sources is shown: select what another page requests, or keep the selection if still
    available, else preselect."""
    values = st.session_state
    requested = values.pop(ASKED, None)
    if requested in others:
        values["new_baseline_other"], requested = requested, OTHERS
    if requested in options:
        values[CHOSEN] = requested
        values.pop(PRESET, None)
    elif values.get(CHOSEN) not in options or values[CHOSEN] == values.get(PRESET):
        values[CHOSEN] = values[PRESET] = preset(alike, seed) or default


def pick_other(others: dict[str, str]) -> str:
    """Show the choice of TPRs of a run with other data settings or another model, with a warning."""
    if st.session_state.get("new_baseline_other") not in others:
        st.session_state["new_baseline_other"] = next(iter(others))
    chosen = st.selectbox(
        "Other run",
        list(others),
        format_func=lambda o: cut_run_label(others[o]),
        key="new_baseline_other",
        persist_state="session",
        help=with_full_label(
            "Differences from this run are in parentheses.", others[st.session_state["new_baseline_other"]]
        ),
    )
    st.caption(
        ":material/warning: Because of the differences in parentheses, its TPRs are not those of a baseline of this run."
    )
    return chosen


def pick_per_seed(
    runs: DatasetRuns, run_id: int, needs: frozenset[str], config: RunConfig, count: int, *, own_seed: bool = False
) -> TprSource:
    """The source of the TPRs for each seed: a finished run as the baseline, and its replicates for the other seeds; or
    the run for every seed if the person ticks that box.

    A run that cannot be the baseline is refused. `own_seed`: every seed must take a run with that seed.
    """
    row, seeds = cached_reads.run(run_id), [config.seed + i for i in range(count)]
    about = (cached_reads.database(), runs, row, config, needs, seeds)
    try:
        source = tpr_sources.from_run(*about)
    except EvenlyError as refused:
        st.error(words.sentence(str(refused)), icon=":material/error:")
        return TprSource(NOTHING, absent="Choose another run, see the message above.")
    if set(source.takes.values()) == {row.id}:
        return source
    line = st.container()
    if not own_seed and st.checkbox(
        f"Use run {row.id} for every seed",
        key="new_one_baseline",
        persist_state="session",
        help="Otherwise each seed uses the replicate with its own seed.",
    ):
        line.caption(f":material/warning: {words.of(another_seed(row.id, row.seed, seeds, runs.spec.own_validation))}")
        return tpr_sources.from_run(*about, same=True)
    line.caption(words.baselines(source.takes))
    return source


def given_source(spec: DataSpec) -> TprSource:
    """The source of TPRs that are pasted or from a CSV file. An error is shown at once, and the run cannot start."""
    text = st.text_area(
        "TPRs",
        key=TPR_TEXT,
        placeholder="class,tpr\ncat,0.65\ndog,0.73",
        height=110,
        persist_state="session",
        help="One number per class in class order, as a list, a printed array, or lines of class and TPR, each from 0 to 1.",
    )
    file = st.file_uploader("or a CSV file", type=["csv", "txt"], key="new_tpr_file", max_upload_size=1)
    return read_given(spec, text.strip(), None if file is None else file.name, b"" if file is None else file.getvalue())


def read_given(spec: DataSpec, text: str, name: str | None, data: bytes) -> TprSource:
    """Parse the TPRs of the pasted text or the content of file `name`; both at once are refused as ambiguous."""
    if text and name is not None:
        st.error(
            f"Both pasted TPRs and the file {words.plain(name)} are given. Clear the text or remove the file.",
            icon=":material/error:",
        )
        return TprSource(GIVEN)
    if not text and name is None:
        st.caption(f"{count(len(spec.classes), 'number')} are needed, one per class.")
        return TprSource(GIVEN)
    try:
        values, support = parse(text or data, spec.classes)
    except EvenlyError as error:
        st.error(words.message(str(error)), icon=":material/error:")
        return TprSource(GIVEN)
    return TprSource(GIVEN, tpr=values, support=support, name=name or "pasted TPRs")
