"""What the command line draws: bars on a terminal, lines in a log, files written whole."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commands import progress, terminal
from core.errors import EvenlyError
from storage import results
from tests.commands.kit import row
from tests.work.forked import run_command_in


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([row(1, "queued", 0, started=None)], "0 of 20 epochs, waiting to start"),
        ([row(1, "running", 0)], "0 of 20 epochs, starting"),
        ([row(1, "running", 5)], "5 of 20 epochs, about 30 s left"),  # 2 s an epoch
        (
            [row(1, "succeeded", 20), row(2, "running", 5, started=1008), row(3, "queued", 0, started=None)],
            "1 of 3 runs done, 25 of 60 epochs, about 1 min 10 s left",
        ),
        ([row(1, "failed", 5), row(2, "running", 5)], "1 of 2 runs done, 10 of 40 epochs, about 30 s left"),
        ([row(1, "succeeded", 20)], "20 of 20 epochs"),
        (
            [row(1, "running", 5), row(2, "running", 5)],
            "0 of 2 runs done, 10 of 40 epochs, about 30 s left",
        ),  # side by side
        ([row(1, "running", 1)], "1 of 20 epochs, about 40 s left"),
        ([row(1, "running", 2, 2000, each=10.0)], "2 of 2000 epochs, about 5 h 40 min left"),
        ([row(1, "running", 2, 41, each=10.0)], "2 of 41 epochs, about 7 min left"),
    ],
)
def test_the_line_of_progress(rows, line):
    assert progress.progress_line(rows) == line


def test_runs_in_front_are_named():
    waiting = [row(7, "queued", 0, started=None)]
    assert progress.progress_line(waiting, [row(3, "running", 9)]) == "0 of 20 epochs, waiting for run 3 at 9 of 20"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_bars_fit_the_terminal(width):
    from rich.console import Console

    rows = [
        row(12, "succeeded", 20),
        row(13, "running", 7, name="MNIST-1D: TPR ratio, exponent 2, \x1b[31m[/red] seed 0"),
        row(14, "queued", 0, started=None),
    ]
    out = io.StringIO()
    Console(file=out, width=width).print(progress.bars(rows, width))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= width
    for line, r in zip(lines, rows, strict=True):
        assert line.startswith(f"run {r.id} ")
        assert f"{r.last_epoch}/20 {r.status}" in line
        assert "\x1b" not in line
        assert "MNIST-1D" not in line, "what all have in common says nothing"
    if width >= 80:
        assert "None (plain cross entropy), seed 0" in lines[0]


def test_more_runs_than_lines():
    rows = (
        [row(i, "succeeded", 20) for i in range(1, 6)]
        + [row(6, "running", 3)]
        + [row(i, "queued", 0) for i in range(7, 11)]
    )

    def shown(room):
        return [r.id for r in progress.fitting(rows, room)]

    assert shown(20) == list(range(1, 11))
    assert shown(7) == [4, 5, 6, 7, 8, 9, 10]
    assert shown(3) == [6, 7, 8]
    assert [r.id for r in progress.fitting(rows[:5], 2)] == [4, 5]


def test_a_log_gets_a_line_now_and_then(engine, baseline, capsys):
    said = ""
    with progress.RunLines(engine, [baseline["id"]], seconds=0.02):
        while said.count("\n") < 2:
            time.sleep(0.02)
            said += capsys.readouterr().err
    lines = said.splitlines()
    assert set(lines) == {"3 of 3 epochs"}


def test_preparing_data_is_told(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with progress.preparing(quiet=False) as told:
        told(0.5, "downloading\x07 a file")
    with progress.preparing(quiet=True) as told:
        told(0.5, "unheard")
    assert capsys.readouterr() == ("", "downloading\N{REPLACEMENT CHARACTER} a file (50%)\n")


def test_nothing_in_json_that_json_does_not_know():
    odd = {
        "nan": float("nan"),
        "inf": np.inf,
        "na": pd.NA,
        "nat": pd.NaT,
        "array": np.array([1.0, np.nan]),
        "int": np.int64(3),
        "path": Path("a"),
        1: None,
    }
    assert terminal.plain(odd) == {
        "nan": None,
        "inf": None,
        "na": None,
        "nat": None,
        "array": [1.0, None],
        "int": 3,
        "path": "a",
        "1": None,
    }


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "a.csv"
    file.write_text("old")
    monkeypatch.setattr(
        terminal.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(EvenlyError, match="cannot be written: No space left on device"):
        terminal.save(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix's")
def test_the_demo_in_a_terminal_of_80_columns(home, engine, mnist1d, fork, monkeypatch):
    import pty
    import termios

    shutil.copytree(mnist1d, home / "cache", dirs_exist_ok=True)
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    monkeypatch.setenv("EVENLY_DATA", str(home))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS")
    demo = fork(run_command_in, os.ttyname(slave), "demo", "--seeds", 1, "--epochs", 2)
    seen = os.read(master, 65536)  # by now the process has opened it, and its end closes the last one
    os.close(slave)
    try:
        while part := os.read(master, 65536):
            seen += part
    except OSError:  # Linux: the other side is closed
        pass
    os.close(master)
    assert demo.wait() == 0, seen.decode()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).replace("\r", "\n")
    assert max(map(len, text.splitlines())) <= 80
    first, second = sorted(results.list_runs(engine, limit=2)["id"])
    assert re.search(rf"^run {first} None, 2 epochs, seed 0 +━+.* \d/2 \w+", text, re.M)
    assert "2 of 2 runs done, 4 of 4 epochs" in text
    after = text.rsplit("Test split", 1)[1]
    assert [
        re.search(rf"^ +{word} ", after, re.M) is not None
        for word in ("class", "accuracy, %", "TPR variance", "min TPR, %", "9")
    ] == [True] * 5
    assert f"In the app: compare run {first} with run {second}" in after
