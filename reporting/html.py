"""Runs and comparisons as one HTML file: its content. Layout and style are in templates/report.html.j2.

The file contains its script and style and opens offline. The template escapes all text, so typed names stay text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from core.comparison.seed_statistics import OverSeeds
from core.formatting import listed
from core.metrics.readings import Change
from core.serialization import plain
from reporting import numbers, text
from reporting.figure import Figure
from reporting.numbers import DASH, minus, percent
from reporting.run_report import RunReport, class_rows, pair_measures, pair_rows
from reporting.tables import (
    figures_over_seeds,
    further_measures_over_seeds,
    more_change_rows,
    more_reading_rows,
    summary_rows_of_runs,
)

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).with_name("templates")
Picture = tuple[
    str, Mapping[str, Figure], str, str
]  # heading, Plotly figure as a dict by color scheme, light and dark, alt text, caption
Listing = tuple[str, Sequence[str], Sequence[Sequence[str]], str]  # heading, column headers, rows, note; all plain text
Setting = Sequence[str]  # a setting as text: its label, then its value on each side


class Toned(NamedTuple):
    """A colored cell: "gain" or "loss"."""

    text: str
    tone: str


@dataclass(frozen=True)
class Section:
    """A table below its heading, with a note in between; without rows the page shows "None."."""

    heading: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Toned]]
    note: str = ""


def run_html(run: RunReport, settings: Sequence[Setting] = (), pictures: Sequence[Picture] = ()) -> str:
    """One run as the content of an HTML page; `settings` as text, (label, value)."""
    rows = [
        [
            r["class"],
            f"{r['support']:,}",
            _percent(r["tpr"]),
            f"{_percent(r['tpr_low'])} to {_percent(r['tpr_high'])}",
            _percent(r["precision"]),
            _percent(r["f1"]),
            numbers.weight(r["weight"]),
        ]
        for r in class_rows(run)
    ]
    return _page(
        f"Run {run.id}: {run.name}",
        f"Metrics of the {run.split} split after epoch {run.epoch}.",
        above=[_summary("", [run])],
        pictures=pictures,
        below=[
            Section("Classes", ("class", "samples", "TPR", "95 % interval", "precision", "F1", "weight"), rows),
            Section("Settings", ("setting", "value"), settings),
        ],
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
    """Two runs side by side as the content of an HTML page.

    settings  those that differ as text, (label, before, after); `common` those that do not, (label, value)
    made      when the page was created, as text
    praise    whether gains are colored: not if something other than the weighting may explain them
    tables    further tables, below the charts
    """
    measures = pair_measures(before, after)
    return _page(
        f"{before.name} and {after.name}",
        verdict,
        cautions,
        above=[
            _trained(before, after, over, common, made),
            *([] if over is None else [_over_seeds(over, measures)]),
            _summary("Whole split, each run", [before, after]),
        ],
        pictures=pictures,
        below=[
            *(Section(*listing) for listing in tables),
            _classes(before, after, f"Classes{', the two runs' if over else ''}", praise),
            Section("Settings that differ", ("setting", "before", "after"), settings),
        ],
    )


# ---------------------------------------------------------------- sections


def _summary(heading: str, runs: Sequence[RunReport]) -> Section:
    """All metrics, one row each, a column per run."""
    measures = (
        more_reading_rows(runs[0]) if len(runs) == 1 else [row[:3] for row in more_change_rows(pair_measures(*runs))]
    )
    rows = [
        ["samples", *(f"{run.summary.n:,}" for run in runs)],
        *summary_rows_of_runs([run.summary for run in runs]),
        *measures,
        ["epoch", *(str(run.epoch) for run in runs)],
    ]
    return Section(heading, ("metric", *(f"{run.id} {run.name}" for run in runs)), rows)


def _trained(
    before: RunReport, after: RunReport, over: OverSeeds | None, common: Sequence[Setting], made: str
) -> Section:
    """What both runs share, the samples behind the metrics, and when the page was created."""
    n = [run.summary.n for run in (before, after)]
    epochs = f"epoch {before.epoch}" if before.epoch == after.epoch else f"epochs {before.epoch} and {after.epoch}"
    samples = listed(f"{v:,}" for v in dict.fromkeys(n))
    rows = [("Metrics of", f"{before.split} split, {samples} samples, after {epochs}"), *common]
    if over is not None:
        rows += [("Seeds", f"{text.numbered('seed', over.before)} before, {text.numbered('seed', over.after)} after")]
    if made:
        rows += [("Page created", made)]
    return Section("What was trained", ("both runs", "value"), rows)


def _over_seeds(over: OverSeeds, changes: Sequence[Change]) -> Section:
    """The means over seeds."""
    b, a = len(over.before), len(over.after)
    which = f"{b} seeds on both sides" if over.paired else f"{b} seeds before and {a} after"
    rows = [
        [label, *map(minus, cells)]
        for label, *cells in (*figures_over_seeds(over), *further_measures_over_seeds(over, changes))
    ]
    note = f"Mean ± standard deviation over {which}. Below: the two runs of this page."
    return Section("Over seeds", ("metric", "before", "after", "change", "95 % interval"), rows, note)


def _classes(before: RunReport, after: RunReport, heading: str, praise: bool) -> Section:
    """One row per class, the changes of the TPRs colored."""
    shares = ("precision_before", "precision_after", "f1_before", "f1_after")
    rows = [
        [
            r["class"],
            _percent(r["tpr_before"]),
            _percent(r["tpr_after"]),
            _gain(r["change"], praise),
            *(_percent(r[key]) for key in shares),
            numbers.weight(r["weight_after"]),
        ]
        for r in pair_rows(before, after)
    ]
    head = ("class", "TPR before", "TPR after", "change, points", *(_label(key) for key in shares), "weight after")
    return Section(heading, head, rows)


def _label(key: str) -> str:
    """precision_before -> "precision before", f1_after -> "F1 after"."""
    return key.replace("f1", "F1").replace("_", " ")


# ---------------------------------------------------------------- cells


def _percent(value: float | None) -> str:
    """A share in percent without a line break before the sign."""
    return percent(value).replace(" ", "\N{NO-BREAK SPACE}")


def _gain(change: float, praise: bool) -> str | Toned:
    """A change of a TPR in points, colored by its sign as shown: one that rounds to 0 has no color."""
    if math.isnan(change):
        return DASH
    text = numbers.points(change)
    tone = {"+": "gain" if praise else "", "−": "loss"}.get(text[0], "")
    return Toned(text, tone) if tone else text


# ---------------------------------------------------------------- the page


def _page(
    title: str,
    lead: str,
    cautions: Sequence[str] = (),
    *,
    above: Sequence[Section],
    pictures: Sequence[Picture],
    below: Sequence[Section],
) -> str:
    """Cautions come before the lead, charts between the sections.

    Plotly's library is included once, if there is a chart.
    """
    return _template().render(
        title=title,
        lead=lead,
        cautions=cautions,
        above=above,
        pictures=[(heading, plain(figures), alt, marks) for heading, figures, alt, marks in pictures],
        plotly=_plotly() if pictures else "",
        below=below,
    )


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


@cache
def _template() -> Template:
    """The template. All text is escaped, `</` in the data of a figure cannot end its script, an undefined name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # imported only when a report is requested

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}  # and keep the key order of the figure
    return environment.get_template("report.html.j2")
