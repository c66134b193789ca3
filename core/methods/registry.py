"""METHODS: the rows of every file of this folder that defines ROWS. A new file is found automatically."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from core.methods.method import Method
from core.registry import Registry

READERS = {"registry", "evaluate"}  # files that import METHODS: they hold no rows


def files_of_rows() -> Iterator[ModuleType]:
    """The modules beside this one that define ROWS, imported."""
    for found in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if found.name not in READERS:
            module = importlib.import_module(f"core.methods.{found.name}")
            if hasattr(module, "ROWS"):
                yield module


def place(module: ModuleType) -> tuple[float, str]:
    """Sort key of a file's rows: its ORDER, last without one; then its name."""
    return getattr(module, "ORDER", math.inf), module.__name__


METHODS: Registry[Method] = Registry(
    "method", *(row for module in sorted(files_of_rows(), key=place) for row in module.ROWS)
)
