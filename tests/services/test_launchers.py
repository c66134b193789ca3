"""Workers started on this machine by whoever needs them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys

import pytest

from core.errors import EvenlyError
from core.experiment.config import RunConfig
from services.launchers import LAUNCHERS, launcher
from services.launchers.local import has_ended
from services.queue_rows import new_run
from storage import results
from storage.jobs import queue
from tests.work import standin
from tests.work.forked import until
from work.liveness import beat_path
from work.locks import taken

local = LAUNCHERS["local"]


@pytest.mark.slow
def test_a_worker_that_is_started_drains_the_queue_and_ends(home, digits, monkeypatch):
    root, engine = home
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shutil.copytree(digits, root / "cache")
    config = RunConfig("digits", "mlp", epochs=1, recipe_params={"batch_size": 32})
    (run_id,) = queue.submit(engine, [new_run(config)])
    started = local.start(1)
    assert local.alive(started) == started
    until(lambda: not local.alive(started))
    assert results.get_run(engine, run_id).status == "succeeded"
    local.stop(started)  # nothing to do any more


def test_one_that_is_stopped_has_ended(home, monkeypatch):
    """What a worker does with its run when it is told to end is in tests/work."""
    monkeypatch.setattr("services.launchers.local.Local.command", lambda self, *options: standin.command(*options))
    started = local.start(1)
    until(beat_path(home[0] / "locks", 0).exists)
    assert local.alive(started) == started
    local.stop(started)
    assert local.alive(started) == []
    assert not taken(home[0] / "locks", 0)


def test_one_that_has_no_command_line_yet_is_alive(home, monkeypatch):
    """As in the moment between its start and the first line of its program."""
    monkeypatch.setattr("services.launchers.local.Local.command", lambda self, *options: standin.command(*options))
    monkeypatch.setattr("psutil.Process.cmdline", lambda self: [])
    started = local.start(1)
    assert local.alive(started) == started
    local.stop(started)
    assert local.alive(started) == []


def test_a_number_that_another_program_has_is_no_worker():
    assert local.alive([f"0:{os.getpid()}"]) == []
    local.stop([f"0:{os.getpid()}"])  # this process goes on


def test_a_process_has_ended_only_if_it_ran_here():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    here = platform.node()
    assert has_ended(here, child.pid)
    assert not has_ended(here, os.getpid())
    assert not has_ended("another machine", child.pid)


def test_a_setting_chooses_the_launcher(monkeypatch):
    assert launcher() is local
    monkeypatch.setenv("EVENLY_LAUNCHER", "cluster")
    with pytest.raises(EvenlyError, match=r"unknown launcher 'cluster'; known: local"):
        launcher()
