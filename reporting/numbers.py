"""User-facing numbers and times. Pure functions; minus is the real sign, percent has one decimal."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from core import formatting

DASH = "–"


def _missing(value: float | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def percent(value: float | None, digits: int = 1) -> str:
    """.8321 -> "83.2 %"; a missing value is a dash."""
    return DASH if _missing(value) else f"{100 * value:.{digits}f} %"


def points(value: float | None, digits: int = 1) -> str:
    """A difference of shares in signed percentage points: .04 -> "+4.0"."""
    if _missing(value):
        return DASH
    return minus(f"{100 * value:+.{digits}f}")


def minus(text: str) -> str:
    """Text with real minus signs before digits; one inside a word stays a hyphen."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


def spread(variance: float | None) -> str:
    """Variance of TPRs as their standard deviation in points: .0077 -> "8.8 points"."""
    return DASH if _missing(variance) else f"{formatting.points(math.sqrt(max(variance, 0.0)))} points"


def small(value: float | None) -> str:
    """A variance with enough digits, as in every table and on the command line: .0077 -> "0.0077", .000031 -> "0.000031"."""
    return DASH if _missing(value) else formatting.variance(value)


def weight(value: float | None) -> str:
    """Three significant digits without an exponent up to a million: .6628, 1.25, 12.5, 125."""
    if _missing(value):
        return DASH
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}"
    digits = 2 - math.floor(math.log10(abs(value))) if value else 2
    return f"{value:.{max(digits, 0)}f}"


def number(value: float) -> str:
    """A setting's value, as short as possible: 2.0 -> "2", 0.9999 -> "0.9999"."""
    return f"{value:g}"


def count(n: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s" if not noun.endswith("s") else f"{n:,} {noun}es"


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


def left(seconds: float | None) -> str:
    """An estimate, rounded to its precision: 43 -> "about 45 s left"."""
    if _missing(seconds):
        return "estimating"
    if seconds < 1:
        return "about 1 s left"
    step = 1 if seconds < 10 else 5 if seconds < 90 else 60 if seconds < 5400 else 600
    return f"about {duration(max(step, step * math.ceil(seconds / step)))} left"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """A time in the past, relative: "just now", "5 min ago", "3 days ago". Naive times are UTC."""
    if moment is None or moment != moment:  # NaT is not equal to itself
        return DASH
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, name in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size:
            n = int(seconds // size)
            return f"{n} {name}{'s' if name == 'day' and n > 1 else ''} ago"
    return "just now"


def exact(moment: datetime | None) -> str:
    """The same time in full, for a tooltip."""
    return DASH if moment is None or moment != moment else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
