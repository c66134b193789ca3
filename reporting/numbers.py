"""User-facing numbers and times. Pure functions. A minus is a hyphen, which a script can read, except in `points` and after `minus`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from core.formatting import plural

DASH = "–"
PLACES = 4  # decimals of a variance at least
LEAST = 1e-5  # below this, a variance is written with an exponent


def _missing(value: float | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def percent(value: float | None, digits: int = 1) -> str:
    """.8321 -> "83.2 %"; a missing value is a dash."""
    return DASH if _missing(value) else f"{in_percent(value, digits)} %"


def in_percent(value: float | None, digits: int = 1) -> str:
    """.8321 -> "83.2", under a heading that names the unit."""
    return DASH if _missing(value) else f"{100 * value:.{digits}f}"


def points(value: float | None, digits: int = 1) -> str:
    """A difference of shares in signed percentage points, with a real minus, as sentences and charts have it: -.0123 -> "−1.2"."""
    return minus(signed_points(value, digits))


def signed_points(value: float | None, digits: int = 1) -> str:
    """A difference of shares in signed percentage points as `points`, but with a hyphen for a minus, which a script can
    read: .04 -> "+4.0"."""
    return DASH if _missing(value) else signed(100 * value, digits)


def minus(text: str) -> str:
    """Numbers in a text with real minus signs; a hyphen inside a word stays."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


def spread(variance: float | None) -> str:
    """Variance of TPRs as their standard deviation in points: .0077 -> "8.8 points"."""
    return DASH if _missing(variance) else f"{spread_points(math.sqrt(max(variance, 0.0)))} points"


def weight(value: float | None) -> str:
    """A class weight with three significant digits, at least those before the point; an exponent below 1e-4 and from a million on.

    .6628 -> "0.663", 9.999 -> "10.0", 1234.5 -> "1234", 0 -> "0.00"
    """
    if _missing(value):
        return DASH
    scientific = f"{value:.2e}"
    if value and not 1e-4 <= abs(value) < 1e6:
        return scientific
    return f"{value:.{max(2 - int(scientific.partition('e')[2]), 0)}f}"


def duration(seconds: float | None) -> str:
    """42 -> "42 s", 130 -> "2 min 10 s", 7300 -> "2 h 2 min"."""
    if _missing(seconds):
        return DASH
    s = round(seconds)
    if s < 60:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min {s % 60} s" if s % 60 else f"{s // 60} min"
    return f"{s // 3600} h {s % 3600 // 60} min"


def rough(seconds: float) -> str:
    """An estimated duration, rounded up to its precision: 43 -> "45 s", 130 -> "3 min"; at least "1 s"."""
    step = 1 if seconds < 10 else 5 if seconds < 90 else 60 if seconds < 5400 else 600
    return duration(max(step, step * math.ceil(seconds / step)))


def left(seconds: float | None, *, short: bool = False) -> str:
    """The estimated time left: "about 45 s left", `short` "45 s left"; "estimating" while it is unknown."""
    if _missing(seconds):
        return "estimating"
    return f"{'' if short else 'about '}{rough(seconds)} left"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """A time in the past, relative: "just now", "5 min ago", "3 days ago". Naive times are UTC."""
    if moment is None or moment != moment:  # NaT is not equal to itself
        return DASH
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, name in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size:
            n = int(seconds // size)
            return f"{n} {plural(name, n) if name == 'day' else name} ago"
    return "just now"


def exact(moment: datetime | None) -> str:
    """A time in full, for a tooltip: "2026-03-01 14:05:09 UTC"."""
    return DASH if moment is None or moment != moment else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


# -- digits: variances and spreads near 0 are not rounded to nothing -----------------------------------------------


def decimals(value: float, least: int) -> int:
    """How many decimals show two significant digits of `value`, at least `least`."""
    return max(least, 1 - math.floor(math.log10(abs(value)))) if value else least


def variance(value: float | None) -> str:
    """.0128 -> "0.0128", 3.14e-5 -> "0.000031", 3.1e-7 -> "3.1e-7"; exactly 0 is "0", a missing value a dash."""
    if _missing(value):
        return DASH
    if not value or value >= LEAST:
        return f"{value:.{decimals(value, PLACES)}f}" if value else "0"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def alike(values: Sequence[float], least: int) -> list[str]:
    """Numbers that belong together, signed, with equal decimals: a change and the ends of its interval.

    `least` decimals, and up to two more where rounding would make an interval that excludes 0 touch it.
    """
    beyond = all(v > 0 for v in values) or all(v < 0 for v in values)
    smallest = min(abs(v) for v in values)
    more = next((d for d in range(2) if smallest >= 0.5 / 10 ** (least + d)), 2) if beyond else 0
    return [signed(v, least + more) for v in values]


def variances(values: Sequence[float]) -> list[str]:
    """Changes of a variance that belong together: two significant digits of the largest, at least four decimals."""
    return alike(values, decimals(max(abs(v) for v in values), PLACES))


def variance_change(before: float, after: float) -> str:
    """The change of a variance, after - before, signed, with the decimals of the larger."""
    return signed(after - before, decimals(max(before, after), PLACES))


def variance_with_sd(mean: float, sd: float) -> str:
    """A mean variance and its standard deviation with equal decimals: "0.0138 ± 0.0035"."""
    digits = decimals(mean, PLACES)
    return f"{mean:.{digits}f} ± {sd:.{digits}f}"


def share_decimals(*shares: float) -> int:
    """How many decimals of shares in percent show two significant digits of the smallest: at least one, at most four."""
    return max(min(decimals(100 * share, 1), 4) for share in shares)


def spread_points(share: float) -> str:
    """A spread in points with the decimals of `share_decimals`: .0877 -> "8.8", .0056 -> "0.56", 1e-7 -> "0.0000"."""
    return in_percent(share, share_decimals(share))


def signed(value: float, digits: int) -> str:
    """A signed number; one that rounds to zero has no sign."""
    text = f"{value:+.{digits}f}"
    return text[1:] if not text.strip("+-0.") else text
