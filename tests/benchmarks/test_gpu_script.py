"""`make gpu`: its CPU part runs on any machine, and a failing step hides no other."""

import json
import signal
import sys

import pytest

from benchmarks import gpu
from benchmarks.gpu import Place, Step, run_steps, steps
from benchmarks.gpu_table import HEAD, Row, as_text, write
from core.training.device import choose


@pytest.mark.slow
@pytest.mark.timeout(2500)  # a step that waits for other tests is not stopped
def test_the_cpu_part_runs_and_reports_no_gpu(tmp_path, monkeypatch, capfd):
    """In this process, which has torch imported already."""
    out = tmp_path / "gpu.md"
    options = ["--device", "cpu", "--minutes", "40", "--out", str(out), "--data", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *options])
    before = signal.getsignal(signal.SIGTERM)
    try:
        status = gpu.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    said = capfd.readouterr()
    assert status == 0, said.out + said.err
    assert said.out.startswith("No GPU is used")
    found = json.loads(out.with_suffix(".json").read_text())
    assert found["machine"]["torch"]
    tests, resnet, lenet, interrupted = found["rows"]
    assert tests["value"].startswith("0 passed, 0 failed")
    assert all("generated images" in row["measured"] and row["values"][0] > 0 for row in (resnet, lenet))
    assert (interrupted["values"], interrupted["met"]) == ([0], True)
    assert out.read_text().count("\n| ") == 2 + len(found["rows"])  # two lines of a head


def test_a_failing_step_does_not_affect_the_others(tmp_path, capsys):
    def fails(place, until):
        yield Row("first half", "1", (1.0,))
        raise KeyError("what went wrong")

    def works(place, until):
        assert until.left > 0
        yield Row("third", "3", (3.0,), "at least 2", True)

    todo = [Step("one that fails", fails, 60), Step("one that works", works, 60)]
    rows = list(run_steps(todo, Place(choose("cpu"), tmp_path, tmp_path), 120))
    assert [(row.measured, row.failed) for row in rows] == [
        ("first half", False),
        ("one that fails", True),
        ("third", False),
    ]
    assert "what went wrong" in rows[1].value
    text = capsys.readouterr().out
    assert "[1/2] one that fails; about 2.0 min left" in text
    assert "[2/2] one that works; about 1.0 min left" in text
    assert [line.split()[-1] for line in as_text(rows).splitlines()] == ["met", "-", "FAILED", "yes"]


def test_the_table_as_markdown_and_json(tmp_path):
    rows = [Row("a | b", "2.00 (1.00 to 3.00)", (1.0, 2.0, 3.0), "at least 15", False)]
    write(tmp_path / "t.md", rows, {"device": "a card", "torch": "2"})
    head, _, names, _, line = (tmp_path / "t.md").read_text().splitlines()
    assert head == "device a card, torch 2"
    assert names == f"| {' | '.join(HEAD)} |"
    assert line == "| a \\| b | 2.00 (1.00 to 3.00) | 3 | at least 15 | no |"
    assert json.loads((tmp_path / "t.json").read_text())["rows"][0]["values"] == [1, 2, 3]


def test_all_steps_are_there_with_and_without_a_gpu():
    """On a GPU they fit in ten minutes."""
    assert [s.name for s in steps(True)] == [s.name for s in steps(False)]
    assert sum(s.seconds for s in steps(True)) <= 600
    assert sum(s.seconds for s in steps(False)) <= 120
