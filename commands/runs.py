"""Commands that read runs: list, show, export."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands import terminal
from commands.tables import Json
from commands.terminal import clean, emit, listing, paragraph, table
from core.errors import EvenlyError
from core.experiment.config import SETTINGS
from core.experiment.states import STATES, UNSUCCESSFUL, event_word
from core.formatting import number
from core.methods import trains
from core.split_names import SPLITS
from reporting import numbers
from reporting.numbers import in_percent, percent

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from core.metrics.readings import Score
    from reporting.run_report import RunReport
    from storage.results.run_records import ListedRun
    from storage.results.runs import RunRow

MOST = 2**63 - 1  # largest integer the database accepts


def run_number(text: str) -> int:
    """Parse a run number; any other text raises BadParameter."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        raise typer.BadParameter(f"{text[:40]!r} is not a run number; `python cli.py runs` lists them")
    return int(text)


RunId = Annotated[int, typer.Argument(metavar="RUN", parser=run_number, help="The number of a run")]
Alpha = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        help="Two classes: alpha of the weighted score alpha TPR + (1 - alpha) TNR, 0 to 1; default: 0.5",
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS", help="Two classes: the positive class; default: the class with the fewest training samples"
    ),
]


Part = StrEnum("Part", SPLITS[::-1])  # the test split is the usual one


class Format(StrEnum):
    csv = "csv"
    json = "json"
    html = "html"


_opened: list[Engine] = []


def database() -> Engine:
    """The migrated database; `close_databases` closes it."""
    from storage.db.connection import open_database
    from storage.db.migrate import upgrade

    _opened.append(open_database())
    upgrade(_opened[-1])
    return _opened[-1]


def close_databases() -> None:
    """At the end of a command."""
    while _opened:
        _opened.pop().dispose()


def run_list(rows: Sequence[ListedRun]) -> None:
    """Print a table with a line per run."""
    listing(
        ("run", "status", "epochs", "accuracy", "variance", "min TPR", "name"),
        [
            (
                str(r.id),
                STATES[r.status].word,
                f"{r.last_epoch}/{r.epochs}",
                percent(r.accuracy),
                numbers.variance(r.tpr_variance),
                percent(r.tpr_min),
                r.name,
            )
            for r in rows
        ],
    )


def run_dict(engine: Engine, row: RunRow, score: Score | None = None) -> dict[str, Any]:
    """A run with its settings, facts, and the figures of its test split after the last epoch: overall and per class."""
    from reporting.csv_json import readings_dict
    from reporting.run_report import class_rows
    from services.comparison import report

    found = replace(report(engine, row), score=score) if row.last_epoch else None
    columns = {f.name: getattr(row, f.name) for f in fields(row) if f.name not in ("config", "facts")}
    return {
        **columns,
        "config": row.config.stored(),
        "facts": row.facts.stored(),
        "summary": asdict(found.summary) if found else {},
        "measures": readings_dict(found.measures) if found else {},
        "classes": class_rows(found) if found else [],
    }


def runs(
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="Only runs with this status")] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only runs with this text in name, tags, note or settings")
    ] = None,
    archived: Annotated[bool, typer.Option("--archived", help="List archived runs instead")] = False,
    as_json: Json = False,
) -> None:
    """All runs, newest first."""
    from storage.results import list_runs

    frame = list_runs(database(), archived=archived, status=status, text=text)
    if as_json:
        emit(frame.to_dict("records"))
    elif frame.empty:
        print("no runs; start one with `run`, or try `demo`" if status is text is None else "no matching runs")
    else:
        run_list(list(frame.itertuples()))


def asked_score(row: RunRow, alpha: float | None, positive: str | None) -> Score | None:
    """The requested weighted score; EvenlyError if the run has not exactly two classes or has not started."""
    from core.metrics.readings import score_for

    if (alpha is not None or positive is not None) and not row.facts.classes:
        raise EvenlyError(
            f"run {row.id} has not started, so it has no weighted score yet; leave out --alpha and --positive, or wait for its first epoch"
        )
    return score_for(row.facts.classes, alpha, positive)


def show(run_id: RunId, alpha: Alpha = None, positive: Positive = None, as_json: Json = False) -> None:
    """One run: settings, figures per class, measures, log."""
    from core.diagnostics.run_warnings import oscillating
    from reporting import text
    from services import comparison
    from storage import results
    from storage.jobs import events

    engine = database()
    row = results.get_run(engine, run_id)
    log, score = events.log_of(engine, run_id), asked_score(row, alpha, positive)
    if as_json:
        emit({**run_dict(engine, row, score), "log": [asdict(e) for e in log]})
        return
    run_list([row])
    if row.error:
        print(paragraph(f"error: {row.error}"))
    print(paragraph(settings_line(row)))
    if row.last_epoch:
        figures(replace(comparison.report(engine, row), score=score))
        if found := oscillating(
            f"run {row.id}", row.config, results.class_history(engine, row.id, "validation").weight
        ):
            print(paragraph(text.of(found)))
    for event in log[-10:]:
        said = event.text.strip().splitlines()
        print(
            f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}  {event_word(event.kind):<10}{clean(said[-1]) if said else ''}"
        )


def measured(engine: Engine, run_id: int) -> RunRow:
    """A run that has figures or may still get some; one that ended before its first epoch raises EvenlyError."""
    from storage.results import get_run

    row = get_run(engine, run_id)
    if not row.last_epoch and row.status in UNSUCCESSFUL:
        raise EvenlyError(
            f"run {run_id} {STATES[row.status].clause} before its first epoch, so it has no figures; resume it or choose another run"
        )
    return row


def settings_line(row: RunRow) -> str:
    """The settings of a run on one line: "dataset digits, model mlp, method tpr_ratio (exponent 2), ..."."""
    from reporting.settings_text import NESTED, tprs_from

    nested = {owner: params for params, owner in NESTED.items()}
    words = []
    trained = trains(row.method)
    for key in ("dataset", "model", *nested, *(p.key for p in SETTINGS if trained or p.key != "epochs")):
        params = getattr(row.config, nested[key]) if key in nested else {}
        inner = ", ".join(f"{k} {short(v)}" for k, v in params.items())
        words.append(f"{key} {short(getattr(row.config, key))}" + (f" ({inner})" if inner else ""))
    if not trained:
        return ", ".join(words) + (f", applied to run {row.baseline_id}" if row.baseline_id else "")
    origin = tprs_from(row)
    return ", ".join(words) + (f", TPRs of {origin}" if origin else "")


def short(value: float | str | None) -> str:
    """A setting without unneeded digits; a dash where it has none."""
    return numbers.DASH if value is None else number(value) if isinstance(value, float) else str(value)


def figures(run: RunReport) -> None:
    """Print the test split: per class, then overall."""
    from reporting.run_report import class_rows
    from reporting.tables import more_reading_rows, summary_rows

    table(
        ("class", "samples", "TPR", "95 % interval", "precision", "F1", "weight"),
        [
            [
                r["class"],
                str(r["support"]),
                in_percent(r["tpr"]),
                f"{in_percent(r['tpr_low'])} to {in_percent(r['tpr_high'])}",
                in_percent(r["precision"]),
                in_percent(r["f1"]),
                numbers.weight(r["weight"]),
            ]
            for r in class_rows(run)
        ],
        "Test split; TPR, precision and F1 in %",
    )
    table(("summary", f"run {run.id}"), summary_rows(run.summary))
    table(("measure", f"run {run.id}"), more_reading_rows(run))


def export(
    run_id: RunId,
    fmt: Annotated[
        Format, typer.Option("--format", help="csv: a line per class; json; html: a page that needs no network")
    ] = Format.csv,
    split: Annotated[Part, typer.Option("--split", help="validation: what `run --tpr` reads")] = Part.test,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to a file instead of standard output")] = None,
) -> None:
    """A run's figures per class as CSV, JSON or HTML."""
    from reporting.csv_json import run_csv, run_json
    from reporting.html_pages import run_page  # the report of the pages, with its charts; needs no streamlit
    from services.comparison import report

    engine = database()
    text = {"csv": run_csv, "json": run_json, "html": run_page}[fmt](
        report(engine, measured(engine, run_id), split.value)
    )
    if out is None:
        sys.stdout.write(text)
    else:
        terminal.save(out, text)
        print(f"wrote {clean(str(out))}")
