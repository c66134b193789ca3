"""What every test of the command line stands on: a data folder a file, a command to call, a trained baseline."""

from __future__ import annotations

import os
import re
from unittest import mock

import pytest

from storage.db import migrate
from storage.db.connection import open_database
from tests.cli.cli_kit import DIGITS, finished, here, process


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


@pytest.fixture(scope="module")
def baseline(home, engine):
    """A finished baseline, trained by `run --wait --json` in a process of its own; its JSON."""
    done = finished(process(home, *DIGITS, "--epochs", "3", "--wait", "--json"))
    assert done.err == "", "with --json not even progress is written to a log"
    return done.data


@pytest.fixture(scope="module")
def weighted(home, baseline):
    """A finished run weighted by the baseline's TPRs; its JSON."""
    words = (
        *DIGITS,
        "--epochs",
        3,
        "--method",
        "tpr_ratio",
        "--param",
        "exponent=2",
        "--baseline",
        baseline["id"],
        "--wait",
        "--json",
    )
    with mock.patch.dict(os.environ, {"EVENLY_DATA": str(home)}):
        return here(*words).data
