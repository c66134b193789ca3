"""The starter: what it says when it cannot start, and that nothing is left when it goes, however it goes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import serve
from core.errors import EvenlyError
from services.launchers import local
from services.launchers.process_group import Child

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition: Callable[[], object]) -> None:
    """Wait for a state; one that never comes ends with the test's own timeout."""
    while not condition():
        time.sleep(0.05)


class Started:
    """A running serve.py, its lines and its processes."""

    def __init__(self, data: Path, port: int, **settings: str) -> None:
        env = {
            **os.environ,
            "EVENLY_DATA": str(data),
            "EVENLY_PORT": str(port),
            "EVENLY_ADDRESS": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
            **settings,
        }
        self.process = subprocess.Popen(
            [sys.executable, "serve.py"], cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.lines: list[str] = []
        threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True).start()

    def says(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def slot(self) -> psutil.Process | None:
        """The process that trains, below the worker's supervisor."""
        return next((p for p in self.family() if "--slot" in p.cmdline()), None)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Start a serve.py; whatever is left of it at the end is killed."""
    made: list[Started] = []

    def begin(port: int | None = None, **settings: str) -> Started:
        made.append(Started(tmp_path, port or free_port(), **settings))
        return made[-1]

    yield begin
    for started in made:
        left = [*(started.family() if started.process.poll() is None else []), started.process]
        for process in left:
            process.kill()
        started.process.wait()
        started.process.stdout.close()


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


@pytest.mark.slow
def test_ctrl_c_ends_everything(start, tmp_path):
    port = free_port()
    evenly = start(port)
    until(lambda: evenly.says(f"Evenly is at http://127.0.0.1:{port}"))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=60) as answer:
        assert answer.status == 200
    until(evenly.slot)
    family = evenly.family()
    assert len(family) == 3  # the worker's supervisor, its slot, the app
    evenly.process.send_signal(signal.SIGINT)
    assert evenly.process.wait() == 0
    assert gone(family)
    assert (tmp_path / "evenly.db").is_file()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_nothing_outlives_a_kill(start):
    evenly = start()
    until(lambda: evenly.says("Evenly is at") and evenly.slot())
    family = evenly.family()
    evenly.process.kill()
    until(lambda: gone(family))


@pytest.mark.slow
def test_a_dead_worker_is_started_again_and_a_second_one_is_not_needed(start):
    first = start()
    until(lambda: first.says("Evenly is at") and first.slot() and first.says("ready on"))
    second = start()
    until(lambda: second.says("already serves slot 0") and second.says("Evenly is at"))
    assert not second.says("ready on")

    worker = next(p for p in first.family() if "--patient" in p.cmdline())
    worker.kill()
    until(lambda: first.says("restarting it"))
    until(lambda: sum(line.count("ready on") for line in [*first.lines, *second.lines]) == 2)
    first.process.terminate()
    assert first.process.wait() == 0
    until(lambda: second.says("ready on"))  # the one that waited takes over
    second.process.terminate()
    assert second.process.wait() == 0


@pytest.mark.slow
def test_a_proxy_of_the_machine_does_not_hide_the_app(start):
    """The starter asks the app itself whether it is there; a proxy that leads nowhere would be asked in its place."""
    evenly = start(http_proxy=f"http://127.0.0.1:{free_port()}", no_proxy="")
    until(lambda: evenly.says("Evenly is at"))
    evenly.process.terminate()
    assert evenly.process.wait() == 0


@pytest.mark.slow
def test_an_app_that_dies_is_started_again_and_the_worker_stays(start):
    evenly = start()
    until(lambda: evenly.says("Evenly is at") and evenly.slot() and evenly.says("ready on"))
    slot = evenly.slot().pid
    next(p for p in evenly.family() if "streamlit" in p.cmdline()).kill()
    until(lambda: evenly.says("The app exited"))
    until(lambda: any("streamlit" in p.cmdline() for p in evenly.family()))
    assert evenly.slot().pid == slot
    evenly.process.terminate()
    assert evenly.process.wait() == 0


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
        child = Child([sys.executable, "-c", say], **local.popen_options())
        child.look(0.0)
        assert child.process.wait(30) == 0
        assert Path((tmp_path / "said").read_text()) == where / given


def test_a_taken_port_ends_the_starter_before_anything_is_started(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        env = {
            **os.environ,
            "EVENLY_DATA": str(tmp_path),
            "EVENLY_PORT": str(other.getsockname()[1]),
            "EVENLY_ADDRESS": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "serve.py"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("evenly: port ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
