"""Input and output of a method: Evidence and ClassTerms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import EvenlyError
from core.findings import Finding
from core.formatting import count

Vector = NDArray[np.float64]  # [C]
PERCENTAGES = "write percentages with a % sign"  # to a person who gave a TPR above 1


def _span(low: float, high: float) -> str:
    return f"of at least {low:g}" if np.isinf(high) else f"in [{low:g}, {high:g}]"


def _vector(name: str, values: ArrayLike | None, classes: int, low: float, high: float) -> Vector | None:
    if values is None:
        return None
    try:
        v = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise EvenlyError(f"{name} must be numbers, got {values!r}") from None
    if v.shape != (classes,):
        raise EvenlyError(f"{name} has {count(v.size, 'value')}, expected {classes}, one per class")
    bad = (v < low) | (v > high) | np.isinf(v)
    if bad.any():
        c = int(np.argmax(bad))
        hint = f"; {PERCENTAGES}" if high == 1 < v[c] else ""
        raise EvenlyError(f"{name} of class {c} is {v[c]:g}, expected a finite number {_span(low, high)}{hint}")
    return v


@dataclass(frozen=True)
class Evidence:
    """Input of a method. Vectors are [C]; NaN means undefined (a class without samples there).

    counts       training samples per class
    tpr          TPRs of an earlier run on its validation split
    support      validation samples behind each of `tpr`
    epoch        0-based epoch that is about to run, of `epochs`
    start        0-based epoch from which the method acts; its terms before then are not used
    last_tpr     this run's validation TPRs after the last epoch; None before the first
    last_support validation samples behind each of `last_tpr`
    past         this run's validation TPRs after every epoch so far [E, C], or what replaces them (`keeps` of the method's row)

    Raises EvenlyError for a wrong length, TPRs outside [0, 1] or negative counts.
    """

    classes: int
    counts: Vector | None = None
    tpr: Vector | None = None
    support: Vector | None = None
    epoch: int = 0
    epochs: int = 1
    start: int = 0
    last_tpr: Vector | None = None
    last_support: Vector | None = None
    past: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.past is not None and self.past.shape[1:] != (self.classes,):
            raise EvenlyError(f"past TPRs have the shape {self.past.shape}, expected epochs x {self.classes}")
        if self.classes < 2:
            raise EvenlyError(f"a classifier needs at least 2 classes, got {self.classes}")
        for name, high in (
            ("counts", np.inf),
            ("tpr", 1.0),
            ("support", np.inf),
            ("last_tpr", 1.0),
            ("last_support", np.inf),
        ):
            object.__setattr__(self, name, _vector(name, getattr(self, name), self.classes, 0.0, high))


@dataclass(frozen=True)
class ClassTerms:
    """Output of a method, one value per class ([C]); None leaves that term unset.

    loss = reduce_i[ weight_y (1-p_y)^focus_y CE_smoothing_y( scale_c z_c + shift_c - margin_y 1[c=y] ) ]

    weight     factor on the loss of a sample of the class
    scale      factor on the class's logit
    shift      added to the class's logit
    margin     subtracted from the logit of the true class
    smoothing  label smoothing for samples of the class
    focus      focusing exponent for samples of the class (focal loss gamma)
    mask       probability that the class's logit is left out for a sample of another class
    sampling   probability that a drawn training sample belongs to the class (sums to 1)
    draw       how samples are drawn: key of core.training.index_samplers.DRAWS
    objective  what applies the terms: "terms", the one loss; the last part of the module that the method's row names; or a key
               of core.methods.posthoc.STEPS after training
    knobs      the numbers of that objective or of the drawing
    info       scalars worth showing, e.g. {"tau": 1.15}
    notes      what was clipped or assumed: findings of core.methods.notes
    clipped    indices of classes whose TPR or weight was clipped
    """

    weight: Vector | None = None
    scale: Vector | None = None
    shift: Vector | None = None
    margin: Vector | None = None
    smoothing: Vector | None = None
    focus: Vector | None = None
    mask: Vector | None = None
    sampling: Vector | None = None
    draw: str = "replace"
    objective: str = "terms"
    knobs: Mapping[str, float] = field(default_factory=dict)
    info: dict[str, float] | None = None
    notes: tuple[Finding, ...] = ()
    clipped: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in TERMS:
            v = getattr(self, name)
            if v is not None and not np.isfinite(v).all():
                c = int(np.argmax(~np.isfinite(v)))
                raise EvenlyError(f"{name} of class {c} is {v[c]:g}; every term must be finite")

    def set(self) -> dict[str, Vector]:
        """Only the terms the method sets, in a fixed order."""
        return {name: v for name in TERMS if (v := getattr(self, name)) is not None}


TERMS = tuple(
    f.name for f in fields(ClassTerms) if f.name not in ("draw", "objective", "knobs", "info", "notes", "clipped")
)
