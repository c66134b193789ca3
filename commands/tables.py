"""Commands that read the tables: methods, models, recipes, datasets, and the terms of a method. No run is touched."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from commands import submit
from commands.terminal import clean, emit, paragraph
from core.diagnostics.weight_dominance import of_terms
from core.errors import EvenlyError
from core.methods.method import Method
from core.methods.types import Evidence
from core.registry import Param, Registry

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else")]
Params = Annotated[
    list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the method; repeat for more")
]

NOTE_VALUES = 10  # values per term in a note


def methods(as_json: Json = False) -> None:
    """The methods, their parameters and what they need."""
    from core.methods import METHODS

    method_list(METHODS, as_json)


def samplers(as_json: Json = False) -> None:
    """The samplers, their parameters and what they need."""
    from core.methods.samplers import SAMPLERS

    method_list(SAMPLERS, as_json)


def method_list(table: Registry[Method], as_json: bool) -> None:
    """Rows of methods or samplers."""
    from reporting.text import NEEDS

    rows = [
        {
            "key": m.key,
            "label": m.label,
            "group": m.group,
            "stage": m.stage,
            "needs": sorted(m.needs),
            "summary": m.summary,
            "when": m.when,
            "caveat": m.caveat,
            "formula": m.formula,
            "source": str(m.source),
            "params": param_rows(m.params),
        }
        for m in table
    ]
    emit(rows) if as_json else catalog(
        [{**r, "label": ", needs ".join([r["label"], *(NEEDS[n] for n in r["needs"])])} for r in rows]
    )


def models(as_json: Json = False) -> None:
    """The models and their sizes."""
    from models import MODELS

    rows = [
        {"key": m.key, "label": m.label, "summary": m.summary, "size": str(m.size), "source": str(m.source)}
        for m in MODELS
    ]
    emit(rows) if as_json else catalog([{**r, "summary": f"{r['summary']} {r['size']}."} for r in rows])


def recipes(as_json: Json = False) -> None:
    """The optimizer recipes and their parameters."""
    from core.experiment.recipes import RECIPES

    rows = [
        {
            "key": r.key,
            "label": r.label,
            "epochs": r.epochs,
            "summary": r.summary,
            "source": str(r.source),
            "params": param_rows(r.params),
        }
        for r in RECIPES
    ]
    emit(rows) if as_json else catalog([{**r, "label": f"{r['label']}, {r['epochs']} epochs"} for r in rows])


def datasets(as_json: Json = False) -> None:
    """The datasets, and whether each is ready on this machine."""
    from core.datasets import offered
    from storage.db.paths import data_root

    root = data_root()
    rows = [
        {
            "key": d.key,
            "label": d.label,
            "summary": d.summary,
            "embedded": d.embedded,
            "ready": d.embedded or d.is_ready(root),
        }
        for d in offered(root)
    ]
    if as_json:
        emit(rows)
        return
    catalog([{**r, "label": r["label"] + (", ready" if r["ready"] else ", not ready yet")} for r in rows])
    print("A path")
    print(
        paragraph(
            "Your own images, a folder or a .zip of it: train/, optional val/ and test/, one folder per class.", 4
        )
    )


def param_rows(params: Sequence[Param]) -> list[dict[str, Any]]:
    return [{"key": p.key, "default": p.default, "expected": p.expected, "help": p.help} for p in params]


def catalog(rows: list[dict[str, Any]]) -> None:
    """Print rows of a table: key and label, then the summary and the parameters, indented."""
    for row in rows:
        print(paragraph(f"{clean(row['key'])}  {clean(row['label'])}"))
        print(paragraph(row["summary"], 4))
        for p in row.get("params", ()):
            default = f"{p['default']:g}" if isinstance(p["default"], float) else p["default"]
            print(f"    {p['key'] + ' = ' + str(default) + ' ':<24}{p['expected']}")


def terms(
    method: Annotated[
        str, typer.Argument(metavar="METHOD", help="A method (see `methods`), or sampler:KEY (see `samplers`)")
    ],
    tpr: Annotated[str | None, typer.Option(metavar="LIST", help="TPRs, as in 0.9,0.7")] = None,
    counts: Annotated[str | None, typer.Option(metavar="LIST", help="Training samples per class, as in 10,20")] = None,
    support: Annotated[str | None, typer.Option(metavar="LIST", help="Validation samples behind each TPR")] = None,
    param: Params = None,
    as_json: Json = False,
) -> None:
    """The class terms of a method for given TPRs and counts.

    Weights, shifts and other terms per class: only those that the method sets. Clipped values are reported on stderr.
    """
    from core.methods import METHODS, answer, what_if
    from core.methods.samplers import SAMPLERS
    from core.registry import check_params
    from reporting import text

    table, key = (SAMPLERS, method.removeprefix("sampler:")) if method.startswith("sampler:") else (METHODS, method)
    row, asked = table[key], submit.pairs(param, "--param")
    vectors = _vectors(
        method, row.needs_with(check_params(row.params, asked, key)), {"tpr": tpr, "counts": counts, "support": support}
    )
    seen = what_if(max(map(len, vectors.values())), **vectors)
    answered = answer(key, seen, asked, table=table)
    if not answered.set() and answered.objective != "terms":
        raise EvenlyError(f"{method} does not compute terms from TPRs or counts: {row.summary}")
    found = {**answered.set(), **{name: [value] for name, value in (answered.info or {}).items()}}
    emit(found) if as_json else _print_vectors(found)
    dominant = of_terms(answered, vectors.get("counts"), [str(c) for c in range(seen.classes)])
    for line in (
        *map(text.of, answered.notes),
        _over_epochs(key, seen, asked, table),
        text.of(dominant) if dominant else "",
    ):
        if line:
            print(f"note: {line}", file=sys.stderr)


def _print_vectors(found: Mapping[str, Sequence[float]]) -> None:
    """A line for each term: its name and a value per class."""
    width = max(8, *map(len, found)) + 2
    for name, vector in found.items():
        print(f"{name:<{width}}" + "  ".join(f"{v:.6g}" for v in vector))


def _over_epochs(key: str, seen: Evidence, asked: Mapping[str, str], table: Registry[Method]) -> str:
    """A note that the terms change between epochs, with those of the last epoch; "" if they do not."""
    from reporting.method_examples import terms_in_later_epochs

    try:
        later = terms_in_later_epochs(key, seen, asked, table)
    except EvenlyError as error:  # a custom formula that fails after its first epoch
        return f"these are the terms of epoch 1; a later epoch fails: {error}"
    if not later:
        return ""
    last = "; ".join(
        f"{name} " + ", ".join(f"{v:.4g}" for v in vector[:NOTE_VALUES]) + ", ..." * (len(vector) > NOTE_VALUES)
        for name, vector in later.items()
    )
    return f"these are the terms of epoch 1, and they change from epoch to epoch; in a run of two epochs the last one has {last}"


def _vectors(method: str, needs: frozenset[str], given: Mapping[str, str | None]) -> dict[str, NDArray[np.float64]]:
    """The given lists as arrays [C]; EvenlyError if one that the method needs is missing or none is given."""
    for need in sorted(needs & given.keys()):
        if given[need] is None:
            raise EvenlyError(f"{method} needs --{need}, comma-separated numbers, one per class")
    vectors = {name: submit.numbers(text, f"--{name}") for name, text in given.items() if text is not None}
    if not vectors:
        raise EvenlyError(f"{method}: give --tpr, --counts or both, so that the number of classes is known")
    return vectors
