"""The command line as a person and a script use it: real processes for what a process does, `cli.main` for the rest."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score

import cli
import cli_progress
import cli_submit
import terminal
from core import download
from core.config import RunConfig
from core.datasets import DATASETS
from core.errors import EvenlyError
from core.methods import METHODS, answer, what_if
from core.recipes import RECIPES
from models import MODELS
from pages.parts.export import run_page
from storage import migrate, queue, results
from storage.engine import open_database
from storage.sides import report

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = [c for c in json.loads((ROOT / "tests" / "golden.json").read_text())["cases"] if c["method"] in METHODS]
DIGITS = ("run", "--dataset", "digits", "--model", "mlp")
QUICK = (*DIGITS, "--epochs", "2")
TPRS = ",".join(str(0.5 + 0.05 * c) for c in range(10))


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


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One data folder for all tests of this file."""
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def engine(home):
    engine = open_database(f"sqlite:///{home / 'evenly.db'}")
    migrate.upgrade(engine)
    yield engine
    engine.dispose()


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


@pytest.fixture
def call(home, monkeypatch):
    """The command line in this process, on the shared folder."""
    monkeypatch.setenv("EVENLY_DATA", str(home))
    return here


@pytest.fixture
def refused(call):
    """A command that must fail: one line on stderr, nothing on stdout, and no run more than before."""

    def run(*words):
        before = call("runs", "--json").out
        done = call(*words)
        assert done.code != 0
        assert done.out == ""
        assert re.fullmatch(r"error: [^\n]+\n", done.err), done.err
        assert call("runs", "--json").out == before
        return done.err

    return run


def environment(home):
    return {**os.environ, "EVENLY_DATA": str(home), "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


def process(home, *words, **options):
    """A command as a process of its own."""
    return subprocess.Popen([sys.executable, "cli.py", *map(str, words)], cwd=ROOT, env=environment(home), text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def finished(started, seconds=120):
    out, err = started.communicate(timeout=seconds)
    return Done(started.returncode, out, err)


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def baseline(home, engine):
    """A finished baseline, trained by `run --wait --json` in a process of its own; its JSON."""
    done = finished(process(home, *DIGITS, "--epochs", "3", "--wait", "--json"))
    assert done.err == "", "with --json not even progress is written to a log"
    return done.data


@pytest.fixture(scope="module")
def weighted(home, baseline):
    """A finished run weighted by the baseline's TPRs; its JSON."""
    words = (*DIGITS, "--epochs", 3, "--method", "tpr_ratio", "--param", "exponent=2", "--baseline", baseline["id"], "--wait", "--json")
    with mock.patch.dict(os.environ, {"EVENLY_DATA": str(home)}):
        return here(*words).data


# -- help and tables ---------------------------------------------------------------------------------------------


def test_every_command_has_short_help(call):
    listed = call("--help")
    assert listed.code == call().code == 0
    assert call().out == listed.out
    assert "..." not in listed.out.split("Commands:")[1], "a summary does not fit its line"
    names = re.findall(r"^  (\w+)  ", listed.out.split("Commands:")[1], re.M)
    assert {"run", "runs", "show", "compare", "terms", "datasets", "methods", "export", "demo", "worker"} <= set(names)
    for name in names:
        done = call(name, "--help")
        assert (done.code, done.err) == (0, "")
        assert f"cli.py {name}" in done.out.replace("Usage: ", "") or name in done.out
        assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize(("command", "rows"), [("methods", METHODS), ("models", MODELS), ("recipes", RECIPES), ("datasets", DATASETS)])
def test_tables_list_every_row(call, command, rows):
    text, data = call(command), call(command, "--json").data
    assert [d["key"] for d in data][: len(rows)] == list(rows.keys)
    assert all(re.search(rf"^{key}  ", text.out, re.M) for key in rows.keys)
    assert max(map(len, text.out.splitlines())) <= 100
    for row, d in zip(rows, data, strict=False):
        assert [p["key"] for p in d.get("params", [])] == [p.key for p in getattr(row, "params", ())]


def test_datasets_say_what_is_ready(call):
    ready = {d["key"]: d["ready"] for d in call("datasets", "--json").data}
    assert ready["mnist1d"]
    assert ready["digits"]
    assert not ready["cifar100"]


# -- terms -------------------------------------------------------------------------------------------------------


def listed(vector):
    return ",".join(map(repr, vector))


def params(given):
    return [word for key, value in given.items() for word in ("--param", f"{key}={value}")]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['method']}-{len(next(iter(c['given'].values())))}-{c['params']}")
def test_terms_give_the_golden_numbers(call, case):
    vectors = [word for key, vector in case["given"].items() for word in (f"--{key}", listed(vector))]
    done = call("terms", case["method"], *vectors, *params(case["params"]), "--json")
    assert done.err == ""
    assert set(case["expect"]) <= set(done.data)
    assert set(done.data) - set(case["expect"]) <= {"tau"}
    for name, expected in case["expect"].items():
        np.testing.assert_allclose(done.data[name], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS.keys)
def test_terms_print_only_what_the_method_sets(call, method):
    tpr, counts = [0.9, 0.6, 0.75], [100, 20, 50]
    terms = answer(method, what_if(3, tpr=tpr, counts=counts))
    done = call("terms", method, "--tpr", listed(tpr), "--counts", listed(counts), "--json")
    found = {**{k: v.tolist() for k, v in terms.set().items()}, **{k: [v] for k, v in (terms.info or {}).items()}}
    assert done.data == found
    text = call("terms", method, "--tpr", listed(tpr), "--counts", listed(counts)).out
    assert [line.split()[0] for line in text.splitlines()] == list(found)


def test_terms_say_what_was_clipped_beside_the_json(call):
    done = call("terms", "tpr_deficit", "--tpr", "1,0.5", "--support", "10,10", "--json")
    assert list(done.data) == ["weight"]
    assert done.data["weight"][0] > 0
    assert "note: " in done.err


@pytest.mark.parametrize(("words", "message"), [
    (("bogus", "--tpr", "0.5,0.6"), "unknown method 'bogus'; known: none, tpr_ratio"),
    (("tpr_ratio",), "tpr_ratio needs --tpr"),
    (("tpr_ratio", "--counts", "10,20"), "tpr_ratio needs --tpr"),
    (("class_balanced", "--tpr", "0.5,0.6"), "class_balanced needs --counts"),
    (("focal",), "give --tpr, --counts or both"),
    (("tpr_ratio", "--tpr", "0.5,0.6,0.7", "--counts", "10,20"), "counts has 2 values, expected 3"),
    (("tpr_ratio", "--tpr", "0.5", "--counts", "10,20"), "tpr has 1 value, expected 2"),
    (("tpr_ratio", "--tpr", "0.5"), "at least 2 classes"),
    (("tpr_ratio", "--tpr", "0.5,1.5"), "tpr of class 1 is 1.5"),
    (("tpr_ratio", "--tpr", "0.5,x"), "--tpr: 'x' is not a number"),
    (("tpr_ratio", "--tpr", "0.5,"), "--tpr: '' is not a number"),
    (("class_balanced", "--counts", "10,-1"), "counts of class 1 is -1"),
    (("tpr_ratio", "--tpr", "0.5,0.6", "--param", "tau=1"), "unknown parameter 'tau'; known: exponent"),
    (("tpr_ratio", "--tpr", "0.5,0.6", "--param", "exponent=9"), "exponent is '9', expected a number from 0 to 8"),
    (("tpr_ratio", "--tpr", "0.5,0.6", "--param", "exponent=nan"), "exponent is 'nan'"),
    (("tpr_ratio", "--tpr", "0.5,0.6", "--param", "exponent"), "--param 'exponent': expected NAME=VALUE"),
    (("tpr_ratio", "--tpr", "0.5,0.6", "--param", "exponent=1", "--param", "exponent=2"), "exponent is given twice"),
])
def test_terms_refuse(refused, words, message):
    assert message in refused("terms", *words)


# -- starting runs -----------------------------------------------------------------------------------------------


def test_run_waits_and_trains_here(baseline, engine):
    assert (baseline["status"], baseline["last_epoch"], baseline["error"]) == ("succeeded", 3, None)
    row, counts = results.get_run(engine, baseline["id"]), results.class_counts(engine, baseline["id"], "test")
    assert baseline["accuracy"] == row.accuracy
    assert [c["tpr"] for c in baseline["classes"]] == pytest.approx((counts.tp / counts.support).tolist())


def test_a_weighted_run_takes_the_validation_tprs(weighted, baseline, engine):
    counts = results.class_counts(engine, baseline["id"], "validation")
    want = answer("tpr_ratio", what_if(10, tpr=counts.tp / counts.support, support=counts.support), {"exponent": 2.0}).weight
    assert [c["weight"] for c in weighted["classes"]] == pytest.approx(want.tolist())


def test_run_queues_and_a_worker_drains(call, home, engine, baseline):
    first = call(*QUICK, "--seed", 5, "--seeds", 2, "--json").data
    assert first == {"id": first["ids"][0], "ids": first["ids"], "status": "queued"}
    done = call(*QUICK, "--method", "tpr_deficit", "--baseline", first["id"], "--seeds", 2, "--seed", 5, "--name", "pair", "--json")
    second = done.data
    assert done.err == f"note: Baselines: run {first['ids'][0]} for seed 5 and run {first['ids'][1]} for seed 6.\n"
    assert call(*QUICK).out == f"queued: run {second['ids'][-1] + 1}\n"
    done = finished(process(home, "worker", "--drain"))
    assert (done.code, done.out) == (0, "")
    rows = [results.get_run(engine, i) for i in (*first["ids"], *second["ids"])]
    assert [r.status for r in rows] == ["succeeded"] * 4
    assert [(r.name, r.seed) for r in rows[2:]] == [("pair, seed 5", 5), ("pair, seed 6", 6)]
    for row, base in zip(rows[2:], first["ids"], strict=True):
        assert row.facts["evidence"]["from"].startswith(f"run {base}, validation split"), "each seed its own baseline"


def test_a_seed_without_a_baseline_is_named_with_the_command_that_trains_it(refused, baseline):
    """Never the weights of another seed's run by the way."""
    words = (*DIGITS, "--epochs", 3, "--method", "tpr_ratio", "--baseline", baseline["id"], "--seed", 20)
    assert "no replicate of it has seed 20; train that first with `python cli.py run --dataset digits --model mlp --method none --epochs 3 --seed 20`" in refused(*words)
    assert "has seeds 20, 21 and 22" in refused(*words, "--seeds", 3)
    assert "--seed 20 --seeds 3`" in refused(*words, "--seeds", 3)


def test_one_baseline_for_every_seed_only_where_asked_for(engine, baseline, capsys):
    """What --same-baseline does, and what it says: on digits another seed has another validation split."""
    config = cli_submit.checked(RunConfig("digits", "mlp", "tpr_ratio", seed=0))
    group = cli_submit.baseline_group(engine, config, baseline["id"], tuple("0123456789"), waits=False)
    runs = cli_submit.replicas(config, 2, "Digits", baseline=baseline["id"], group=group, same_baseline=True)
    assert [r.baseline for r in runs] == [baseline["id"]] * 2
    said = capsys.readouterr().err
    assert f"Run {baseline['id']} has seed 0, so the weights of seed 1 come from another network" in said
    assert "another validation split: most of the samples behind its TPRs are training samples here" in said


def test_the_option_for_one_baseline(call, refused, engine, baseline):
    words = (*QUICK, "--method", "tpr_ratio", "--seed", 30, "--seeds", 2)
    made = call(*words, "--baseline", baseline["id"], "--same-baseline", "--json").data
    assert [results.get_run(engine, i).baseline_id for i in made["ids"]] == [baseline["id"]] * 2
    for i in made["ids"]:
        call("stop", i)
    assert "--same-baseline says how to use --baseline RUN" in refused(*words, "--same-baseline")


def test_a_baseline_on_other_data_is_said(call, baseline):
    done = call(*QUICK, "--imbalance", 10, "--method", "tpr_ratio", "--baseline", baseline["id"], "--json")
    assert f"note: run {baseline['id']} was trained on other data than this run will be (no long tail)" in done.err
    call("stop", done.data["id"])


def test_a_long_tail_is_in_the_name(call, engine):
    for words, name in ((("--imbalance", 100), "tail 100"), (("--imbalance", 10, "--profile", "step"), "step tail 10")):
        made = call(*QUICK, *words, "--json").data
        assert results.get_run(engine, made["id"]).name == f"Digits (scikit-learn), {name}: None (plain cross entropy), seed 0"
        call("stop", made["id"])


def test_data_without_a_validation_sample_is_refused_and_few_are_said(refused, call, tmp_path):
    from PIL import Image

    for images, name in ((1, "single"), (12, "few")):
        for kind in ("ant", "bee"):
            (tmp_path / name / kind).mkdir(parents=True)
            for i in range(images):
                Image.new("RGB", (16, 16), (20 * i, 90, 9)).save(tmp_path / name / kind / f"{i}.png")
    words = ("run", "--model", "mlp", "--epochs", 1, "--recipe-param", "batch_size=2", "--dataset")
    assert "single: there are 2 samples to train and 0 to validate" in refused(*words, tmp_path / "single")
    done = call(*words, tmp_path / "few", "--json")
    assert "note: 2 classes have fewer than 10 validation samples. Class ant has 1 validation sample: its TPR is known only to about ±45 points" in done.err
    call("stop", done.data["id"])


def test_a_validation_share_without_a_say_is_said(call, engine):
    done = call("run", "--dataset", "mnist1d", "--model", "mlp", "--validation", 0.3, "--json")
    assert "note: --validation 0.3 changes nothing: MNIST-1D brings its own validation split" in done.err
    assert results.get_run(engine, done.data["id"]).config["validation"] == 0.1
    call("stop", done.data["id"])


def test_a_worker_that_is_on_does_the_work(call, home, engine, baseline, tmp_path):
    """--wait leaves the training to it, stop and pause reach it, and a second worker is refused."""
    with open(tmp_path / "log", "w") as log:
        worker = subprocess.Popen([sys.executable, "cli.py", "worker"], cwd=ROOT, env=environment(home), stderr=log)
    try:
        until(lambda: call("health").code == 0)
        second = call("worker")
        assert second.code != 0
        assert re.fullmatch(r"error: a worker already serves slot 0 [^\n]+\n", second.err)
        waited = call(*QUICK, "--seed", 3, "--wait", "--json").data
        assert waited["status"] == "succeeded"
        until(lambda: f"run {waited['id']}: succeeded" in (tmp_path / "log").read_text())
        long = call(*DIGITS, "--epochs", 5000, "--json").data["id"]
        until(lambda: results.get_run(engine, long).last_epoch >= 1)
        assert call("compare", baseline["id"], long, "--json").data["notes"][0].startswith(f"Run {long} is at epoch")
        assert call("health").out.startswith("slot 0 on CPU")
        assert call("pause", long).out == f"run {long}: running, asked to pause\n"
        until(lambda: results.get_run(engine, long).status == "paused")
        assert f"run {long} is paused" in call(*QUICK, "--method", "tpr_ratio", "--baseline", long, "--wait").err
        assert call("resume", long).out == f"run {long}: queued\n"
        until(lambda: results.get_run(engine, long).status == "running")
        assert call("stop", long).out == f"run {long}: running, asked to stop\n"
        until(lambda: results.get_run(engine, long).status == "cancelled")
    finally:
        worker.send_signal(signal.SIGINT)
        code = worker.wait(15)
    assert code == 0
    assert call("health").err == "error: no worker is on; start one with `python cli.py worker` or `make run`\n"


def test_ctrl_c_gives_the_run_back(home, engine, baseline):
    waiting = process(home, *DIGITS, "--epochs", 5000, "--name", "interrupted", "--wait")
    until(lambda: (found := results.list_runs(engine, text="interrupted")["last_epoch"]).size and found[0] >= 2)
    waiting.send_signal(signal.SIGINT)
    done = finished(waiting, 20)
    row = results.get_run(engine, int(results.list_runs(engine, text="interrupted")["id"][0]))
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[-1] == f"error: interrupted; run {row.id}: queued, `python cli.py worker --drain` trains it"
    assert (row.status, row.attempt) == ("queued", 0)
    assert results.list_checkpoints(engine, row.id)
    queue.ask(engine, row.id, "cancel")


def test_a_run_that_fails_says_why(call, engine):
    done = call(*DIGITS, "--epochs", 2, "--recipe-param", "lr=1e6", "--wait", "--json")
    row = results.get_run(engine, int(results.list_runs(engine, status="failed", limit=1)["id"][0]))
    assert (done.code, done.out) == (1, "")
    assert done.err == f"error: run {row.id} failed: {row.error}\n"
    assert "the loss is not finite" in row.error
    assert "lower the learning rate" in call("show", row.id).out
    for words in (("compare", row.id, row.id), ("export", row.id)):
        assert f"run {row.id} failed before its first epoch" in call(*words).err
    assert "has failed" in call(*QUICK, "--method", "tpr_ratio", "--baseline", row.id).err


def test_a_long_tail_thins_the_training_split_only(call, baseline):
    tail = call(*QUICK, "--imbalance", 10, "--wait", "--json").data
    counts, whole = tail["facts"]["counts"], baseline["facts"]["counts"]
    assert counts["train"][0] / counts["train"][-1] == pytest.approx(10, rel=0.15)
    assert (counts["validation"], counts["test"]) == (whole["validation"], whole["test"])


@pytest.mark.parametrize(("words", "message"), [
    (("run", "--model", "mlp"), "Missing option '--dataset'"),
    (("run", "--dataset", "nope", "--model", "mlp"), "unknown dataset 'nope'; known: mnist1d, digits"),
    (("run", "--dataset", "digits", "--model", "nope"), "unknown model 'nope'; known: mlp"),
    (("run", "--dataset", "digits", "--model", "cnn1d"), "model cnn1d does not fit Digits"),
    ((*DIGITS, "--method", "nope"), "unknown method 'nope'; known: none"),
    ((*DIGITS, "--recipe", "nope"), "unknown recipe 'nope'; known: adam_cycle"),
    ((*DIGITS, "--recipe", "nope", "--epochs", "2"), "unknown recipe 'nope'; known: adam_cycle"),
    ((*DIGITS, "--param", "tau=1"), "none: unknown parameter 'tau'; it takes none"),
    ((*DIGITS, "--recipe-param", "lr=0"), "lr is '0', expected a number from 1e-06"),
    ((*DIGITS, "--recipe-param", "lr"), "--recipe-param 'lr': expected NAME=VALUE"),
    ((*DIGITS, "--recipe-param", "batch_size=5000"), "batch size 5000 is larger than the training split of"),
    ((*DIGITS, "--epochs", "0"), "epochs is '0', expected a whole number from 1"),
    ((*DIGITS, "--epochs", "many"), "epochs is 'many', expected a whole number"),
    ((*DIGITS, "--seed", "-1"), "seed is '-1', expected a whole number from 0"),
    ((*DIGITS, "--seeds", "101"), "seeds is '101', expected a whole number from 1 to 100"),
    ((*DIGITS, "--imbalance", "0.5"), "imbalance is '0.5', expected a number from 1"),
    ((*DIGITS, "--validation", "0.9"), "validation is '0.9', expected a number from 0.01 to 0.5"),
    ((*DIGITS, "--profile", "flat"), "profile is 'flat', expected one of exponential, step"),
    ((*DIGITS, "--reduction", "sum"), "reduction is 'sum', expected one of weighted_mean, batch_mean"),
    ((*DIGITS, "--device", "tpu"), "device is 'tpu', expected one of auto"),
    ((*DIGITS, "--name", "x" * 1001), "--name has 1,001 characters"),
    ((*DIGITS, "--method", "tpr_ratio"), "tpr_ratio needs the TPRs of an earlier run; give --baseline RUN or --tpr FILE.csv"),
    ((*DIGITS, "--method", "tpr_ratio", "--baseline", "987654"), "there is no run 987654"),
    ((*DIGITS, "--method", "tpr_ratio", "--baseline", "first"), "'first' is not the number of a run"),
    (("demo", "--seeds", "0"), "seeds is '0', expected a whole number from 1"),
    (("demo", "--epochs", "x"), "epochs is 'x', expected a whole number"),
    (("show", "987654"), "there is no run 987654"),
    (("show", "9" * 30), "is not the number of a run"),
    (("compare", "1"), "Missing argument 'RUN'"),
    (("compare", "1", "987654"), "there is no run 987654"),
    (("export", "1", "--format", "xml"), "'xml' is not one of 'csv', 'json', 'html'"),
    (("stop", "987654"), "there is no run 987654"),
    (("pause", "x"), "'x' is not the number of a run"),
    (("resume", "1"), "run 1 has succeeded already"),
    (("runs", "--status", "done"), "unknown status 'done'; known: queued"),
    (("bogus",), "No such command 'bogus'"),
    (("runs", "extra"), "extra"),
])
def test_bad_input_is_refused_before_anything_is_queued(refused, baseline, words, message):
    assert message in refused(*words)


@pytest.mark.parametrize(("content", "tpr"), [
    ("\n".join(TPRS.split(",")), None),
    ("class,tpr\n" + "\n".join(f"{c},{v}" for c, v in reversed(list(enumerate(TPRS.split(","))))), None),
    ("class,tpr,support\n" + "\n".join(f"{c},{v},20" for c, v in enumerate(TPRS.split(","))), 20),
])
def test_tprs_from_a_file(call, engine, tmp_path, content, tpr):
    file = tmp_path / "tprs.csv"
    file.write_text(content)
    made = call(*QUICK, "--method", "tpr_ratio", "--tpr", file, "--json").data
    config = results.get_run(engine, made["id"]).config
    assert config["tpr"] == pytest.approx([float(v) for v in TPRS.split(",")])
    assert config["tpr_support"] == (None if tpr is None else [tpr] * 10)
    assert config["tpr_source"] == "tprs.csv"
    assert call("stop", made["id"]).out == f"run {made['id']}: stopped\n"


@pytest.mark.parametrize(("content", "message"), [
    (b"0.5\n" * 9 + b"high\n", "line 10: 'high' is not a number"),
    (b"0.5\n" * 9, "9 TPRs given, expected 10"),
    (b"0.5\n" * 9 + b"1.5\n", "line 10: 1.5 is outside [0, 1]"),
    (b"\x89PNG\r\n\x1a\n\x00\xff", "not plain text"),
    (b"", "no TPRs found"),
    (b"0.5\n" * 400_000, "expected at most 1,000,000"),
])
def test_a_bad_tpr_file_is_refused(refused, tmp_path, content, message):
    file = tmp_path / "tprs.csv"
    file.write_bytes(content)
    error = refused(*QUICK, "--method", "tpr_ratio", "--tpr", file)
    assert f"--tpr {file}: " in error
    assert message in error


def test_a_tpr_file_that_cannot_be_read(refused, tmp_path, baseline):
    assert "No such file" in refused(*QUICK, "--method", "tpr_ratio", "--tpr", tmp_path / "absent.csv")
    assert "Is a directory" in refused(*QUICK, "--method", "tpr_ratio", "--tpr", tmp_path)
    file = tmp_path / "tprs.csv"
    file.write_text(TPRS)
    assert "give one of them" in refused(*QUICK, "--method", "tpr_ratio", "--tpr", file, "--baseline", baseline["id"])
    assert "none does not look at the TPRs" in refused(*QUICK, "--tpr", file)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of small pictures: the brightest of three colours is the class. One class has a name to stumble over."""
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("images") / "colours", np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 8)):
        for place, name in enumerate(("red", "[bold]green", "=blue")):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 120, (16, 16, 3), dtype=np.uint8)
                pixels[..., place] += 100
                Image.fromarray(pixels).save(folder / split / name / f"{i}.png")
    return folder


def test_a_folder_and_a_zip_of_pictures(call, pictures, baseline):
    archive = pictures.parent / "colours.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in pictures.rglob("*.png"):
            file.write(path, path.relative_to(pictures))
    for dataset in (pictures, archive):
        done = call("run", "--dataset", dataset, "--model", "cnn", "--epochs", 1, "--wait", "--json")
        assert done.data["status"] == "succeeded"
        assert [c["class"] for c in done.data["classes"]] == ["=blue", "[bold]green", "red"]
        assert [c["support"] for c in done.data["classes"]] == [8, 8, 8]
    run_id = done.data["id"]
    assert "[bold]green" in call("show", run_id).out, "names are text, not markup"
    rows = list(csv.DictReader(io.StringIO(call("export", run_id).out)))
    assert rows[0]["class"] == "'=blue"
    other = call("compare", baseline["id"], run_id)
    assert other.code != 0
    assert "different classes" in other.err
    error = call(*QUICK, "--method", "tpr_ratio", "--baseline", run_id).err
    assert f"--baseline {run_id}: run {run_id} was trained on {archive}, not on digits" in error


def test_an_absent_dataset_says_which_file_to_put_where(refused, home, monkeypatch):
    monkeypatch.setattr(download.urllib.request, "urlopen", lambda *_, **__: (_ for _ in ()).throw(urllib.error.URLError("no internet")))
    started = time.monotonic()
    error = refused("run", "--dataset", "cifar100", "--model", "resnet20")
    assert f"put the file at {home / 'cifar-100-python.tar.gz'}" in error
    assert "no internet" in error
    assert time.monotonic() - started < 20


# -- looking at runs ---------------------------------------------------------------------------------------------


def labels_of(matrix):
    """Truth and prediction of every sample of a confusion matrix."""
    truth, guess = (axis.ravel() for axis in np.indices(matrix.shape))
    return np.repeat(truth, matrix.ravel()), np.repeat(guess, matrix.ravel())


def precision_or_none(truth, guess, classes):
    """scikit-learn's precision a class; None where nothing is called so."""
    return [None if np.isnan(v) else v for v in precision_score(truth, guess, labels=range(classes), average=None, zero_division=np.nan)]


def test_show_and_export_report_what_sklearn_does(call, baseline, engine):
    truth, guess = labels_of(results.confusion(engine, baseline["id"], "test")[1])
    hits = int(results.epochs(engine, [baseline["id"]], "test")["top5"].iloc[-1])
    shown, exported = call("show", baseline["id"], "--json").data, json.loads(call("export", baseline["id"], "--format", "json").out)
    for found in (shown, exported):
        assert [r["precision"] for r in found["classes"]] == pytest.approx(precision_or_none(truth, guess, 10))
        assert [r["f1"] for r in found["classes"]] == pytest.approx(f1_score(truth, guess, average=None, zero_division=0).tolist())
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
        assert [c["class"] for c in found["classes"]] == row.facts["classes"]
        for name in ("accuracy", "balanced_accuracy", "tpr_variance", "tpr_min"):
            assert found["summary"][side][name] == pytest.approx(getattr(row, name), abs=1e-12)
        matrix = results.confusion(engine, run["id"], "test")[1]
        truth, guess = labels_of(matrix)
        assert found["summary"][side]["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro", zero_division=0))
        assert [c[f"precision_{side}"] for c in found["classes"]] == pytest.approx(precision_or_none(truth, guess, len(matrix)))
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
    assert call("runs", "--text", "no such name").out == "no runs like that\n"
    assert call("runs", "--archived", "--json").data == []
    assert call("pause", queued).out == f"run {queued}: paused\n"
    assert call("resume", queued).out == f"run {queued}: queued\n"
    assert call("stop", queued).out == f"run {queued}: stopped\n"


def test_show_has_settings_figures_and_log(call, baseline, weighted):
    text = call("show", weighted["id"]).out
    assert "method tpr_ratio (exponent 2, max_ratio 10000, normalize mean_one)" in " ".join(text.split())
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
    assert page.count("Plotly.newPlot(") == run_page(report(engine, results.get_run(engine, baseline["id"]))).count("Plotly.newPlot(") > 0
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.S)  # Plotly itself, inside the page, names addresses in its help
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
    for words in (("methods",), ("show", baseline["id"], "--json"), ("export", baseline["id"], "--format", "html")):
        started = process(home, *words)
        started.stdout.close()
        assert started.stderr.read() == ""
        started.stderr.close()
        started.wait(30)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout(home):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "cli.py", "methods"], cwd=ROOT, env=environment(home), stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "error: output: No space left on device\n")


# -- the folder and the database ---------------------------------------------------------------------------------


def one_line(done):
    assert done.code != 0
    assert done.out == ""
    assert re.fullmatch(r"error: [^\n]+\n", done.err), done.err
    return done.err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that root cannot write to either is needed")
@pytest.mark.parametrize("words", [("runs",), QUICK, ("worker", "--drain"), ("health",)])
def test_a_folder_that_cannot_be_written(call, monkeypatch, words):
    monkeypatch.setenv("EVENLY_DATA", "/proc/evenly")
    assert "set EVENLY_DATA to a folder you may write to" in one_line(call(*words))


def test_a_read_only_database(call, baseline, monkeypatch):
    monkeypatch.setattr(migrate.os, "access", lambda *_: False)  # tests may run as root, who may write everywhere
    for words in (("runs",), QUICK, ("worker",)):
        assert "is read-only for this user" in one_line(call(*words))


def test_a_database_of_a_newer_evenly(call, tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    assert call("runs").out.startswith("no runs")
    engine = open_database(f"sqlite:///{tmp_path / 'evenly.db'}")
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    engine.dispose()
    for words in (("runs", "--json"), QUICK, ("worker", "--drain")):
        assert "written by a newer Evenly (schema 9999" in one_line(call(*words))


def test_a_bug_is_one_line_too(call, monkeypatch):
    monkeypatch.setattr(results, "list_runs", lambda *_, **__: 1 / 0)
    assert "unexpected ZeroDivisionError: division by zero (a bug" in one_line(call("runs"))
    monkeypatch.setenv("EVENLY_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        call("runs")


# -- progress and the demo ---------------------------------------------------------------------------------------


def row(number, status, done, epochs=20, started=1000.0, name="MNIST-1D: None (plain cross entropy), seed 0"):
    begun = pd.NaT if started is None else pd.Timestamp(started, unit="s", tz="UTC")
    return SimpleNamespace(id=number, status=status, last_epoch=done, epochs=epochs, started_at=begun, name=name)


@pytest.mark.parametrize(("rows", "line"), [
    ([row(1, "queued", 0, started=None)], "0 of 20 epochs, waiting to start"),
    ([row(1, "running", 0)], "0 of 20 epochs, starting"),
    ([row(1, "running", 5)], "5 of 20 epochs, about 30 s left"),  # 5 epochs in 10 s
    ([row(1, "succeeded", 20), row(2, "running", 5, started=1008), row(3, "queued", 0, started=None)], "1 of 3 runs over, 25 of 60 epochs, about 14 s left"),
    ([row(1, "failed", 5), row(2, "running", 5)], "1 of 2 runs over, 10 of 40 epochs, about 15 s left"),
    ([row(1, "succeeded", 20)], "20 of 20 epochs"),
    ([row(1, "running", 1, 2000)], "1 of 2000 epochs, about 5.6 h left"),
    ([row(1, "running", 1, 41)], "1 of 41 epochs, about 7 min left"),
])
def test_the_line_of_progress(rows, line):
    assert cli_progress.progress_line(rows, 1010.0) == line


def test_runs_in_front_are_named():
    waiting = [row(7, "queued", 0, started=None)]
    assert cli_progress.progress_line(waiting, 0.0, [row(3, "running", 9)]) == "0 of 20 epochs, waiting for run 3 at 9 of 20"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_bars_fit_the_terminal(width):
    from rich.console import Console

    rows = [row(12, "succeeded", 20), row(13, "running", 7, name="MNIST-1D: TPR ratio, exponent 2, \x1b[31m[/red] seed 0"), row(14, "queued", 0, started=None)]
    out = io.StringIO()
    Console(file=out, width=width).print(cli_progress.bars(rows, width))
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
    rows = [row(i, "succeeded", 20) for i in range(1, 6)] + [row(6, "running", 3)] + [row(i, "queued", 0) for i in range(7, 11)]
    shown = lambda room: [r.id for r in cli_progress.fitting(rows, room)]  # noqa: E731
    assert shown(20) == list(range(1, 11))
    assert shown(7) == [4, 5, 6, 7, 8, 9, 10]
    assert shown(3) == [6, 7, 8]
    assert [r.id for r in cli_progress.fitting(rows[:5], 2)] == [4, 5]


def test_a_log_gets_a_line_now_and_then(engine, baseline, capsys):
    with cli_progress.RunLines(engine, [baseline["id"]], seconds=0.02):
        time.sleep(1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 1
    assert set(lines) == {"3 of 3 epochs"}


def test_preparing_data_is_told(capsys, monkeypatch):
    monkeypatch.setattr(cli_progress, "LINE_SECONDS", 0.0)
    with cli_progress.preparing(quiet=False) as progress:
        progress(0.5, "downloading\x07 a file")
    with cli_progress.preparing(quiet=True) as progress:
        progress(0.5, "unheard")
    assert capsys.readouterr() == ("", "downloading\N{REPLACEMENT CHARACTER} a file (50%)\n")


def test_nothing_in_json_that_json_does_not_know():
    odd = {"nan": float("nan"), "inf": np.inf, "na": pd.NA, "nat": pd.NaT, "array": np.array([1.0, np.nan]), "int": np.int64(3), "path": Path("a"), 1: None}
    assert terminal.plain(odd) == {"nan": None, "inf": None, "na": None, "nat": None, "array": [1.0, None], "int": 3, "path": "a", "1": None}


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "a.csv"
    file.write_text("old")
    monkeypatch.setattr(terminal.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(EvenlyError, match="cannot be written: No space left on device"):
        terminal.save(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix's")
def test_the_demo_in_a_terminal_of_80_columns(home, engine):
    import pty
    import termios

    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    env = {k: v for k, v in environment(home).items() if k != "COLUMNS"}
    demo = subprocess.Popen([sys.executable, "cli.py", "demo", "--seeds", "1", "--epochs", "3"], cwd=ROOT, env={**env, "TERM": "xterm"},
                            stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    try:
        while part := os.read(master, 65536):
            seen += part
    except OSError:  # Linux: the other side is closed
        pass
    os.close(master)
    assert demo.wait(60) == 0, seen.decode()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).replace("\r", "\n")
    assert max(map(len, text.splitlines())) <= 80
    first, second = sorted(results.list_runs(engine, limit=2)["id"])
    assert re.search(rf"^run {first} None \(plain cross entropy\), seed 0 +━+.* \d/3 \w+", text, re.M)
    assert "2 of 2 runs over, 6 of 6 epochs" in text
    after = text.rsplit("Test split", 1)[1]
    assert [re.search(rf"^ +{word} ", after, re.M) is not None for word in ("class", "accuracy, %", "TPR variance", "min TPR, %", "9")] == [True] * 5
    assert f"In the app: compare run {first} with run {second}" in after
