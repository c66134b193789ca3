"""Processes for tests, forked from a server that has the worker and torch imported.

A forked process is a real one, with memory, locks and a death of its own: it can be sent signals, be frozen and be killed. It
only saves the seconds that a fresh Python needs for its imports.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["work.runner", "torch._dynamo", "sklearn.datasets", "cli", "worker", "serve", "tests.work.kit"]
)


def until(condition: Callable[[], object], pause: float = 0.1) -> None:
    """Wait for a state; one that never comes ends with the test's own timeout."""
    while not condition():
        time.sleep(pause)


class Forked:
    """A process that calls a function of a module; what it writes is in two files."""

    def __init__(self, name: Path, call: Callable[..., object], *given: object) -> None:
        self._files = name.with_suffix(".out"), name.with_suffix(".err")
        for file in self._files:
            file.touch()
        about = (self._files, dict(os.environ), call, given)
        self.process = SERVER.Process(target=_child, args=about, daemon=True)
        self.process.start()
        self.pid: int = self.process.pid

    def send(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def wait(self) -> int:
        """Its exit status, negative after a signal."""
        self.process.join()
        return self.process.exitcode

    def ended(self) -> bool:
        return self.process.exitcode is not None

    @property
    def out(self) -> str:
        return self._files[0].read_text()

    @property
    def err(self) -> str:
        return self._files[1].read_text()

    def said(self) -> str:
        return self.out + self.err

    def says(self, text: str, times: int = 1) -> None:
        """Wait until it has said so; if it ends without, that is the error."""
        until(lambda: self.said().count(text) >= times or self.ended())
        assert self.said().count(text) >= times, self.said()


def _child(files: tuple[Path, Path], environment: Mapping[str, str], call: Callable[..., object], given: tuple) -> None:
    """As if started now, from the program's folder."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    for number, path in enumerate(files, start=1):
        with path.open("a") as file:
            os.dup2(file.fileno(), number)
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(call(*given))


def run_command(*words: object) -> int:
    """What `python cli.py` does with these words once its imports are there."""
    import cli

    sys.argv = ["cli.py", *map(str, words)]
    return cli.main()


def run_command_in(terminal: str, *words: object) -> int:
    """The same with a terminal, by its path, as standard input, output and error."""
    for number in range(3):
        os.dup2(os.open(terminal, os.O_RDWR), number)
    return run_command(*words)


def run_worker(*options: str) -> None:
    """What `python worker.py` does once its imports are there."""
    import worker

    worker.end_now(worker.main(list(options)))


@contextmanager
def forking(folder: Path) -> Iterator[Callable[..., Forked]]:
    """A function that starts a process: (call, *given). What is left of them at the end is killed."""
    made: list[Forked] = []

    def start(call: Callable[..., object], *given: object) -> Forked:
        made.append(Forked(folder / f"said-{len(made)}", call, *given))
        return made[-1]

    try:
        yield start
    finally:
        for forked in made:
            forked.process.kill()
            forked.process.join()
