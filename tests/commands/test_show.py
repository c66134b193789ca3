"""Looking at runs on the command line: show, compare, export, and what scripts read."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score

from reporting.html_pages import run_page
from services.comparison import report
from storage import results
from tests.commands.kit import QUICK, ROOT, environment, process


def labels_of(matrix):
    """Truth and prediction of every sample of a confusion matrix."""
    truth, guess = (axis.ravel() for axis in np.indices(matrix.shape))
    return np.repeat(truth, matrix.ravel()), np.repeat(guess, matrix.ravel())


def precision_or_none(truth, guess, classes):
    """scikit-learn's precision a class; None where nothing is called so."""
    return [
        None if np.isnan(v) else v
        for v in precision_score(truth, guess, labels=range(classes), average=None, zero_division=np.nan)
    ]


def test_show_and_export_report_what_sklearn_does(call, baseline, engine):
    truth, guess = labels_of(results.confusion(engine, baseline["id"], "test")[1])
    hits = int(results.epochs(engine, [baseline["id"]], "test")["top5"].iloc[-1])
    shown, exported = (
        call("show", baseline["id"], "--json").data,
        json.loads(call("export", baseline["id"], "--format", "json").out),
    )
    for found in (shown, exported):
        assert [r["precision"] for r in found["classes"]] == pytest.approx(precision_or_none(truth, guess, 10))
        assert [r["f1"] for r in found["classes"]] == pytest.approx(
            f1_score(truth, guess, average=None, zero_division=0).tolist()
        )
        assert found["summary"]["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, guess))
        assert found["summary"]["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro", zero_division=0))
        assert found["summary"]["top5"] == pytest.approx(hits / len(truth))
    text = call("show", baseline["id"]).out
    assert f"top-5 accuracy, % {100 * hits / len(truth):.1f}" in " ".join(text.split())
    assert {"precision", "F1"} <= set(text.split())


def test_compare_gives_the_numbers_of_the_database(call, baseline, weighted, engine):
    found = call("compare", baseline["id"], weighted["id"], "--json").data
    assert found["split"] == "test"
    for side, run in (("before", baseline), ("after", weighted)):
        counts, row = results.class_counts(engine, run["id"], "test"), results.get_run(engine, run["id"])
        assert [c[side] for c in found["classes"]] == pytest.approx((counts.tp / counts.support).tolist(), abs=1e-12)
        assert [c["class"] for c in found["classes"]] == list(row.facts.classes)
        for name in ("accuracy", "balanced_accuracy", "tpr_variance", "tpr_min"):
            assert found["summary"][side][name] == pytest.approx(getattr(row, name), abs=1e-12)
        matrix = results.confusion(engine, run["id"], "test")[1]
        truth, guess = labels_of(matrix)
        assert found["summary"][side]["macro_f1"] == pytest.approx(
            f1_score(truth, guess, average="macro", zero_division=0)
        )
        assert [c[f"precision_{side}"] for c in found["classes"]] == pytest.approx(
            precision_or_none(truth, guess, len(matrix))
        )
        assert found[side]["id"] == run["id"]
    assert {"setting": "method", "before": "none", "after": "tpr_ratio"} in found["settings"]
    text = call("compare", baseline["id"], weighted["id"]).out
    assert max(map(len, text.splitlines())) <= 100
    assert "Exponent: – -> 2" in text
    assert found["verdict"] in " ".join(text.split())


def test_runs_are_valid_json_with_nulls(call, baseline):
    queued = call(*QUICK, "--json").data["id"]
    rows = {r["id"]: r for r in call("runs", "--json").data}
    assert rows[queued]["accuracy"] is rows[queued]["baseline_id"] is rows[queued]["started_at"] is None
    assert rows[baseline["id"]]["accuracy"] == baseline["accuracy"]
    apart = pd.Timestamp(rows[baseline["id"]]["created_at"]) - pd.Timestamp(baseline["created_at"])
    assert abs(apart) < pd.Timedelta("1ms")  # stored as Unix seconds, read on two ways
    assert pd.Timestamp(baseline["created_at"]).tz is not None
    for words in (("compare", baseline["id"], queued), ("export", queued)):
        done = call(*words)
        assert (done.code, done.out) == (1, "")
        assert f"run {queued} is queued and has no finished epoch yet" in done.err
    text = call("runs").out.splitlines()
    assert text[0].split() == ["run", "status", "epochs", "accuracy", "variance", "min", "TPR", "name"]
    assert len(text) == len(rows) + 1
    assert [r["id"] for r in call("runs", "--status", "queued", "--json").data] == [queued]
    assert call("runs", "--text", "no such name").out == "no matching runs\n"
    assert call("runs", "--archived", "--json").data == []
    assert call("pause", queued).out == f"run {queued}: paused\n"
    assert call("resume", queued).out == f"run {queued}: queued\n"
    assert call("stop", queued).out == f"run {queued}: stopped\n"


def test_show_has_settings_figures_and_log(call, baseline, weighted):
    text = call("show", weighted["id"]).out
    assert "method tpr_ratio (exponent 2, max_ratio 10000, normalize mean_one)" in " ".join(text.split())
    assert "sampler instance, recipe " in " ".join(text.split())
    assert f"TPRs of run {baseline['id']}, validation split, epoch 3" in " ".join(text.split())
    data = call("show", weighted["id"], "--json").data
    assert [e["kind"] for e in data["log"]][:2] == ["queued", "running"]
    assert data["classes"] == weighted["classes"]


def test_exports(call, baseline, engine, tmp_path):
    rows = list(csv.DictReader(io.StringIO(call("export", baseline["id"]).out)))
    assert [float(r["tpr"]) for r in rows] == [c["tpr"] for c in baseline["classes"]]
    data = json.loads(call("export", baseline["id"], "--format", "json").out)
    assert data["summary"]["accuracy"] == baseline["accuracy"]
    page = call("export", baseline["id"], "--format", "html").out
    assert page.startswith("<!doctype html>")
    assert (
        page.count("Plotly.newPlot(")
        == run_page(report(engine, results.get_run(engine, baseline["id"]))).count("Plotly.newPlot(")
        > 0
    )
    own = re.sub(
        r"<script>.*?</script>", "", page, flags=re.S
    )  # Plotly itself, inside the page, names addresses in its help
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", own)
    assert not re.search(r"<(script|img|link|iframe)[^>]*(src|href)", own)
    file = tmp_path / "run.html"
    assert call("export", baseline["id"], "--format", "html", "--out", file).out == f"wrote {file}\n"
    assert file.read_text(encoding="utf-8") == page
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("place", ["", "absent/run.csv", "file/run.csv"])
def test_an_export_that_cannot_be_written(refused, baseline, tmp_path, place):
    (tmp_path / "file").write_text("kept")
    assert f"{tmp_path / place} cannot be written" in refused("export", baseline["id"], "--out", tmp_path / place)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_reader_that_stops_reading_sees_no_traceback(home, baseline):
    for words in (("methods",), ("export", baseline["id"], "--format", "html")):
        started = process(home, *words)
        started.stdout.close()
        assert started.stderr.read() == ""
        started.stderr.close()
        started.wait()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout(home):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "cli.py", "methods"],
            cwd=ROOT,
            env=environment(home),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "error: output: No space left on device\n")
