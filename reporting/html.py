"""Runs and comparisons as one HTML file."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from core import formatting
from core.comparison.pairing import listed
from core.comparison.seed_statistics import OverSeeds
from core.metrics.readings import Change
from core.serialization import plain
from reporting.run_report import RunReport, class_rows, pair_measures, pair_rows
from reporting.tables import FIGURES_TOLD, figure_rows, more_changes, more_rows, more_told, told

SCHEMES = ("light", "dark")  # what a reader's browser may prefer
Picture = tuple[
    str, Mapping[str, Mapping[str, Any]], str, str
]  # heading, Plotly figure as a dict by SCHEMES, text for those who do not see it, what its marks are
Listing = tuple[
    str, Sequence[str], Sequence[Sequence[str]], str
]  # heading, column heads, rows, what it is; all plain text
Setting = Sequence[str]  # a setting in words: its label, then its value on each side


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
