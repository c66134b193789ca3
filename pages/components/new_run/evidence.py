"""New run: the source of the TPRs: a finished run on the same data, a baseline trained first, or given numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

from core.datasets.spec import DataSpec
from core.errors import EvenlyError
from core.experiment.baseline import differences, refusal
from core.experiment.config import RunConfig
from core.experiment.tpr_file import parse
from core.methods import METHODS, POSTHOC
from core.methods.method import Method
from core.methods.samplers import PLAIN
from pages.components.common import cached_reads
from reporting import text as words
from services import baselines, tpr_sources
from services.baselines import another_seed, by_seed, per_seed
from services.tpr_sources import GIVEN, NOTHING, OTHERS, TRAIN_FIRST, TprSource
from storage.results.runs import RunRow

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
UNREAD = "settings not read yet"  # of a run queued after they were read
LONGEST = 52  # characters of a run's label that fit the list


def cut(label: str) -> str:
    """A run's label cut to LONGEST characters. The middle is cut, since names differ at both ends."""
    return label if len(label) <= LONGEST else f"{label[:30].rstrip()}…{label[31 - LONGEST :].lstrip()}"


def with_name(text: str, label: str | None) -> str:
    """A help text, followed by the full label of the selection where the list shows it cut."""
    return text if label is None or len(label) <= LONGEST else f"{text}\n\nSelected: {words.plain(label)}"


@dataclass(frozen=True)
class Candidates:
    """Succeeded runs on a dataset, newest first.

    alike   rows of the runs with the same data settings and model
    labels  id -> label of these
    others  id -> label of the rest, which names the difference
    """

    alike: pd.DataFrame
    labels: dict[str, str]
    others: dict[str, str]

    def text(self, option: str) -> str:
        """The label of an option of the list."""
        return cut(self.labels[option]) if option in self.labels else TEXTS[option]


def any_finished(frame: pd.DataFrame, model: str) -> bool:
    """Whether a post-hoc step might find a run to apply to: a finished one with this model, whatever its data settings and seed."""
    return bool(((frame["status"] == "succeeded") & (frame["model"] == model) & ~frame["archived"]).any())


def candidates(frame: pd.DataFrame, config: RunConfig, spec: DataSpec) -> Candidates:
    """Split the runs of `frame`, all on the dataset, into baselines for `config` and others."""
    frame = frame[(frame["status"] == "succeeded") & ~frame["archived"]].sort_values("id", ascending=False)
    drawn = cached_reads.drawn_by(config.dataset)
    labels, others, alike = {}, {}, []
    for number, name in zip(frame["id"].tolist(), frame["name"].tolist(), strict=True):
        difference = words.of(differences(config, spec, drawn[number])) if number in drawn else UNREAD
        alike.append(not difference)
        if difference:
            others[str(number)] = f"Run {number}: {name} ({difference})"
        else:
            labels[str(number)] = f"Run {number}: {name}"
    return Candidates(frame[np.array(alike, dtype=bool)], labels, others)


def preset(alike: pd.DataFrame, seed: int) -> str | None:
    """Id of the newest unweighted run's replicate with this seed, or of that run itself; None without an unweighted run."""
    plain = alike[alike["method"] == baselines.unweighted_method()]
    if plain.empty:
        return None
    newest = plain.iloc[0]
    return str(by_seed(plain, newest["group_sha"]).get(seed, int(newest["id"])))


def pick(
    frame: pd.DataFrame, spec: DataSpec, method: Method, needs: frozenset[str], config: RunConfig, count: int
) -> TprSource:
    """Show the choice among the runs in `frame`, all on the dataset, and return the selection.

    A method that needs no TPRs may still name a baseline to compare with.
    """
    if (
        method.key == baselines.unweighted_method() and config.sampler == PLAIN
    ):  # the unweighted method is itself the baseline
        return TprSource(NOTHING)
    if "network" in needs:
        return pick_network(frame, spec, method, needs, config, count)
    found, needed = candidates(frame, config, spec), "tpr" in needs
    options = [*found.labels, *((TRAIN_FIRST, GIVEN) if needed else (NOTHING,)), *([OTHERS] if found.others else [])]
    choose(found, options, config.seed, TRAIN_FIRST if needed else NOTHING)
    chosen = st.selectbox(
        "TPRs from" if needed else "Baseline to compare with",
        options,
        format_func=found.text,
        key=CHOSEN,
        persist_state="session",
        help=with_name(HELP_NEEDED if needed else HELP_COMPARE, found.labels.get(st.session_state[CHOSEN])),
    )
    if chosen == OTHERS:
        chosen = pick_other(found.others)
    if chosen in (TRAIN_FIRST, NOTHING):
        return TprSource(chosen)
    if chosen == GIVEN:
        return given(spec)
    return from_run(frame, int(chosen), spec, needs, config, count)


def pick_network(
    frame: pd.DataFrame, spec: DataSpec, method: Method, needs: frozenset[str], config: RunConfig, count: int
) -> TprSource:
    """The run that a second stage or a post-hoc step continues from: same data, seed and model.

    For a second stage it can be trained first; a post-hoc step needs a finished run.
    """
    found, first = trained(candidates(frame, config, spec), config.seed), [TRAIN_FIRST] * (method.stage != POSTHOC)
    options = [*found.labels, *first]
    if not found.labels:
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
    choose(found, options, config.seed, options[0])
    chosen = st.selectbox(
        "Continues from",
        options,
        format_func=found.text,
        key=CHOSEN,
        persist_state="session",
        help=with_name(HELP_NETWORK, found.labels.get(st.session_state[CHOSEN])),
    )
    if chosen == TRAIN_FIRST:
        return TprSource(TRAIN_FIRST)
    return from_run(frame, int(chosen), spec, needs, config, count, own_seed=True)


def trained(found: Candidates, seed: int) -> Candidates:
    """The runs in `found.alike` with this seed and a trained network; a post-hoc step has no network of its own."""
    posthoc = {m.key for m in METHODS if m.stage == POSTHOC}
    alike = found.alike[(found.alike["seed"] == seed) & ~found.alike["method"].isin(posthoc)]
    return Candidates(alike, {key: found.labels[key] for key in map(str, alike["id"].tolist())}, {})


def choose(found: Candidates, options: list[str], seed: int, default: str) -> None:
    """Before the list is shown: select what another page requests, or keep the selection if still available, else preselect."""
    values = st.session_state
    requested = values.pop(ASKED, None)
    if requested in found.others:
        values["new_baseline_other"], requested = requested, OTHERS
    if requested in options:
        values[CHOSEN] = requested
        values.pop(PRESET, None)
    elif values.get(CHOSEN) not in options or values[CHOSEN] == values.get(PRESET):
        values[CHOSEN] = values[PRESET] = preset(found.alike, seed) or default


def pick_other(others: dict[str, str]) -> str:
    """Show the choice of a run with other data settings or another model, with a warning."""
    if st.session_state.get("new_baseline_other") not in others:
        st.session_state["new_baseline_other"] = next(iter(others))
    chosen = st.selectbox(
        "Other run",
        list(others),
        format_func=lambda o: cut(others[o]),
        key="new_baseline_other",
        persist_state="session",
        help=with_name("Differences from this run are in parentheses.", others[st.session_state["new_baseline_other"]]),
    )
    st.caption(
        ":material/warning: Because of the differences in parentheses, its TPRs are not those of a baseline of this run."
    )
    return chosen


def from_run(
    frame: pd.DataFrame,
    run_id: int,
    spec: DataSpec,
    needs: frozenset[str],
    config: RunConfig,
    count: int,
    *,
    own_seed: bool = False,
) -> TprSource:
    """The validation TPRs of a finished run, and of its replicates for the other seeds; a run that cannot be the baseline is refused.

    `own_seed`: every seed must take a run with that seed.
    """
    row = cached_reads.run(run_id)
    if found := refusal(row, config, spec, needs):
        st.error(words.sentence(words.of(found)), icon=":material/error:")
        return TprSource(NOTHING, absent="Choose another run, see the message above.")
    takes = pick_per_seed(frame, row, spec, [config.seed + i for i in range(count)], own_seed=own_seed)
    first = cached_reads.run(takes.get(config.seed) or run_id)
    if first.status != "succeeded" or cached_reads.class_names(first) != cached_reads.class_names(row):
        first = row
    counts = cached_reads.counts(first, "validation")
    return TprSource(
        tpr_sources.RUN, row, cached_reads.tpr_of(counts), counts.support.astype(float), f"run {first.id}", takes
    )


def pick_per_seed(
    frame: pd.DataFrame, row: RunRow, spec: DataSpec, seeds: list[int], *, own_seed: bool = False
) -> dict[int, int | None]:
    """Seed -> its baseline: the selected run's replicate with that seed, or None where it is trained first.

    The selected run for every seed if the person ticks that box.
    """
    takes = per_seed(frame, cached_reads.drawn_by(row.dataset), row, seeds, spec)
    if set(takes.values()) == {row.id}:
        return takes
    line = st.container()
    if not own_seed and st.checkbox(
        f"Use run {row.id} for every seed",
        key="new_one_baseline",
        persist_state="session",
        help="Otherwise each seed uses the replicate with its own seed.",
    ):
        line.caption(f":material/warning: {words.of(another_seed(row.id, row.seed, seeds, spec.own_validation))}")
        return dict.fromkeys(seeds, row.id)
    line.caption(words.baselines(takes))
    return takes


def given(spec: DataSpec) -> TprSource:
    """TPRs pasted or from a CSV file. An error is shown at once, and the run cannot start."""
    text = st.text_area(
        "TPRs",
        key="new_tpr_text",
        placeholder="class,tpr\ncat,0.65\ndog,0.73",
        height=110,
        persist_state="session",
        help="One number per class in class order, as a list, a printed array, or lines of class and TPR, each from 0 to 1.",
    )
    file = st.file_uploader("or a CSV file", type=["csv", "txt"], key="new_tpr_file", max_upload_size=1)
    return read_given(spec, text.strip(), None if file is None else file.name, b"" if file is None else file.getvalue())


def read_given(spec: DataSpec, text: str, name: str | None, data: bytes) -> TprSource:
    """Parse the pasted text or the content of file `name`; both at once are refused as ambiguous."""
    if text and name is not None:
        st.error(
            f"Both pasted TPRs and the file {words.plain(name)} are given. Clear the text or remove the file.",
            icon=":material/error:",
        )
        return TprSource(GIVEN)
    if not text and name is None:
        st.caption(f"{len(spec.classes)} numbers are needed, one per class.")
        return TprSource(GIVEN)
    try:
        values, support = parse(text or data, spec.classes)
    except EvenlyError as error:
        st.error(words.message(str(error)), icon=":material/error:")
        return TprSource(GIVEN)
    return replace(TprSource(GIVEN), tpr=values, support=support, name=name or "pasted TPRs")
