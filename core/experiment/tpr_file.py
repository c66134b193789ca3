"""Pasted or uploaded TPRs: one number per line, a list with commas or blanks, or columns class, tpr and support."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import EvenlyError
from core.formatting import count, listed
from core.methods.types import PERCENTAGES, Vector

LARGEST = 1_000_000  # bytes, or characters of pasted text
QUOTED = 40
TPR_WORDS = ("tpr", "recall", "true positive rate")
CLASS_WORDS = ("class", "name", "label")
SUPPORT_WORDS = ("support", "n", "samples")
SPLIT_WORDS = ("split",)
VALIDATION = ("", "validation", "valid", "val", "dev")  # names of the validation split; "": not given
COMMENT = re.compile(r"^[^\S\r\n]*#[^\r\n]*", re.MULTILINE)

Line = tuple[int, list[str]]  # line number from 1, cells


@dataclass(frozen=True)
class Columns:
    """Column indices of a table; None where it has no such column."""

    tpr: int
    name: int | None = None
    support: int | None = None
    split: int | None = None


def parse(given: str | bytes, classes: Sequence[str] | int | None = None) -> tuple[Vector, Vector | None]:
    """(tpr [C], support [C] or None) in the order of `classes`, or as given where their names are unknown.

    Numbers are shares in [0, 1] or written with %; "nan" or an empty cell of a table means undefined and is NaN. Lines
    that start with # are skipped. A table is recognized by a header naming tpr, or by class names in its first column. A column
    "split" must be validation: weights from TPRs of the test split would be fitted to the test data.
    Raises EvenlyError that names the line and the value.
    """
    lines = _lines(_text(given))
    if not lines:
        raise EvenlyError("no TPRs found; give one number per line, or lines of class,tpr")
    header = _header(lines[0][1])
    columns = header or _guess(lines, classes)
    if columns is None:
        return _flat(lines, classes)
    return _table(lines[1:] if header else lines, columns, classes)


def _text(given: str | bytes) -> str:
    """The text without a byte-order mark; too large or binary raises EvenlyError."""
    if len(given) > LARGEST:
        raise EvenlyError(f"the TPRs are {len(given):,} bytes, expected at most {LARGEST:,}; give one number per class")
    if isinstance(given, bytes):
        try:
            given = given.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise EvenlyError("the TPRs are not plain text; save them as CSV in UTF-8") from None
    if "\0" in given:
        raise EvenlyError("the TPRs are not plain text; save them as CSV in UTF-8")
    return given.removeprefix("\ufeff")


def _lines(text: str) -> list[Line]:
    """Cells of every line that is not empty, with its line number.

    The separator is ; or a tab if the first line that is not a comment has one, else a comma. Numbers separated by
    blanks only, as numpy prints an array, are cells too.
    """
    text = _unwrapped(COMMENT.sub("", text))  # first, so that comments are ignored below; line numbers stay
    if _blanks_only(text):
        rows = [(n, line.split()) for n, line in enumerate(text.splitlines(), 1)]
        return [(n, cells) for n, cells in rows if cells]
    # A spreadsheet quotes a comment; such a comment is still here.
    first = next((s for s in text.splitlines() if s.strip() and not s.lstrip(' \t"').startswith("#")), "")
    separator = next((s for s in ";\t" if s in first), ",")
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise EvenlyError(f"line {reader.line_num}: {error}; expected numbers, or class,tpr") from None
    return [(n, cells) for n, cells in rows if any(cells) and not cells[0].startswith("#")]


def _unwrapped(text: str) -> str:
    """The text without the brackets of a pasted Python or JSON list, or of a printed array. Line numbers stay the same."""
    found = re.fullmatch(r"(\s*)(?:array\()?\[(.*?)\](?:, *dtype=\w+)?\)?\s*", text, flags=re.DOTALL)
    if found:
        return found[1] + found[2]
    return re.sub(r"\A(\s*)\[", r"\1", text)


def _blanks_only(text: str) -> bool:
    """Whether the text is only numbers, with several on one line separated by blanks."""
    lines = [line.split() for line in text.splitlines()]
    return any(len(cells) > 1 for cells in lines) and all(_is_number(cell) for cells in lines for cell in cells)


def _header(cells: list[str]) -> Columns | None:
    """The columns, if this line names one tpr; else None."""
    low = [c.lower() for c in cells]

    def find(words: tuple[str, ...]) -> int | None:
        return next((low.index(w) for w in words if w in low), None)

    tpr = find(TPR_WORDS)
    return None if tpr is None else Columns(tpr, find(CLASS_WORDS), find(SUPPORT_WORDS), find(SPLIT_WORDS))


def _guess(lines: list[Line], classes: Sequence[str] | int | None) -> Columns | None:
    """Columns of a table without a header: class, tpr and perhaps support; None for a plain list of numbers.

    One line is always a list. Where class names are numbers, lines that start with different ones form a table, unless
    there are as many cells as classes.
    """
    width = max(len(cells) for _, cells in lines)
    firsts = [cells[0] for _, cells in lines]
    if len(lines) == 1 or width < 2:
        return None
    names = set() if classes is None or isinstance(classes, int) else set(classes)
    named = set(firsts) <= names and len(set(firsts)) == len(firsts)
    as_many = sum(len(cells) for _, cells in lines) == len(names) and set(firsts) != names
    if _is_number(firsts[0]) and (not named or as_many):
        return None
    return Columns(1, 0, 2 if width > 2 else None)


def _is_number(cell: str) -> bool:
    try:
        float(cell.removesuffix("%"))
    except ValueError:
        return False
    return True


def _flat(lines: list[Line], classes: Sequence[str] | int | None) -> tuple[Vector, None]:
    """A plain list: every cell is a TPR. A trailing comma is allowed."""
    values = []
    for n, cells in lines:
        values += [_tpr(cell, n) for cell in (cells[:-1] if not cells[-1] else cells)]
    expected = _number_of(classes)
    if expected is not None and len(values) != expected:
        raise EvenlyError(f"{count(len(values), 'TPR')} given, expected {expected}, one per class")
    return np.array(values), None


def _table(lines: list[Line], columns: Columns, classes: Sequence[str] | int | None) -> tuple[Vector, Vector | None]:
    """A table: values sorted by the class names where both are known."""
    for n, cells in lines:
        _of_validation(cells, columns, n)
    found = [
        (n, _cell(cells, columns.name, n), _tpr(_cell(cells, columns.tpr, n) or "nan", n), _support(cells, columns, n))
        for n, cells in lines
    ]
    names = None if classes is None or isinstance(classes, int) else list(classes)
    if columns.name is not None:
        found = _by_name(found, names)
    expected = _number_of(classes)
    if not found or (expected is not None and len(found) != expected):
        raise EvenlyError(f"{count(len(found), 'TPR')} given, expected {expected or 'at least 2'}, one per class")
    tpr, support = np.array([row[2] for row in found]), np.array([row[3] for row in found])
    return tpr, None if columns.support is None else support


Found = tuple[int, str, float, float]  # line, class name, TPR, support


def _by_name(found: list[Found], names: list[str] | None) -> list[Found]:
    """The rows in the order of `names`; an unknown, repeated or missing class raises EvenlyError."""
    known, rows = set(names or ()), {}
    for row in found:
        name = row[1]
        if names is not None and name not in known:
            name = name.removeprefix("'")  # our CSV export escapes names that a spreadsheet would read as a formula
        if names is not None and name not in known:
            raise EvenlyError(f"line {row[0]}: unknown class {_shown(row[1])!r}; known: {_some(names)}")
        if name in rows:
            raise EvenlyError(
                f"line {row[0]}: class {_shown(name)!r} is given twice, first in line {rows[name][0]}; keep one"
            )
        rows[name] = row
    missing = [name for name in names or () if name not in rows]
    if missing:
        raise EvenlyError(
            f"no TPR for {'class' if len(missing) == 1 else 'classes'} {_some(missing)}; write nan where it is undefined"
        )
    return [rows[name] for name in (names or rows)]


def _cell(cells: list[str], column: int | None, n: int) -> str:
    if column is None:
        return ""
    if column >= len(cells):
        raise EvenlyError(f"line {n}: {count(len(cells), 'value')}, expected at least {column + 1}")
    return cells[column]


def _number(cell: str, n: int) -> float:
    text = cell.removesuffix("%").strip()
    try:
        if "_" in text:  # Python reads 1_000 as a number; a person may not mean that
            raise ValueError
        value = float(text)
    except ValueError:
        raise EvenlyError(f"line {n}: {_shown(cell)!r} is not a number") from None
    return value / 100 if cell.endswith("%") else value


def _tpr(cell: str, n: int) -> float:
    value = _number(cell, n)
    if not math.isnan(value) and not 0 <= value <= 1:
        raise EvenlyError(f"line {n}: {_shown(cell)} is outside [0, 1]; {PERCENTAGES}")
    return value


def _support(cells: list[str], columns: Columns, n: int) -> float:
    """Samples behind the TPR; NaN where the cell is empty or there is no such column."""
    cell = _cell(cells, columns.support, n)
    value = _number(cell, n) if cell else math.nan
    if value < 0 or math.isinf(value):
        raise EvenlyError(f"line {n}: support {_shown(cell)} is not a number of samples")
    return value


def _of_validation(cells: list[str], columns: Columns, n: int) -> None:
    """Raise EvenlyError for a row of another split than the validation split."""
    split = _cell(cells, columns.split, n)
    if split.lower() not in VALIDATION:
        raise EvenlyError(
            f"line {n}: TPRs of the {_shown(split)} split, expected validation, since the test split must stay unseen; "
            "`python cli.py export RUN --split validation` writes those of a run"
        )


def _number_of(classes: Sequence[str] | int | None) -> int | None:
    return classes if classes is None or isinstance(classes, int) else len(classes)


def _shown(cell: str) -> str:
    """A cell as a message quotes it: QUOTED characters at most."""
    return cell if len(cell) <= QUOTED else cell[: QUOTED - 3] + "..."


def _some(names: Sequence[str]) -> str:
    """Up to eight names; the rest is counted."""
    return listed([repr(_shown(name)) for name in names])
