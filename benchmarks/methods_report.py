"""docs/results.md and its picture from results/methods.csv: every figure and every sentence about a method is computed from the rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
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
LEAST = 3  # replicates behind an interval: two differences may agree by luck
LOWER, HIGHER = ["lower", "perhaps lower"], ["higher", "perhaps higher"]


# -- figures -----------------------------------------------------------------------------------------------------


def change(mine: pd.Series, base: pd.Series) -> tuple[float, float, float, float]:
    """(mean, low, high, p) of the paired difference of at least two replicates: 95 % t interval, p of the paired t test.

    Differences without scatter have p 1 at 0 and p 0 elsewhere.
    """
    difference = mine - base
    mean = difference.mean()
    if difference.std(ddof=1) == 0:
        return mean, mean, mean, float(mean == 0)
    test = stats.ttest_rel(mine, base)
    return mean, *test.confidence_interval(), test.pvalue


def holm(p: pd.Series) -> pd.Series:
    """Holm's adjusted p: in rising order (m - i) p_i, made monotone, at most 1. Source: Holm (1979)."""
    rising = p.sort_values(kind="stable")
    return (rising * np.arange(len(p), 0, -1)).cummax().clip(upper=1).reindex(p.index)


def shown(low: pd.Series, high: pd.Series, holm_p: pd.Series, small: pd.Series | float) -> np.ndarray:
    """What each change shows. "perhaps": by its own interval, not after Holm; "open": the interval holds 0 and more than is small."""
    sure = holm_p < LEVEL
    cases = {
        "lower": sure & (high < 0),
        "higher": sure & (low > 0),
        "perhaps lower": high < 0,
        "perhaps higher": low > 0,
        "did nothing": np.maximum(-low, high) <= small,
    }
    return np.select(list(cases.values()), list(cases), "open")


def results_of(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for each cell of one table's rows of the CSV, in their order, with Holm's correction over those that have a test.

    name, method, params, kind  the cell
    n, errors                   replicates with a baseline of their own seed, what failed
    each, then FIGURES          the figures of the replicates [n, 4], and their means
    base, same                  the baselines' mean variance; whether every figure of every replicate is the baseline's own
    v, v_low, v_high, v_p, v_holm, v_shows  change of the variance, NaN and "" without one; a, a_low, ... of the accuracy
    """
    rows = rows.assign(name=[schema.name_of(row) for row in rows.to_dict("records")], seed=rows["seed"].astype(int))
    done = rows[rows["error"] == ""].set_index("seed")[["name", *FIGURES]].astype(dict.fromkeys(FIGURES, float))
    base = done.loc[done["name"] == BASELINE, FIGURES]
    found = []
    for name, cell in rows.groupby("name", sort=False):
        mine = done.loc[(done["name"] == name) & done.index.isin(base.index), FIGURES].sort_index()
        theirs = base.loc[mine.index]
        tested = len(mine) >= LEAST and name != BASELINE
        line = {
            "name": name,
            "method": cell["method"].iloc[0],
            "params": schema.params_of(cell.iloc[0]),
            "n": len(mine),
            "errors": "; ".join(cell.loc[cell["error"] != "", "error"].unique()),
            "each": mine.to_numpy(),
            **mine.mean(),
            "base": theirs["tpr_variance"].mean(),
            "same": len(mine) > 0 and mine.equals(theirs),
        }
        for key, figure in (("v", "tpr_variance"), ("a", "accuracy")):
            test = change(mine[figure], theirs[figure]) if tested else [np.nan] * 4
            line |= zip((key, f"{key}_low", f"{key}_high", f"{key}_p"), test, strict=True)
        found.append(line)
    found = pd.DataFrame(found)
    stage = {TRAIN: "trained", POSTHOC: "post-hoc"}
    found["kind"] = found["method"].map(lambda method: stage.get(METHODS[method].stage, "second stage"))
    found.loc[found["name"].str.startswith("sampler"), "kind"] = "sampler"
    found.loc[found["name"] == BASELINE, "kind"] = "baseline"
    tested = found["v"].notna() & ~found["same"]
    for key, small in (("v", NEGLIGIBLE * found["base"]), ("a", 0.0)):
        found[f"{key}_holm"] = holm(found.loc[tested, f"{key}_p"])
        bounds = (found[f"{key}_{what}"] for what in ("low", "high", "holm"))
        found[f"{key}_shows"] = np.where(tested, shown(*bounds, small), "")
    return found


def tables_of(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Key of a table -> its results, for those of which something is measured."""
    tables = {key: results_of(mine) for key in TABLES if len(mine := rows[rows["table"] == key])}
    return {key: found for key, found in tables.items() if found["n"].any()}


# -- words -------------------------------------------------------------------------------------------------------


def verdict(row: pd.Series) -> str:
    """What the row shows, in words."""
    if row["name"] == BASELINE:
        return "the baseline"
    if not row["n"]:
        return f"failed: {row['errors']}"
    if row["same"]:
        return "the baseline's own figures"
    if not row["v_shows"]:
        return f"fewer than {LEAST} replicates: no interval"
    even = _told(row["v_shows"], "more even", "less even") or "no change shown"
    cost = _told(row["a_shows"], ", accuracy falls", ", accuracy rises")
    return even + cost + (f"; failed in part: {row['errors']}" if row["errors"] else "")


def _told(shows: str, lower: str, higher: str) -> str:
    said = lower if shows in LOWER else higher if shows in HIGHER else ""
    return said + " (not after Holm)" * shows.startswith("perhaps")


def _one(row: pd.Series) -> str:
    """ "`crt` (variance -0.0042, accuracy -0.3 points)"."""
    return f"{row['name']} (variance {row['v']:+.4f}, accuracy {100 * row['a']:+.1f} points)"


def listed(found: pd.DataFrame) -> str:
    """Rows in words, the strongest change of the variance first."""
    return "; ".join(found.sort_values("v", kind="stable").apply(_one, axis=1)) or "none"


def names(found: pd.DataFrame) -> str:
    """Their names alone, in the same order."""
    return "; ".join(found.sort_values("v", kind="stable")["name"]) or "none"


def words(found: pd.DataFrame) -> list[str]:
    """What a table shows, in plain words."""
    if found["v"].isna().all():
        return [f"- With fewer than {LEAST} replicates what chance does cannot be told."]
    v, a = found["v_shows"], found["a_shows"]
    lower, higher, loses, gains = v.isin(LOWER), v.isin(HIGHER), a.isin(LOWER), a.isin(HIGHER)
    said = [
        f"- **Lowered the TPR variance beyond seed noise, after Holm's correction** (p < {LEVEL}): {listed(found[v == 'lower'])}.",
        f"- **Lowered it by the row's own interval only**: {listed(found[v == 'perhaps lower'])}.",
        f"- Of both, with a gain of accuracy (own interval): {names(found[lower & gains])}. "
        f"With a loss, so evenness is bought: {names(found[lower & loses])}.",
        f"- **Raised the variance**, after the correction: {listed(found[v == 'higher'])}. "
        f"By the row's own interval only: {listed(found[v == 'perhaps higher'])}.",
        f"- **Did nothing** (the whole interval is within {100 * NEGLIGIBLE:.0f} % of the baseline's variance): "
        f"{names(found[v == 'did nothing'])}.",
        f"- **Not settled** (the interval holds 0 and more than that): {listed(found[v == 'open'])}.",
        f"- **Harm**: the variance rose or the accuracy fell while the variance was not lowered (own intervals): "
        f"{listed(found[higher | (loses & ~lower)])}.",
        f"- Changes of the accuracy that pass Holm's correction: gain, {names(found[a == 'higher'])}; "
        f"loss, {names(found[a == 'lower'])}.",
    ]
    if same := list(found.loc[found["same"] & found["v"].notna(), "name"]):
        said.append(f"- The baseline's own figures, since here the method has nothing to act on: {', '.join(same)}.")
    differ = found[~found["same"] & (found["n"] > 1)]
    twins = differ.groupby(differ["each"].map(np.ndarray.tobytes), sort=False)["name"].agg(list)
    said += [f"- Equal replicate by replicate: {', '.join(equal)}." for equal in twins if len(equal) > 1]
    if failed := "; ".join(f"{row.name} ({row.errors})" for row in found.itertuples() if row.errors):
        said.append(f"- Failed: {failed}.")
    return said


def replicates(found: pd.DataFrame) -> str:
    """ "10 replicates" or "4 to 5 replicates" a row."""
    low, high = (int(n) for n in found.loc[found["n"] > 0, "n"].agg(["min", "max"]))
    return f"{low} replicate{'s' * (low > 1)}" if low == high else f"{low} to {high} replicates"


# -- the page ----------------------------------------------------------------------------------------------------


HEAD = (
    "method | n | accuracy, % | balanced accuracy, % | TPR variance | min TPR, % "
    "| change of the variance (95 %) | Holm p | change of the accuracy, points (95 %) | what it shows"
)


def cells(row: pd.Series) -> list[str]:
    """A row of a table."""
    n, p, figures, changes = row["n"], row["v_holm"], [""] * 4, ["", ""]
    if n:
        shapes = zip(row["each"].T, (100, 100, 1, 100), (1, 1, 4, 1), strict=True)
        figures = [_spread(factor * values, digits) for values, factor, digits in shapes]
    if not np.isnan(row["v"]):
        variance, accuracy = row[["v", "v_low", "v_high"]], 100 * row[["a", "a_low", "a_high"]]
        changes = ["{:+.4f} ({:+.4f} to {:+.4f})".format(*variance), "{:+.1f} ({:+.1f} to {:+.1f})".format(*accuracy)]
    corrected = "" if np.isnan(p) else "<.0001" if p < 1e-4 else f"{p:.2g}"
    return [row["name"], str(n), *figures, changes[0], corrected, changes[1], verdict(row)]


def _spread(values: np.ndarray, digits: int) -> str:
    return f"{values.mean():.{digits}f}" + (f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else "")


def section(setting: schema.Setting, found: pd.DataFrame) -> list[str]:
    """A table with its heading, its recipe and its words."""
    c = setting.base
    half = ((found["v_high"] - found["v_low"]) / 2)[found["v_shows"] != ""].median()
    recipe = f"{c.dataset}, {c.model}, {c.recipe}, {c.epochs} epochs, {setting.second} more for a second stage; {replicates(found)}"
    seen = f"Half the width of an interval of the change of the variance: {half:.4f} in the median of the rows; "
    seen = "" if np.isnan(half) else f"{seen}what is smaller stays unseen."
    said = [f"{recipe}. Sorted by TPR variance.", seen, setting.note]
    ordered = found.sort_values("tpr_variance", kind="stable")  # what failed has none and comes last
    return [
        f"## {setting.label}",
        " ".join(filter(None, said)),
        table(HEAD, [cells(row) for _, row in ordered.iterrows()]),
        "\n".join(words(found)),
    ]


def summary(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The top of the page: what a reader should take home. `tables` by their labels."""
    said = [
        "- A true positive rate (TPR) is the share of a class's test samples that are recognised. "
        "The variance of the TPRs says how unequally well the classes are learned: 0 is perfectly even.",
        "- Every run is compared with the plain run of its own seed. "
        "An interval is the range, at 95 %, in which the mean change lies; where it leaves 0 out, "
        "the change is more than seed noise. With some 55 rows a few intervals do so by luck, so Holm's correction asks for more.",
    ]
    least = {label: found.loc[found["n"] > 0, "n"].min() for label, found in tables.items()}
    if thin := "; ".join(f"{label}, {n} at least" for label, n in least.items() if n < PLANNED):
        said.append(
            f"- **Fewer than {PLANNED} replicates: {thin}.** With so few only large changes pass Holm's correction. "
            '"No change shown" then means not settled; it does not mean that a method does nothing.'
        )
    said += [f"- **{label}** ({replicates(found)}): {_table_in_a_line(found)}" for label, found in tables.items()]
    if not tables:
        return said
    rows = pd.concat(tables, names=["table"]).dropna(subset="v").reset_index("table")
    return [*said, *_everywhere(rows), *_cosine_layer(rows), *_bias(rows)]


def _table_in_a_line(found: pd.DataFrame) -> str:
    base, tested = found[found["name"] == BASELINE].iloc[0], found[found["v"].notna()]
    start = f"plain training reaches {100 * base['accuracy']:.1f} % at a variance of {base['tpr_variance']:.4f}"
    if tested.empty:
        return f"{start}; fewer than {LEAST} replicates allow no more."
    shows, lower = tested["v_shows"], tested[tested["v_shows"].isin(LOWER)]
    said = (
        f"{start}. Of {len(tested)} rows {len(lower)} lower it by their own intervals ({sum(shows == 'lower')} after Holm) "
        f"and {sum(shows.isin(HIGHER))} raise it ({sum(shows == 'higher')} after Holm); "
        f"{sum(tested['a_shows'].isin(LOWER))} lose accuracy."
    )
    both = lower[lower["a_shows"].isin(HIGHER)]
    if len(both):
        said += f" {len(both)} of those that lower it gain accuracy as well; the most even of these: {_one(both.loc[both['v'].idxmin()])}."
    elif len(lower):
        said += f" The most even: {_one(lower.loc[lower['v'].idxmin()])}."
    return f"{said} The dearest: {_one(tested.loc[tested['a'].idxmin()])}."


def _everywhere(rows: pd.DataFrame) -> list[str]:
    """The rows whose interval lies below 0 in every table that they are in, and those whose interval never leaves 0 out.

    Rows of at least two tables.
    """
    shows = rows.groupby("name", sort=False)["v_shows"].agg(list)
    often = shows[shows.map(len) > 1]
    always = ", ".join(name for name, each in often.items() if {*each} <= {*LOWER}) or "none"
    never = ", ".join(name for name, each in often.items() if not {*each} & {*LOWER, *HIGHER}) or "none"
    said = f"- Of the rows in two tables or more, by their own intervals: lower in each, {always}; no change shown in any, {never}."
    return [said] if len(often) else []


def _cosine_layer(rows: pd.DataFrame) -> list[str]:
    """What of LDAM's change comes from its cosine last layer alone."""
    points = rows.pivot(index="table", columns="name", values="a").reindex(rows["table"].unique())
    both = points.reindex(columns=["`ldam`, max_margin 0", "`ldam`"]).dropna()
    said = "; ".join(
        f"{key}: {100 * a:+.1f} points without a margin, {100 * b:+.1f} with it" for key, a, b in both.itertuples()
    )
    return [f"- LDAM brings a cosine last layer, which changes the accuracy by itself. {said}."] if said else []


def _bias(rows: pd.DataFrame) -> list[str]:
    """How much of the variance the post-hoc bias takes away, and what it costs."""
    said = "; ".join(
        f"{row.table} at strength {row.params['strength']}: "
        f"{100 * (1 - row.tpr_variance / row.base):.0f} % less variance for {100 * row.a:+.1f} points"
        for row in rows[rows["method"] == "equal_tpr_bias"].itertuples()
    )
    return [f"- The post-hoc bias, which trains nothing, is the bar for every retraining. {said}."] if said else []


METHOD = """## How it was measured

- `python -m benchmarks.methods_table run` queues the runs and works them off with the worker's own code; a second call goes on where the
  first stopped. `python -m benchmarks.methods_table docs` makes this page and its picture from `results/methods.csv`, one line a replicate.
- Every method is at its default parameters unless the row names others. Two have no default that fits ten classes: {stated}.
- Weights from TPRs take the validation TPRs of the baseline of the same seed; second stages and post-hoc steps go on from that baseline's
  network. Within a table the recipe is one for all, not tuned for any method.
- Figures are of the test split after the last epoch: mean ± standard deviation over seeds. \
Changes are paired differences to the baseline of the
  same seeds with a 95 % t interval; p is of the paired t test, corrected after Holm over the rows of the table.
- A long tail thins the training split alone. Validation and test splits stay balanced, so methods that learn from validation samples
  (cdb, difficulty_net, l2rw, meta_weight_net, the TPR methods, equal_tpr_bias) see samples of rare classes that the others do not.
- Runs are short. Papers train for hundreds of epochs; \
these tables say what a method does in a short run and not what it can do at its best.
- Test images are the same in all replicates; seeds differ in initial weights, order, tail and, where it is drawn, validation split.
- {machine}.
- The code has moved on since for these rows: {since}.
"""


def page(tables: Mapping[str, pd.DataFrame], machine: Mapping[str, str]) -> str:
    """The whole of docs/results.md."""
    on = ", ".join(f"{k} {v}" for k, v in machine.items())
    parts = [
        "# Every method in one table",
        "<!-- written by `python -m benchmarks.methods_table docs` from results/methods.csv -->",
        "## In short",
        "\n".join(summary({TABLES[key].label: found for key, found in tables.items()})),
        "![Accuracy against TPR variance, a panel for each table](pictures/results.svg)",
        METHOD.format(
            since="; ".join(f"`{k}`, {v}" for k, v in schema.SINCE.items()) or "none",
            stated="; ".join(
                f"`{method}` at `{text}`" for method, given in schema.STATED.items() for text in given.values()
            ),
            machine=on[:1].upper() + on[1:],
        ).strip(),
        *(part for key, found in tables.items() for part in section(TABLES[key], found)),
    ]
    for s in TABLES.values():
        if s.key not in tables:
            command = f"`python -m benchmarks.methods_table run --tables {s.key}`"
            parts += [f"## {s.label}", f"Not measured yet: {command}. {s.note}".strip()]
    return "\n\n".join(parts) + "\n"


def panels(tables: Mapping[str, pd.DataFrame]) -> str:
    """The picture: accuracy against TPR variance of every row, a panel for each table."""
    return picture({TABLES[key].label: found[found["n"] > 0] for key, found in tables.items()})


def write(csv: Path = schema.CSV) -> None:
    """Write the page and the picture."""
    tables = tables_of(schema.read(csv))
    PAGE.write_text(page(tables, schema.read_machine(csv)), encoding="utf-8")
    PICTURE.write_text(panels(tables), encoding="utf-8")
