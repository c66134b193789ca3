"""Where a run's TPRs come from, in words; also when the run they were taken from is gone. Needs no Streamlit."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from core.experiment.baseline import takes_tprs
from core.methods import METHODS
from reporting.run_report import StoredRun


def goes_on_from(method: str) -> bool:
    """Whether the method needs the network of its baseline: a second stage or a post-hoc step."""
    return method in METHODS and "network" in METHODS[method].needs


def orphaned(row: StoredRun) -> bool:
    """Whether this run can never go on, because the run whose network it needs was deleted."""
    return row.baseline_id is None and goes_on_from(row.method)


def in_words(row: StoredRun) -> str:
    """ "weights from run 13", "TPRs of run 13, deleted", "TPRs given: pasted TPRs"; "" for a run without a baseline or TPRs."""
    weighted = takes_tprs(row.config)
    if row.baseline_id is not None:
        return f"weights from run {row.baseline_id}" if weighted else f"baseline run {row.baseline_id}"
    source = _evidence(row).get("from") or ""
    if gone := deleted_baseline(row):
        return f"TPRs of run {gone}, deleted" if weighted else f"baseline run {gone}, deleted"
    return f"TPRs given: {source}" if source and weighted else ""


def deleted_baseline(row: StoredRun) -> int | None:
    """The number of the run whose TPRs this one took and which is gone; None where there is none."""
    given = row.config.tpr is not None  # their name is what a person called a file
    found = None if given or row.baseline_id is not None else re.match(r"run (\d+)\b", _evidence(row).get("from") or "")
    return int(found[1]) if found else None


def as_text(row: StoredRun) -> str:
    """The TPRs that the run was started with as lines of class, TPR and support, as New run reads them.

    "" where its method takes none or none are stored.
    """
    evidence, names = _evidence(row), (row.facts or {}).get("classes", [])
    tpr, support = evidence.get("tpr"), evidence.get("support")
    if not takes_tprs(row.config) or tpr is None:
        return ""
    columns = {"tpr": map(_number, tpr)} | ({} if support is None else {"support": map(_number, support)})
    if not any(
        name.startswith("#") for name in names
    ):  # such a line would be read as a remark; the order alone says it too
        columns = {"class": names} | columns
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows(zip(*columns.values(), strict=True))
    return out.getvalue().strip()


def _evidence(row: StoredRun) -> dict[str, Any]:
    return (row.facts or {}).get("evidence") or {}


def _number(value: float | None) -> str:
    """With every digit, so that the same weights follow; a missing one is nan."""
    return "nan" if value is None else f"{value:.0f}" if value == int(value) and value > 1 else repr(float(value))
