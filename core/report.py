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

from core import formatting
from core.comparison.pairing import listed
from core.comparison.seed_statistics import OverSeeds
from core.metrics import readings as measured
from core.metrics import tables
from core.metrics.classification import ClassMetrics, Counts, Summary, metrics_from_counts, summary_from_counts
from core.metrics.intervals import limits
from core.metrics.readings import Change, Reading, Score, Split, readings, training_counts
from core.serialization import plain

RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
SCHEMES = ("light", "dark")  # what a reader's browser may prefer
Picture = tuple[
    str, Mapping[str, Mapping[str, Any]], str, str
]  # heading, Plotly figure as a dict by SCHEMES, text for those who do not see it, what its marks are
Listing = tuple[
    str, Sequence[str], Sequence[Sequence[str]], str
]  # heading, column heads, rows, what it is; all plain text
Setting = Sequence[str]  # a setting in words: its label, then its value on each side


@dataclass(frozen=True)
class RunReport:
    """What an export says of one run: integer counts [C] of one split at one epoch, and the settings that made it.

    top5   samples whose class was among the five highest scores; None where not counted
    ece    expected calibration error of the split; None where not recorded
    score  alpha and positive class of the weighted score of two classes; None: as `core.metrics.readings.Score` has them
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
    ece: float | None = None
    score: Score | None = None

    @cached_property
    def metrics(self) -> ClassMetrics:
        """TPR, precision and F1 per class [C]; NaN where undefined."""
        return metrics_from_counts(self.tp, self.support, self.predicted)

    @cached_property
    def summary(self) -> Summary:
        """All that is reported of the whole split."""
        return summary_from_counts(self.tp, self.support, self.predicted, self.top5)

    @cached_property
    def measured(self) -> Split:
        """What its measures are made of."""
        return Split(self.metrics, self.classes, training_counts(self.facts), self.ece)

    @cached_property
    def measures(self) -> tuple[Reading, ...]:
        """Its measures for unequal classes, in order."""
        return readings(self.measured, self.score)


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
    return [
        {
            "class": name,
            "support": int(m.support[c]),
            "true_positives": int(m.tp[c]),
            "predicted": int(m.predicted[c]),
            "tpr": float(m.tpr[c]),
            "tpr_low": float(low[c]),
            "tpr_high": float(high[c]),
            "precision": float(m.precision[c]),
            "f1": float(m.f1[c]),
            "weight": None if run.weight is None else float(run.weight[c]),
        }
        for c, name in enumerate(run.classes)
    ]


def run_csv(run: RunReport) -> str:
    """One line per class of the run's split, which each names; the measures of the whole split, `split_*`, are the same on each."""
    whole = {f"split_{r.key}": r.value for r in run.measures}
    rows = [{**_of_split(row, run), **whole} for row in class_rows(run)]
    return to_csv(list(rows[0]), [list(r.values()) for r in rows])


def _of_split(row: Mapping[str, Any], run: RunReport) -> dict[str, Any]:
    """A row that names its split right after its class, so that test figures in a file are known as such when it is read again."""
    return {"class": row["class"], "split": run.split, **row}


def _run(run: RunReport) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "split": run.split,
        "epoch": run.epoch,
        "summary": asdict(run.summary),
        "measures": tables.as_dict(run.measures),
        "config": run.config,
        "facts": run.facts,
        "classes": class_rows(run),
    }


def run_json(run: RunReport) -> str:
    """Settings, facts, summary, measures and class rows of one run."""
    return _dump({"format": "evenly-run", "version": 1, **_run(run)})


def pair_rows(before: RunReport, after: RunReport) -> list[dict[str, Any]]:
    """One row per class of two runs on the same classes: TPRs, their intervals and the change, precision and F1."""
    (bl, bh), (al, ah) = limits(before.tp, before.support), limits(after.tp, after.support)
    b, a = before.metrics, after.metrics
    return [
        {
            "class": name,
            "support_before": int(b.support[c]),
            "support_after": int(a.support[c]),
            "tpr_before": float(b.tpr[c]),
            "before_low": float(bl[c]),
            "before_high": float(bh[c]),
            "tpr_after": float(a.tpr[c]),
            "after_low": float(al[c]),
            "after_high": float(ah[c]),
            "change": float(a.tpr[c] - b.tpr[c]),
            "precision_before": float(b.precision[c]),
            "precision_after": float(a.precision[c]),
            "f1_before": float(b.f1[c]),
            "f1_after": float(a.f1[c]),
            "weight_after": None if after.weight is None else float(after.weight[c]),
        }
        for c, name in enumerate(before.classes)
    ]


def pair_measures(before: RunReport, after: RunReport) -> tuple[Change, ...]:
    """The measures of two runs on the same classes beside each other, in order; the weighted score as `after` asks for it."""
    return measured.changes(before.measured, after.measured, after.score)


def _whole(changes: Sequence[Change], over: OverSeeds | None) -> dict[str, float]:
    """The measures of whole splits as columns: `split_*` of the two runs and `mean_split_*` over the seeds."""
    pair = {f"split_{c.key}_{when}": getattr(c, when) for c in changes for when in ("before", "after")}
    return pair | {
        f"mean_split_{key}_{when}": getattr(f, when)
        for key, f in (over.measures if over else {}).items()
        for when in ("before", "after", "change")
    }


def seed_rows(over: OverSeeds | None) -> list[dict[str, Any]]:
    """One row per class of the means over seeds and the mean change with its 95 % interval; none without them."""
    return (
        []
        if over is None
        else [
            {
                "mean_before": r.before,
                "mean_after": r.after,
                "mean_change": r.gain,
                "mean_change_low": r.gain_low,
                "mean_change_high": r.gain_high,
                "mean_precision_before": r.precision_before,
                "mean_precision_after": r.precision_after,
                "mean_f1_before": r.f1_before,
                "mean_f1_after": r.f1_after,
            }
            for r in over.rows
        ]
    )


def comparison_csv(before: RunReport, after: RunReport, over: OverSeeds | None = None) -> str:
    """One line per class of two runs, and of the means over seeds where there are some.

    The measures of the whole split are the same on each line.
    """
    rows, means, whole = pair_rows(before, after), seed_rows(over), _whole(pair_measures(before, after), over)
    rows = [
        {**_of_split(row, before), **mean, **whole} for row, mean in zip(rows, means or [{}] * len(rows), strict=True)
    ]
    return to_csv(list(rows[0]), [list(r.values()) for r in rows])


def comparison_json(
    before: RunReport, after: RunReport, verdict: str, cautions: Sequence[str] = (), over: OverSeeds | None = None
) -> str:
    """Both runs with their settings under their own keys, the verdict, and what makes the comparison unfair.

    Beside these the paired measures and class rows, and the means over seeds.
    """
    return _dump(
        {
            "format": "evenly-comparison",
            "version": 1,
            "verdict": verdict,
            "cautions": list(cautions),
            "before": _run(before),
            "after": _run(after),
            "measures": tables.changes_as_dict(pair_measures(before, after)),
            "classes": pair_rows(before, after),
            "over_seeds": None if over is None else asdict(over),
        }
    )


_STYLE = """
body{font:16px/1.5 "Source Sans",system-ui,sans-serif;color:#1C2430;background:#fff;max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2rem 0 .4rem}.lead{font-size:1.1rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid #E6EAF0}
th:first-child,td:first-child{text-align:left}thead th{color:#4A5465;font-weight:600}\
.wrap{overflow-x:auto}.gain{color:#00664B}.loss{color:#9A3E00}
.caution{border-left:4px solid #D55E00;padding-left:.8rem}
@media (prefers-color-scheme:dark){body{color:#E8ECF2;background:#14181D}th,td{border-color:#333C48}\
thead th{color:#AEB8C6}.gain{color:#5AD6B0}.loss{color:#FFA866}}
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


_DRAWN = """
const dark = matchMedia('(prefers-color-scheme: dark)')
function drawn(id, figures) {
  const draw = () => { const f = dark.matches ? figures.dark : figures.light
    Plotly.newPlot(id, f.data, f.layout, {displaylogo: false, displayModeBar: false, responsive: true}) }
  dark.addEventListener('change', draw)
  draw()
}
"""


def _pictures(pictures: Sequence[Picture]) -> str:
    """Plotly figures with the library inside the page, once, in the colours that the reader's browser prefers.

    `</` in data cannot end the script.
    """
    if not pictures:
        return ""
    from plotly.offline import get_plotlyjs

    parts = [f"<script>{get_plotlyjs()}</script><script>{_DRAWN}</script>"]
    for i, (heading, figure, alt, marks) in enumerate(pictures):
        data = json.dumps(plain(figure), allow_nan=False).replace("<", "\\u003c")
        parts.append(
            f'<h2>{html.escape(heading)}</h2><div class="picture" id="p{i}" role="img" aria-label="{html.escape(alt, quote=True)}"></div>'
            f"<script>drawn('p{i}', {data})</script>" + (f"<p>{html.escape(marks)}</p>" if marks else "")
        )
    return "".join(parts)


def _page(title: str, lead: str, first: Sequence[str], parts: Sequence[str]) -> str:
    """`first` stands above the lead."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
        f'{"".join(first)}<p class="lead">{html.escape(lead)}</p>{"".join(parts)}</body></html>\n'
    )


FIGURES_TOLD = (  # what a table says of a run or of means, in words
    ("accuracy, %", "accuracy"),
    ("balanced accuracy, %", "balanced_accuracy"),
    ("macro F1, %", "macro_f1"),
    ("top-5 accuracy, %", "top5"),
    ("spread, points", "tpr_spread"),
    ("TPR variance", "tpr_variance"),
    ("lowest TPR, %", "tpr_min"),
    ("highest TPR, %", "tpr_max"),
)


TOLD_ALREADY = {name for _, name in FIGURES_TOLD}


def told(summary: Summary) -> list[tuple[str, str]]:
    """(label, value in words) for all that is reported of a split; top-5 accuracy only where it was counted."""
    values = [(label, name, getattr(summary, name)) for label, name in FIGURES_TOLD]
    return [(label, in_words(name, value)) for label, name, value in values if value is not None]


def in_words(name: str, value: float) -> str:
    """A figure without its unit, as its label names it."""
    if math.isnan(value):
        return "–"
    if name == "tpr_variance":
        return formatting.variance(value)
    return formatting.points(value) if name == "tpr_spread" else f"{100 * value:.1f}"


def more_told(run: RunReport) -> list[tuple[str, str]]:
    """(label, value in words) of the measures that `told` does not tell."""
    return [
        (_small(label), value) for label, value in tables.told([r for r in run.measures if r.key not in TOLD_ALREADY])
    ]


def more_changes(changes: Sequence[Change]) -> list[tuple[str, str, str, str]]:
    """(label, before, after, difference) of the measures that FIGURES_TOLD does not name."""
    return [
        (_small(label), *cells)
        for label, *cells in tables.told_changes([c for c in changes if c.key not in TOLD_ALREADY])
    ]


def _small(label: str) -> str:
    """A label inside a list of small ones; a name or an abbreviation stays as it is."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def _summary(runs: Sequence[RunReport]) -> str:
    """All figures, one row each, a column per run."""
    columns = [dict(told(run.summary)) for run in runs]
    labels = [label for label, _ in FIGURES_TOLD if any(label in column for column in columns)]
    measures = more_told(runs[0]) if len(runs) == 1 else [row[:3] for row in more_changes(pair_measures(*runs))]
    rows = [
        ["samples", *(f"{run.summary.n:,}" for run in runs)],
        *([label, *(column.get(label, "–") for column in columns)] for label in labels),
        *([html.escape(cell) for cell in row] for row in measures),
        ["epoch", *(str(run.epoch) for run in runs)],
    ]
    return _table(("figure", *(f"{run.id} {run.name}" for run in runs)), rows)


def _settings(heading: str, head: Sequence[str], rows: Sequence[Setting]) -> str:
    return f"<h2>{html.escape(heading)}</h2>" + (
        _table(head, [[_cell(cell) for cell in row] for row in rows]) if rows else "<p>None.</p>"
    )


def figure_rows(over: OverSeeds) -> list[list[str]]:
    """FIGURES_TOLD over the seeds in words: mean ± standard deviation before and after, change, 95 % interval."""
    out = []
    for label, name in (row for row in FIGURES_TOLD if row[1] in over.figures):
        f = over.figures[name]
        if name == "tpr_variance":
            sides = [
                formatting.variance_with_sd(mean, sd) for mean, sd in ((f.before, f.before_sd), (f.after, f.after_sd))
            ]
            change, low, high = formatting.variances((f.change, f.low, f.high))
        else:
            places = max(min(formatting.places(100 * v, 1), 4) for v in (f.before, f.after))
            sides = [
                f"{100 * mean:.{places}f} ± {100 * sd:.{places}f}"
                for mean, sd in ((f.before, f.before_sd), (f.after, f.after_sd))
            ]
            change, low, high = formatting.alike([100 * v for v in (f.change, f.low, f.high)], places)
        out.append([label, *sides, change, f"{low} to {high}"])
    return out


def measure_rows(over: OverSeeds, changes: Sequence[Change]) -> list[list[str]]:
    """The measures over the seeds in words, as `figure_rows` gives FIGURES_TOLD; of those that every run has."""
    out = []
    for c in (c for c in changes if c.key in over.measures):
        f, words = over.measures[c.key], tables.WORDS[c.unit]
        change, low, high = words.alike((f.change, f.low, f.high))
        out.append(
            [
                tables.named(c),
                words.with_sd(f.before, f.before_sd),
                words.with_sd(f.after, f.after_sd),
                change,
                f"{low} to {high}",
            ]
        )
    return out


def more_rows(over: OverSeeds, changes: Sequence[Change]) -> list[list[str]]:
    """Of `measure_rows` those that `figure_rows` does not give; over seeds the worst class has no name, so it is the lowest TPR."""
    return [
        [_small(label), *cells]
        for label, *cells in measure_rows(over, [c for c in changes if c.key not in {*TOLD_ALREADY, measured.WORST}])
    ]


def _over_seeds(over: OverSeeds | None, changes: Sequence[Change]) -> str:
    """The means over seeds as a part of a page; "" without them."""
    if over is None:
        return ""
    b, a = len(over.before), len(over.after)
    which = f"{b} seeds, each trained both ways" if over.paired else f"{b} seeds before and {a} after"
    return (
        f"<h2>Over seeds</h2><p>Mean ± standard deviation over {which}; below, the two runs of this page.</p>"
        + _table(
            ("figure", "before", "after", "change", "95 % interval"),
            [
                [label, *(c.replace("-", "−") for c in cells)]
                for label, *cells in (*figure_rows(over), *more_rows(over, changes))
            ],
        )
    )


def run_html(run: RunReport, settings: Sequence[Setting] = (), pictures: Sequence[Picture] = ()) -> str:
    """One run as a page of its own; `settings` in words, (label, value)."""
    rows = [
        [
            _cell(r["class"]),
            f"{r['support']:,}",
            _percent(r["tpr"]),
            f"{_percent(r['tpr_low'])} to {_percent(r['tpr_high'])}",
            _percent(r["precision"]),
            _percent(r["f1"]),
            _cell(r["weight"]),
        ]
        for r in class_rows(run)
    ]
    return _page(
        f"Run {run.id}: {run.name}",
        f"Figures of the {run.split} split after epoch {run.epoch}.",
        [],
        [
            _summary([run]),
            _pictures(pictures),
            "<h2>Classes</h2>",
            _table(("class", "samples", "TPR", "95 % interval", "precision", "F1", "weight"), rows),
            _settings("Settings", ("setting", "value"), settings),
        ],
    )


def _gain(change: float, praise: bool) -> str:
    """A change of a TPR in points, coloured by the sign that it is written with: one that rounds to none has no colour."""
    if math.isnan(change):
        return "–"
    text = formatting.signed(100 * change, 1).replace("-", "−")
    sign = {"+": "gain" if praise else "", "−": "loss"}.get(text[0], "")
    return f'<span class="{sign}">{text}</span>' if sign else text


def _trained(before: RunReport, after: RunReport, over: OverSeeds | None, common: Sequence[Setting], made: str) -> str:
    """What both runs share, which samples the figures are of, and when the page was made."""
    n = [run.summary.n for run in (before, after)]
    epochs = f"epoch {before.epoch}" if before.epoch == after.epoch else f"epochs {before.epoch} and {after.epoch}"
    rows = [
        (
            "Figures of",
            f"{before.split} split, {' and '.join(f'{v:,}' for v in dict.fromkeys(n))} samples, after {epochs}",
        ),
        *common,
    ]
    if over is not None:
        rows += [("Seeds", f"{listed(over.before, 'seed')} before, {listed(over.after, 'seed')} after")]
    return _settings("What was trained", ("both runs", "value"), [*rows, *([("Page made", made)] if made else [])])


def _listing(heading: str, head: Sequence[str], rows: Sequence[Sequence[str]], what: str) -> str:
    return f"<h2>{html.escape(heading)}</h2><p>{html.escape(what)}</p>" + _table(
        head, [[html.escape(cell) for cell in row] for row in rows]
    )


def comparison_html(
    before: RunReport,
    after: RunReport,
    verdict: str,
    cautions: Sequence[str] = (),
    settings: Sequence[Setting] = (),
    pictures: Sequence[Picture] = (),
    over: OverSeeds | None = None,
    *,
    common: Sequence[Setting] = (),
    made: str = "",
    praise: bool = True,
    tables: Sequence[Listing] = (),
) -> str:
    """Two runs side by side as a page of its own.

    settings  those that differ in words, (label, before, after); `common` those that do not, (label, value)
    made      when the page was made, in words
    praise    whether a gain is coloured as one: not where something else than the weighting may have made it
    tables    further tables, below the pictures
    """
    rows = []
    for r in pair_rows(before, after):
        rows.append(
            [
                _cell(r["class"]),
                _percent(r["tpr_before"]),
                _percent(r["tpr_after"]),
                _gain(r["change"], praise),
                *(_percent(r[key]) for key in ("precision_before", "precision_after", "f1_before", "f1_after")),
                _cell(r["weight_after"]),
            ]
        )
    return _page(
        f"{before.name} and {after.name}",
        verdict,
        ["".join(f'<p class="caution">{html.escape(text)}</p>' for text in cautions)],
        [
            _trained(before, after, over, common, made),
            _over_seeds(over, pair_measures(before, after)),
            "<h2>The whole split, run by run</h2>",
            _summary([before, after]),
            _pictures(pictures),
            *(_listing(*listing) for listing in tables),
            f"<h2>Classes{', the two runs' if over else ''}</h2>",
            _table(
                (
                    "class",
                    "TPR before",
                    "TPR after",
                    "change, points",
                    "precision before",
                    "precision after",
                    "F1 before",
                    "F1 after",
                    "weight after",
                ),
                rows,
            ),
            _settings("Settings that differ", ("setting", "before", "after"), settings),
        ],
    )
