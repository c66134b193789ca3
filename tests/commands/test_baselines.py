"""Baselines and TPR files on the command line: what must not make weights, and what is refused before a run exists."""

from __future__ import annotations

import csv
import io
import subprocess

import numpy as np
import pytest
from PIL import Image

from core.experiment.config import RunConfig, with_given_tprs
from reporting.code_snippet import cli_command
from storage import results
from tests.commands.kit import DIGITS, QUICK

WEIGHTED = (*DIGITS, "--epochs", 3, "--method", "tpr_ratio")


# -- files of TPRs -----------------------------------------------------------------------------------------------


def test_an_exported_file_names_its_split_and_the_validation_one_makes_the_same_weights(
    call, engine, baseline, weighted, tmp_path
):
    written = {split: call("export", baseline["id"], "--split", split).out for split in ("test", "validation", "train")}
    assert call("export", baseline["id"]).out == written["test"]
    for split, text in written.items():
        rows, counts = list(csv.DictReader(io.StringIO(text))), results.class_counts(engine, baseline["id"], split)
        assert {r["split"] for r in rows} == {split}
        assert [float(r["tpr"]) for r in rows] == pytest.approx((counts.tp / counts.support).tolist())
    file = tmp_path / "validation.csv"
    file.write_text(written["validation"], newline="")
    made = call(*WEIGHTED, "--param", "exponent=2", "--tpr", file, "--wait", "--json").data
    assert [c["weight"] for c in made["classes"]] == pytest.approx(
        [c["weight"] for c in weighted["classes"]], rel=1e-12
    )


@pytest.mark.parametrize("split", ["test", "train"])
def test_tprs_of_another_split_than_validation_are_refused(call, refused, baseline, tmp_path, split):
    file = tmp_path / "odd.csv"
    file.write_text(call("export", baseline["id"], "--split", split).out, newline="")
    error = refused(*WEIGHTED, "--tpr", file)
    assert f"--tpr {file}: line 2: TPRs of the {split} split, expected validation" in error
    assert "`python cli.py export RUN --split validation`" in error


def test_an_export_of_a_split_that_is_none_is_refused(refused, baseline):
    assert "'odd' is not one of 'test', 'validation', 'train'" in refused("export", baseline["id"], "--split", "odd")


def test_two_runs_in_one_file_say_of_which_split_they_are(engine, baseline, weighted):
    from reporting.csv_json import comparison_csv
    from services.comparison import report

    rows = csv.DictReader(
        io.StringIO(comparison_csv(*(report(engine, results.get_run(engine, r["id"])) for r in (baseline, weighted))))
    )
    assert {r["split"] for r in rows} == {"test"}


def test_the_copied_command_keeps_the_samples_behind_the_tprs(tmp_path):
    """A TPR of 1 from 10 samples and one from 1,000 make other weights."""
    from core.experiment.tpr_file import parse

    tpr, support = [1.0, 0.25, 1 / 3, float("nan")], [10.0, 1000.0, 7.0, 0.0]
    for given in (support, None):
        config = with_given_tprs(RunConfig("digits", "mlp", "tpr_ratio"), tpr, given, "mine")
        subprocess.run(["sh", "-c", cli_command(config).splitlines()[0]], cwd=tmp_path, check=True)
        read, behind = parse((tmp_path / "tprs.csv").read_bytes(), ("ant", "bee", "cat", "dog"))
        assert np.array_equal(read, tpr, equal_nan=True)
        assert behind is None if given is None else behind.tolist() == support


# -- refused before a run exists ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "manual", "--param", "weights=1,1,1"), "10"),
        (("--method", "custom", "--param", "formula=1/0"), "formula"),
        (("--method", "custom", "--param", "formula=1/(n - n)"), "formula"),
        (("--method", "custom", "--param", "formula=log(0 * n)"), "formula"),
    ],
)
def test_what_a_method_refuses_is_refused_before_a_run_is_queued(refused, words, message):
    assert message in refused(*QUICK, *words)


def test_tprs_that_a_formula_cannot_take_are_refused_too(call, refused, baseline, tmp_path):
    formula = ("--method", "custom", "--param", "formula=1/(tpr - tpr)")
    file = tmp_path / "tprs.csv"
    file.write_text("0.5," * 9 + "0.5")
    assert "formula" in refused(*QUICK, *formula, "--tpr", file)
    assert "formula" in refused(*QUICK, *formula, "--baseline", baseline["id"])
    waiting = call(*QUICK, "--seed", 40, "--json").data["id"]
    done = call(*QUICK, "--seed", 40, *formula, "--baseline", waiting, "--json")
    assert done.code == 0, "its TPRs are not known yet: the worker refuses"
    for number in (done.data["id"], waiting):
        call("stop", number)


# -- which baseline ----------------------------------------------------------------------------------------------


def test_a_baseline_of_another_model_is_reported(call, baseline):
    done = call(
        "run",
        "--dataset",
        "digits",
        "--model",
        "cnn",
        "--epochs",
        1,
        "--imbalance",
        5,
        "--method",
        "tpr_ratio",
        "--baseline",
        baseline["id"],
        "--json",
    )
    assert (
        f"note: run {baseline['id']} differs from this run (no long tail, model mlp), so its TPRs are not those of a baseline"
        in done.err
    )
    call("stop", done.data["id"])


def test_a_second_stage_on_another_model_is_refused_at_once(refused, baseline):
    error = refused("run", "--dataset", "digits", "--model", "cnn", "--method", "crt", "--baseline", baseline["id"])
    assert f"crt continues from the network of run {baseline['id']}, which differs from this run (model mlp)" in error


def pictures(folder, green):
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(40):
            Image.new("RGB", (16, 16), (i, green, 9)).save(folder / name / f"{i}.png")


def test_a_baseline_from_before_the_folder_was_edited_feeds_no_weights(call, refused, tmp_path):
    folder = tmp_path / "insects"
    words = (
        "run",
        "--dataset",
        folder,
        "--model",
        "cnn",
        "--epochs",
        1,
        "--recipe-param",
        "batch_size=8",
        "--validation",
        0.45,
    )
    pictures(folder, 30)
    first = call(*words, "--seeds", 2, "--wait", "--json").data[0]["id"]
    take = (*words, "--method", "tpr_ratio", "--baseline", first)
    fine = call(*take, "--imbalance", 2, "--json")
    assert fine.code == 0, "another tail is the same data"
    call("stop", fine.data["id"])
    pictures(folder, 50)
    error = refused(*take)
    assert f"--baseline {first}: run {first} was trained on another version of {folder} (data " in error
    assert "train the baseline again, or give the TPRs as a file" in error
    again = call(*words, "--wait", "--json").data["id"]
    assert "no replicate of it has seed 1" in refused(
        *words, "--method", "tpr_ratio", "--seeds", 2, "--baseline", again
    ), "the old one of seed 1 is no replicate"
    done = call(*words, "--method", "inverse_frequency", "--baseline", first, "--json")
    assert done.err == f"note: run {first} differs from this run (older data)\n"
    call("stop", done.data["id"])
