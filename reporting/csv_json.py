"""Runs and comparisons as CSV and JSON. Pure functions, text out.

A CSV cell that a spreadsheet would read as a formula gets a leading apostrophe; numbers stay.
Source: OWASP, CSV injection; CWE-1236.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from core.comparison.compare import Comparison
from core.comparison.seed_statistics import OverSeeds
from core.metrics.readings import Change, Reading
from core.serialization import plain
from reporting import readings_text, text
from reporting.run_report import Row, RunReport, class_rows, pair_measures, pair_rows, seed_rows

Cell = str | float | None
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe_cell(cell: Cell) -> Cell:
    """A CSV cell: numbers as they are, NaN and None empty, risky text with a leading apostrophe."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, str) and cell.startswith(RISKY):
        return "'" + cell
    return cell


def to_csv(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """RFC 4180 text with every cell made safe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([safe_cell(c) for c in columns])
    writer.writerows([[safe_cell(c) for c in row] for row in rows])
    return out.getvalue()


def _dump(value: object) -> str:
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def readings_dict(found: Sequence[Reading]) -> dict[str, dict[str, Any]]:
    """A run's readings for JSON: key -> label, value and, where there is one, the number of classes or the class."""
    return {
        r.key: {
            "label": readings_text.reading_label(r),
            "value": r.value,
            **_known(classes=r.classes, **{"class": r.of or None}, alpha=r.alpha),
        }
        for r in found
    }


def changes_dict(found: Sequence[Change]) -> dict[str, dict[str, Any]]:
    """The readings of two runs for JSON: key -> label, before, after, change and, where there is one, the number of
    classes or the class on each side."""
    return {
        c.key: {
            "label": readings_text.reading_label(c),
            "before": c.before,
            "after": c.after,
            "change": c.change,
            **_known(
                classes=c.classes, class_before=c.of_before or None, class_after=c.of_after or None, alpha=c.alpha
            ),
        }
        for c in found
    }


def _known(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def run_csv(run: RunReport) -> str:
    """A run as CSV: one line per class with the name of the split; the measures of the whole split, `split_*`, repeat
    on each line."""
    whole = {f"split_{r.key}": r.value for r in run.measures}
    rows = [{**_of_split(row, run), **whole} for row in class_rows(run)]
    return to_csv(list(rows[0]), [list(r.values()) for r in rows])


def _of_split(row: Row, run: RunReport) -> Row:
    """The row with its split after the class, so that test TPRs in a file are recognized when it is read again."""
    return {"class": row["class"], "split": run.split, **row}


def _run(run: RunReport) -> dict[str, object]:
    return {
        "id": run.id,
        "name": run.name,
        "split": run.split,
        "epoch": run.epoch,
        "summary": asdict(run.summary),
        "measures": readings_dict(run.measures),
        "config": run.config.stored(),
        "facts": run.facts.stored(),
        "classes": class_rows(run),
    }


def run_json(run: RunReport) -> str:
    """A run as JSON: settings, facts, summary, measures and class rows."""
    return _dump({"format": "evenly-run", "version": 1, **_run(run)})


def _whole(changes: Sequence[Change], over: OverSeeds | None) -> dict[str, float]:
    """The measures of whole splits as columns: `split_*` of the two runs and `mean_split_*` over the seeds."""
    pair = {f"split_{c.key}_{when}": getattr(c, when) for c in changes for when in ("before", "after")}
    return pair | {
        f"mean_split_{key}_{when}": getattr(f, when)
        for key, f in (over.measures if over else {}).items()
        for when in ("before", "after", "change")
    }


def comparison_csv(before: RunReport, after: RunReport, over: OverSeeds | None = None) -> str:
    """Two runs as CSV: one line per class, with the means over seeds if there are any.

    The measures of the whole split repeat on each line.
    """
    rows, means, whole = pair_rows(before, after), seed_rows(over), _whole(pair_measures(before, after), over)
    rows = [
        {**_of_split(row, before), **mean, **whole} for row, mean in zip(rows, means or [{}] * len(rows), strict=True)
    ]
    return to_csv(list(rows[0]), [list(r.values()) for r in rows])


def comparison_dict(c: Comparison) -> dict[str, Any]:
    """A comparison of test splits as plain values for JSON, findings as sentences; undefined numbers are None."""
    values = asdict(c)
    classes = [{"class": row.pop("name"), **row} for row in values.pop("rows")]
    worded = {name: text.lines(getattr(c, name)) for name in ("notes", "cautions", "mixed")}
    summary = {when: {**asdict(s), "tpr_spread": s.tpr_spread} for when, s in c.summary.items()}
    measures = changes_dict(c.measures)
    values |= {"verdict": text.of(c.verdict), **worded, "summary": summary, "measures": measures}
    return plain({**values, "split": "test", "classes": classes})


def comparison_json(
    before: RunReport, after: RunReport, verdict: str, cautions: Sequence[str] = (), over: OverSeeds | None = None
) -> str:
    """Two runs as JSON: their settings, the verdict, the cautions, the paired measures and class rows, and the means over seeds."""
    return _dump(
        {
            "format": "evenly-comparison",
            "version": 1,
            "verdict": verdict,
            "cautions": list(cautions),
            "before": _run(before),
            "after": _run(after),
            "measures": changes_dict(pair_measures(before, after)),
            "classes": pair_rows(before, after),
            "over_seeds": None if over is None else asdict(over),
        }
    )
