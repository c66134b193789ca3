"""Format of numbers and lists of names: variances near 0 with enough digits, long lists shortened."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

MOST_LISTED = 8  # names before "and n more"
PLACES = 4  # decimals of a variance at least
LEAST = 1e-5  # below this, a variance is written with an exponent


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def places(value: float, least: int) -> int:
    """Decimals that show two significant digits of `value`, at least `least`."""
    return max(least, 1 - math.floor(math.log10(abs(value)))) if value else least


def variance(value: float | None) -> str:
    """.0128 -> "0.0128", 3.14e-5 -> "0.000031", 3.1e-7 -> "3.1e-7"; exactly 0 is "0", a missing value "-"."""
    if _missing(value):
        return "-"
    if not value or value >= LEAST:
        return f"{value:.{places(value, PLACES)}f}" if value else "0"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def alike(values: Sequence[float], least: int) -> list[str]:
    """A change and the ends of its interval, signed, with equal decimals.

    `least` decimals, and up to two more where rounding would make an interval that excludes 0 touch it.
    """
    beyond = all(v > 0 for v in values) or all(v < 0 for v in values)
    smallest = min(abs(v) for v in values)
    more = next((d for d in range(2) if smallest >= 0.5 / 10 ** (least + d)), 2) if beyond else 0
    return [signed(v, least + more) for v in values]


def variances(values: Sequence[float]) -> list[str]:
    """Changes of a variance that belong together: two significant digits of the largest, at least four decimals."""
    return alike(values, places(max(abs(v) for v in values), PLACES))


def variance_change(before: float, after: float) -> str:
    """after - before, signed, with the decimals of the larger."""
    return signed(after - before, places(max(before, after), PLACES))


def variance_with_sd(mean: float, sd: float) -> str:
    """A mean and its standard deviation with equal decimals: "0.0138 ± 0.0035"."""
    digits = places(mean, PLACES)
    return f"{mean:.{digits}f} ± {sd:.{digits}f}"


def points(share: float) -> str:
    """A spread in points, at least one decimal and two significant digits: .0877 -> "8.8", .0056 -> "0.56"."""
    return f"{100 * share:.{min(places(100 * share, 1), 4)}f}"


def signed(value: float, digits: int) -> str:
    """A signed number; one that rounds to zero has no sign."""
    text = f"{value:+.{digits}f}"
    return text[1:] if not text.strip("+-0.") else text


def listed(names: Iterable[object], most: int = MOST_LISTED, last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"; beyond `most` names the others are counted: "a, b and 3 more"."""
    shown = [str(name) for name in names]
    if len(shown) > most:
        shown, last = [*shown[:most], f"{len(shown) - most:,} more"], "and"
    return f" {last} ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))
