"""Worked examples of the methods, computed by the code: for the docs and for the Methods page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.evidence import ClassTerms
from core.methods import METHODS, Method, answer, what_if
from core.rows import Table
from core.samplers import SAMPLERS

TPR = (0.9561, 0.7365, 0.7808)  # car, dog, cat: the example that the idea came with, to four digits
COUNTS = (1000, 300, 100, 30, 10)
SURENESS = (0.1, 0.5, 0.9)  # probabilities of the true class at which a sample's factor is shown
GIVEN = {"manual": {"weights": "1, 2, 1.5"}}  # where the defaults do not fit the example


@dataclass(frozen=True)
class Example:
    """command that prints it; rows (label, values [C]), the first what it was given; sentences on what follows."""

    command: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    said: tuple[str, ...]


def example(method: Method, table: Table[Method] = METHODS) -> Example | None:
    """The method's answer at its defaults and at some other settings; None where it is no map from TPRs or counts."""
    by_tpr = bool({"tpr", "last_tpr"} & method.needs) or not method.needs
    values = [f"{v:g}" for v in (TPR if by_tpr else COUNTS)]
    name, heading = ("tpr", "TPR") if by_tpr else ("counts", "training samples")
    vectors = {name: np.array(values, dtype=float)}
    if by_tpr and "counts" in method.needs:
        vectors["counts"] = np.full(len(values), 1000.0)
    evidence, fixed = what_if(len(values), **vectors), GIVEN.get(method.key, {})
    terms = answer(method.key, evidence, fixed, table=table)
    if not terms.set() and terms.objective != "terms":
        return None
    rows = [(key, _six(vector)) for key, vector in terms.set().items()]
    for key, value in others(method):
        rows += [(f"{term}, {key} {value}", _six(vector)) for term, vector in answer(method.key, evidence, {**fixed, key: value}, table=table).set().items()]
    words = "".join(f" --{k} {','.join(f'{v:g}' for v in vector)}" for k, vector in vectors.items())
    words += "".join(f" --param '{k}={v}'" for k, v in fixed.items())
    prefix = "sampler:" if table is SAMPLERS else ""
    shown = ((heading, tuple(values)), *rows) if rows else ()
    return Example(f"python cli.py terms {prefix}{method.key}{words}", shown, tuple(said(terms)))


def _six(vector: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{v:.6g}" for v in vector)


def others(method: Method) -> list[tuple[str, str]]:
    """Settings worth a line beside the defaults: half and double of what the preview drags, and the other choices."""
    out: list[tuple[str, str]] = []
    for p in method.params:
        if p.key == method.slider and not isinstance(p.default, str) and p.low <= p.default / 2 and 2 * p.default <= p.high:
            out += [(p.key, f"{v:g}") for v in (p.default / 2, 2 * p.default)]
        out += [(p.key, choice) for choice in p.choices if choice != p.default]
    return out


def said(terms: ClassTerms) -> list[str]:
    """What follows from the terms at the defaults, in sentences."""
    out = []
    if terms.weight is not None:
        out.append(f"At the defaults the largest weight is {terms.weight.max() / terms.weight.min():.4g} times the smallest.")
    if terms.focus is not None:
        factors = ", ".join(f"{(1 - p) ** terms.focus[0]:.3g} at $p_y$ = {p:g}" for p in SURENESS)
        out.append(f"Factor on a sample's loss: {factors}.")
    out += [f"{name} = {value:.6g}." for name, value in (terms.info or {}).items()]
    if not terms.set() and not terms.knobs:
        out.append("It sets no term; the loss is plain cross entropy.")
    return out + list(terms.notes)
