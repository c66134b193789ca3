"""What the command line refuses before anything is queued, and the TPR files, folders and zips that it takes."""

from __future__ import annotations

import csv
import io
import urllib.error
import zipfile

import numpy as np
import pytest

from core.datasets import download
from storage import results
from tests.commands.kit import DIGITS, QUICK

TPRS = ",".join(str(0.5 + 0.05 * c) for c in range(10))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--model", "mlp"), "Missing option '--dataset'"),
        (("run", "--dataset", "nope", "--model", "mlp"), "unknown dataset 'nope'; known: mnist1d, digits"),
        (("run", "--dataset", "digits", "--model", "nope"), "unknown model 'nope'; known: mlp"),
        (("run", "--dataset", "digits", "--model", "cnn1d"), "model cnn1d does not fit Digits"),
        ((*DIGITS, "--method", "nope"), "unknown method 'nope'; known: none"),
        ((*DIGITS, "--recipe", "nope"), "unknown recipe 'nope'; known: adam_cycle"),
        ((*DIGITS, "--recipe", "nope", "--epochs", "2"), "unknown recipe 'nope'; known: adam_cycle"),
        ((*DIGITS, "--param", "tau=1"), "none: unknown parameter 'tau'; none has no parameters; leave it out"),
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
        (
            (*DIGITS, "--method", "tpr_ratio"),
            "tpr_ratio needs the TPRs of a baseline; give --baseline RUN or --tpr FILE.csv",
        ),
        ((*DIGITS, "--method", "tpr_ratio", "--baseline", "987654"), "run 987654 not found"),
        ((*DIGITS, "--method", "tpr_ratio", "--baseline", "first"), "'first' is not a run number"),
        (("demo", "--seeds", "0"), "seeds is '0', expected a whole number from 1"),
        (("demo", "--epochs", "x"), "epochs is 'x', expected a whole number"),
        (("show", "987654"), "run 987654 not found"),
        (("show", "9" * 30), "is not a run number"),
        (("compare", "1"), "Missing argument 'RUN_AFTER'"),
        (("compare", "1", "987654"), "run 987654 not found"),
        (("export", "1", "--format", "xml"), "'xml' is not one of 'csv', 'json', 'html'"),
        (("stop", "987654"), "run 987654 not found"),
        (("pause", "x"), "'x' is not a run number"),
        (("resume", "1"), "run 1 has already succeeded"),
        (("runs", "--status", "done"), "unknown status 'done'; known: queued"),
        (("bogus",), "No such command 'bogus'"),
        (("runs", "extra"), "extra"),
    ],
)
def test_bad_input_is_refused_before_anything_is_queued(refused, baseline, words, message):
    assert message in refused(*words)


@pytest.mark.parametrize(
    ("content", "tpr"),
    [
        ("\n".join(TPRS.split(",")), None),
        ("class,tpr\n" + "\n".join(f"{c},{v}" for c, v in reversed(list(enumerate(TPRS.split(","))))), None),
        ("class,tpr,support\n" + "\n".join(f"{c},{v},20" for c, v in enumerate(TPRS.split(","))), 20),
    ],
)
def test_tprs_from_a_file(call, engine, tmp_path, content, tpr):
    file = tmp_path / "tprs.csv"
    file.write_text(content)
    made = call(*QUICK, "--method", "tpr_ratio", "--tpr", file, "--json").data
    config = results.get_run(engine, made["id"]).config
    assert list(config.tpr) == pytest.approx([float(v) for v in TPRS.split(",")])
    assert config.tpr_support == (None if tpr is None else (tpr,) * 10)
    assert config.tpr_source == "tprs.csv"
    assert call("stop", made["id"]).out == f"run {made['id']}: stopped\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"0.5\n" * 9 + b"high\n", "line 10: 'high' is not a number"),
        (b"0.5\n" * 9, "9 TPRs given, expected 10"),
        (b"0.5\n" * 9 + b"1.5\n", "line 10: 1.5 is outside [0, 1]"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "not plain text"),
        (b"", "no TPRs found"),
        (b"0.5\n" * 400_000, "expected at most 1,000,000"),
    ],
)
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
    assert "none does not use the TPRs" in refused(*QUICK, "--tpr", file)


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
    monkeypatch.setattr(
        download.urllib.request, "urlopen", lambda *_, **__: (_ for _ in ()).throw(urllib.error.URLError("no internet"))
    )
    error = refused("run", "--dataset", "cifar100", "--model", "resnet20")
    assert f"put the file at {home / 'cifar-100-python.tar.gz'}" in error
    assert "no internet" in error
