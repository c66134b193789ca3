"""How lists of names are written: long ones are cut and the rest is counted."""

from __future__ import annotations

from collections.abc import Iterable

MOST_LISTED = 8  # names before "and n more"


def listed(names: Iterable[object], most: int = MOST_LISTED, last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"; beyond `most` names the others are counted: "a, b and 3 more"."""
    shown = [str(name) for name in names]
    if len(shown) > most:
        shown, last = [*shown[:most], f"{len(shown) - most:,} more"], "and"
    return f" {last} ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))
