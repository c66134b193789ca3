"""The objectives: the rows of METHODS name them, and they are imported on demand."""

from __future__ import annotations

from collections.abc import Iterable

from core.errors import EvenlyError
from core.methods import METHODS, Method
from core.registry import imported
from core.training.objectives.base import Objective

ONE_LOSS = "core.training.objectives.terms:Terms"  # for methods whose row names no objective, and before a late start


def key_of(address: str) -> str:
    """ "core.training.objectives.ghm:GradientHarmonizing" -> "ghm": its key in terms and checkpoints."""
    return address.partition(":")[0].rpartition(".")[2]


def addresses(methods: Iterable[Method] = METHODS) -> dict[str, str]:
    """key -> "module:Class" of every objective, the one loss first, then in the order of the rows.

    Several methods may name the same one; two that only share a key raise EvenlyError: a checkpoint could not tell them apart.
    """
    found: dict[str, str] = {}
    for address in (ONE_LOSS, *(method.objective for method in methods if method.objective)):
        if found.setdefault(key_of(address), address) != address:
            raise EvenlyError(
                f"two objectives have the key {key_of(address)}: {found[key_of(address)]} and {address}; rename the file of one"
            )
    return found


def objective_class(key: str, methods: Iterable[Method] = METHODS) -> type[Objective]:
    """The class with this key, its module imported now. An unknown key raises EvenlyError with the known keys."""
    known = addresses(methods)
    if key not in known:
        raise EvenlyError(f"unknown objective {key!r}; known: {', '.join(known)}; a method names its own in its row")
    return imported(known[key])
