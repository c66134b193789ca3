"""docs/results.md and its picture from results/methods.csv. The page's text is benchmarks/results.md.jinja; every figure, and every
method that a sentence names, is computed from the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from scipy import stats

from benchmarks import methods_schema as schema
from benchmarks.methods_picture import picture
from benchmarks.methods_schema import BASELINE, FIGURES, TABLES
from core.methods import METHODS
from core.methods.method import POSTHOC, TRAIN
from docs.generate import table

PAGE = schema.ROOT / "docs" / "results.md"
PICTURE = schema.ROOT / "docs" / "pictures" / "results.svg"
LEVEL = 0.05
NEGLIGIBLE = 0.1  # of the baseline's variance
PLANNED = 10  # replicates of every row
LEAST = 3  # replicates for an interval: two differences may agree by chance
UNSURE = " (not after Holm)"
HEAD = (
    "method | n | accuracy, % | balanced accuracy, % | TPR variance | min TPR, % "
    "| change in variance (95 %) | Holm p | change in accuracy, points (95 %) | what it shows"
)


# -- figures -----------------------------------------------------------------------------------------------------


def changes(difference: pd.Series) -> pd.DataFrame:
    """mean, low, high and p of the paired differences of each `name` in the index: 95 % t interval, p of the paired t test.

    Differences without spread have p 1 at 0 and p 0 elsewhere.
    """
    found = difference.groupby(level="name").agg(["mean", "sem", "count"])
    half = found["sem"] * stats.t.ppf(0.975, found["count"] - 1)
    p = 2 * stats.t.sf(found["mean"].abs() / found["sem"], found["count"] - 1)
    found["p"] = np.where(half > 0, p, found["mean"] == 0)
    return found.assign(low=found["mean"] - half, high=found["mean"] + half)[["mean", "low", "high", "p"]]


def holm(p: pd.Series) -> pd.Series:
    """Holm's adjusted p: in rising order (m - i) p_i, made monotone, at most 1. Source: Holm (1979)."""
    rising = p.sort_values(kind="stable")
    return (rising * np.arange(len(p), 0, -1)).cummax().clip(upper=1).reindex(p.index)


def cells_of(rows: pd.DataFrame) -> pd.DataFrame:
    """method, params, errors and kind of each cell, by name, in the order of the rows."""
    cells = rows.groupby("name", sort=False)
    found = cells[["method", "params"]].first()
    found["errors"] = cells["error"].agg(lambda errors: "; ".join(filter(None, errors.unique())))
    stage = {TRAIN: "trained", POSTHOC: "post-hoc"}
    found["kind"] = [stage.get(METHODS[method].stage, "second stage") for method in found["method"]]
    found.loc[found.index.str.startswith("sampler"), "kind"] = "sampler"
    found.loc[found.index == BASELINE, "kind"] = "baseline"
    return found


def with_baselines(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """FIGURES by name and seed of the replicates whose seed has a baseline, and those of their baselines, line by line."""
    done = rows[rows["error"] == ""].set_index(["name", "seed"])[FIGURES].astype(float).sort_index()
    base = done[done.index.get_level_values("name") == BASELINE].droplevel("name")
    done = done[done.index.get_level_values("seed").isin(base.index)]
    return done, base.loc[done.index.get_level_values("seed")].set_axis(done.index)


def judged(change: pd.DataFrame, tested: pd.Series, negligible: pd.Series | float) -> pd.DataFrame:
    """Changes of a figure with `holm`, Holm's p over those that are tested, and `shows`, what each shows (see results_of)."""
    low, high = change["low"], change["high"]
    adjusted = holm(change.loc[tested, "p"]).reindex(change.index)
    unsure = np.where(adjusted < LEVEL, "", UNSURE).astype(object)
    cases = {"": ~tested, "lower": high < 0, "higher": low > 0, "no effect": np.maximum(-low, high) <= negligible}
    shows = np.select(list(cases.values()), ["", "lower" + unsure, "higher" + unsure, "no effect"], "open")
    return change.assign(holm=adjusted, shows=shows)


def results_of(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for each cell of one table's rows of the CSV, in their order, with Holm's correction over those that have a test.

    name, method, params, kind  the cell
    n, errors                   replicates with a baseline of their own seed, what failed
    each, then FIGURES          the figures of the replicates [n, 4], and their means
    base, same                  the baselines' mean variance; whether every figure of every replicate is the baseline's own
    tested                      whether there are enough replicates for an interval
    v, v_low, v_high, v_p, v_holm  change of the variance, NaN without one; a, a_low, ... of the accuracy
    v_shows, a_shows            "lower" or "higher", UNSURE after it where only its own interval says so; "no effect"; "open":
                                the interval includes 0 and more than is negligible; "" without a test
    v_lower, v_higher, ...      whether it is lower or higher, by its own interval at least
    """
    rows = rows.assign(name=[schema.name_of(row) for row in rows.to_dict("records")], seed=rows["seed"].astype(int))
    found = cells_of(rows)
    done, theirs = with_baselines(rows)
    by_name = done.groupby(level="name")
    found["n"] = by_name.size().reindex(found.index, fill_value=0)
    found["each"] = pd.Series({name: mine.to_numpy() for name, mine in by_name}, dtype=object)
    found[FIGURES] = by_name.agg(lambda values: values.to_numpy().mean())
    found["base"] = theirs["tpr_variance"].groupby(level="name").mean()
    found["same"] = (done == theirs).all(axis=1).groupby(level="name").all().reindex(found.index, fill_value=False)

    found["tested"] = (found["n"] >= LEAST) & (found.index != BASELINE)
    for key, figure, small in (("v", "tpr_variance", NEGLIGIBLE * found["base"]), ("a", "accuracy", 0.0)):
        change = changes(done[figure] - theirs[figure]).reindex(found.index).where(found["tested"])
        change = judged(change, found["tested"] & ~found["same"], small)
        found[[key, *(f"{key}_{what}" for what in change.columns[1:])]] = change
        found[f"{key}_lower"] = change["shows"].str.startswith("lower")
        found[f"{key}_higher"] = change["shows"].str.startswith("higher")
    return found.reset_index()


def tables_of(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Key of a table -> its results, for those of which something is measured."""
    tables = {key: results_of(mine) for key in TABLES if len(mine := rows[rows["table"] == key])}
    return {key: found for key, found in tables.items() if found["n"].any()}


# -- the page ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """A table as the page's template sees it."""

    setting: schema.Setting
    found: pd.DataFrame

    def rows(self, query: str, by: str = "v") -> list[pd.Series]:
        """The rows that a pandas query selects, sorted by a column."""
        return [row for _, row in self.found.query(query).sort_values(by, kind="stable").iterrows()]

    def listed(self, query: str) -> str:
        """Those rows with their changes, the largest reduction of the variance first."""
        return "; ".join(map(changed, self.rows(query))) or "none"

    def names(self, query: str, between: str = "; ") -> str:
        """Their names alone."""
        return between.join(row["name"] for row in self.rows(query)) or "none"

    @property
    def replicates(self) -> str:
        """ "10 replicates" or "4 to 5 replicates" a row."""
        low, high = self.least, self.found["n"].max()
        return f"{low} replicate{'s' if low > 1 else ''}" if low == high else f"{low} to {high} replicates"

    @property
    def least(self) -> int:
        return self.found.query("n > 0")["n"].min()

    @property
    def half_width(self) -> float:
        """Median half-width of the intervals of the variance change; NaN without any."""
        tested = self.found.query("v_shows != ''")
        return ((tested["v_high"] - tested["v_low"]) / 2).median()

    def twins(self) -> list[str]:
        """Names of rows whose figures are equal replicate by replicate."""
        differ = self.found.query("not same and n > 1")
        names = differ.groupby(differ["each"].map(np.ndarray.tobytes), sort=False)["name"].agg(list)
        return [", ".join(equal) for equal in names if len(equal) > 1]

    def markdown(self) -> str:
        """The table; rows that failed or were not measured have no figures and come last."""
        known = set(self.found["name"])
        new = [[name, "0", *[""] * 7, "not measured"] for name in self.setting.names() if name not in known]
        return table(HEAD, [*map(cells, self.rows("n >= 0", by="tpr_variance")), *new])


def changed(row: pd.Series) -> str:
    """ "`crt` (variance -0.0042, accuracy -0.3 points)"."""
    return f"{row['name']} (variance {row['v']:+.4f}, accuracy {100 * row['a']:+.1f} points)"


def cells(row: pd.Series) -> list[str]:
    """A row of a table."""
    figures, variance, accuracy, holm_p = [""] * len(FIGURES), "", "", ""
    if row["n"]:
        each = row["each"] * (100, 100, 1, 100)
        spread = [each.mean(axis=0), each.std(axis=0, ddof=1)] if row["n"] > 1 else [each.mean(axis=0)]
        forms = zip(("{:.1f}", "{:.1f}", "{:.4f}", "{:.1f}"), np.transpose(spread), strict=True)
        figures = [" ± ".join(map(form.format, values)) for form, values in forms]
    if row["tested"]:
        variance = "{:+.4f} ({:+.4f} to {:+.4f})".format(*row[["v", "v_low", "v_high"]])
        accuracy = "{:+.1f} ({:+.1f} to {:+.1f})".format(*100 * row[["a", "a_low", "a_high"]])
    if row["v_shows"]:
        holm_p = "<.0001" if row["v_holm"] < 1e-4 else f"{row['v_holm']:.2g}"
    return [row["name"], str(row["n"]), *figures, variance, holm_p, accuracy, verdict(row)]


def verdict(row: pd.Series) -> str:
    """What the row shows, in words."""
    if row["name"] == BASELINE:
        return "the baseline"
    if not row["n"]:
        return f"failed: {row['errors']}"
    if row["same"]:
        return "identical to the baseline"
    if not row["tested"]:
        return f"fewer than {LEAST} replicates: no interval"
    even = row["v_shows"].replace("lower", "more even").replace("higher", "less even")
    cost = row["a_shows"].replace("lower", ", accuracy falls").replace("higher", ", accuracy rises")
    return (
        (even if row["v_lower"] or row["v_higher"] else "no change shown")
        + (cost if row["a_lower"] or row["a_higher"] else "")
        + (f"; failed in part: {row['errors']}" if row["errors"] else "")
    )


def over_tables(sections: list[Section]) -> dict[str, list]:
    """What the tables show together, from rows with a test. `always` and `never`: the names that are lower in every table, or
    neither lower nor higher in any, of those in two tables or more (`often`); `ldam`: (table, points without, points with a margin);
    `bias`: (row, its table) of the post-hoc bias."""
    rows = pd.concat(s.found[s.found["tested"]].assign(table=s.setting.label) for s in sections)
    counts = rows.assign(tables=1).groupby("name", sort=False)[["tables", "v_lower", "v_higher"]].sum()
    often = counts.query("tables > 1")
    points = rows.pivot(index="table", columns="name", values="a").reindex(rows["table"].unique())
    ldam = points.reindex(columns=["`ldam`, max_margin 0", "`ldam`"]).dropna()
    return {
        "often": list(often.index),
        "always": list(often.query("v_lower == tables").index),
        "never": list(often.query("v_lower + v_higher == 0").index),
        "ldam": list(ldam.itertuples()),
        "bias": list(rows[rows["method"] == "equal_tpr_bias"].itertuples()),
    }


def page(tables: Mapping[str, pd.DataFrame], machine: Mapping[str, str]) -> str:
    """The whole of docs/results.md."""
    sections = [Section(TABLES[key], found) for key, found in tables.items()]
    folder = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=folder, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    return template.get_template("results.md.jinja").render(
        sections=sections,
        missing=[setting for key, setting in TABLES.items() if key not in tables],
        machine=", ".join(f"{k} {v}" for k, v in machine.items()),
        baseline=BASELINE,
        limits={"level": LEVEL, "negligible": NEGLIGIBLE, "planned": PLANNED, "least": LEAST},
        stated=[(method, text) for method, given in schema.STATED.items() for text in given.values()],
        since=schema.SINCE,
        params_of=schema.params_of,
        changed=changed,
        **(over_tables(sections) if sections else {}),
    )


def panels(tables: Mapping[str, pd.DataFrame]) -> str:
    """The picture: accuracy against TPR variance of every row, a panel for each table."""
    return picture({TABLES[key].label: found[found["n"] > 0] for key, found in tables.items()})


def write(csv: Path = schema.CSV) -> None:
    """Write the page and the picture."""
    tables = tables_of(schema.read(csv))
    PAGE.write_text(page(tables, schema.read_machine(csv)), encoding="utf-8")
    PICTURE.write_text(panels(tables), encoding="utf-8")
