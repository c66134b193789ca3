"""The starter behind `make run`: migrate, start worker.py and the app, keep both going, end both with itself.

    python serve.py        port and address: EVENLY_PORT (8501), EVENLY_ADDRESS (127.0.0.1)

Composes only; claims nothing and draws nothing. The children live in sessions of their own, so that a Ctrl-C in the
terminal reaches them through `Serve.stop` alone and the worker can save first. When this process is killed outright,
the kernel sends them SIGTERM (Linux, supervisor.die_with_parent), so nothing is left behind.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path

from core.errors import EvenlyError
from storage.db.connection import open_database
from storage.db.data_folder import settle
from storage.db.migrate import upgrade
from storage.db.paths import data_root
from work.locks import REFUSED
from work.supervisor import GRACE_SECONDS, die_with_parent

ROOT = Path(__file__).resolve().parent
APP_GRACE_SECONDS = 3.0  # then SIGKILL: it holds nothing to save
POLL_SECONDS = 0.1
MOST_DEATHS = 5  # of the app, before it is given up
LONGEST_WAIT = 30.0  # between restarts of a worker that keeps dying
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
STEADY_SECONDS = 60.0  # a worker that lived longer starts the waits afresh


def settings() -> tuple[str, int]:
    """Address and port from the environment. A port that is not one raises EvenlyError."""
    address, port = os.environ.get("EVENLY_ADDRESS") or "127.0.0.1", os.environ.get("EVENLY_PORT") or "8501"
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise EvenlyError(f"EVENLY_PORT is {port!r}, expected a whole number from 1 to 65535")
    return address, int(port)


def check_port(address: str, port: int) -> None:
    """Raise EvenlyError, with the remedy, where the app could not listen."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port closed a moment ago is free
            probe.bind(place)
    except socket.gaierror:
        raise EvenlyError(
            f"EVENLY_ADDRESS is {address!r}, expected an address of this machine such as 127.0.0.1 or 0.0.0.0"
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = port + 1 if port < 65535 else port - 1
            reason = (
                f"port {port} of {address} is taken, perhaps by another Evenly: "
                f"stop that one, or choose another port: EVENLY_PORT={other} make run"
            )
        elif error.errno == errno.EACCES:
            reason = (
                f"port {port} of {address} is reserved for root: choose one from 1024 on: EVENLY_PORT=8501 make run"
            )
        else:
            reason = f"cannot listen on {address}, port {port} ({error.strerror}): set EVENLY_ADDRESS to an address of this machine"
        raise EvenlyError(reason) from None


def url(address: str, port: int) -> str:
    """Where a browser on this machine finds the app."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address, f"[{address}]" if ":" in address else address)
    return f"http://{host}:{port}"


def start(*command: str) -> subprocess.Popen[bytes]:
    """A child in a session of its own that ends with this process, in the program's folder with the data folder of this one."""
    here = os.environ | {"EVENLY_DATA": str(data_root())}
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=here, start_new_session=True, stdin=subprocess.DEVNULL,
        preexec_fn=partial(die_with_parent, os.getpid()),  # one libc call, no locks
    )  # fmt: skip


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """SIGTERM, then SIGKILL to its whole session when it is not gone in time."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Serve:
    """The two children and what to do when one of them ends."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port, self.orders = address, port, 0
        self.worker: subprocess.Popen[bytes] | None = None
        self.app: subprocess.Popen[bytes] | None = None
        self.wait, self.started, self.again = 1.0, 0.0, 0.0
        self.deaths, self.told = 0, False  # of the app: how often it died, whether its address was printed

    def order(self, signum: int, _: object) -> None:
        """The first signal asks for an end, a second one for it at once."""
        self.orders += 1
        if self.orders > 1:
            for process in (self.worker, self.app):
                if process is not None and process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self) -> int:
        """Serve until a signal, or until the app cannot be kept on; returns the exit status."""
        signal.signal(signal.SIGINT, self.order)
        signal.signal(signal.SIGTERM, self.order)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
            signal.signal(signal.SIGHUP, self.order)
        try:
            self.start_worker()
            self.start_app()
            while not self.orders and self.look_after_app():
                self.look_after_worker()
                time.sleep(POLL_SECONDS)
        finally:
            self.stop()
        return 0 if self.orders else 1

    def start_app(self) -> None:
        """Start the app; its address is printed once it answers."""
        place = ["--server.port", str(self.port), "--server.address", self.address]
        quiet = ["--logger.hideWelcomeMessage", "true", "--logger.level", "warning"]
        self.app, self.told = start("-m", "streamlit", "run", "app.py", *place, *quiet), False

    def look_after_app(self) -> bool:
        """Start an app that died again, without touching the worker; False when it has died too often."""
        if (code := self.app.poll()) is None:
            if not self.told:
                self.announce()
            return True
        self.deaths += 1
        if self.deaths > MOST_DEATHS:
            print(
                f"evenly: the app ended {self.deaths} times (code {code}); giving up, its messages are above",
                file=sys.stderr,
                flush=True,
            )
            return False
        say(f"The app ended (code {code}); starting it again. The worker goes on.")
        time.sleep(1)
        self.start_app()
        return True

    def announce(self) -> None:
        """Print the address if the app answers there. However long it takes to: a first start reads a lot from the disk."""
        try:
            with DIRECT.open(url(self.address, self.port) + "/_stcore/health", timeout=2):
                say(f"Evenly is at {url(self.address, self.port)} (Ctrl-C ends it). Data: {data_root()}")
                self.told = True
        except OSError:
            pass

    def start_worker(self) -> None:
        self.worker, self.started = start("worker.py", "--patient"), time.monotonic()

    def look_after_worker(self) -> None:
        """Restart a worker that died, after a pause that doubles while it keeps dying young."""
        if self.worker is None:
            if self.again and time.monotonic() >= self.again:
                self.again = 0.0
                self.start_worker()
            return
        code = self.worker.poll()
        if code is None:
            return
        self.worker = None
        if code == REFUSED:
            say(
                "The worker cannot start, see its message above; mend that and start again. Until then nothing is trained."
            )
        else:
            self.wait = 1.0 if time.monotonic() - self.started > STEADY_SECONDS else min(2 * self.wait, LONGEST_WAIT)
            self.again = time.monotonic() + self.wait
            say(f"The worker ended (code {code}); starting it again in {self.wait:.0f} s.")

    def stop(self) -> None:
        """End the worker, then the app."""
        if self.orders:
            say("Ending. A run that is on is saved first and goes on at the next start; Ctrl-C again ends at once.")
        if self.worker is not None:
            end(self.worker, GRACE_SECONDS + 5)  # its parent gives it the first of these
        if self.app is not None:
            end(self.app, APP_GRACE_SECONDS)


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Start the worker and the app; end both with this process.")
    parser.add_argument(
        "--with-parent",
        type=int,
        nargs="?",
        const=os.getppid(),
        metavar="PID",
        help="end when the process that started this one, PID, does",
    )
    given = parser.parse_args()
    if given.with_parent is not None:  # for make: ends too when make is killed
        die_with_parent(given.with_parent)
    try:
        address, port = settings()
        check_port(address, port)
        engine = open_database(role="worker")
        upgrade(engine)
        settle(engine)
        engine.dispose()
        return Serve(address, port).run()
    except EvenlyError as error:
        print(f"evenly: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
