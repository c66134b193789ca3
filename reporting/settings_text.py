"""A run's settings as text: labels and values from the registries. For pages and reports; needs no Streamlit."""

from __future__ import annotations

from collections.abc import Sequence

from core.datasets import DATASETS
from core.datasets.registry import Dataset
from core.experiment.config import SETTINGS, RunConfig
from core.experiment.config_diff import config_differences, settings_of
from core.experiment.recipes import RECIPES, Recipe
from core.methods import METHODS, Method, takes_tprs, trains
from core.methods.samplers import SAMPLERS
from core.registry import Param, Registry
from models import MODELS, Model
from reporting.numbers import DASH, percent
from reporting.run_report import ReportedRun
from reporting.text import choice

Table = Registry[Dataset] | Registry[Model] | Registry[Method] | Registry[Recipe]
TABLES: dict[str, tuple[str, Table]] = {
    "dataset": ("Dataset", DATASETS),
    "model": ("Model", MODELS),
    "method": ("Method", METHODS),
    "sampler": ("Sampler", SAMPLERS),
    "recipe": ("Recipe", RECIPES),
}
NESTED = {
    "params": "method",
    "sampler_params": "sampler",
    "recipe_params": "recipe",
}  # field of parameters -> the setting they belong to, a key of TABLES
GIVEN = {"tpr": "Given TPRs", "tpr_support": "Samples behind the given TPRs", "tpr_source": "Given TPRs from"}
ORIGIN, APPLIED = "TPRs from", "Applied to"
FORMS = {float: "{:,.6g}", int: "{:,}"}
HIDDEN = {"schema"}  # describes the stored form, not the run
FIRST = (
    "dataset",
    "model",
    "method",
    "params",
    "sampler",
    "sampler_params",
    "recipe",
    "recipe_params",
)  # the order of New run; the rest as stored


def differing(before: ReportedRun, after: ReportedRun) -> list[tuple[str, str, str]]:
    """(label, before, after) of the settings that differ between two runs, as text."""
    b, a = before.config, after.config
    rows = []
    for key, x, y in sorted(config_differences(b, a), key=lambda row: _place(row[0])):
        if key not in HIDDEN:
            param = _param(key, b) or _param(key, a)
            rows.append((_label(key, param), *_apart(key, param, x, y)))
    rows += [(label, of(before) or DASH, of(after) or DASH) for label, of in BEHIND if of(before) != of(after)]
    return rows


def shared_settings(before: ReportedRun, after: ReportedRun) -> list[tuple[str, str]]:
    """(label, value) of the settings that two runs share, as text."""
    theirs = set(listed_settings(after))
    return [row for row in listed_settings(before) if row in theirs]


def listed_settings(run: ReportedRun) -> list[tuple[str, str]]:
    """(label, value) of every setting of a run, as text."""
    rows = []
    for key, value in sorted(settings_of(run.config).items(), key=lambda row: _place(row[0])):
        if key not in HIDDEN and not _absent(value):
            param = _param(key, run.config)
            rows.append((_label(key, param), value_in_words(key, param, value)))
    return [*rows, *((label, of(run)) for label, of in BEHIND if of(run))]


def weights_from(run: ReportedRun) -> str:
    """Among a run's settings: where the TPRs behind its weights come from; "" if it uses none, even if it has a
    baseline to compare with."""
    return tprs_from(run) if takes_tprs(run.config.method, run.config.params) else ""


def tprs_from(run: ReportedRun) -> str:
    """Among a run's settings: where the TPRs that it started from come from, also if only to compare with; its baseline
    until it starts."""
    return run.facts.evidence.origin or (f"run {run.baseline_id}" if run.baseline_id else "")


def applied_to(run: ReportedRun) -> str:
    """Among a run's settings: the run whose outputs a post-hoc step changes; "" for a run that trains."""
    return "" if run.baseline_id is None or trains(run.config.method) else f"run {run.baseline_id}"


BEHIND = ((ORIGIN, weights_from), (APPLIED, applied_to))  # what a run takes from another, in addition to its settings


def _place(key: str) -> int:
    group = key.partition(".")[0]
    return FIRST.index(group) if group in FIRST else len(FIRST)


def _param(key: str, config: RunConfig) -> Param | None:
    """The row of a parameter, None if this version has none."""
    group, _, name = key.partition(".")
    if not name:
        return next((p for p in SETTINGS if p.key == key), None)
    if group not in NESTED:
        return None
    table, row = TABLES[NESTED[group]][1], getattr(config, NESTED[group])
    return next((p for p in table[row].params if p.key == name), None) if row in table else None


def _label(key: str, param: Param | None) -> str:
    if param is not None:
        return param.label
    return TABLES[key][0] if key in TABLES else GIVEN.get(key, key)


def _apart(key: str, param: Param | None, x: object, y: object) -> tuple[str, str]:
    """Both values as text; in full if rounding would make them look equal."""
    b, a = value_in_words(key, param, x), value_in_words(key, param, y)
    return (str(x), str(y)) if b == a else (b, a)


def value_in_words(key: str, param: Param | None, value: object) -> str:
    """A setting's value as text: the label of a row, a choice in words, a number without needless digits, a dash for none."""
    if _absent(value):
        return DASH
    if key in TABLES:
        table, chosen = TABLES[key][1], str(value)
        return table[chosen].label if chosen in table else chosen
    if param is not None and isinstance(value, str):
        return choice(value)
    if isinstance(value, (list, tuple)):
        return _many(key, value)
    return FORMS.get(type(value), "{}").format(value)


def _many(key: str, values: Sequence[float | None]) -> str:
    """One value per class in short: their number, the smallest and the largest."""
    known = [float(v) for v in values if v is not None]
    if not known:
        return f"{len(values)}, none defined"
    low, high = (percent(v) if key == "tpr" else FORMS[float].format(v) for v in (min(known), max(known)))
    return f"{len(values)}, {low} to {high}"


def _absent(value: object) -> bool:
    return value is None or value in ("", {}, [], ())
