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
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import digits
from core.metrics import ClassMetrics, Counts, Summary, metrics_from_counts, summary_from_counts
from core.noise import limits
from core.over_seeds import OverSeeds
from core.plain import plain

RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
Picture = tuple[str, Mapping[str, Any], str]  # heading, Plotly figure as a dict, text for those who do not see it
Setting = Sequence[str]  # a setting in words: its label, then its value on each side


@dataclass(frozen=True)
class RunReport:
    """What an export says of one run: integer counts [C] of one split at one epoch, and the settings that made it.

    top5  samples whose class was among the five highest scores; None where not counted
    """

    id: int
    name: str
    split: str
    epoch: int
    classes: Sequence[str]
    support: Counts
    tp: Counts
    predicted: Counts
    weight: NDArray[np.float64] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    top5: int | None = None

    @cached_property
    def metrics(self) -> ClassMetrics:
        """TPR, precision and F1 per class [C]; NaN where undefined."""
        return metrics_from_counts(self.tp, self.support, self.predicted)

    @cached_property
    def summary(self) -> Summary:
        """All that is reported of the whole split."""
        return summary_from_counts(self.tp, self.support, self.predicted, self.top5)


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


def _dump(value: Any) -> str:
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def class_rows(run: RunReport) -> list[dict[str, Any]]:
    """One row per class: counts, TPR with its 95 % Wilson interval, precision, F1, weight."""
    m, (low, high) = run.metrics, limits(run.tp, run.support)
    return [{
        "class": name, "support": int(m.support[c]), "true_positives": int(m.tp[c]), "predicted": int(m.predicted[c]),
        "tpr": float(m.tpr[c]), "tpr_low": float(low[c]), "tpr_high": float(high[c]), "precision": float(m.precision[c]), "f1": float(m.f1[c]),
        "weight": None if run.weight is None else float(run.weight[c]),
    } for c, name in enumerate(run.classes)]


def run_csv(run: RunReport) -> str:
    """One line per class of the run's split."""
    rows = class_rows(run)
    return to_csv(list(rows[0]), [list(r.values()) for r in rows])


def _run(run: RunReport) -> dict[str, Any]:
    return {"id": run.id, "name": run.name, "split": run.split, "epoch": run.epoch, "summary": asdict(run.summary), "config": run.config,
            "facts": run.facts, "classes": class_rows(run)}


def run_json(run: RunReport) -> str:
    """Settings, facts, summary and class rows of one run."""
    return _dump({"format": "evenly-run", "version": 1, **_run(run)})


def pair_rows(before: RunReport, after: RunReport) -> list[dict[str, Any]]:
    """One row per class of two runs on the same classes: TPRs, their intervals and the change, precision and F1."""
    (bl, bh), (al, ah) = limits(before.tp, before.support), limits(after.tp, after.support)
    b, a = before.metrics, after.metrics
    return [{
        "class": name, "support_before": int(b.support[c]), "support_after": int(a.support[c]),
        "tpr_before": float(b.tpr[c]), "before_low": float(bl[c]), "before_high": float(bh[c]),
        "tpr_after": float(a.tpr[c]), "after_low": float(al[c]), "after_high": float(ah[c]), "change": float(a.tpr[c] - b.tpr[c]),
        "precision_before": float(b.precision[c]), "precision_after": float(a.precision[c]), "f1_before": float(b.f1[c]), "f1_after": float(a.f1[c]),
        "weight_after": None if after.weight is None else float(after.weight[c]),
    } for c, name in enumerate(before.classes)]


def seed_rows(over: OverSeeds | None) -> list[dict[str, Any]]:
    """One row per class of the means over seeds and the mean change with its 95 % interval; none without them."""
    return [] if over is None else [{
        "mean_before": r.before, "mean_after": r.after, "mean_change": r.gain, "mean_change_low": r.gain_low, "mean_change_high": r.gain_high,
        "mean_precision_before": r.precision_before, "mean_precision_after": r.precision_after, "mean_f1_before": r.f1_before, "mean_f1_after": r.f1_after,
    } for r in over.rows]


def comparison_csv(before: RunReport, after: RunReport, over: OverSeeds | None = None) -> str:
    """One line per class of two runs, and of the means over seeds where there are some."""
    rows, means = pair_rows(before, after), seed_rows(over)
    if means:
        rows = [{**row, **mean} for row, mean in zip(rows, means, strict=True)]
    return to_csv(list(rows[0]), [list(r.values()) for r in rows])


def comparison_json(before: RunReport, after: RunReport, verdict: str, cautions: Sequence[str] = (), over: OverSeeds | None = None) -> str:
    """Both runs with their settings under their own keys, the verdict, what makes the comparison unfair, the paired class rows, the means over seeds."""
    return _dump({"format": "evenly-comparison", "version": 1, "verdict": verdict, "cautions": list(cautions), "before": _run(before),
                  "after": _run(after), "classes": pair_rows(before, after), "over_seeds": None if over is None else asdict(over)})


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
        data = json.dumps(plain(figure), allow_nan=False).replace("<", "\\u003c")
        parts.append(
            f'<h2>{html.escape(heading)}</h2><div class="picture" id="p{i}" role="img" aria-label="{html.escape(alt, quote=True)}"></div>'
            f"<script>(f => Plotly.newPlot('p{i}', f.data, f.layout, {{displaylogo:false,displayModeBar:false,responsive:true}}))({data})</script>")
    return "".join(parts)


def _page(title: str, lead: str, parts: Sequence[str]) -> str:
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
            f'<p class="lead">{html.escape(lead)}</p>{"".join(parts)}</body></html>\n')


FIGURES_TOLD = (  # what a table says of a run or of means, in words
    ("accuracy, %", "accuracy"), ("balanced accuracy, %", "balanced_accuracy"), ("macro F1, %", "macro_f1"), ("top-5 accuracy, %", "top5"),
    ("spread, points", "tpr_spread"), ("TPR variance", "tpr_variance"), ("lowest TPR, %", "tpr_min"), ("highest TPR, %", "tpr_max"),
)


def told(summary: Summary) -> list[tuple[str, str]]:
    """(label, value in words) for all that is reported of a split; top-5 accuracy only where it was counted."""
    values = [(label, name, getattr(summary, name)) for label, name in FIGURES_TOLD]
    return [(label, in_words(name, value)) for label, name, value in values if value is not None]


def in_words(name: str, value: float) -> str:
    """A figure without its unit, as its label names it."""
    if math.isnan(value):
        return "–"
    if name == "tpr_variance":
        return digits.variance(value)
    return digits.points(value) if name == "tpr_spread" else f"{100 * value:.1f}"


def _summary(runs: Sequence[RunReport]) -> str:
    """All figures, one row each, a column per run."""
    columns = [dict(told(run.summary)) for run in runs]
    labels = [label for label, _ in FIGURES_TOLD if any(label in column for column in columns)]
    rows = [["samples", *(f"{run.summary.n:,}" for run in runs)], *([label, *(column.get(label, "–") for column in columns)] for label in labels),
            ["epoch", *(str(run.epoch) for run in runs)]]
    return _table(("figure", *(f"{run.id} {run.name}" for run in runs)), rows)


def _settings(heading: str, head: Sequence[str], rows: Sequence[Setting]) -> str:
    return f"<h2>{html.escape(heading)}</h2>" + (_table(head, [[_cell(cell) for cell in row] for row in rows]) if rows else "<p>None.</p>")


def figure_rows(over: OverSeeds) -> list[list[str]]:
    """FIGURES_TOLD over the seeds in words: mean ± standard deviation before and after, change, 95 % interval."""
    out = []
    for label, name in (row for row in FIGURES_TOLD if row[1] in over.figures):
        f = over.figures[name]
        if name == "tpr_variance":
            sides = [digits.variance_with_sd(mean, sd) for mean, sd in ((f.before, f.before_sd), (f.after, f.after_sd))]
            change, low, high = digits.variances((f.change, f.low, f.high))
        else:
            places = max(min(digits.places(100 * v, 1), 4) for v in (f.before, f.after))
            sides = [f"{100 * mean:.{places}f} ± {100 * sd:.{places}f}" for mean, sd in ((f.before, f.before_sd), (f.after, f.after_sd))]
            change, low, high = digits.alike([100 * v for v in (f.change, f.low, f.high)], places)
        out.append([label, *sides, change, f"{low} to {high}"])
    return out


def _over_seeds(over: OverSeeds | None) -> str:
    """The means over seeds as a part of a page; "" without them."""
    if over is None:
        return ""
    b, a = len(over.before), len(over.after)
    which = f"{b} seeds, each trained both ways" if over.paired else f"{b} seeds before and {a} after"
    return (f"<h2>Over seeds</h2><p>Mean ± standard deviation over {which}; below, the two runs of this page.</p>"
            + _table(("figure", "before", "after", "change", "95 % interval"), [[c.replace("-", "−") for c in row] for row in figure_rows(over)]))


def run_html(run: RunReport, settings: Sequence[Setting] = (), pictures: Sequence[Picture] = ()) -> str:
    """One run as a page of its own; `settings` in words, (label, value)."""
    rows = [[_cell(r["class"]), f"{r['support']:,}", _percent(r["tpr"]), f"{_percent(r['tpr_low'])} to {_percent(r['tpr_high'])}",
             _percent(r["precision"]), _percent(r["f1"]), _cell(r["weight"])]
            for r in class_rows(run)]
    return _page(f"Run {run.id}: {run.name}", f"Figures of the {run.split} split after epoch {run.epoch}.", [
        _summary([run]), _pictures(pictures),
        "<h2>Classes</h2>", _table(("class", "samples", "TPR", "95 % interval", "precision", "F1", "weight"), rows),
        _settings("Settings", ("setting", "value"), settings)])


def comparison_html(
    before: RunReport, after: RunReport, verdict: str, cautions: Sequence[str] = (), settings: Sequence[Setting] = (), pictures: Sequence[Picture] = (),
    over: OverSeeds | None = None,
) -> str:
    """Two runs side by side as a page of its own; `settings` that differ in words, (label, before, after)."""
    rows = []
    for r in pair_rows(before, after):
        change, sign = r["change"], "gain" if r["change"] >= 0 else "loss"
        text = "–" if math.isnan(change) else f"{100 * change:+.1f}".replace("-", "−")
        rows.append([_cell(r["class"]), _percent(r["tpr_before"]), _percent(r["tpr_after"]), f'<span class="{sign}">{text}</span>',
                     *(_percent(r[key]) for key in ("precision_before", "precision_after", "f1_before", "f1_after")), _cell(r["weight_after"])])
    return _page(f"{before.name} and {after.name}", verdict, [
        *(f'<p class="caution">{html.escape(text)}</p>' for text in cautions),
        _over_seeds(over), _summary([before, after]), _pictures(pictures),
        f"<h2>Classes{', the two runs' if over else ''}</h2>", _table(
            ("class", "TPR before", "TPR after", "change, points", "precision before", "precision after", "F1 before", "F1 after", "weight after"), rows),
        _settings("Settings that differ", ("setting", "before", "after"), settings)])
