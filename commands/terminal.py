"""What the command line prints: JSON, text and tables.

Names come from people and from folders: they are printed as text, never as markup, and without control characters.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.serialization import plain

WIDEST = 100  # columns of running text


# -- JSON and files ----------------------------------------------------------------------------------------------


def emit(data: Any) -> None:
    """JSON on stdout, on one line if short; NaN, which JSON cannot express, becomes null."""
    short = json.dumps(plain(data), allow_nan=False)
    print(short if len(short) <= WIDEST else json.dumps(plain(data), allow_nan=False, indent=1))


def save(path: Path, text: str) -> None:
    """Write a file atomically; raises EvenlyError naming it. A device or a pipe is written to directly."""
    from core.errors import EvenlyError

    path = path.resolve()
    whole = path.is_file() or not path.exists()
    target = path.with_name(f".{path.name}.{os.getpid()}.tmp") if whole else path
    try:
        target.write_text(text, encoding="utf-8", newline="")
        if whole:
            os.replace(target, path)
    except OSError as error:
        if whole:
            with suppress(OSError):  # it may not exist
                target.unlink()
        raise EvenlyError(
            f"{path} cannot be written: {error.strerror}; name a file in a folder you may write to"
        ) from error


# -- words and tables --------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Text on one line without control characters."""
    return "".join(ch if ch.isprintable() else "\N{REPLACEMENT CHARACTER}" for ch in text)


def width() -> int:
    """Columns for running text: the terminal's, at most WIDEST; WIDEST where there is none."""
    return min(os.get_terminal_size().columns, WIDEST) if sys.stdout.isatty() else WIDEST


def paragraph(text: str, indent: int = 0) -> str:
    """Text wrapped to `width()` columns."""
    pad = " " * indent
    return textwrap.fill(clean(text), max(width(), indent + 20), initial_indent=pad, subsequent_indent=pad)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table on stdout; numbers right-aligned and never wrapped, the first column left-aligned and wrapped if long."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=Text(title) if title else None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        first = i == 0
        drawn.add_column(column, justify="left" if first else "right", no_wrap=not first, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(clean(cell)) for cell in row))
    Console().print(drawn)


def listing(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns without borders, easy to cut and grep; the last one is truncated at the terminal's width."""
    cells = [[clean(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns) - 1)]
    edge = os.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in cells:
        print(("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]))[:edge].rstrip())
