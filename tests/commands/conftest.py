"""What every test of the command line stands on: a data folder a file, a command to call, a trained baseline."""

from __future__ import annotations

import os
import re
import shutil
from unittest import mock

import pytest

from storage.db.connection import open_database
from tests.commands.kit import DIGITS, here


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A data folder with a finished baseline and a run weighted by its TPRs; files work on copies. Returns (folder, both as JSON)."""
    folder = tmp_path_factory.mktemp("trained")
    with mock.patch.dict(os.environ, {"EVENLY_DATA": str(folder)}):
        first = here(*DIGITS, "--epochs", 3, "--wait", "--json").data
        ratio = ("--method", "tpr_ratio", "--param", "exponent=2", "--baseline", first["id"])
        return folder, first, here(*DIGITS, "--epochs", 3, *ratio, "--wait", "--json").data


@pytest.fixture(scope="module")
def home(trained, tmp_path_factory):
    """One data folder for all tests of this file, with the two trained runs."""
    return shutil.copytree(trained[0], tmp_path_factory.mktemp("cli") / "data")


@pytest.fixture(scope="module")
def engine(home):
    engine = open_database(f"sqlite:///{home / 'evenly.db'}")
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


@pytest.fixture(scope="session")
def baseline(trained):
    """The finished baseline as `run --wait --json` printed it."""
    return trained[1]


@pytest.fixture(scope="session")
def weighted(trained):
    """The run weighted by the baseline's TPRs, likewise."""
    return trained[2]
