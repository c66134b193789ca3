"""Progress on stderr while data is prepared and runs are trained: bars on a terminal, occasional plain lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from commands.terminal import clean
from core.experiment.states import LIVE, STATES
from reporting import numbers

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from sqlalchemy import Engine

    from storage.jobs.workers import Place, WorkerRow
    from storage.results.run_records import ListedRun

NOWHERE: Mapping[int, Place] = MappingProxyType({})
LINE_SECONDS = 5.0  # between two lines of progress where bars cannot be drawn
REDRAWS_PER_SECOND = 4


@contextmanager
def preparing(quiet: bool) -> Iterator[Callable[[float, str], None]]:
    """A progress callback for data that is downloaded or decoded: one line redrawn on a terminal, else occasional lines."""
    live, shown = sys.stderr.isatty(), time.monotonic()

    def show(part: float, text: str) -> None:
        nonlocal shown
        wait = 0.1 if live else LINE_SECONDS
        if time.monotonic() - shown < wait or (quiet and not live):
            return
        shown = time.monotonic()
        line = f"{clean(text)} ({part:.0%})"
        print(f"\r\x1b[K{line}" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Watched:
    """The current rows of these runs; `ahead` are the runs in training while all of these are queued."""

    def __init__(self, engine: Engine, ids: Sequence[int]) -> None:
        self.engine, self.ids = engine, list(ids)
        self._read()

    def _read(self) -> None:
        from storage.jobs.workers import places
        from storage.results import list_runs

        self.rows: list[ListedRun] = list(list_runs(self.engine, ids=self.ids).sort_values("id").itertuples())
        waiting = all(r.status == "queued" for r in self.rows)
        running = list_runs(self.engine, status="running", archived=None).itertuples() if waiting else ()
        self.ahead: list[ListedRun] = list(running)
        self.places = places(self.engine) if any(map(live, self.rows)) else {}

    def look(self) -> list[ListedRun]:
        """The newest rows; the previous ones while the database is locked."""
        from storage.db.errors import StorageError

        with suppress(StorageError):  # rows a few seconds old will do; the training process reports the error
            self._read()
        return self.rows

    def line(self) -> str:
        """The progress of these runs, in words."""
        return progress_line(self.look(), self.ahead, self.places)


def live(row: ListedRun) -> bool:
    """Whether a run is queued or running."""
    return row.status in LIVE


def at(row: ListedRun) -> str:
    return f"run {row.id} at {row.last_epoch} of {row.epochs}"


def progress_line(
    rows: Sequence[ListedRun], ahead: Sequence[ListedRun] = (), places: Mapping[int, Place] = NOWHERE
) -> str:
    """Runs and epochs done, the step within a long epoch, and the time left."""
    from reporting.text import epoch_step
    from services import run_time
    from storage.jobs.workers import position_in_epoch

    done, planned = (sum(int(getattr(r, key)) for r in rows) for key in ("last_epoch", "epochs"))
    ended = sum(not live(r) for r in rows)
    text = (
        f"{done} of {planned} epochs"
        if len(rows) == 1
        else f"{ended} of {len(rows)} runs done, {done} of {planned} epochs"
    )
    if not any(live(r) and r.last_epoch < r.epochs for r in rows):
        return text
    within = [place for r in rows if (place := position_in_epoch(r, places)) is not None]
    text = ", ".join([text, *(epoch_step(place.step, place.steps) for place in within)])
    if ahead:
        return f"{text}, waiting for {', '.join(map(at, ahead))}"
    if (left := run_time.seconds_left(rows, places)) is not None:
        return f"{text}, {numbers.left(left)}"
    started = any(r.started_at == r.started_at for r in rows)  # NaT is not equal to itself
    return f"{text}, " + ("starting" if started else "waiting to start")


class RunBars:
    """A bar per run on stderr and a line with the time left, redrawn by a thread of rich."""

    def __init__(self, engine: Engine, ids: Sequence[int]) -> None:
        from rich.console import Console
        from rich.live import Live

        self.watched, self.console = Watched(engine, ids), Console(stderr=True)
        self.live = Live(
            console=self.console,
            get_renderable=self.draw,
            redirect_stdout=False,
            refresh_per_second=REDRAWS_PER_SECOND,
        )

    def __enter__(self) -> RunBars:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()  # draws once more

    def draw(self) -> Group:
        """As many bars as fit the terminal, and a summary line for all runs."""
        from rich.console import Group
        from rich.text import Text

        line, rows = self.watched.line(), self.watched.rows
        return Group(
            bars(fitting(rows, max(self.console.height - 3, 1)), self.console.width, self.watched.places), Text(line)
        )


def fitting(rows: Sequence[ListedRun], room: int) -> list[ListedRun]:
    """At most `room` rows, in their order: the oldest ended runs are dropped first, then the last of the others."""
    ended, on = [r for r in rows if not live(r)], [r for r in rows if live(r)]
    kept = [*ended[max(len(ended) + len(on) - room, 0) :], *on[:room]]
    return sorted(kept, key=lambda r: r.id)


def bars(rows: Sequence[ListedRun], columns: int, places: Mapping[int, Place] = NOWHERE) -> Table:
    """A line per run: number, name, bar, epochs, status. The name is shortened first, then the bar."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from services.run_time import epochs_trained

    names = distinct([clean(r.name) for r in rows])
    counts = [f"{r.last_epoch}/{r.epochs}" for r in rows]
    called = [f"run {r.id}" for r in rows]
    taken = sum(max(map(len, column), default=0) for column in (called, counts)) + len("succeeded") + 4
    bar = max(min(columns - taken - max(map(len, names), default=0), 40), 14)
    name = max(columns - taken - bar, 0)
    grid = Table.grid(padding=(0, 1, 0, 0))
    for place in range(5):
        grid.add_column(no_wrap=True, justify="right" if place == 3 else "left")
    for r, number, label, count in zip(rows, called, names, counts, strict=True):
        cut = label if len(label) <= name else label[: max(name - 1, 0)] + "…" * (name > 0)
        drawn = ProgressBar(total=int(r.epochs), completed=epochs_trained(r, places), width=bar)
        grid.add_row(number, Text(cut), drawn, count, STATES[r.status].word)
    return grid


def distinct(names: Sequence[str]) -> list[str]:
    """Names without the dataset where it is the same for all: "Digits: focal" and "Digits: none" are focal and none."""
    heads = {name.partition(": ")[0] for name in names}
    return [name.partition(": ")[2] or name for name in names] if len(names) > 1 == len(heads) else list(names)


class RunLines:
    """For logs: a line of progress on stderr every few seconds, from its own thread. A short run gets none."""

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
        wait = 2 * self.seconds
        while not self.over.wait(wait):
            line, wait = self.watched.line(), self.seconds
            on = [at(r) for r in self.watched.rows if r.status == "running"]
            print(
                line + (f" ({', '.join(on)})" if on and len(self.watched.rows) > 1 else ""), file=sys.stderr, flush=True
            )


def watching(engine: Engine, ids: Sequence[int]) -> RunBars | RunLines:
    """Bars where stderr is a terminal that can redraw, else lines."""
    from rich.console import Console

    live = sys.stderr.isatty() and Console(stderr=True).is_interactive  # rich alone would trust FORCE_COLOR in a log
    return RunBars(engine, ids) if live else RunLines(engine, ids)


def worker_line(worker: WorkerRow) -> str:
    """ "slot 0 on cpu: training (epoch 1, step 479 of 3,516, no step for 12 min) run 3"."""
    from reporting.text import epoch_step, no_step

    where = f"epoch {worker.at.epoch}, {epoch_step(worker.at.step, worker.at.steps)}" if worker.at else ""
    quiet = "" if worker.quiet_minutes is None else no_step(worker.quiet_minutes)
    details = ", ".join(filter(None, (where, quiet)))
    doing = f"{worker.state} ({details})" if details else worker.state
    return f"slot {worker.slot} on {worker.device}: {doing}" + (f" run {worker.run_id}" if worker.run_id else "")
