"""Starting runs on the command line: queued, trained here or by the worker that is on, given back on Ctrl-C."""

from __future__ import annotations

import re
import signal

import pytest

from commands import submit, wait
from core.datasets import describe
from core.errors import EvenlyError
from core.experiment.config import RunConfig
from core.methods import answer, what_if
from services.submission import plan
from storage import results
from storage.jobs import queue
from tests.commands.kit import DIGITS, QUICK, finished, process
from tests.storage.kit import new_run
from tests.work.forked import run_command, until

pytestmark = pytest.mark.slow


def test_run_waits_and_trains_here(home, engine):
    """A process that starts from nothing; the others below are forked from one that has its imports."""
    done = finished(process(home, *DIGITS, "--epochs", 1, "--wait", "--json"))
    assert done.err == "", "with --json not even progress is written to a log"
    run = done.data
    assert (run["status"], run["last_epoch"], run["error"]) == ("succeeded", 1, None)
    row, counts = results.get_run(engine, run["id"]), results.class_counts(engine, run["id"], "test")
    assert run["accuracy"] == row.accuracy
    assert [c["tpr"] for c in run["classes"]] == pytest.approx((counts.tp / counts.support).tolist())


def test_a_weighted_run_takes_the_validation_tprs(weighted, baseline, engine):
    counts = results.class_counts(engine, baseline["id"], "validation")
    want = answer(
        "tpr_ratio", what_if(10, tpr=counts.tp / counts.support, support=counts.support), {"exponent": 2.0}
    ).weight
    assert [c["weight"] for c in weighted["classes"]] == pytest.approx(want.tolist())


def test_run_queues_and_a_worker_drains(call, home, engine, baseline):
    first = call(*QUICK, "--seed", 5, "--seeds", 2, "--json").data
    assert first == {"id": first["ids"][0], "ids": first["ids"], "status": "queued"}
    done = call(
        *QUICK,
        "--method",
        "tpr_deficit",
        "--baseline",
        first["id"],
        "--seeds",
        2,
        "--seed",
        5,
        "--name",
        "pair",
        "--json",
    )
    second = done.data
    assert done.err == f"note: Baselines: run {first['ids'][0]} for seed 5 and run {first['ids'][1]} for seed 6.\n"
    assert call(*QUICK).out == f"queued: run {second['ids'][-1] + 1}\n"
    done = call("worker", "--drain")
    assert (done.code, done.out) == (0, "")
    rows = [results.get_run(engine, i) for i in (*first["ids"], *second["ids"])]
    assert [r.status for r in rows] == ["succeeded"] * 4
    assert [(r.name, r.seed) for r in rows[2:]] == [("pair, seed 5", 5), ("pair, seed 6", 6)]
    for row, base in zip(rows[2:], first["ids"], strict=True):
        assert row.facts.evidence.origin.startswith(f"run {base}, validation split"), "each seed its own baseline"


def test_a_seed_without_a_baseline_is_named_with_the_command_that_trains_it(refused, baseline):
    """Never the weights of another seed's run by the way."""
    words = (*DIGITS, "--epochs", 3, "--method", "tpr_ratio", "--baseline", baseline["id"], "--seed", 20)
    assert (
        "no replicate of it has seed 20; "
        "train that first with `python cli.py run --dataset digits --model mlp --method none --epochs 3 --seed 20`"
        in refused(*words)
    )
    assert "has seeds 20, 21 and 22" in refused(*words, "--seeds", 3)
    assert "--seed 20 --seeds 3`" in refused(*words, "--seeds", 3)


def test_one_baseline_for_every_seed_only_where_asked_for(engine, baseline, capsys):
    """What --same-baseline does, and what it says: on digits another seed has another validation split."""
    config, spec = submit.checked(RunConfig("digits", "mlp", "tpr_ratio", seed=0)), describe("digits", "")
    source = submit.source_of(engine, config, spec, [0, 1], baseline["id"], same=True, waits=False)
    assert [r.baseline for r in plan(engine, config, spec, [0, 1], source).rows] == [baseline["id"]] * 2
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


def test_a_baseline_on_other_data_is_reported(call, baseline):
    done = call(*QUICK, "--imbalance", 10, "--method", "tpr_ratio", "--baseline", baseline["id"], "--json")
    assert (
        f"note: run {baseline['id']} differs from this run (no long tail), so its TPRs are not those of a baseline with"
        in done.err
    )
    call("stop", done.data["id"])


def test_a_long_tail_is_in_the_name(call, engine):
    for words, name in ((("--imbalance", 100), "tail 100"), (("--imbalance", 10, "--profile", "step"), "step tail 10")):
        made = call(*QUICK, *words, "--json").data
        assert results.get_run(engine, made["id"]).name == f"Digits (scikit-learn), {name}: None, 2 epochs, seed 0"
        call("stop", made["id"])


def test_data_without_a_validation_sample_is_refused_and_few_are_reported(refused, call, tmp_path):
    from PIL import Image

    for images, name in ((1, "single"), (12, "few")):
        for kind in ("ant", "bee"):
            (tmp_path / name / kind).mkdir(parents=True)
            for i in range(images):
                Image.new("RGB", (16, 16), (20 * i, 90, 9)).save(tmp_path / name / kind / f"{i}.png")
    words = ("run", "--model", "mlp", "--epochs", 1, "--recipe-param", "batch_size=2", "--dataset")
    assert "error: 2 training samples but no validation samples" in refused(*words, tmp_path / "single")
    done = call(*words, tmp_path / "few", "--json")
    assert (
        "note: 2 classes have fewer than 10 validation samples. "
        "Class ant has 1 validation sample: its TPR is known only to about ±45 points" in done.err
    )
    call("stop", done.data["id"])


def test_of_a_refused_run_nothing_is_noted_beside_the_error(refused):
    error = refused("run", "--dataset", "mnist1d", "--model", "mlp", "--validation", 0.3, "--method", "tpr_ratio")
    assert "--baseline" in error


def test_a_validation_share_without_effect_is_reported(call, engine):
    done = call("run", "--dataset", "mnist1d", "--model", "mlp", "--validation", 0.3, "--json")
    assert "note: --validation 0.3 has no effect: MNIST-1D has its own validation split" in done.err
    assert results.get_run(engine, done.data["id"]).config.validation == 0.1
    call("stop", done.data["id"])


def test_a_worker_that_is_on_does_the_work(call, engine, baseline, fork):
    """--wait leaves the training to it, stop and pause reach it, and a second worker is refused."""
    worker = fork(run_command, "worker")
    try:
        until(lambda: call("health").code == 0, 0.5)
        second = call("worker")
        assert second.code != 0
        assert re.fullmatch(r"error: a worker already serves slot 0 [^\n]+\n", second.err)
        waited = call(*QUICK, "--seed", 3, "--wait", "--json").data
        assert waited["status"] == "succeeded"
        worker.says(f"run {waited['id']}: succeeded")
        long = call(*DIGITS, "--epochs", 5000, "--json").data["id"]
        until(lambda: results.get_run(engine, long).last_epoch >= 1)
        assert (
            call("compare", baseline["id"], long, "--json")
            .data["notes"][0]
            .startswith(f"Run {long} is running at epoch")
        )
        assert call("health").out.startswith("slot 0 on CPU")
        assert call("pause", long).out == f"run {long}: running, asked to pause\n"
        until(lambda: results.get_run(engine, long).status == "paused")
        assert f"run {long} is paused" in call(*QUICK, "--method", "tpr_ratio", "--baseline", long, "--wait").err
        with pytest.raises(EvenlyError, match=f"^run {long} is paused$"):
            wait.wait_for(engine, [long], quiet=True)
        ratio = call(*QUICK, "--method", "tpr_ratio", "--baseline", long, "--json").data["id"]
        deficit = call(*QUICK, "--method", "tpr_deficit", "--baseline", ratio, "--json").data["id"]
        for run_id in (ratio, deficit):  # paused after the wait began
            with pytest.raises(
                EvenlyError, match=f"run {run_id} waits for run {long}, which is paused; resume run {long}"
            ):
                wait.wait_for(engine, [run_id], quiet=True)
        assert [results.get_run(engine, i).status for i in (ratio, deficit)] == ["queued", "queued"]
        call("stop", deficit)
        call("stop", ratio)
        assert call("resume", long).out == f"run {long}: queued\n"
        until(lambda: results.get_run(engine, long).status == "running")
        assert call("stop", long).out == f"run {long}: running, asked to stop\n"
        until(lambda: results.get_run(engine, long).status == "cancelled")
    finally:
        worker.send(signal.SIGINT)
        code = worker.wait()
    assert code == 0
    assert call("health").err == "error: no worker is running; start one with `python cli.py worker` or `make run`\n"


def test_a_wait_names_the_paused_run_of_a_chain_without_a_worker(engine):
    first, _, last = queue.submit(
        engine, [new_run("a"), new_run("b", baseline_index=0), new_run("c", baseline_index=1)]
    )
    queue.ask(engine, first, "pause")
    with pytest.raises(EvenlyError, match=f"^run {last} waits for run {first}, which is paused; resume run {first}"):
        wait.wait_for(engine, [last], quiet=True)
    queue.ask(engine, first, "cancel")


def test_ctrl_c_gives_the_run_back(home, engine, fork, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(home))
    waiting = fork(run_command, *DIGITS, "--epochs", 5000, "--name", "interrupted", "--wait")
    until(lambda: (found := results.list_runs(engine, text="interrupted")["last_epoch"]).size and found[0] >= 2)
    waiting.send(signal.SIGINT)
    code = waiting.wait()
    row = results.get_run(engine, int(results.list_runs(engine, text="interrupted")["id"][0]))
    assert (code, waiting.out) == (1, "")
    assert (
        waiting.err.splitlines()[-1]
        == f"error: interrupted; run {row.id}: queued, `python cli.py worker --drain` trains it"
    )
    assert (row.status, row.attempt) == ("queued", 0)
    assert results.list_checkpoints(engine, row.id)
    queue.ask(engine, row.id, "cancel")


def test_a_run_that_fails_says_why(call, engine):
    done = call(*DIGITS, "--epochs", 2, "--recipe-param", "lr=1e6", "--wait", "--json")
    row = results.get_run(engine, int(results.list_runs(engine, status="failed", limit=1)["id"][0]))
    assert (done.code, done.out) == (1, "")
    assert done.err == f"error: run {row.id} failed: {row.error}\n"
    assert "the loss is not finite" in row.error
    assert "lower learning rate" in call("show", row.id).out
    for words in (("compare", row.id, row.id), ("export", row.id)):
        assert f"run {row.id} failed before its first epoch" in call(*words).err
    assert " failed; resume it" in call(*QUICK, "--method", "tpr_ratio", "--baseline", row.id).err


def test_a_long_tail_thins_the_training_split_only(call, baseline):
    tail = call(*QUICK, "--imbalance", 10, "--wait", "--json").data
    counts, whole = tail["facts"]["counts"], baseline["facts"]["counts"]
    assert counts["train"][0] / counts["train"][-1] == pytest.approx(10, rel=0.15)
    assert (counts["validation"], counts["test"]) == (whole["validation"], whole["test"])
