"""What a method is: one row, and the helpers that the methods' functions share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.findings import Finding
from core.methods.notes import CountsFilled
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import Param, Source

NO_TPR, NO_SAMPLES = ("tpr",), ("counts",)  # what a class may lack; see WeightsFilled

# what a method is applied to
TRAIN = "train"  # a network from its first epoch on
CLASSIFIER = "classifier"  # the last layer of a finished run, its features frozen: a second stage
FINETUNE = "finetune"  # a finished run's whole network, with a new head: a second stage
POSTHOC = "posthoc"  # the outputs of a finished run: nothing is trained

NORMALIZE = Param(
    "normalize",
    "Normalize",
    "mean_one",
    choices=("none", "mean_one"),
    help="mean_one rescales the weights to mean 1. With the weighted mean reduction both give the same loss.",
)


@dataclass(frozen=True)
class Golden:
    """One case whose numbers were computed independently of the method's code. The tests allow an error of 1e-9.

    given   its input: tpr or counts [C]; or logits [B, C] and labels [B], whose loss is taken under batch_mean
    expect  every term that it sets [C], empty where it sets none; `loss` of those logits; a scalar of its `info`
    params  parameters that are not at their defaults
    knobs   the numbers passed to its objective, its sampling or its post-hoc step; None: not compared

    Long cases are in core/methods/golden/<file>.json.
    """

    given: Mapping[str, Sequence[Any]]
    expect: Mapping[str, Sequence[float] | float]
    params: Mapping[str, Any] = field(default_factory=dict)
    knobs: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Method:
    """One way to turn evidence into class terms.

    group    heading in the list of methods
    terms    pure function (Evidence, **params) -> ClassTerms
    formula  LaTeX with <param> placeholders; see `formula_with`
    needs    what it uses: "counts", "tpr" (an earlier run's), "last_tpr" (this run's last epoch),
             "network" (the weights of a finished run), "meta" (samples of the validation split, to learn from),
             "validation" (a finished run's outputs on that split, to fit on)
    slider   the parameter that the live preview's slider sets, or None
    stops    values of the preview's grid where even steps would miss the interesting end
    caveat   what a user should know before believing a result; may be empty
    when     when to use it
    stage    TRAIN, CLASSIFIER, FINETUNE or POSTHOC
    head     key of the last layer it needs, in models/networks/heads.py
    asks     params -> needs, where they depend on the parameters; None: always `needs`
    linear   it uses the weight vectors of a linear last layer, so it cannot be applied to a run with another head
    epochs   default number of epochs; None: the recipe's
    weighs   its objective carries the weight: before a late start of the weight the objective is the plain loss
    evens    params -> the power of 1 / n_c that it corrects for without showing it in its terms; None: its terms show everything
    decided  what it does during or after training that no term shows; "" where the terms show everything
    keeps    (past TPRs [E, C], params) -> what replaces them in later epochs [F, C]; None: it does not use them
    latex    params -> LaTeX to show instead of `formula`, with the same placeholders; None: always `formula`
    objective    "module:Class" that applies its terms in a step, imported when a run starts; "": the one loss. Terms and
                 checkpoints name it by the last part of its module
    tested_with  parameters that the contract tests try beside the defaults: those it requires, or cases that the
                 defaults do not reach. A value may be a function of the number of classes
    golden       independently computed cases; every row needs one, here or in core/methods/golden
    """

    key: str
    label: str
    group: str
    terms: Callable[..., ClassTerms]
    params: tuple[Param, ...]
    formula: str
    needs: frozenset[str]
    slider: str | None
    summary: str
    caveat: str
    source: Source
    stops: tuple[float, ...] = ()
    when: str = ""
    stage: str = TRAIN
    head: str = "linear"
    asks: Callable[[Mapping[str, Any]], frozenset[str]] | None = None
    latex: Callable[[Mapping[str, Any]], str] | None = None
    epochs: int | None = None
    linear: bool = False
    weighs: bool = False
    decided: str = ""
    evens: Callable[[Mapping[str, Any]], float] | None = None
    keeps: Callable[[NDArray[np.float64], Mapping[str, Any]], NDArray[np.float64] | None] | None = None
    objective: str = ""
    tested_with: Mapping[str, Any] = field(default_factory=dict, hash=False)
    golden: tuple[Golden, ...] = field(default=(), hash=False)

    @property
    def meets_validation(self) -> bool:
        """Whether its network learns from validation samples, whose TPRs are then too high."""
        return "meta" in self.needs

    def needs_with(self, params: Mapping[str, Any]) -> frozenset[str]:
        """What it uses under these parameters."""
        return self.asks(params) if self.asks else self.needs

    def tested(self, classes: int) -> dict[str, Any]:
        """`tested_with` for this number of classes."""
        return {k: v(classes) if callable(v) else v for k, v in self.tested_with.items()}


def class_even_meta(params: Mapping[str, Any]) -> float:
    """`evens` of a method that learns from meta samples: these are balanced over the classes, so it corrects for 1 / n_c."""
    return 1.0


def given(vector: Vector | None) -> Vector:
    """The TPRs of an earlier run [C]; missing ones raise EvenlyError."""
    if vector is None:
        raise EvenlyError("this method needs a TPR per class: choose a baseline or paste TPRs")
    return vector


def samples(evidence: Evidence) -> Vector:
    """Counts [C] with NaN for classes without samples; missing counts raise EvenlyError."""
    if evidence.counts is None:
        raise EvenlyError("this method needs the training counts of the classes: choose a dataset or give counts")
    return np.where(evidence.counts > 0, evidence.counts, np.nan)


def filled(evidence: Evidence, *, as_smallest: bool = False) -> tuple[Vector, tuple[Finding, ...]]:
    """Counts [C] without zeros, as terms must be finite, and a note where a class has no samples.

    Such a class counts as one sample, or with `as_smallest` as the smallest class that has any, where one sample would
    change the terms of the others.
    """
    n = samples(evidence)
    missing = np.flatnonzero(np.isnan(n))
    if len(missing) == len(n):
        raise EvenlyError("no class has training samples; check the dataset")
    if not len(missing):
        return n, ()
    stand_in = np.nanmin(n) if as_smallest else 1.0
    return np.where(np.isnan(n), stand_in, n), (CountsFilled(tuple(map(int, missing)), as_smallest),)
