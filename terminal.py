"""What the command line draws: a progress bar per run, tables. Reads the database, computes nothing of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy import Engine

REDRAW_SECONDS = 0.3


class RunBars:
    """A bar per run on stderr, with epochs done and the time left, drawn by a thread from the database."""

    def __init__(self, engine: Engine, ids: Sequence[int]) -> None:
        self.engine, self.ids = engine, list(ids)
        self.over = threading.Event()
        self.bars = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(compact=True), TextColumn("{task.fields[status]}"), console=Console(stderr=True),
        )

    def __enter__(self) -> RunBars:
        frame = self._rows()
        self.tasks = {
            int(r.id): self.bars.add_task(f"{r.id} {r.name.split(': ', 1)[-1]}"[:36], total=int(r.epochs), status="", start=False) for r in frame.itertuples()
        }
        self.bars.start()
        self.thread = threading.Thread(target=self._redraw, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        self._draw()
        self.bars.stop()

    def _rows(self) -> Any:
        from storage import results

        return results.list_runs(self.engine, ids=self.ids).sort_values("id")

    def _draw(self) -> None:
        for row in self._rows().itertuples():
            task = self.tasks[int(row.id)]
            if row.status == "running" and not self.bars.tasks[task].started:
                self.bars.start_task(task)
            self.bars.update(task, completed=int(row.last_epoch), status=row.status)

    def _redraw(self) -> None:
        while not self.over.wait(REDRAW_SECONDS):
            self._draw()


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table on stdout; numbers right, the first column left."""
    drawn = Table(title=title or None, title_justify="left")
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        drawn.add_row(*row)
    Console().print(drawn)


def clock(seconds: float) -> str:
    """Unix seconds as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
