"""New run: where the TPRs come from. A finished run on the same data, a run to be trained first, or numbers given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.config import RunConfig
from core.dataspec import DataSpec
from core.errors import EvenlyError
from core.tprs import parse
from pages.parts import launch, reads, words
from storage.launch import another_seed, by_seed, drawn_by, other_data, pairing

TRAIN_FIRST, GIVEN, NOTHING, OTHERS = "first", "given", "nothing", "others"
TEXTS = {
    TRAIN_FIRST: "Train a baseline first, same settings", GIVEN: "TPRs of my own, pasted or a file", NOTHING: "None",
    OTHERS: "Other runs on this dataset, trained on other data or models",
}
HELP_NEEDED = "The run whose validation TPRs become the weights. The test split is never used."
HELP_COMPARE = "This method takes no TPRs from it; the run's page shows both side by side."
CHOSEN, PRESET, ASKED = "new_baseline", "new_baseline_preset", "new_baseline_asked"  # what is chosen, what this page chose by itself, what another page asks for


@dataclass(frozen=True)
class Source:
    """The chosen evidence. `tpr` [C] is None until a baseline has finished or numbers were given.

    takes  of a run: which baseline each seed takes, the replicate of `run` with that seed; None: it is trained first
    """

    kind: str  # "run", TRAIN_FIRST, GIVEN or NOTHING
    run: Any | None = None
    tpr: NDArray[np.float64] | None = None
    support: NDArray[np.float64] | None = None
    name: str = ""
    takes: Mapping[int, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidates:
    """Succeeded runs on a dataset, newest first, as labels by run: those on the same data and model, and others with their difference named."""

    alike: pd.DataFrame
    labels: dict[str, str]
    others: dict[str, str]


def candidates(frame: pd.DataFrame, config: RunConfig, spec: DataSpec) -> Candidates:
    """Sort the runs of `frame` (all there are) into baselines for `config` and others."""
    frame = frame[(frame["status"] == "succeeded") & (frame["dataset"] == config.dataset) & ~frame["archived"]].sort_values("id", ascending=False)
    drawn = drawn_by(reads.database(), config.dataset)
    labels, others, alike = {}, {}, []
    for number, name, model in zip(frame["id"].tolist(), frame["name"].tolist(), frame["model"].tolist(), strict=True):
        data = other_data(config, drawn[number], spec.own_validation) if number in drawn else ""
        difference = ", ".join(filter(None, [data, f"model {model}" if model != config.model else ""]))
        alike.append(not difference)
        if difference:
            others[str(number)] = f"Run {number}: {name} ({difference})"
        else:
            labels[str(number)] = f"Run {number}: {name}"
    return Candidates(frame[np.array(alike, dtype=bool)], labels, others)


def preset(alike: pd.DataFrame, seed: int) -> str | None:
    """The newest baseline's replicate with this seed, or that baseline itself; None where there is no baseline in the strict sense."""
    plain = alike[alike["method"] == launch.unweighted()]
    if plain.empty:
        return None
    newest = plain.iloc[0]
    return str(by_seed(plain, newest["group_sha"]).get(seed, int(newest["id"])))


def pick(spec: DataSpec, method: Any, config: RunConfig, count: int) -> Source:
    """Draw the choice and return it. A method that needs no TPRs may still name the run it is to be compared with."""
    if not method.needs and not method.params:  # the unweighted method is itself the baseline
        return Source(NOTHING)
    frame, needed = reads.runs(archived=None), "tpr" in method.needs
    found = candidates(frame, config, spec)
    options = [*found.labels, *((TRAIN_FIRST, GIVEN) if needed else (NOTHING,)), *([OTHERS] if found.others else [])]
    choose(found, options, config.seed, TRAIN_FIRST if needed else NOTHING)
    chosen = st.selectbox("TPRs from" if needed else "Baseline to compare with", options, format_func=lambda o: found.labels.get(o) or TEXTS[o], key=CHOSEN,
                          persist_state="session", help=HELP_NEEDED if needed else HELP_COMPARE)
    if chosen == OTHERS:
        chosen = pick_other(found.others)
    if chosen in (TRAIN_FIRST, NOTHING):
        return Source(chosen)
    return given(spec) if chosen == GIVEN else from_run(frame, int(chosen), spec, config, count)


def choose(found: Candidates, options: list[str], seed: int, otherwise: str) -> None:
    """Before the list is drawn: take what another page asks for, keep what a person chose while it is on offer, else choose."""
    values = st.session_state
    asked = values.pop(ASKED, None)
    if asked in found.others:
        values["new_baseline_other"], asked = asked, OTHERS
    if asked in options:
        values[CHOSEN] = asked
        values.pop(PRESET, None)
    elif values.get(CHOSEN) not in options or values[CHOSEN] == values.get(PRESET):
        values[CHOSEN] = values[PRESET] = preset(found.alike, seed) or otherwise


def pick_other(others: dict[str, str]) -> str:
    """A run on other data or of another model, and what that means."""
    if st.session_state.get("new_baseline_other") not in others:
        st.session_state["new_baseline_other"] = next(iter(others))
    chosen = st.selectbox("Other run", list(others), format_func=others.get, key="new_baseline_other", persist_state="session")
    st.caption(":material/warning: What stands in brackets differs from this run, so its TPRs are not those of a baseline of this run.")
    return chosen


def from_run(frame: pd.DataFrame, run_id: int, spec: DataSpec, config: RunConfig, count: int) -> Source:
    """The validation TPRs of a finished run on the same classes, and of its replicates for the other seeds."""
    row = reads.run(run_id)
    if tuple(reads.class_names(row)) != tuple(spec.classes):
        st.error(f"Run {run_id} was trained on other classes than this dataset has now. Choose another run.", icon=":material/error:")
        return Source(GIVEN)
    takes = per_seed(frame, row, spec, [config.seed + i for i in range(count)])
    first = reads.run(takes.get(config.seed) or run_id)
    if first.status != "succeeded" or reads.class_names(first) != reads.class_names(row):
        first = row
    counts = reads.counts(first, "validation")
    return Source("run", row, reads.tpr_of(counts), counts.support.astype(float), f"run {first.id}", takes)


def per_seed(frame: pd.DataFrame, row: Any, spec: DataSpec, seeds: list[int]) -> dict[int, int | None]:
    """Seed -> its baseline: the replicate of the chosen run, or None where one is trained first; the run itself for all where a person says so."""
    members = by_seed(frame, row.group_sha) | {row.seed: row.id}
    takes = {seed: members.get(seed) for seed in seeds}
    if set(takes.values()) == {row.id}:
        return takes
    line = st.container()
    if st.checkbox(f"Use run {row.id} for every seed", key="new_one_baseline", persist_state="session",
                   help="Otherwise each seed takes the run with the same settings and its own seed."):
        line.caption(f":material/warning: {another_seed(row.id, row.seed, seeds, spec.own_validation)}")
        return dict.fromkeys(seeds, row.id)
    line.caption(pairing(takes))
    return takes


def given(spec: DataSpec) -> Source:
    """TPRs pasted or from a CSV file; a problem is told at once and nothing can start."""
    text = st.text_area("TPRs", key="new_tpr_text", placeholder="class,tpr\ncat,0.65\ndog,0.73", height=110, persist_state="session",
                        help="One number per class in class order, as a list, a printed array, or lines of class and TPR, each from 0 to 1.")
    file = st.file_uploader("or a CSV file", type=["csv", "txt"], key="new_tpr_file", max_upload_size=1)
    return read_given(spec, text.strip(), None if file is None else file.name, b"" if file is None else file.getvalue())


def read_given(spec: DataSpec, text: str, name: str | None, data: bytes) -> Source:
    """What was pasted or what the file `name` holds; both at once are refused, since one of them would be passed over."""
    if text and name is not None:
        st.error(f"There are pasted TPRs and the file {words.plain(name)}. Clear the text or remove the file, so that it is plain which is meant.",
                 icon=":material/error:")
        return Source(GIVEN)
    if not text and name is None:
        st.caption(f"{len(spec.classes)} numbers are needed, one per class.")
        return Source(GIVEN)
    try:
        values, support = parse(text or data, spec.classes)
    except EvenlyError as error:
        st.error(words.message(str(error)), icon=":material/error:")
        return Source(GIVEN)
    return replace(Source(GIVEN), tpr=values, support=support, name=name or "pasted TPRs")
