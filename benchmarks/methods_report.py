"""docs/results.md and its picture from results/methods.csv: every figure and every sentence about a method is computed from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.methods_picture import picture
from benchmarks.methods_table import (
    CELL,
    CSV,
    FIGURES,
    ROOT,
    SINCE,
    STATED,
    TABLES,
    Cell,
    Setting,
    cell_of,
    earlier_cell,
    read,
    read_machine,
)
from core.methods import METHODS
from core.methods.row import POSTHOC, TRAIN
from core.noise import mean_interval

PAGE = ROOT / "docs" / "results.md"
PICTURE = ROOT / "docs" / "pictures" / "results.svg"
LEVEL = 0.05
NEGLIGIBLE = 0.1  # of the baseline's variance
PLANNED = 10  # replicates of every row
LEAST = 3  # replicates behind an interval: two differences may agree by luck


# -- a cell in words ---------------------------------------------------------------------------------------------


def named(cell: Cell, *, code: bool = True) -> str:
    """ "`tpr_ratio`, exponent 4" or "sampler `balanced`, from 80 %": keys, the parameters that were set, the late start."""
    mark = "`" if code else ""
    parts = [] if cell.method == "none" and cell.sampler != "instance" else [f"{mark}{cell.method}{mark}"]
    parts += [
        f"{k} {v if isinstance(v, str) else format(v, 'g')}"
        for k, v in cell.params.items()
        if k not in STATED.get(cell.method, {})
    ]
    if cell.sampler != "instance":
        parts.append(f"sampler {mark}{cell.sampler}{mark}")
    if cell.start:
        parts.append(f"{'weights ' if cell.deferred == 'weight' else ''}from {cell.start:.0%}".replace("%", " %"))
    return ", ".join(parts)


def family(cell: Cell) -> str:
    """One of the kinds that the picture tells apart."""
    stage = METHODS[cell.method].stage
    if stage == TRAIN:
        return "trained" if cell.sampler == "instance" or cell.method != "none" else "sampler"
    return "post-hoc" if stage == POSTHOC else "second stage"


# -- figures -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A paired difference to the baseline: mean, 95 % t interval, p of the paired t test, and Holm's p over the table."""

    mean: float
    low: float
    high: float
    p: float
    holm: float = 1.0

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    @property
    def sure(self) -> bool:
        """The same after Holm's correction."""
        return self.holm < LEVEL


@dataclass(frozen=True, eq=False)
class Result:
    """A cell's replicates: figures [n] by key, those of the baseline of the same seeds, and what failed."""

    cell: Cell
    values: Mapping[str, np.ndarray]
    base: Mapping[str, np.ndarray]
    errors: tuple[str, ...]
    changes: dict[str, Change]

    @property
    def n(self) -> int:
        return len(self.values["accuracy"])

    @property
    def same(self) -> bool:
        """Whether every figure of every replicate is the baseline's own."""
        return self.n > 0 and all(np.array_equal(self.values[k], self.base[k]) for k in FIGURES)

    @property
    def variance(self) -> Change:
        return self.changes["tpr_variance"]

    @property
    def accuracy(self) -> Change:
        return self.changes["accuracy"]


def change(mine: np.ndarray, base: np.ndarray) -> Change:
    """The paired difference of at least two replicates. Differences without scatter have p 1 at 0 and p 0 elsewhere."""
    difference = mine - base
    mean, low, high = mean_interval(difference)
    if difference.std(ddof=1) == 0:
        return Change(mean, low, high, 1.0 if mean == 0 else 0.0)
    return Change(mean, low, high, float(stats.ttest_rel(mine, base).pvalue))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p: in rising order (m - i) p_i, made monotone, at most 1. Source: Holm (1979)."""
    out, worst = [1.0] * len(p), 0.0
    for i, place in enumerate(np.argsort(p, kind="stable")):
        worst = max(worst, min((len(p) - i) * p[place], 1.0))
        out[place] = worst
    return out


def results_of(setting: Setting, rows: Iterable[Mapping[str, str]]) -> list[Result]:
    """The cells of a table with at least one row, the baseline first, with Holm's correction over those that have a test."""
    by_key: dict[tuple[str, ...], dict[int, Mapping[str, str]]] = {}
    for row in rows:
        if row["table"] == setting.key:
            by_key.setdefault(tuple(row[k] for k in CELL), {})[int(row["seed"])] = row
    by_cell = [(cell_of(setting, key) or earlier_cell(key), replicates) for key, replicates in by_key.items()]
    base = next(
        ({s: r for s, r in replicates.items() if not r["error"]} for cell, replicates in by_cell if cell == Cell()), {}
    )
    place = {id(cell): n for n, cell in enumerate(setting.cells)}
    found = [
        _result(cell, replicates, base)
        for cell, replicates in sorted(by_cell, key=lambda item: place.get(id(item[0]), len(place)))
    ]
    for figure in ("tpr_variance", "accuracy"):
        tested = [r for r in found if figure in r.changes and not r.same]
        for r, p in zip(tested, holm([r.changes[figure].p for r in tested]), strict=True):
            r.changes[figure] = replace(r.changes[figure], holm=p)
    return found


def _result(cell: Cell, rows: Mapping[int, Mapping[str, str]], base: Mapping[int, Mapping[str, str]]) -> Result:
    seeds = [seed for seed in sorted(rows) if not rows[seed]["error"] and seed in base]
    mine, theirs = ({k: np.array([float(source[s][k]) for s in seeds]) for k in FIGURES} for source in (rows, base))
    changes = {k: change(mine[k], theirs[k]) for k in FIGURES} if len(seeds) >= LEAST and cell != Cell() else {}
    return Result(cell, mine, theirs, tuple(dict.fromkeys(r["error"] for r in rows.values() if r["error"])), changes)


# -- verdicts ----------------------------------------------------------------------------------------------------


def verdict(result: Result) -> str:
    """What the row shows, in words."""
    if result.cell == Cell():
        return "the baseline"
    if not result.n:
        return f"failed: {'; '.join(result.errors)}"
    if result.same:
        return "the baseline's own figures"
    if not result.changes:
        return f"fewer than {LEAST} replicates: no interval"
    v, a = result.variance, result.accuracy
    even = (
        "no change shown"
        if not v.clear
        else ("more even" if v.high < 0 else "less even") + ("" if v.sure else " (not after Holm)")
    )
    cost = (
        ""
        if not a.clear
        else (", accuracy falls" if a.high < 0 else ", accuracy rises") + ("" if a.sure else " (not after Holm)")
    )
    return even + cost + (f"; failed in part: {'; '.join(result.errors)}" if result.errors else "")


def _points(c: Change) -> str:
    return f"{100 * c.mean:+.1f}"


def _one(result: Result) -> str:
    """ "`crt` (variance -0.0042, accuracy -0.3 points)"."""
    return f"{named(result.cell)} (variance {result.variance.mean:+.4f}, accuracy {_points(result.accuracy)} points)"


def _listed(found: Sequence[Result]) -> str:
    """Rows in words, the strongest change of the variance first."""
    return "; ".join(_one(r) for r in sorted(found, key=lambda r: r.variance.mean)) or "none"


def _names(found: Sequence[Result]) -> str:
    return "; ".join(named(r.cell) for r in sorted(found, key=lambda r: r.variance.mean)) or "none"


def groups(found: Sequence[Result]) -> dict[str, list[Result]]:
    """The rows of a table by what they show; every row with a test is in exactly one of the first seven.

    "did nothing": the whole interval of the change is within NEGLIGIBLE of the baseline's variance. "open": it holds 0 and more than that.
    """
    tested = [r for r in found if r.changes]
    differs = [r for r in tested if not r.same]
    rest = [r for r in differs if not r.variance.sure]
    flat = [r for r in rest if not r.variance.clear]
    return {
        "lower": [r for r in differs if r.variance.sure and r.variance.mean < 0],
        "higher": [r for r in differs if r.variance.sure and r.variance.mean > 0],
        "perhaps lower": [r for r in rest if r.variance.high < 0],
        "perhaps higher": [r for r in rest if r.variance.low > 0],
        "did nothing": [r for r in flat if _negligible(r)],
        "open": [r for r in flat if not _negligible(r)],
        "same": [r for r in tested if r.same],
        "loses": [r for r in differs if r.accuracy.high < 0],
        "gains": [r for r in differs if r.accuracy.low > 0],
    }


def _negligible(r: Result) -> bool:
    return max(abs(r.variance.low), abs(r.variance.high)) <= NEGLIGIBLE * r.base["tpr_variance"].mean()


def twins(found: Sequence[Result]) -> list[list[Result]]:
    """Rows, none of them the baseline's double, whose figures are equal replicate by replicate."""
    by_figures: dict[tuple, list[Result]] = {}
    for r in found:
        if r.n > 1 and not r.same:
            by_figures.setdefault(tuple(tuple(r.values[k]) for k in FIGURES), []).append(r)
    return [rows for rows in by_figures.values() if len(rows) > 1]


# -- the page ----------------------------------------------------------------------------------------------------

HEAD = (
    "| method | n | accuracy, % | balanced accuracy, % | TPR variance | min TPR, % "
    "| change of the variance (95 %) | Holm p | change of the accuracy, points (95 %) | what it shows |"
)


def line(result: Result) -> str:
    """A row of a table."""
    if not result.n:
        return f"| {named(result.cell)} | 0 | | | | | | | | {verdict(result)} |"
    shown = [
        _spread(factor * result.values[key], digits)
        for key, factor, digits in (
            ("accuracy", 100, 1),
            ("balanced_accuracy", 100, 1),
            ("tpr_variance", 1, 4),
            ("tpr_min", 100, 1),
        )
    ]
    changes = ["", "", ""]
    if result.changes:
        v, a = result.variance, result.accuracy
        p = "" if result.same else "<.0001" if v.holm < 1e-4 else f"{v.holm:.2g}"
        changes = [
            f"{v.mean:+.4f} ({v.low:+.4f} to {v.high:+.4f})",
            p,
            f"{100 * a.mean:+.1f} ({100 * a.low:+.1f} to {100 * a.high:+.1f})",
        ]
    return f"| {named(result.cell)} | {result.n} | {' | '.join((*shown, *changes))} | {verdict(result)} |"


def _spread(values: np.ndarray, digits: int) -> str:
    return f"{values.mean():.{digits}f}" + (f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else "")


def words(found: Sequence[Result]) -> list[str]:
    """What a table shows, in plain words."""
    if not any(r.changes for r in found):
        return [f"- With fewer than {LEAST} replicates what chance does cannot be told."]
    g = groups(found)
    lower, higher = g["lower"] + g["perhaps lower"], g["higher"] + g["perhaps higher"]
    said = [
        f"- **Lowered the TPR variance beyond seed noise, after Holm's correction** (p < {LEVEL}): {_listed(g['lower'])}.",
        f"- **Lowered it by the row's own interval only**: {_listed(g['perhaps lower'])}.",
        f"- Of both, with a gain of accuracy (own interval): {_names([r for r in lower if r.accuracy.low > 0])}. "
        "With a loss, so evenness is bought: "
        f"{_names([r for r in lower if r.accuracy.high < 0])}.",
        f"- **Raised the variance**, after the correction: {_listed(g['higher'])}. "
        f"By the row's own interval only: {_listed(g['perhaps higher'])}.",
        (
            f"- **Did nothing** (the whole interval is within {NEGLIGIBLE:.0%} of the baseline's variance): "
            f"{_names(g['did nothing'])}."
        ).replace("10%", "10 %"),
        f"- **Not settled** (the interval holds 0 and more than that): {_listed(g['open'])}.",
        f"- **Harm**: the variance rose or the accuracy fell while the variance was not lowered (own intervals): "
        f"{_listed([r for r in found if r.changes and not r.same and (r in higher or (r in g['loses'] and r not in lower))])}.",
        f"- Changes of the accuracy that pass Holm's correction: gain, {_names([r for r in g['gains'] if r.accuracy.sure])}; "
        f"loss, {_names([r for r in g['loses'] if r.accuracy.sure])}.",
    ]
    if g["same"]:
        said.append(
            f"- The baseline's own figures, since here the method has nothing to act on: {', '.join(named(r.cell) for r in g['same'])}."
        )
    for rows in twins(found):
        said.append(f"- Equal replicate by replicate: {', '.join(named(r.cell) for r in rows)}.")
    if failed := [r for r in found if r.errors]:
        said.append(f"- Failed: {'; '.join(f'{named(r.cell)} ({r.errors[0]})' for r in failed)}.")
    return said


def replicates(found: Sequence[Result]) -> str:
    """ "10 replicates" or "4 to 5 replicates" a row."""
    n = [r.n for r in found if r.n]
    return f"{min(n)} replicate{'s' * (min(n) > 1)}" if min(n) == max(n) else f"{min(n)} to {max(n)} replicates"


def section(setting: Setting, found: Sequence[Result]) -> list[str]:
    """A table with its heading, its recipe and its words."""
    c = setting.config(Cell(), 1)
    recipe = f"{c.dataset}, {c.model}, {c.recipe}, {c.epochs} epochs, {setting.second} more for a second stage; {replicates(found)}"
    ordered = sorted(found, key=lambda r: (not r.n, r.values["tpr_variance"].mean() if r.n else 0))
    return [
        f"## {setting.label}",
        "",
        f"{recipe}. Sorted by TPR variance.{_resolution(found)}{f' {setting.note}' if setting.note else ''}",
        "",
        HEAD,
        "|" + "---|" * HEAD.count(" | ") + "---|",
        *map(line, ordered),
        "",
        *words(found),
        "",
    ]


def summary(tables: Mapping[str, list[Result]]) -> list[str]:
    """The top of the page: what a reader should take home."""
    thin = {
        TABLES[key].label: min(r.n for r in found if r.n)
        for key, found in tables.items()
        if any(0 < r.n < PLANNED for r in found)
    }
    said = [
        "- A true positive rate (TPR) is the share of a class's test samples that are recognised. "
        "The variance of the TPRs says how unequally well the "
        "classes are learned: 0 is perfectly even.",
        "- Every run is compared with the plain run of its own seed. "
        "An interval is the range, at 95 %, in which the mean change lies; where it leaves 0 out, "
        "the change is more than seed noise. With some 55 rows a few intervals do so by luck, so Holm's correction asks for more.",
    ]
    if thin:
        which = "; ".join(f"{label}, {n} at least" for label, n in thin.items())
        said.append(
            f"- **Fewer than {PLANNED} replicates: {which}.** With so few only large changes pass Holm's correction. "
            '"No change shown" then means '
            "not settled; it does not mean that a method does nothing."
        )
    said += [
        f"- **{TABLES[key].label}** ({replicates(found)}): {_table_in_a_line(found)}" for key, found in tables.items()
    ]
    return [*said, _everywhere(tables), _head(tables), _bias(tables)]


def _table_in_a_line(found: Sequence[Result]) -> str:
    base, tested = found[0], [r for r in found if r.changes]
    start = f"plain training reaches {100 * base.values['accuracy'].mean():.1f} % at a variance of {base.values['tpr_variance'].mean():.4f}"
    if not tested:
        return f"{start}; fewer than {LEAST} replicates allow no more."
    g = groups(found)
    lower, higher = g["lower"] + g["perhaps lower"], g["higher"] + g["perhaps higher"]
    both = [r for r in lower if r.accuracy.low > 0]
    said = [
        f"{start}. Of {len(tested)} rows {len(lower)} lower it by their own intervals ({len(g['lower'])} "
        f"after Holm) and {len(higher)} raise it "
        f"({len(g['higher'])} after Holm); {sum(r.accuracy.high < 0 for r in tested)} lose accuracy."
    ]
    if both:
        said.append(
            f"{len(both)} of those that lower it gain accuracy as well; "
            f"the most even of these: {_one(min(both, key=lambda r: r.variance.mean))}."
        )
    elif lower:
        said.append(f"The most even: {_one(min(lower, key=lambda r: r.variance.mean))}.")
    worst = min(tested, key=lambda r: r.accuracy.mean)
    return " ".join([*said, f"The dearest: {_one(worst)}."])


def _everywhere(tables: Mapping[str, list[Result]]) -> str:
    """The rows whose interval lies below 0 in every table that they are in, and those whose interval never leaves 0 out.

    Rows of at least two tables.
    """
    seen: dict[str, list[Change]] = {}
    for found in tables.values():
        for r in found:
            if r.changes:
                seen.setdefault(named(r.cell), []).append(r.variance)
    often = {name: changes for name, changes in seen.items() if len(changes) > 1}
    if not often:
        return ""
    always = [name for name, changes in often.items() if all(c.high < 0 for c in changes)]
    never = [name for name, changes in often.items() if not any(c.clear for c in changes)]
    return (
        "- Of the rows in two tables or more, by their own intervals: lower in each, "
        f"{', '.join(always) or 'none'}; no change shown in any, "
        f"{', '.join(never) or 'none'}."
    )


def _resolution(found: Sequence[Result]) -> str:
    """How large a change must be to be seen at all: the median half-width of the intervals."""
    halves = [(r.variance.high - r.variance.low) / 2 for r in found if r.changes and not r.same]
    return (
        " Half the width of an interval of the change of the variance: "
        f"{np.median(halves):.4f} in the median of the rows; what is smaller stays unseen."
        if halves
        else ""
    )


def _head(tables: Mapping[str, list[Result]]) -> str:
    """What of LDAM's change comes from its cosine last layer alone."""
    said = []
    for key, found in tables.items():
        by_cell = {named(r.cell): r for r in found if r.changes}
        if (whole := by_cell.get("`ldam`")) and (alone := by_cell.get("`ldam`, max_margin 0")):
            said.append(
                f"{TABLES[key].label}: {_points(alone.accuracy)} points without a margin, {_points(whole.accuracy)} with it"
            )
    return (
        f"- LDAM brings a cosine last layer, which changes the accuracy by itself. {'; '.join(said)}." if said else ""
    )


def _since(method: str) -> str:
    return f" ({SINCE[method]})" if method in SINCE else ""


def _bias(tables: Mapping[str, list[Result]]) -> str:
    """How much of the variance the post-hoc bias takes away, and what it costs."""
    said = []
    for key, found in tables.items():
        for r in found:
            if r.cell.method == "equal_tpr_bias" and r.changes:
                cut = 1 - r.values["tpr_variance"].mean() / r.base["tpr_variance"].mean()
                strength = float(r.cell.params.get("strength", 1.0))
                said.append(
                    f"{TABLES[key].label} at strength {strength:g}: {100 * cut:.0f} % less variance for {_points(r.accuracy)} points"
                )
    return (
        f"- The post-hoc bias, which trains nothing, is the bar for every retraining{_since('equal_tpr_bias')}. {'; '.join(said)}."
        if said
        else ""
    )


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


def page(rows: Sequence[Mapping[str, str]], machine: Mapping[str, str]) -> str:
    """The whole of docs/results.md."""
    tables = {s.key: found for s in TABLES.values() if (found := results_of(s, rows))}
    absent = [s for s in TABLES.values() if s.key not in tables]
    stated = "; ".join(
        f"`{c.method}` at `{next(iter(c.params.values()))}`"
        for c in TABLES["mnist1d"].cells
        if any(isinstance(v, str) for v in c.params.values())
    )
    on = ", ".join(f"{k} {v}" for k, v in machine.items())
    out = [
        "# Every method in one table",
        "",
        "<!-- written by `python -m benchmarks.methods_table docs` from results/methods.csv -->",
        "",
        "## In short",
        "",
        *filter(None, summary(tables)),
        "",
        "![Accuracy against TPR variance, a panel for each table](pictures/results.svg)",
        "",
        METHOD.format(
            since="; ".join(f"`{k}`, {v}" for k, v in SINCE.items()) or "none",
            stated=stated,
            machine=on[:1].upper() + on[1:],
        ),
    ]
    for key, found in tables.items():
        out += section(TABLES[key], found)
    for s in absent:
        out += [
            f"## {s.label}",
            "",
            f"Not measured yet: `python -m benchmarks.methods_table run --tables {s.key}`. {s.note}".rstrip(),
            "",
        ]
    return "\n".join(out).rstrip() + "\n"


def panels(rows: Sequence[Mapping[str, str]]) -> str:
    """The picture: accuracy against TPR variance of every row, a panel for each table."""
    out = []
    for s in TABLES.values():
        found = [r for r in results_of(s, rows) if r.n]
        if found:
            points = [
                (
                    r.values["accuracy"].mean(),
                    r.values["tpr_variance"].mean(),
                    family(r.cell) if r.cell != Cell() else "baseline",
                    named(r.cell, code=False),
                )
                for r in found
            ]
            out.append((s.label, points))
    return picture(out)


def write(csv: Path = CSV) -> None:
    """Write the page and the picture."""
    rows = read(csv)
    PAGE.write_text(page(rows, read_machine(csv.with_suffix(".json"))), encoding="utf-8")
    PICTURE.write_text(panels(rows), encoding="utf-8")
