"""The building blocks of every table: parameters with ranges, sources, and lookup by key.

A method, dataset, model or recipe is a pure function plus one row of these. Page, CLI, validation,
docs and tests read the rows, so adding one touches one file.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from core.errors import EvenlyError

LONGEST_TEXT = 10_000  # characters of a text parameter: 1,000 classes' weights fit


@dataclass(frozen=True)
class Source:
    """Where a formula, dataset or network was published."""

    authors: str
    year: int
    title: str
    url: str = ""

    def __str__(self) -> str:
        return f"{self.authors} ({self.year}), {self.title}"


@dataclass(frozen=True)
class Param:
    """A parameter: a number in [low, high], one of `choices`, a number or one of `words`, or a line of `text`.

    Without `choices`, `integer` and `text` it is a float. `step` is the grid of the slider, not a limit.
    """

    key: str
    label: str
    default: float | int | str
    low: float = -math.inf
    high: float = math.inf
    step: float = 0.1
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    integer: bool = False
    text: bool = False
    help: str = ""

    @property
    def expected(self) -> str:
        """The valid values in words, for messages and docs."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.text:
            return f"a text of 1 to {LONGEST_TEXT} characters"
        kind = "a whole number" if self.integer else "a number"
        low, high = (
            f"{v:,.0f}" if 1e6 <= abs(v) < math.inf and v == int(v) else f"{v:g}" for v in (self.low, self.high)
        )
        text = f"{kind} from {low} to {high}"
        return f"{text}, or " + ", ".join(self.words) if self.words else text

    def check(self, value: Any, owner: str) -> float | int | str:
        """Return `value` converted to its type, or raise EvenlyError with value, range and owner."""
        if self.text:
            if isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_TEXT:
                return value.strip()
            raise self._refusal(value, owner)
        if self.choices or (isinstance(value, str) and value in self.words):
            if value in self.choices or value in self.words:
                return value
            raise self._refusal(value, owner)
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise self._refusal(value, owner) from None
        if isinstance(value, bool) or not (self.low <= number <= self.high):  # NaN fails the comparison too
            raise self._refusal(value, owner)
        if not self.integer:
            return number
        if number != int(number):
            raise self._refusal(value, owner)
        return int(number)

    def _refusal(self, value: Any, owner: str) -> EvenlyError:
        shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
        return EvenlyError(f"{owner}: {self.key} is {shown}, expected {self.expected}")


def check_params(params: tuple[Param, ...], given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """All parameters of a row, with defaults filled in; an unknown or out-of-range one raises EvenlyError."""
    known = {p.key for p in params}
    for key in given:
        if key not in known:
            hint = f"known: {', '.join(sorted(known))}" if known else f"{owner} has no parameters; leave it out"
            raise EvenlyError(f"{owner}: unknown parameter {key!r}; {hint}")
    return {p.key: p.check(given.get(p.key, p.default), owner) for p in params}


def imported(address: str) -> Any:
    """What a row names as "module:name", its module imported now."""
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)


class Row(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def label(self) -> str: ...


R = TypeVar("R", bound=Row)


class Registry(Generic[R]):
    """Rows in a fixed order, found by key. A duplicate key is an error at import."""

    def __init__(self, noun: str, *rows: R) -> None:
        self.noun = noun
        self._rows = {row.key: row for row in rows}
        if len(self._rows) != len(rows):
            raise ValueError(f"two {noun}s share a key: {[row.key for row in rows]}")

    def __iter__(self) -> Iterator[R]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> R:
        """The row with this key; an unknown key raises EvenlyError with the known keys."""
        if key not in self._rows:
            raise EvenlyError(f"unknown {self.noun} {key!r}; known: {', '.join(self._rows)}")
        return self._rows[key]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._rows)
