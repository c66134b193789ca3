"""The command that compares two runs, or the means over their seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.runs import Alpha, Positive, asked_score, database, measured, run_number
from commands.tables import Json
from commands.terminal import emit, paragraph, table
from reporting import numbers
from reporting.numbers import percent, signed_points

if TYPE_CHECKING:
    from core.comparison.compare import Comparison
    from storage.results.runs import RunRow

BeforeId = Annotated[
    int, typer.Argument(metavar="RUN_BEFORE", parser=run_number, help="The run to compare with, usually the baseline")
]
AfterId = Annotated[int, typer.Argument(metavar="RUN_AFTER", parser=run_number, help="The run to assess")]


def compare(
    before: BeforeId,
    after: AfterId,
    pair: Annotated[
        bool, typer.Option("--pair", help="Compare these two runs alone, even if there are means over seeds")
    ] = False,
    alpha: Alpha = None,
    positive: Positive = None,
    as_json: Json = False,
) -> None:
    """Compare two runs on the same classes.

    Shows the TPRs of the test split, the summary with its measures, the settings that differ, and whether the change exceeds noise. If both
    sides have several seeds, the tables show the means over them.
    """
    from core.comparison.compare import compare as compared
    from core.comparison.compare import with_score
    from reporting import text
    from reporting.csv_json import comparison_dict
    from reporting.settings_text import differing
    from services.comparison import side

    engine = database()
    a, b = measured(engine, before), measured(engine, after)
    found = compared(side(engine, a), side(engine, b))
    if score := asked_score(b, alpha, positive):
        found = with_score(found, score)
    notes = text.lines([*found.cautions, *found.notes])
    if as_json:
        emit({**comparison_dict(found), **two_runs(a, b), "notes": notes})
        return
    pair_tables(found, a, b) if pair or found.over_seeds is None else seed_tables(found)
    for setting, x, y in differing(a, b):
        print(paragraph(f"{setting}: {x} -> {y}"))
    for line in (*notes, text.of(found.verdict)):
        print(paragraph(line))


def two_runs(a: RunRow, b: RunRow) -> dict[str, Any]:
    """The two runs of a comparison and the settings that differ, for scripts."""
    from core.experiment.config_diff import config_differences

    sides = {
        key: {"id": r.id, "name": r.name, "status": r.status, "seed": r.seed, "epoch": r.last_epoch}
        for key, r in (("before", a), ("after", b))
    }
    settings = [{"setting": k, "before": x, "after": y} for k, x, y in config_differences(a.config, b.config)]
    return {**sides, "settings": settings}


def pair_tables(found: Comparison, a: RunRow, b: RunRow) -> None:
    """Print the two runs, per class and overall."""
    from reporting.tables import SUMMARY_FIGURES, figure_text, more_change_rows

    table(
        ("class", f"run {a.id}", f"run {b.id}", "change, points"),
        [[r.name, percent(r.before), percent(r.after), signed_points(r.gain)] for r in found.rows],
    )
    before, after = found.summary["before"], found.summary["after"]
    known = [
        (label, name, getattr(before, name), getattr(after, name))
        for label, name in SUMMARY_FIGURES
        if getattr(before, name) is not None
    ]
    table(
        ("summary", f"run {a.id}", f"run {b.id}", "change"),
        [
            [
                label,
                figure_text(name, x),
                figure_text(name, y),
                numbers.variance_change(x, y) if name == "tpr_variance" else signed_points(y - x),
            ]
            for label, name, x, y in known
        ],
    )
    table(("measure", f"run {a.id}", f"run {b.id}", "change"), more_change_rows(found.measures))


def seed_tables(found: Comparison) -> None:
    """Print the means over seeds with the 95 % intervals of their changes; `--pair` shows the two runs."""
    from reporting.tables import figures_over_seeds, further_measures_over_seeds

    over = found.over_seeds
    b, a = (", ".join(map(str, seeds)) for seeds in (over.before, over.after))
    which = f"paired seeds {b}" if over.paired else f"seeds {b} before and {a} after"
    columns = ("before", "after", "change", "95 % interval")
    print(paragraph(f"Means over {which}, in the summary ± standard deviation; --pair shows these two runs"))
    table(
        ("class", *columns),
        [
            [
                r.name,
                percent(r.before),
                percent(r.after),
                signed_points(r.gain),
                f"{signed_points(r.gain_low)} to {signed_points(r.gain_high)}",
            ]
            for r in over.rows
        ],
    )
    table(("summary", *columns), figures_over_seeds(over))
    table(("measure", *columns), further_measures_over_seeds(over, found.measures))
