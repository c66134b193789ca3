"""What the command line prints: JSON, tables, figures, progress. Reads the database, computes nothing of its own.

Names come from people and from folders: they are shown as text, never as markup, and cannot move the cursor.
"""

from __future__ import annotations

import json
import math
import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from sqlalchemy import Engine

WIDEST = 100  # columns of running text
LINE_SECONDS = 5.0  # between two lines of progress where bars cannot be drawn
REDRAWS_PER_SECOND = 4
ENDED = ("succeeded", "failed", "cancelled")


# -- JSON and files ----------------------------------------------------------------------------------------------


def emit(data: Any) -> None:
    """JSON on stdout, on one line where it is short; a number that JSON has no word for (NaN) becomes null."""
    short = json.dumps(plain(data), allow_nan=False)
    print(short if len(short) <= WIDEST else json.dumps(plain(data), allow_nan=False, indent=1))


def plain(value: Any) -> Any:
    """Nested values as JSON knows them: arrays as lists, times as ISO 8601, what is undefined or missing as None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, datetime):
        return value.isoformat() if value == value else None  # pandas' NaT is not equal to itself
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else None  # pandas' NA


def save(path: Path, text: str) -> None:
    """Write a file whole or not at all; raises EvenlyError naming it. A device or a pipe is written to as it is."""
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
            target.unlink(missing_ok=True)
        raise EvenlyError(f"{path} cannot be written: {error.strerror}; name a file in a folder you may write to") from error


# -- words and tables --------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Text on one line without control characters."""
    return "".join(ch if ch.isprintable() else "\N{REPLACEMENT CHARACTER}" for ch in text)


def share(value: float | None) -> str:
    """.832 as 83.2 %; nothing yet as -."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def figure(value: float | None) -> str:
    """A variance or a weight with four decimals; nothing yet as -."""
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"


def points(value: float) -> str:
    """A change of shares as +1.2 points; undefined as -."""
    return "-" if math.isnan(value) else f"{100 * value:+.1f}"


def duration(seconds: float) -> str:
    """Seconds in words, as exact as an estimate is: 40 s, 3 min, 2 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def width() -> int:
    """Columns for running text: the terminal's, at most WIDEST; WIDEST where there is none."""
    return min(os.get_terminal_size().columns, WIDEST) if sys.stdout.isatty() else WIDEST


def paragraph(text: str, indent: int = 0) -> str:
    """Text broken into lines of `width()`."""
    pad = " " * indent
    return textwrap.fill(clean(text), max(width(), indent + 20), initial_indent=pad, subsequent_indent=pad)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table on stdout; numbers right and never broken, the first column left and broken where it is long."""
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
    """Aligned columns without lines around them, easy to cut and grep; the last one is cut at a terminal's edge."""
    cells = [[clean(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns) - 1)]
    edge = os.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in cells:
        print(("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]))[:edge].rstrip())


# -- progress of preparing data ----------------------------------------------------------------------------------


@contextmanager
def preparing(quiet: bool) -> Iterator[Callable[[float, str], None]]:
    """A progress function for data that is downloaded or decoded: one line redrawn on a terminal, else a line now and then."""
    live, said = sys.stderr.isatty(), time.monotonic()

    def say(part: float, text: str) -> None:
        nonlocal said
        wait = 0.1 if live else LINE_SECONDS
        if time.monotonic() - said < wait or (quiet and not live):
            return
        said = time.monotonic()
        line = f"{clean(text)} ({part:.0%})"
        print(f"\r\x1b[K{line}" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)

    try:
        yield say
    finally:
        if live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# -- progress of runs --------------------------------------------------------------------------------------------


class Watched:
    """Runs as their database has them now."""

    def __init__(self, engine: Engine, ids: Sequence[int]) -> None:
        self.engine, self.ids = engine, list(ids)
        self.rows = self._read()

    def _read(self) -> list[Any]:
        from storage.results import list_runs

        return list(list_runs(self.engine, ids=self.ids).sort_values("id").itertuples())

    def look(self) -> list[Any]:
        """The newest rows; the last ones again while the database is locked."""
        from storage.engine import StorageError

        try:
            self.rows = self._read()
        except StorageError:
            pass  # a picture that is some seconds old; whoever trains says what is wrong
        return self.rows


def progress_line(rows: Sequence[Any], now: float) -> str:
    """Runs and epochs done, and the time left: at the pace since the first of them began. `now` in Unix seconds."""
    done = sum(int(r.last_epoch) for r in rows)
    left = sum(int(r.epochs) - int(r.last_epoch) for r in rows if r.status not in ENDED)
    ended = sum(r.status in ENDED for r in rows)
    text = f"{ended} of {len(rows)} runs over, {done} of {done + left} epochs" if len(rows) > 1 else f"{done} of {done + left} epochs"
    starts = [r.started_at.timestamp() for r in rows if r.started_at == r.started_at]
    if not left:
        return text
    if not done or not starts:
        return f"{text}, " + ("starting" if starts else "waiting to start")
    return f"{text}, about {duration(left * (now - min(starts)) / done)} left"


class RunBars:
    """A bar per run on stderr and a line with the time left, redrawn by a thread of rich's."""

    def __init__(self, engine: Engine, ids: Sequence[int]) -> None:
        from rich.console import Console
        from rich.live import Live

        self.watched, self.console = Watched(engine, ids), Console(stderr=True)
        self.live = Live(
            console=self.console, get_renderable=lambda: self.draw(self.watched.look(), time.time()), redirect_stdout=False,
            refresh_per_second=REDRAWS_PER_SECOND,
        )

    def __enter__(self) -> RunBars:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()  # draws once more

    def draw(self, rows: Sequence[Any], now: float) -> Group:
        """The bars, as many as the terminal is high: those that are over give way first. The line below counts all."""
        from rich.console import Group
        from rich.text import Text

        room = max(self.console.height - 3, 1)
        hidden = max(len(rows) - room, 0)
        over = [r.id for r in rows if r.status in ENDED]
        gone = {*over[:hidden], *[r.id for r in reversed(rows) if r.status not in ENDED][: max(hidden - len(over), 0)]}
        return Group(bars([r for r in rows if r.id not in gone], self.console.width), Text(progress_line(rows, now)))


def bars(rows: Sequence[Any], columns: int) -> Table:
    """A line per run: number, what sets it apart, bar, epochs, status. The name gives way first, then the bar."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    names = apart([clean(r.name) for r in rows])
    counts = [f"{r.last_epoch}/{r.epochs}" for r in rows]
    numbers = [f"run {r.id}" for r in rows]
    taken = sum(max(map(len, column), default=0) for column in (numbers, counts)) + len("succeeded") + 4
    bar = max(min(columns - taken - max(map(len, names), default=0), 40), 14)
    name = max(columns - taken - bar, 0)
    grid = Table.grid(padding=(0, 1, 0, 0))
    for place in range(5):
        grid.add_column(no_wrap=True, justify="right" if place == 3 else "left")
    for r, number, label, count in zip(rows, numbers, names, counts, strict=True):
        cut = label if len(label) <= name else label[: max(name - 1, 0)] + "…" * (name > 0)
        drawn = ProgressBar(total=int(r.epochs), completed=int(r.last_epoch), width=bar)
        grid.add_row(number, Text(cut), drawn, count, r.status)
    return grid


def apart(names: Sequence[str]) -> list[str]:
    """Names without what they all begin with, up to a colon: "Digits: focal" and "Digits: none" are focal and none."""
    common = os.path.commonprefix(list(names)) if len(names) > 1 else ""
    cut = common.rfind(": ")
    return [name[cut + 2:] if cut >= 0 else name for name in names]


class RunLines:
    """For logs: a line of progress on stderr every few seconds, by a thread of its own."""

    def __init__(self, engine: Engine, ids: Sequence[int], seconds: float = LINE_SECONDS) -> None:
        self.watched, self.seconds, self.over = Watched(engine, ids), seconds, threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True, name="progress")

    def __enter__(self) -> RunLines:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _write(self) -> None:
        while not self.over.wait(self.seconds):
            rows = self.watched.look()
            on = [f"run {r.id} at {r.last_epoch} of {r.epochs}" for r in rows if r.status == "running"]
            print(progress_line(rows, time.time()) + (f" ({', '.join(on)})" if on and len(rows) > 1 else ""), file=sys.stderr, flush=True)


def watching(engine: Engine, ids: Sequence[int]) -> RunBars | RunLines:
    """Bars where stderr is a terminal that can redraw, else lines."""
    from rich.console import Console

    return RunBars(engine, ids) if Console(stderr=True).is_interactive else RunLines(engine, ids)
