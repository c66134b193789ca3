"""How numbers and lists of names are written: long lists are cut and the rest is counted."""

from __future__ import annotations

from collections.abc import Iterable

MOST_LISTED = 8  # names before "and n more"


def listed(names: Iterable[object], most: int = MOST_LISTED, last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"; beyond `most` names the others are counted: "a, b and 3 more"."""
    shown = [str(name) for name in names]
    if len(shown) > most:
        shown, last = [*shown[:most], f"{len(shown) - most:,} more"], "and"
    return f" {last} ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def count(n: int, noun: str) -> str:
    """1 run, 2 runs, 1,000 classes."""
    return f"{n:,} {plural(noun, n)}"


def plural(noun: str, n: int) -> str:
    """The noun for `n` of them: 1 run, 2 runs, 3 classes."""
    return noun if n == 1 else f"{noun}es" if noun.endswith("s") else f"{noun}s"


def number(value: float) -> str:
    """A setting's value, as short as possible: 2.0 -> "2", 0.9999 -> "0.9999"."""
    return f"{value:g}"
