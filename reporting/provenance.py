"""Where a run's TPRs come from, as text; also if the run they came from was deleted. Needs no Streamlit."""

from __future__ import annotations

import csv
import io

from core.methods import METHODS, takes_tprs
from reporting.run_report import StoredRun


def needs_network(method: str) -> bool:
    """Whether a run of this method takes the network of its baseline: a second stage or a post-hoc step."""
    return method in METHODS and "network" in METHODS[method].needs


def orphaned(row: StoredRun) -> bool:
    """Whether the run that this one takes its network from was deleted, so that it can never resume."""
    return row.baseline_id is None and needs_network(row.method)


def evidence_origin(row: StoredRun) -> str:
    """Where a run's TPRs come from: "weights from run 13", "TPRs of run 13, deleted", "TPRs given: pasted TPRs"; "" for
    a run without a baseline or TPRs."""
    weighted = takes_tprs(row.config.method, row.config.params)
    if row.baseline_id is not None:
        return f"weights from run {row.baseline_id}" if weighted else f"baseline run {row.baseline_id}"
    source = row.facts.evidence.origin
    if deleted := deleted_baseline(row):
        return f"TPRs of run {deleted}, deleted" if weighted else f"baseline run {deleted}, deleted"
    return f"TPRs given: {source}" if source and weighted else ""


def deleted_baseline(row: StoredRun) -> int | None:
    """The number of the deleted run whose TPRs this one took; None if there is none."""
    given = row.config.tpr is not None  # their origin is a file name, which may look like a run
    return None if given or row.baseline_id is not None else row.facts.evidence.run


def tprs_as_text(row: StoredRun) -> str:
    """The TPRs that a run took, wherever they came from, as lines of class, TPR and support in the format of New run.

    "" if its method takes none or none are stored.
    """
    tpr, support, names = row.facts.evidence.tpr, row.facts.evidence.support, row.facts.classes
    if not takes_tprs(row.config.method, row.config.params) or tpr is None:
        return ""
    columns = {"tpr": map(_number, tpr)} | ({} if support is None else {"support": map(_number, support)})
    if not any(
        name.startswith("#") for name in names
    ):  # would be read as a comment; the order identifies the class too
        columns = {"class": names} | columns
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows(zip(*columns.values(), strict=True))
    return out.getvalue().strip()


def _number(value: float | None) -> str:
    """In full precision, so that the weights are the same; a missing one is nan."""
    return "nan" if value is None else f"{value:.0f}" if value == int(value) and value > 1 else repr(float(value))
