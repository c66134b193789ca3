"""Exports of a run and of a comparison: CSV, JSON and one self-contained HTML file. Pure functions, text out.

The HTML holds its script and style itself and opens without a network. Names a person typed are escaped in HTML and
made harmless in CSV (a cell that a spreadsheet would read as a formula gets a leading apostrophe; numbers stay).
Source: OWASP, CSV injection; CWE-1236.
"""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.noise import limits

RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
Picture = tuple[str, Mapping[str, Any], str]  # heading, Plotly figure as a dict, text for those who do not see it
Setting = Sequence[str]  # a setting in words: its label, then its value on each side


@dataclass(frozen=True)
class RunReport:
    """What an export says of one run: integer counts [C] of one split at one epoch, and the settings that made it."""

    id: int
    name: str
    split: str
    epoch: int
    classes: Sequence[str]
    support: NDArray[np.int64]
    tp: NDArray[np.int64]
    predicted: NDArray[np.int64]
    weight: NDArray[np.float64] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tpr(self) -> NDArray[np.float64]:
        """TPR per class [C]; NaN where the split holds no sample of the class."""
        support = self.support.astype(float)
        return np.divide(self.tp, support, out=np.full(len(support), np.nan), where=support > 0)

    @property
    def summary(self) -> dict[str, float | int]:
        """Accuracy and the TPRs' mean, population variance, minimum and maximum over the classes with samples."""
        t, n = self.tpr[self.support > 0], int(self.support.sum())
        if not n:
            return {"n": 0}
        return {"n": n, "accuracy": float(self.tp.sum() / n), "tpr_mean": float(t.mean()), "tpr_variance": float(t.var()),
                "tpr_min": float(t.min()), "tpr_max": float(t.max())}


def safe(cell: Any) -> Any:
    """A CSV cell: numbers as they are, NaN and None empty, risky text with a leading apostrophe."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, str) and cell.startswith(RISKY):
        return "'" + cell
    return cell


def to_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """RFC 4180 text with every cell made safe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([safe(c) for c in columns])
    writer.writerows([[safe(c) for c in row] for row in rows])
    return out.getvalue()


def _plain(value: Any) -> Any:
    """JSON-ready: arrays as lists, numpy scalars as numbers, NaN as null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _dump(value: Any) -> str:
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def class_rows(run: RunReport) -> list[dict[str, Any]]:
    """One row per class: counts, TPR with its 95 % Wilson interval, weight."""
    low, high = limits(run.tp, run.support)
    return [{
        "class": name, "support": int(run.support[c]), "true_positives": int(run.tp[c]), "predicted": int(run.predicted[c]),
        "tpr": float(run.tpr[c]), "tpr_low": float(low[c]), "tpr_high": float(high[c]),
        "weight": None if run.weight is None else float(run.weight[c]),
    } for c, name in enumerate(run.classes)]


def run_csv(run: RunReport) -> str:
    """One line per class of the run's split."""
    rows = class_rows(run)
    return to_csv(list(rows[0]), [list(r.values()) for r in rows])


def _run(run: RunReport) -> dict[str, Any]:
    return {"id": run.id, "name": run.name, "split": run.split, "epoch": run.epoch, "summary": run.summary, "config": run.config,
            "facts": run.facts, "classes": class_rows(run)}


def run_json(run: RunReport) -> str:
    """Settings, facts, summary and class rows of one run."""
    return _dump({"format": "evenly-run", "version": 1, **_run(run)})


def pair_rows(before: RunReport, after: RunReport) -> list[dict[str, Any]]:
    """One row per class of two runs on the same classes: TPRs, their intervals and the change."""
    (bl, bh), (al, ah) = limits(before.tp, before.support), limits(after.tp, after.support)
    b, a = before.tpr, after.tpr
    return [{
        "class": name, "support_before": int(before.support[c]), "support_after": int(after.support[c]),
        "tpr_before": float(b[c]), "before_low": float(bl[c]), "before_high": float(bh[c]),
        "tpr_after": float(a[c]), "after_low": float(al[c]), "after_high": float(ah[c]), "change": float(a[c] - b[c]),
        "weight_after": None if after.weight is None else float(after.weight[c]),
    } for c, name in enumerate(before.classes)]


def comparison_csv(before: RunReport, after: RunReport) -> str:
    """One line per class of two runs."""
    rows = pair_rows(before, after)
    return to_csv(list(rows[0]), [list(r.values()) for r in rows])


def comparison_json(before: RunReport, after: RunReport, verdict: str, cautions: Sequence[str] = ()) -> str:
    """Both runs with their settings under their own keys, the verdict, what makes the comparison unfair, and the paired class rows."""
    return _dump({"format": "evenly-comparison", "version": 1, "verdict": verdict, "cautions": list(cautions), "before": _run(before),
                  "after": _run(after), "classes": pair_rows(before, after)})


_STYLE = """
body{font:16px/1.5 "Source Sans",system-ui,sans-serif;color:#1C2430;background:#fff;max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2rem 0 .4rem}.lead{font-size:1.1rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid #E6EAF0}
th:first-child,td:first-child{text-align:left}thead th{color:#4A5465;font-weight:600}.wrap{overflow-x:auto}.gain{color:#00664B}.loss{color:#9A3E00}
.caution{border-left:4px solid #D55E00;padding-left:.8rem}
@media (prefers-color-scheme:dark){body{color:#E8ECF2;background:#14181D}th,td{border-color:#333C48}thead th{color:#AEB8C6}.gain{color:#5AD6B0}.loss{color:#FFA866}
.picture{background:#fff;border-radius:8px;padding:8px}}
"""


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return html.escape(str(value))


def _percent(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells come escaped already; the head is our own text."""
    top = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in head)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="wrap"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _pictures(pictures: Sequence[Picture]) -> str:
    """Plotly figures with the library inside the page, once. `</` in data cannot end the script."""
    if not pictures:
        return ""
    from plotly.offline import get_plotlyjs

    parts = [f"<script>{get_plotlyjs()}</script>"]
    for i, (heading, figure, alt) in enumerate(pictures):
        data = json.dumps(_plain(figure), allow_nan=False).replace("<", "\\u003c")
        parts.append(
            f'<h2>{html.escape(heading)}</h2><div class="picture" id="p{i}" role="img" aria-label="{html.escape(alt, quote=True)}"></div>'
            f"<script>(f => Plotly.newPlot('p{i}', f.data, f.layout, {{displaylogo:false,displayModeBar:false,responsive:true}}))({data})</script>")
    return "".join(parts)


def _page(title: str, lead: str, parts: Sequence[str]) -> str:
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
            f'<p class="lead">{html.escape(lead)}</p>{"".join(parts)}</body></html>\n')


def _summary_row(run: RunReport) -> list[str]:
    s = run.summary
    return [html.escape(f"{run.id} {run.name}"), f"{s['n']:,}", _percent(s.get("accuracy")), f"{100 * math.sqrt(s.get('tpr_variance', math.nan)):.1f}",
            f"{s.get('tpr_variance', math.nan):.4f}", _percent(s.get("tpr_min")), str(run.epoch)]


def _settings(heading: str, head: Sequence[str], rows: Sequence[Setting]) -> str:
    return f"<h2>{html.escape(heading)}</h2>" + (_table(head, [[_cell(cell) for cell in row] for row in rows]) if rows else "<p>None.</p>")


_SUMMARY = ("run", "samples", "accuracy", "spread, points", "TPR variance", "lowest TPR", "epoch")


def run_html(run: RunReport, settings: Sequence[Setting] = (), pictures: Sequence[Picture] = ()) -> str:
    """One run as a page of its own; `settings` in words, (label, value)."""
    rows = [[_cell(r["class"]), f"{r['support']:,}", _percent(r["tpr"]), f"{_percent(r['tpr_low'])} to {_percent(r['tpr_high'])}", _cell(r["weight"])]
            for r in class_rows(run)]
    return _page(f"Run {run.id}: {run.name}", f"Figures of the {run.split} split after epoch {run.epoch}.", [
        _table(_SUMMARY, [_summary_row(run)]), _pictures(pictures),
        "<h2>Classes</h2>", _table(("class", "samples", "TPR", "95 % interval", "weight"), rows),
        _settings("Settings", ("setting", "value"), settings)])


def comparison_html(
    before: RunReport, after: RunReport, verdict: str, cautions: Sequence[str] = (), settings: Sequence[Setting] = (), pictures: Sequence[Picture] = (),
) -> str:
    """Two runs side by side as a page of its own; `settings` that differ in words, (label, before, after)."""
    rows = []
    for r in pair_rows(before, after):
        change, sign = r["change"], "gain" if r["change"] >= 0 else "loss"
        text = "–" if math.isnan(change) else f"{100 * change:+.1f}".replace("-", "−")
        rows.append([_cell(r["class"]), _percent(r["tpr_before"]), _percent(r["tpr_after"]), f'<span class="{sign}">{text}</span>', _cell(r["weight_after"])])
    return _page(f"{before.name} and {after.name}", verdict, [
        *(f'<p class="caution">{html.escape(text)}</p>' for text in cautions),
        _table(_SUMMARY, [_summary_row(before), _summary_row(after)]), _pictures(pictures),
        "<h2>Classes</h2>", _table(("class", "TPR before", "TPR after", "change, points", "weight after"), rows),
        _settings("Settings that differ", ("setting", "before", "after"), settings)])
