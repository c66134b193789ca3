"""Readings of runs as text, for tables, the command line and exports."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.formatting import count
from core.metrics.readings import ECE, ERROR, SHARE, VARIANCE, WEIGHTED, WORST, Change, Reading
from core.metrics.scalar import FEW_SHOT, MANY_SHOT, MEASURES
from reporting import numbers

# ---------------------------------------------------------------- names and meanings

GROUPS = {  # group of core.metrics.scalar.shots and halves -> label, which classes are in it
    "many": ("Many-shot TPR", f"with more than {MANY_SHOT} training samples"),
    "medium": ("Medium-shot TPR", f"with {FEW_SHOT} to {MANY_SHOT} training samples"),
    "few": ("Few-shot TPR", f"with fewer than {FEW_SHOT} training samples"),
    "majority": ("Majority TPR", "with at least the mean number of training samples"),
    "minority": ("Minority TPR", "with fewer training samples than the mean"),
}
ECE_MEANING = (
    "Expected calibration error: the difference between the confidence of predictions and the share that is correct, "
    "over 15 bins. 0: perfectly calibrated. "
    "The confidence is the softmax of the logits, also of a run trained with sigmoid outputs."
)


def reading_label(reading: Reading | Change) -> str:
    """The name of a reading's measure without its unit; of the weighted score with its alpha and positive class."""
    if reading.key == WEIGHTED:
        return f"Weighted score (alpha {reading.alpha:g}, positive {_positive(reading)})"
    if reading.key == ECE:
        return "Calibration error (ECE)"
    return GROUPS[reading.key][0] if reading.key in GROUPS else MEASURES[reading.key].label


def reading_meaning(reading: Reading | Change) -> str:
    """What a reading's measure means, in one or more sentences."""
    if reading.key == WEIGHTED:
        return (
            f"{reading.alpha:g} TPR + {1 - reading.alpha:g} TNR: the TPR is that of class {_positive(reading)}, "
            f"the TNR that of class {reading.negative}. At alpha 0.5 it is balanced accuracy."
        )
    if reading.key == ECE:
        return ECE_MEANING
    if reading.key in GROUPS:
        return f"Mean TPR of the {count(reading.classes, 'class')} {GROUPS[reading.key][1]}."
    return MEASURES[reading.key].summary


def _positive(score: Reading | Change) -> str:
    """The positive class of the weighted score, the same on both sides of a change."""
    return score.of if isinstance(score, Reading) else score.of_after


# ---------------------------------------------------------------- as text


@dataclass(frozen=True)
class UnitFormat:
    """Format of a unit: its suffix, a value, a difference, several values with equal decimals, a mean with its standard deviation."""

    unit: str
    value: Callable[[float], str]
    change: Callable[[float, float], str]
    alike: Callable[[Sequence[float]], list[str]]
    with_sd: Callable[[float, float], str]


def _points(values: Sequence[float]) -> list[str]:
    return numbers.alike([100 * v for v in values], 1)


def _share_with_sd(mean: float, sd: float, digits: int = 1) -> str:
    return f"{numbers.in_percent(mean, digits)} ± {numbers.in_percent(sd, digits)}"


def _error_change(before: float, after: float) -> str:
    return numbers.signed(100 * (after - before), numbers.share_decimals(before, after))


def _error_points(values: Sequence[float]) -> list[str]:
    return numbers.alike([100 * v for v in values], 2)


def _error_with_sd(mean: float, sd: float) -> str:
    return _share_with_sd(mean, sd, max(2, numbers.share_decimals(mean)))


FORMATS = {
    SHARE: UnitFormat("%", numbers.in_percent, lambda b, a: numbers.signed_points(a - b), _points, _share_with_sd),
    ERROR: UnitFormat("%", numbers.spread_points, _error_change, _error_points, _error_with_sd),
    VARIANCE: UnitFormat("", numbers.variance, numbers.variance_change, numbers.variances, numbers.variance_with_sd),
}


def label_with_unit(reading: Reading | Change) -> str:
    """The name of a reading's measure with its unit and, for a group, its number of classes: "Few-shot TPR (3 classes), %"."""
    unit, n = FORMATS[reading.unit].unit, reading.classes
    return reading_label(reading) + ("" if n is None else f" ({count(n, 'class')})") + (f", {unit}" if unit else "")


def value_text(unit: str, value: float, of: str = "") -> str:
    """A reading's value without its unit, which is in `label_with_unit`, followed by the class it is for."""
    text = numbers.DASH if math.isnan(value) else FORMATS[unit].value(value)
    return f"{text} ({of})" if of else text


def change_text(unit: str, before: float, after: float) -> str:
    """The signed difference of two readings, shares in points."""
    return numbers.DASH if math.isnan(before) or math.isnan(after) else FORMATS[unit].change(before, after)


def _side(change: Change, when: str) -> str:
    """One side of a change; the worst class is named on each side, the positive class, the same on both, is in the label."""
    return value_text(change.unit, getattr(change, when), getattr(change, f"of_{when}") if change.key == WORST else "")


def reading_rows(found: Sequence[Reading]) -> list[tuple[str, str]]:
    """(label, value) of a run's readings as text."""
    return [(label_with_unit(r), value_text(r.unit, r.value, r.of if r.key == WORST else "")) for r in found]


def change_rows(found: Sequence[Change]) -> list[tuple[str, str, str, str]]:
    """(label, before, after, difference) of the readings of two runs as text."""
    return [
        (label_with_unit(c), _side(c, "before"), _side(c, "after"), change_text(c.unit, c.before, c.after))
        for c in found
    ]
