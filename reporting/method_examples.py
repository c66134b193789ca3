"""Worked examples of the methods, computed by the code, for the docs and the Methods page.

Terms that depend on TPRs or counts alone are computed here. Those that depend on networks or batches are computed by
docs/worked_examples.py, which needs torch; their numbers are read from reporting/worked_examples.json, which
`python docs/generate.py` writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from core.methods import METHODS, Method, answer, what_if
from core.methods.samplers import SAMPLERS
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import Registry
from reporting import text

TPR = (0.9561, 0.7365, 0.7808)  # car, dog, cat: the example of the source question, to four digits
COUNTS = (1000, 300, 100, 30, 10)
CONFIDENCES = (0.1, 0.5, 0.9)  # probabilities of the true class at which a sample's factor is shown
GIVEN = {"manual": {"weights": "1, 2, 1.5"}}  # parameters where the defaults do not suit the example
ALSO = {
    "seql": [("threshold", "0.05")],
    "eql": [("threshold", "0.05")],
}  # what the help recommends for few classes
WORKED = Path(__file__).with_name("worked_examples.json")


@dataclass(frozen=True)
class Example:
    """A worked example: rows (label, values [C]), the first of the input, and sentences on the result.

    command  prints the numbers; "" where there is none
    of       what a column is: a class, a sample, an output of the network
    """

    rows: tuple[tuple[str, tuple[str, ...]], ...]
    sentences: tuple[str, ...]
    command: str = ""
    intro: str = ""
    of: str = "class"


def examples(method: Method, table: Registry[Method] = METHODS) -> tuple[Example, ...]:
    """The worked examples of a method: its terms for TPRs or counts where they depend on these alone, then the training
    code on a tiny case.

    A row with neither shows its golden cases.
    """
    mapped = terms_example(method, table)
    return tuple(
        e for e in (mapped, stored_examples().get(row_address(method, table))) if e is not None
    ) or golden_examples(method)


def golden_examples(method: Method) -> tuple[Example, ...]:
    """Worked examples from the golden cases of the method that have a loss, for objectives without another example."""
    return tuple(
        Example(
            tuple(
                (f"logits of a sample of class {label}", _six(logits))
                for logits, label in zip(case.given["logits"], case.given["labels"], strict=True)
            ),
            (f"The loss of the batch is {case.expect['loss']:.6g}.",),
            intro="A tiny batch" + "".join(f", {key} {value}" for key, value in case.params.items()) + ".",
            of="output",
        )
        for case in method.golden
        if "logits" in case.given
    )


def row_address(method: Method, table: Registry[Method]) -> str:
    """The key of a worked example and its method's name on the command line: cdb, sampler:share."""
    return f"{'sampler:' if table is SAMPLERS else ''}{method.key}"


@cache
def stored_examples() -> dict[str, Example]:
    """The worked examples that docs/worked_examples.py computed, by address."""
    stored = json.loads(WORKED.read_text(encoding="utf-8"))
    return {
        key: Example(
            tuple((label, tuple(cells)) for label, cells in e["rows"]),
            tuple(e["sentences"]),
            intro=e["intro"],
            of=e["of"],
        )
        for key, e in stored.items()
    }


def terms_example(method: Method, table: Registry[Method] = METHODS) -> Example | None:
    """The worked example of a method's terms at its defaults, at some other settings, and at a TPR of 1; None where it
    sets none from TPRs or counts."""
    by_tpr = bool({"tpr", "last_tpr"} & method.needs) or not method.needs
    values = TPR if by_tpr else COUNTS
    name, heading = ("tpr", "TPR") if by_tpr else ("counts", "training samples")
    vectors = {name: np.array(values, dtype=float)}
    if by_tpr and "counts" in method.needs:
        vectors["counts"] = np.full(len(values), 1000.0)
    evidence, fixed = what_if(len(values), **vectors), GIVEN.get(method.key, {})
    terms = answer(method.key, evidence, fixed, table=table)
    if not terms.set() and (terms.objective != "terms" or terms.knobs):
        return None
    rows, alike = [(key, _six(vector)) for key, vector in terms.set().items()], []
    for key, value in other_settings(method):
        found = _changed(terms, answer(method.key, evidence, {**fixed, key: value}, table=table))
        rows += [(f"{term}, {key} {value}", _six(vector)) for term, vector in found.items()]
        alike += [] if found else [f"{key} {value}"]
    rows += [
        (f"{term}, last epoch", _six(vector))
        for term, vector in terms_in_later_epochs(method.key, evidence, fixed, table).items()
    ]
    words = "".join(f" --{k} {','.join(f'{v:g}' for v in vector)}" for k, vector in vectors.items())
    words += "".join(f" --param '{k}={v}'" for k, v in fixed.items())
    shown = ((heading, tuple(f"{v:g}" for v in values)), *rows) if rows else ()
    same = (f"The same with {', '.join(alike)}.",) if alike and rows else ()
    return Example(
        shown,
        (*term_sentences(terms), *same, *sentences_at_one(method, vectors, fixed, table)),
        command=f"python cli.py terms {row_address(method, table)}{words}",
    )


def _six(vector: Iterable[float]) -> tuple[str, ...]:
    return tuple(f"{v:.6g}" for v in vector)


def _changed(before: ClassTerms, after: ClassTerms) -> dict[str, Vector]:
    """The terms of `after` that differ from those of `before`."""
    old = before.set()
    return {
        name: v
        for name, v in after.set().items()
        if name not in old or not np.allclose(v, old[name], rtol=1e-9, atol=1e-12)
    }


def terms_in_later_epochs(
    key: str, evidence: Evidence, params: Mapping[str, Any], table: Registry[Method]
) -> dict[str, Vector]:
    """For a worked example: the terms in the second and last epoch of a run that differ from the first, for the same
    TPRs and counts.

    Errors as in `answer`.
    """
    first, last = (answer(key, replace(evidence, epoch=epoch, epochs=2), params, table=table) for epoch in (0, 1))
    return _changed(first, last)


def sentences_at_one(
    method: Method, vectors: Mapping[str, Vector], params: Mapping[str, Any], table: Registry[Method]
) -> tuple[str, ...]:
    """Sentences of a worked example for class 0 at a TPR of 1, where the bare formula would give 0 or infinity; none
    where no TPR is used."""
    if "tpr" not in vectors or not method.needs:
        return ()
    certain = {**vectors, "tpr": np.array([1.0, *vectors["tpr"][1:]])}
    terms = answer(method.key, what_if(len(vectors["tpr"]), **certain), params, table=table)
    if not terms.clipped:
        return ()
    values = ", ".join(f"its {term} is {vector[0]:.4g}" for term, vector in terms.set().items())
    return (f"With class 0 at TPR 1 {values}.", *text.lines(terms.notes))


def other_settings(method: Method) -> list[tuple[str, str]]:
    """Settings that a worked example shows beside the defaults: half and double of the slider's parameter, and the
    other choices."""
    out: list[tuple[str, str]] = []
    for p in method.params:
        if (
            p.key == method.slider
            and not isinstance(p.default, str)
            and p.low <= p.default / 2
            and 2 * p.default <= p.high
        ):
            out += [(p.key, f"{v:g}") for v in (p.default / 2, 2 * p.default)]
        out += [(p.key, choice) for choice in p.choices if choice != p.default]
    return out + ALSO.get(method.key, [])


def term_sentences(terms: ClassTerms) -> list[str]:
    """Sentences of a worked example on the terms at the defaults."""
    out = []
    if terms.weight is not None:
        out.append(
            f"At the defaults the largest weight is {terms.weight.max() / terms.weight.min():.4g} times the smallest."
        )
    if terms.focus is not None:
        factors = ", ".join(f"{(1 - p) ** terms.focus[0]:.3g} at $p_y$ = {p:g}" for p in CONFIDENCES)
        out.append(f"Factor on a sample's loss: {factors}.")
    out += [f"{name} = {value:.6g}." for name, value in (terms.info or {}).items()]
    if not terms.set() and not terms.knobs:
        out.append("It sets no term; the loss is plain cross entropy.")
    return out + text.lines(terms.notes)
