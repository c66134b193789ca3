"""The starter: what it says when it cannot start, and that nothing is left when it goes, however it goes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import serve
from core.errors import EvenlyError
from core.registry import Registry
from services import launchers
from services.launchers.local import Local, popen_options
from tests.work import standin
from tests.work.forked import Forked, until
from work.process_group import Child

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80.5", "٨"])
def test_a_port_that_is_none_is_named(monkeypatch, port):
    monkeypatch.setenv("EVENLY_PORT", port)
    with pytest.raises(EvenlyError, match=r"EVENLY_PORT is '.*', expected a whole number from 1 to 65535"):
        serve.settings()


def test_defaults_are_this_machine_and_8501(monkeypatch):
    monkeypatch.delenv("EVENLY_PORT", raising=False)
    monkeypatch.setenv("EVENLY_ADDRESS", "")
    assert serve.settings() == ("127.0.0.1", 8501)


def test_a_taken_port_is_named_with_the_remedy():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(EvenlyError, match=f"port {port} of 127.0.0.1 is taken.*EVENLY_PORT={port + 1} make run"):
            serve.check_port("127.0.0.1", port)


def test_a_foreign_address_is_named():
    with pytest.raises(EvenlyError, match="EVENLY_ADDRESS"):
        serve.check_port("192.0.2.1", 8501)  # a documentation address, never this machine's


def test_the_printed_address_can_be_opened():
    assert serve.url("127.0.0.1", 8501) == "http://127.0.0.1:8501"
    assert serve.url("0.0.0.0", 80) == "http://127.0.0.1:80"
    assert serve.url("::1", 8501) == "http://[::1]:8501"


def test_the_worker_is_started_as_the_chosen_launcher_says(monkeypatch):
    class Elsewhere(Local):
        key = "elsewhere"

        def command(self, *options):
            return ["remote", *options]

    monkeypatch.setattr(launchers, "LAUNCHERS", Registry("launcher", Local(), Elsewhere()))
    monkeypatch.setenv("EVENLY_LAUNCHER", "elsewhere")
    assert serve.Serve("127.0.0.1", 8501).worker.command == ["remote", "--patient"]


@pytest.mark.slow
def test_ctrl_c_ends_everything(tmp_path):
    """And a proxy of the machine, which leads nowhere here, does not hide the app from the starter."""
    port = free_port()
    env = {**os.environ, "EVENLY_DATA": str(tmp_path / "data"), "EVENLY_PORT": str(port), "EVENLY_ADDRESS": "127.0.0.1"}
    env |= {"http_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": "", "NO_PROXY": ""}
    said = tmp_path / "said.txt"
    with said.open("w") as file:
        evenly = subprocess.Popen([sys.executable, "serve.py"], cwd=ROOT, env=env, stdout=file, stderr=file)
    try:
        until(lambda: f"Evenly is at http://127.0.0.1:{port} " in said.read_text() or evenly.poll() is not None)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=60) as answer:
            assert answer.status == 200
        until(lambda: any("--slot" in p.cmdline() for p in family(evenly.pid)))
        members = family(evenly.pid)
        assert len(members) == 3, said.read_text()  # the worker's parent, its slot, the app
        evenly.send_signal(signal.SIGINT)
        assert evenly.wait() == 0
        assert gone(members)
        assert (tmp_path / "data" / "evenly.db").is_file()
    finally:
        left = [*(family(evenly.pid) if evenly.poll() is None else []), evenly]
        for process in left:
            process.kill()
        evenly.wait()


# -- with stand-ins as worker and app --------------------------------------------------------------------------------


class Started:
    """A running starter."""

    def __init__(self, forked: Forked) -> None:
        self.forked = forked
        forked.says("Evenly is at")

    def member(self, option: str) -> psutil.Process | None:
        """The worker's parent (--patient), the worker (--slot) or the app (--app)."""
        return next((p for p in family(self.forked.pid) if option in p.cmdline()), None)

    def end(self) -> None:
        self.forked.send(signal.SIGTERM)
        assert self.forked.wait() == 0


@pytest.fixture
def start(home, fork, monkeypatch) -> Callable[[], Started]:
    def begin() -> Started:
        monkeypatch.setenv("EVENLY_PORT", str(free_port()))
        monkeypatch.setenv("EVENLY_ADDRESS", "127.0.0.1")
        return Started(fork(standin.starter))

    return begin


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_nothing_outlives_a_kill(start):
    evenly = start()
    evenly.forked.says("slot 0 is served")
    members = family(evenly.forked.pid)
    assert len(members) == 3
    evenly.forked.send(signal.SIGKILL)
    until(lambda: gone(members))


def test_a_dead_worker_is_started_again_and_a_second_one_is_not_needed(start):
    first = start()
    first.forked.says("slot 0 is served")
    second = start()
    second.forked.says("slot 0 is taken")
    assert "slot 0 is served" not in second.forked.said()

    first.member("--patient").kill()
    first.forked.says("restarting it")
    both = (first.forked, second.forked)
    until(lambda: sum(each.said().count("slot 0 is served") for each in both) == 2)
    first.end()
    second.forked.says("slot 0 is served")  # the one that waited takes over
    second.end()


def test_an_app_that_dies_is_started_again_and_the_worker_stays(start):
    evenly = start()
    evenly.forked.says("slot 0 is served")
    slot, app = evenly.member("--slot").pid, evenly.member("--app")
    app.kill()
    evenly.forked.says("The app exited")
    evenly.forked.says("Evenly is at", times=2)
    assert evenly.member("--app").pid != app.pid
    assert evenly.member("--slot").pid == slot
    evenly.end()


# -- before anything is started --------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_a_starter_whose_parent_is_gone_starts_nothing(tmp_path):
    """`make` was killed while Python was starting: the process it named is not the parent any more."""
    env = {**os.environ, "EVENLY_DATA": str(tmp_path), "EVENLY_PORT": str(free_port())}
    command = [sys.executable, "serve.py", "--with-parent", "1"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_child_has_the_data_folder_of_the_starter_wherever_that_stands(tmp_path, monkeypatch):
    say = f"import os; open({str(tmp_path / 'said')!r}, 'w').write(os.environ['EVENLY_DATA'])"
    for where, given in ((tmp_path, "mine"), (ROOT.parent, f"{ROOT.name}/data")):  # the second is the usual one
        monkeypatch.chdir(where)
        monkeypatch.setenv("EVENLY_DATA", given)
        child = Child([sys.executable, "-c", say], **popen_options())
        child.look(0.0)
        assert child.process.wait(30) == 0
        assert Path((tmp_path / "said").read_text()) == where / given


def test_a_taken_port_ends_the_starter_before_anything_is_started(tmp_path, monkeypatch, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
        monkeypatch.setenv("EVENLY_PORT", str(other.getsockname()[1]))
        monkeypatch.setenv("EVENLY_ADDRESS", "127.0.0.1")
        monkeypatch.setattr(sys, "argv", ["serve.py"])
        assert serve.main() == 2
    told = capsys.readouterr().err
    assert told.startswith("evenly: port ")
    assert len(told.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
