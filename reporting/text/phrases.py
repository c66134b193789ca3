"""Parts of sentences: numbers of runs and classes, capitals, signs, choices."""

from __future__ import annotations

from collections.abc import Sequence

from core.formatting import listed, plural
from reporting.numbers import minus


def choice(key: str) -> str:
    """The phrase for a choice, or a text about it: weighted_mean -> "weighted mean"."""
    return key.replace("_", " ")


def numbered(noun: str, numbers: Sequence[int]) -> str:
    """The phrase for some of the seeds, runs or classes: "seed 3", "seeds 0, 1 and 2", "classes 0 and 2"; beyond eight
    the others are counted."""
    return f"{plural(noun, len(numbers))} {listed(numbers)}"


def capitalized(text: str) -> str:
    """A phrase that begins a sentence: its first letter in upper case."""
    return f"{text[:1].upper()}{text[1:]}"


def typographic(text: str) -> str:
    """A sentence with real signs: -> as an arrow, - before a digit as a minus."""
    return minus(text.replace("->", "→"))
