"""Writes reporting/worked_examples.json, then docs/methods.md and docs/tables.md from the rows of the tables. tests/test_docs.py and
tests/core/methods/test_methods_shown.py fail while they are out of date.

    python docs/generate.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.datasets import DATASETS, Dataset
from core.experiment.config import SETTINGS
from core.experiment.recipes import RECIPES
from core.methods import CLASSIFIER, FINETUNE, METHODS, POSTHOC, Method, formula_with
from core.methods.notation import NOTATION, ONE_LOSS, RULES, TERMS
from core.methods.samplers import SAMPLERS
from core.metrics.scalar import MEASURES
from core.registry import Param, Registry, Source, check_params
from models import MODELS
from reporting.method_examples import WORKED, Example, examples

HERE = Path(__file__).resolve().parent
NEEDS = {
    "counts": "the training samples per class, $n_c$",
    "tpr": "the validation TPRs of an earlier run, with the number of samples behind each",
    "last_tpr": "this run's validation TPRs after its last epoch, with the number of samples behind each",
    "network": "the network of a finished run on the same split",
    "meta": "samples of the validation split to learn from",
    "validation": "what that run says of its validation split",
}
GREEK = {
    "tau": r"\tau",
    "beta": r"\beta",
    "gamma": r"\gamma",
    "alpha": r"\alpha",
    "rho": r"\rho",
    "eta": r"\eta",
    "threshold": r"\lambda",
    "driver": r"\lambda",
}
STAGES = {
    CLASSIFIER: "A second stage: it trains the last layer of a finished run on its frozen features, as a run of its own.",
    FINETUNE: "A second stage: it trains a finished run's network further, as a run of its own.",
    POSTHOC: "Post-hoc: it trains nothing. `python cli.py posthoc RUN --method {key}` applies it "
    "to a finished run at once, as a run of its own.",
}
MADE = "<!-- Made by `python docs/generate.py` from the rows of the tables. Do not edit. -->"

RULE_TEXT = "\n\n".join(f"**{name}.** {text}" for name, text in RULES.items())

INTRO = rf"""# Methods

{MADE}

A method is a pure function from evidence to class terms, and a row of `METHODS` in `core/methods/`; a sampler is a row of
`SAMPLERS` in `core/methods/samplers.py`. This page shows the rows; the examples are computed by the code.

**Notation.** {NOTATION}

**The one loss.** Every method acts through

$${ONE_LOSS}$$

{TERMS}

{RULE_TEXT}
"""

TABLES_INTRO = f"""# Datasets, models, recipes, settings

{MADE}

Rows of `DATASETS` (core/datasets/registry.py), `MODELS` (models/__init__.py), `RECIPES` (core/experiment/recipes.py) and `SETTINGS`
(core/experiment/config.py).
"""


# -- pieces ------------------------------------------------------------------------------------------------------


def table(head: str, rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. `head` is written as there, "key | method"; a pipe inside a cell is escaped."""
    ruled = [f"| {head} |", "| --- " * (head.count(" | ") + 1) + "|"]
    return "\n".join([*ruled, *("| " + " | ".join(c.replace("|", r"\|") for c in row) + " |" for row in rows)])


def reference(source: Source) -> str:
    """A source as text, linked where it has an address."""
    return f"{source.authors} ({source.year}), " + (f"[{source.title}]({source.url})" if source.url else source.title)


def params(rows: Sequence[Param]) -> str:
    """The parameters of a row as a table."""
    usual = {p.key: p.default if isinstance(p.default, str) else f"{p.default:g}" for p in rows}
    cells = [(f"`{p.key}`", p.label, usual[p.key], p.expected, p.help) for p in rows]
    return table("parameter | label | default | allowed | what it does", cells)


def symbolic(method: Method) -> str:
    """The formula with the names of its numbers; what is chosen by word stands at its default."""
    text = method.latex(check_params(method.params, {}, method.key)) if method.latex else method.formula
    for p in method.params:
        if not p.choices:
            text = text.replace(f"<{p.key}>", GREEK.get(p.key, rf"\text{{{p.key}}}"))
    return formula_with(replace(method, formula=text, latex=None))


# -- worked examples ---------------------------------------------------------------------------------------------


def example_section(found: Example) -> str:
    """One worked example."""
    body = [f"Example: `{found.command}`" if found.command else f"Example: {found.intro}"]
    if found.rows:
        columns = map(str, range(len(found.rows[0][1])))
        body.append(table(" | ".join((found.of, *columns)), [(label, *values) for label, values in found.rows]))
    return "\n\n".join(filter(None, [*body, " ".join(found.said)]))


def method_section(method: Method, table_: Registry[Method] = METHODS) -> str:
    """One method or sampler."""
    needs = "; ".join(NEEDS[need] for need in sorted(method.needs)) or "nothing"
    parts = (
        f"## {method.label}",
        f"`{method.key}`. {method.summary}",
        f"$${symbolic(method)}$$",
        f"Needs: {needs}.",
        params(method.params) if method.params else "",
        f"The live preview drags `{method.slider}`." if method.slider else "",
        f"When: {method.when}" if method.when else "",
        STAGES.get(method.stage, "").format(key=method.key),
        ""
        if method.epochs is None
        else f"Trains for {method.epochs} epochs unless told otherwise, whatever the recipe.",
        f"Note: {method.caveat}" if method.caveat else "",
        f"Source: {reference(method.source)}.",
        *map(example_section, examples(method, table_)),
    )
    return "\n\n".join(filter(None, parts))


def measures_section() -> str:
    """The measures, and what is beside them."""
    rows = [[f"`{m.key}`", m.label, f"${m.formula}$", m.summary, reference(m.source)] for m in MEASURES]
    beside = (
        "Beside these: the weighted score $\\alpha\\,\\mathrm{TPR} + (1-\\alpha)\\,\\mathrm{TNR}$ of two-class tasks; "
        "mean TPR of classes with many (more than 100), medium and few (fewer than 20) training samples, "
        "and of majority and minority classes; "
        "and the expected calibration error over 15 bins."
    )
    return "\n\n".join(["## Measures", table("key | measure | formula | what it says | source", rows), beside])


# -- the two pages -----------------------------------------------------------------------------------------------


def methods_page() -> str:
    """docs/methods.md."""
    overview = table(
        "key | method | group | needs | source",
        [[f"`{m.key}`", m.label, m.group, ", ".join(sorted(m.needs)) or "nothing", str(m.source)] for m in METHODS],
    )
    samplers = "## Samplers\n\nA run draws by one of these beside its method; `instance` is ordinary training."
    return (
        "\n\n".join(
            [
                INTRO.strip(),
                overview,
                *map(method_section, METHODS),
                samplers,
                *(method_section(s, SAMPLERS) for s in SAMPLERS),
                measures_section(),
            ]
        )
        + "\n"
    )


def dataset_row(d: Dataset) -> list[str]:
    """A dataset's line; counts are those of the whole training part, before any validation split is drawn from it."""
    return [
        f"`{d.key}`",
        d.label,
        d.summary,
        "x".join(map(str, d.shape)),
        str(len(d.classes)),
        f"{sum(d.pool):,}",
        f"{sum(d.own_validation):,}, its own" if d.own_validation else "a share of the training data",
        f"{sum(d.test):,}",
        "none" if d.embedded else "download, or files in the data folder",
        d.augment.replace("_", " and "),
        reference(d.source),
    ]


def fitting_datasets(key: str) -> str:
    """The datasets of the table that a model fits."""
    return (
        ", ".join(f"`{d.key}`" for d in DATASETS if MODELS[key].fits(d.shape, len(d.classes)) is None)
        or "image folders of a fitting size"
    )


def tables_page() -> str:
    """docs/tables.md."""
    datasets = table(
        "key | dataset | about | one sample | classes | train | validation | test | fetching | augmentation | source",
        map(dataset_row, DATASETS),
    )
    models = table(
        "key | model | about | size | fits | source",
        [[f"`{m.key}`", m.label, m.summary, str(m.size), fitting_datasets(m.key), reference(m.source)] for m in MODELS],
    )
    recipes = table(
        "key | recipe | about | optimiser | epochs | defaults | source",
        [
            [
                f"`{r.key}`",
                r.label,
                r.summary,
                {"adamw": "AdamW", "sgd": "SGD, Nesterov"}[r.optimiser],
                str(r.epochs),
                ", ".join(f"{p.key} {p.default:g}" for p in r.params),
                reference(r.source),
            ]
            for r in RECIPES
        ],
    )
    folder = (
        "Beside these, any image folder (`train/`, optional `val/` and `test/`, one folder per class) or a zip of one is a dataset: "
        "name its path. `path@64` is the same folder at 64 x 64 pixels."
    )
    parts = [
        TABLES_INTRO.strip(),
        "## Datasets",
        datasets,
        folder,
        "## Models",
        models,
        "## Recipes",
        recipes,
        "Parameters of a recipe; the defaults are in the table above.",
        params(max(RECIPES, key=lambda r: len(r.params)).params),
        "## Settings of every run",
        params(SETTINGS),
    ]
    return "\n\n".join(parts) + "\n"


PAGES = {"methods.md": methods_page, "tables.md": tables_page}


def worked_json() -> str:
    """reporting/worked_examples.json: the examples that need torch, which pages and docs read."""
    from docs.worked_examples import computed  # torch takes seconds, and only this wants it

    return json.dumps(computed(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    WORKED.write_text(worked_json(), encoding="utf-8")
    print("reporting/worked_examples.json")
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
