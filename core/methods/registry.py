"""METHODS: the rows of every file of this folder that defines ROWS. A new file is found automatically."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from core.methods.method import Method
from core.registry import Registry


def files_of_rows() -> Iterator[ModuleType]:
    """The modules beside this one with a line that begins with ROWS, imported."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if re.search(r"^ROWS\b", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            yield importlib.import_module(f"core.methods.{path.stem}")


def place(module: ModuleType) -> tuple[float, str]:
    """Sort key of a file's rows: its ORDER, last without one; then its name."""
    return getattr(module, "ORDER", math.inf), module.__name__


METHODS: Registry[Method] = Registry(
    "method", *(row for module in sorted(files_of_rows(), key=place) for row in module.ROWS)
)
