"""Readings of runs as text and as plain values, for tables, the command line and exports."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.metrics.readings import ERROR, SHARE, VARIANCE, WORST, Change, Reading
from reporting import numbers

# ---------------------------------------------------------------- as text


@dataclass(frozen=True)
class _Words:
    """Format of a unit: its suffix, a value, a difference, several values with equal decimals, a mean with its standard deviation."""

    unit: str
    value: Callable[[float], str]
    change: Callable[[float, float], str]
    alike: Callable[[Sequence[float]], list[str]]
    with_sd: Callable[[float, float], str]


def _points(values: Sequence[float]) -> list[str]:
    return numbers.alike([100 * v for v in values], 1)


def _share_with_sd(mean: float, sd: float) -> str:
    return f"{100 * mean:.1f} ± {100 * sd:.1f}"


def _error_places(*values: float) -> int:
    """Decimals of small errors in percent: two significant digits of the smallest, one decimal at least and four at most."""
    return max(min(numbers.places(100 * v, 1), 4) for v in values)


def _error_change(before: float, after: float) -> str:
    return numbers.signed(100 * (after - before), _error_places(before, after))


def _error_points(values: Sequence[float]) -> list[str]:
    return numbers.alike([100 * v for v in values], 2)


def _error_with_sd(mean: float, sd: float) -> str:
    places = max(2, _error_places(mean))
    return f"{100 * mean:.{places}f} ± {100 * sd:.{places}f}"


WORDS = {
    SHARE: _Words(
        "%", lambda v: f"{100 * v:.1f}", lambda b, a: numbers.signed(100 * (a - b), 1), _points, _share_with_sd
    ),
    ERROR: _Words("%", numbers.spread_points, _error_change, _error_points, _error_with_sd),
    VARIANCE: _Words("", numbers.variance, numbers.variance_change, numbers.variances, numbers.variance_with_sd),
}
NOTHING = "–"


def named(reading: Reading | Change) -> str:
    """A measure's name with its unit and, for a group, its number of classes: "Few-shot TPR (3 classes), %"."""
    unit, n = WORDS[reading.unit].unit, reading.classes
    return (
        reading.label
        + ("" if n is None else f" ({n} {'class' if n == 1 else 'classes'})")
        + (f", {unit}" if unit else "")
    )


def written(unit: str, value: float, of: str = "") -> str:
    """A value without its unit, which is in `named`, followed by the class it is for."""
    text = NOTHING if math.isnan(value) else WORDS[unit].value(value)
    return f"{text} ({of})" if of else text


def written_change(unit: str, before: float, after: float) -> str:
    """A signed difference, shares in points."""
    return NOTHING if math.isnan(before) or math.isnan(after) else WORDS[unit].change(before, after)


def _side(change: Change, when: str) -> str:
    """One side of a change; the worst class is named on each; the positive class is the same on both."""
    return written(change.unit, getattr(change, when), getattr(change, f"of_{when}") if change.key == WORST else "")


def told(found: Sequence[Reading]) -> list[tuple[str, str]]:
    """(label, value) of a run's readings as text."""
    return [(named(r), written(r.unit, r.value, r.of if r.key == WORST else "")) for r in found]


def told_changes(found: Sequence[Change]) -> list[tuple[str, str, str, str]]:
    """(label, before, after, difference) of two runs as text."""
    return [(named(c), _side(c, "before"), _side(c, "after"), written_change(c.unit, c.before, c.after)) for c in found]


# ---------------------------------------------------------------- for scripts


def as_dict(found: Sequence[Reading]) -> dict[str, dict[str, Any]]:
    """Key -> label, value and, where there is one, the number of classes or the class; for JSON."""
    return {
        r.key: {
            "label": r.label,
            "value": r.value,
            **_known(classes=r.classes, **{"class": r.of or None}, alpha=r.alpha),
        }
        for r in found
    }


def _known(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def changes_as_dict(found: Sequence[Change]) -> dict[str, dict[str, Any]]:
    """Key -> label, before, after, change and, where there is one, the number of classes or the class on each side; for JSON."""
    return {
        c.key: {
            "label": c.label,
            "before": c.before,
            "after": c.after,
            "change": c.change,
            **_known(
                classes=c.classes, class_before=c.of_before or None, class_after=c.of_after or None, alpha=c.alpha
            ),
        }
        for c in found
    }
