"""New run: where the TPRs come from. A finished run of the same classes, a run to be trained first, or numbers given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.dataspec import DataSpec
from core.errors import EvenlyError
from core.tprs import parse
from pages.parts import launch, reads, words

TRAIN_FIRST, GIVEN, NOTHING = "first", "given", "nothing"


HELP_NEEDED = "The run whose validation TPRs become the weights. The test split is never used."
HELP_COMPARE = "This method takes no TPRs from it; the run's page shows both side by side."


@dataclass(frozen=True)
class Source:
    """The chosen evidence. `tpr` [C] is None until a baseline has finished or numbers were given."""

    kind: str  # "run", TRAIN_FIRST, GIVEN or NOTHING
    run: Any | None = None
    tpr: NDArray[np.float64] | None = None
    support: NDArray[np.float64] | None = None
    name: str = ""


def candidates(dataset: str, spec: DataSpec) -> pd.DataFrame:
    """Succeeded runs on this dataset, newest first."""
    frame = reads.runs(status="succeeded")
    return frame[frame["dataset"] == dataset].sort_values("id", ascending=False)


def pick(dataset: str, spec: DataSpec, method: Any) -> Source:
    """Draw the choice and return it. A method that needs no TPRs may still name the run it is to be compared with."""
    if not method.needs and not method.params:  # the unweighted method is itself the baseline
        return Source(NOTHING)
    frame = candidates(dataset, spec)
    labels = {str(i): f"Run {i}: {name}" for i, name in zip(frame["id"].tolist(), frame["name"].tolist(), strict=True)}
    needed = "tpr" in method.needs
    options = [*labels, *((TRAIN_FIRST, GIVEN) if needed else (NOTHING,))]
    texts = {TRAIN_FIRST: "Train a baseline first, same settings", GIVEN: "TPRs of my own, pasted or a file", NOTHING: "None"}
    if st.session_state.get("new_baseline") not in options:
        plain = frame[frame["method"] == launch.unweighted()]  # a baseline in the strict sense is the better guess
        st.session_state["new_baseline"] = str(plain["id"].iloc[0]) if len(plain) else options[0]
    chosen = st.selectbox("TPRs from" if needed else "Baseline to compare with", options, format_func=lambda o: labels.get(o) or texts[o], key="new_baseline",
                          persist_state="session", help=HELP_NEEDED if needed else HELP_COMPARE)
    if chosen in (TRAIN_FIRST, NOTHING):
        return Source(chosen)
    return given(spec) if chosen == GIVEN else from_run(int(chosen), spec)


def from_run(run_id: int, spec: DataSpec) -> Source:
    """The validation TPRs of a finished run on the same classes."""
    row = reads.run(run_id)
    if tuple(reads.class_names(row)) != tuple(spec.classes):
        st.error(f"Run {run_id} was trained on other classes than this dataset has now. Choose another run.", icon=":material/error:")
        return Source(GIVEN)
    counts = reads.counts(row, "validation")
    return Source("run", row, reads.tpr_of(counts), counts.support.astype(float), f"run {run_id}")


def given(spec: DataSpec) -> Source:
    """TPRs pasted or from a CSV file; a problem is told at once and nothing can start."""
    text = st.text_area("TPRs", key="new_tpr_text", placeholder="class,tpr\ncat,0.65\ndog,0.73", height=110, persist_state="page",
                        help="One number per class in class order, or lines of class and TPR, each from 0 to 1.")
    file = st.file_uploader("or a CSV file", type=["csv", "txt"], key="new_tpr_file", max_upload_size=1)
    data = file.getvalue() if file else text
    if not data or not data.strip():
        st.caption(f"{len(spec.classes)} numbers are needed, one per class.")
        return Source(GIVEN)
    try:
        values, support = parse(data, spec.classes)
    except EvenlyError as error:
        st.error(words.message(str(error)), icon=":material/error:")
        return Source(GIVEN)
    return Source(GIVEN, None, values, support, file.name if file else "pasted TPRs")
