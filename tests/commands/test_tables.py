"""Help, tables and terms on the command line: every row is listed, and the numbers of a method are those of its golden cases."""

from __future__ import annotations

import re

import numpy as np
import pytest

from core.datasets import DATASETS
from core.experiment.recipes import RECIPES
from core.methods import METHODS, answer, what_if
from core.methods.samplers import SAMPLERS
from models import MODELS
from tests.core.methods.kit import golden_cases, name_of, vectors

GOLDEN = [  # of methods that are a map from TPRs or counts to terms
    pytest.param(row, case, id=name_of(row, case))
    for table, row, case in golden_cases()
    if table is METHODS and vectors(case) and case.expect.keys() - {"loss"}
]


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


@pytest.mark.parametrize(
    ("command", "rows"),
    [("methods", METHODS), ("samplers", SAMPLERS), ("models", MODELS), ("recipes", RECIPES), ("datasets", DATASETS)],
)
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


@pytest.mark.parametrize(("row", "case"), GOLDEN)
def test_terms_give_the_golden_numbers(call, row, case):
    words = [word for key, vector in vectors(case).items() for word in (f"--{key}", listed(vector))]
    done = call("terms", row.key, *words, *params(case.params), "--json")
    assert done.code == 0
    expect = {name: values for name, values in case.expect.items() if name != "loss"}
    assert set(expect) <= set(done.data)
    assert set(done.data) - set(expect) <= {"tau"}
    for name, expected in expect.items():
        np.testing.assert_allclose(done.data[name], np.squeeze(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS.keys)
def test_terms_print_only_what_the_method_sets(call, method):
    tpr, counts = [0.9, 0.6, 0.75], [100, 20, 50]
    params = METHODS[method].tested(3)
    terms = answer(method, what_if(3, tpr=tpr, counts=counts), params)
    words = [
        "terms",
        method,
        "--tpr",
        listed(tpr),
        "--counts",
        listed(counts),
        *(w for k, v in params.items() for w in ("--param", f"{k}={v}")),
    ]
    done = call(*words, "--json")
    if not terms.set() and terms.objective != "terms":
        assert (done.code, done.out) == (1, "")
        assert f"{method} does not compute terms from TPRs or counts" in done.err
        return
    found = {**{k: v.tolist() for k, v in terms.set().items()}, **{k: [v] for k, v in (terms.info or {}).items()}}
    assert done.data == found
    text = call(*words).out
    assert [line.split()[0] for line in text.splitlines()] == list(found)


def test_shares_may_be_percentages_and_counts_may_not(call):
    given = [call("terms", "tpr_ratio", "--tpr", tpr, "--json").data for tpr in ("90%, 62.5%", "0.9,0.625")]
    assert given[0] == given[1]
    assert "--counts: '90%' is not a number" in call("terms", "class_balanced", "--counts", "90%,10").err


def test_terms_say_what_was_clipped_beside_the_json(call):
    done = call("terms", "tpr_deficit", "--tpr", "1,0.5", "--support", "10,10", "--json")
    assert list(done.data) == ["weight"]
    assert done.data["weight"][0] > 0
    assert "note: " in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
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
        (
            ("tpr_ratio", "--tpr", "0.5,0.6", "--param", "exponent=1", "--param", "exponent=2"),
            "exponent is given twice",
        ),
    ],
)
def test_terms_refuse(refused, words, message):
    assert message in refused("terms", *words)
