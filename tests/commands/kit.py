"""What the tests of the command line share: a command in this process or in one of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pandas as pd
import pytest

import cli

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ("run", "--dataset", "digits", "--model", "mlp")
QUICK = (*DIGITS, "--epochs", "2")


@dataclass
class Done:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def data(self):
        assert self.code == 0, self.err
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def here(*words):
    """A command in this process, on the folder that EVENLY_DATA names."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}  # a worker takes them for good
    try:
        with mock.patch.object(sys, "argv", ["cli.py", *map(str, words)]), redirect_stdout(out), redirect_stderr(err):
            code = cli.main()
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
    return Done(code, out.getvalue(), err.getvalue())


def environment(home):
    return {**os.environ, "EVENLY_DATA": str(home), "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


def process(home, *words, **options):
    """A command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "cli.py", *map(str, words)],
        cwd=ROOT,
        env=environment(home),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def finished(started):
    out, err = started.communicate()
    return Done(started.returncode, out, err)


# -- progress and the demo ---------------------------------------------------------------------------------------


def row(number, status, done, epochs=20, started=1000.0, name="MNIST-1D: None (plain cross entropy), seed 0", each=2.0):
    begun = pd.NaT if started is None else pd.Timestamp(started, unit="s", tz="UTC")
    return SimpleNamespace(
        id=number, status=status, last_epoch=done, epochs=epochs, started_at=begun, name=name, seconds=each * done
    )
