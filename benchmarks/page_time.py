"""Server time of every page on a database of 1,000 runs, requested from the real server as a browser does.

    python -m benchmarks.page_time [--runs 1000] [--servers 5] [--views 10] [--data FOLDER]

Seeds a database (tests/seed.py; a given folder is seeded once and reused), starts the app on a free port and opens pages
over its websocket. A view is timed from the request to the end of the script, with all messages received; there is no
browser, so nothing is rendered.

    start   the first page of a fresh server: Streamlit, pandas, SQLAlchemy and the app are imported
    first   the first view of a page on that server, nothing cached
    warm    later views in one open tab, going from page to page
    reload  later views, each in its own tab, the only one open: Streamlit then recompiles the page

Every line: median, 95th percentile, minimum and maximum of n, in milliseconds of wall-clock time, then the mean of the
server's CPU time. If the wall-clock time is much higher, other programs used the processors: the load is printed.
"""

from __future__ import annotations

import argparse
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection as Connection
from websockets.sync.client import connect

from storage import results
from storage.db.connection import open_database
from storage.db.dialects.sqlite import sqlite_module
from storage.db.migrate import upgrade

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
TARGET = 150.0  # milliseconds of server time, any page
START_SECONDS = 60.0
VIEW_SECONDS = 60.0
PAUSE_SECONDS = 0.2  # between views, so that work after a page does not count for the next
KINDS = ("start", "first", "warm", "reload")
Pages = dict[str, tuple[str, str]]  # shown name -> (path, query)
Spent = dict[tuple[str, str], list[tuple[float, float]]]  # (page, kind of view) -> (wall, CPU) of each view


def seeded(folder: Path, runs: int) -> Pages:
    """The addresses to visit; creates the database if the folder has none."""
    from tests.seed import crowd, small

    os.environ["EVENLY_DATA"] = str(folder)
    engine = open_database(f"sqlite:///{folder / 'evenly.db'}")
    upgrade(engine)
    if results.list_runs(engine, limit=1).empty:
        crowd(engine, runs)
        small(engine)
    by_name = {row.name: int(row.id) for row in results.list_runs(engine, archived=None, limit=50).itertuples()}
    found = {
        key: next(i for name, i in by_name.items() if name.startswith(start) and name.endswith("seed 0"))
        for key, start in (
            ("before", "MNIST-1D: none"),
            ("after", "MNIST-1D: TPR ratio, exponent 2"),
            ("before100", "CIFAR-100: none"),
            ("after100", "CIFAR-100: TPR ratio"),
        )
    }
    return {
        "Home": ("", ""),
        "New run": ("new", ""),
        "Runs": ("runs", ""),
        "Run, 10 classes": ("run", f"id={found['after']}"),
        "Run, 100 classes": ("run", f"id={found['after100']}"),
        "Compare, 10 classes": ("compare", f"a={found['before']}&b={found['after']}"),
        "Compare, 100 classes": ("compare", f"a={found['before100']}&b={found['after100']}"),
    }


@contextmanager
def server(folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """The app on a free port, and its process; terminated afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(port),
        "--logger.level",
        "error",
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "EVENLY_DATA": str(folder)}, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(port, process)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise SystemExit(f"the app did not answer on port {port} within {START_SECONDS:.0f} s")


@contextmanager
def tab(port: int) -> Iterator[Connection]:
    """A session with the server, like an open browser tab."""
    with connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None) as wire:
        yield wire


def view(wire: Connection, path: str, query: str) -> float:
    """Milliseconds from the request for a page to the end of its script. A page that fails ends the benchmark."""
    ask = BackMsg()
    ask.rerun_script.page_name, ask.rerun_script.query_string = path, query
    started = time.perf_counter()
    wire.send(ask.SerializeToString())
    while True:
        message = ForwardMsg.FromString(wire.recv(timeout=VIEW_SECONDS))
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
            raise SystemExit(f"/{path}?{query} failed: {message.delta.new_element.exception.message}")
        if kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            return 1e3 * (time.perf_counter() - started)


def clocked(wire: Connection, process: psutil.Process, path: str, query: str) -> tuple[float, float]:
    """One view: milliseconds of wall-clock time and of the server's CPU time (in system ticks of 10 ms)."""
    time.sleep(PAUSE_SECONDS)
    before = process.cpu_times()
    wall = view(wire, path, query)
    after = process.cpu_times()
    return wall, 1e3 * (after.user + after.system - before.user - before.system)


def alone(port: int, process: psutil.Process, path: str, query: str) -> tuple[float, float]:
    """One view in its own tab."""
    with tab(port) as wire:
        return clocked(wire, process, path, query)


def measure(folder: Path, pages: Pages, servers: int, views: int) -> Spent:
    """Times of every page on fresh servers."""
    spent: Spent = defaultdict(list)
    for _ in range(servers):
        with server(folder) as (port, process):
            spent["any page", "start"].append(alone(port, process, "run", ""))  # names no run: nothing is read
            for name, address in pages.items():
                spent[name, "first"].append(alone(port, process, *address))
            with tab(port) as wire:
                for _ in range(views):
                    for name, address in pages.items():
                        spent[name, "warm"].append(clocked(wire, process, *address))
            for _ in range(views):
                for name, address in pages.items():
                    spent[name, "reload"].append(alone(port, process, *address))
    return spent


def line(name: str, kind: str, spent: Sequence[tuple[float, float]]) -> str:
    """Median, 95th percentile, range, n, and the mean of the CPU time."""
    wall = [clock for clock, _ in spent]
    spread = f"({min(wall):.0f} to {max(wall):.0f}, n={len(wall)})"
    return (
        f"{name:<22}{kind:<8}{statistics.median(wall):8.0f} {np.percentile(wall, 95):8.0f}   {spread:<24}"
        f"CPU {statistics.mean(cpu for _, cpu in spent):5.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the pages on a database of many runs.")
    for name, default in (("runs", 1000), ("servers", 5), ("views", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--data", type=Path, help="a folder for the seeded database; default a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.data or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        pages = seeded(folder, args.runs)
        spent = measure(folder, pages, args.servers, args.views)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Streamlit {version('streamlit')}, Python "
        f"{platform.python_version()}, SQLite {sqlite_module().sqlite_version}; {args.runs} short runs and one of everything"
    )
    print(f"{'milliseconds':<30}{'median':>8} {'p95':>8}   target {TARGET:.0f}")
    for (name, kind), times in sorted(spent.items(), key=lambda item: KINDS.index(item[0][1])):
        print(line(name, kind, times))


if __name__ == "__main__":
    main()
