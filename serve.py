"""The starter behind `make run`: migrate, start worker.py and the app, keep both going, end both with itself.

    python serve.py        port and address: EVENLY_PORT (8501), EVENLY_ADDRESS (127.0.0.1)

Composes only; claims nothing and draws nothing. The children live in sessions of their own, so that a Ctrl-C in the
terminal reaches them through `Serve.end` alone and the worker can save first. When this process is killed outright,
the kernel sends them SIGTERM (Linux, process_group.die_with_parent), so nothing is left behind.
"""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
import urllib.request
from contextlib import suppress

from core.errors import EvenlyError
from services.launchers import local
from services.launchers.process_group import GRACE_SECONDS, Child, ProcessGroup, die_with_parent, end, kill
from storage.db.connection import open_database
from storage.db.data_folder import settle
from storage.db.migrate import upgrade
from storage.db.paths import data_root
from work.locks import REFUSED

APP_GRACE_SECONDS = 3.0  # it holds nothing to save
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
MOST_DEATHS = 5  # of the app, before it is given up


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


class WorkerParent(Child):
    """The process whose children train."""

    def next_start(self, code: int, now: float) -> float | None:
        if code == REFUSED:
            say(
                "The worker cannot start, see its message above; mend that and start again. Until then nothing is trained."
            )
            return None
        due = super().next_start(code, now)
        say(f"The worker ended (code {code}); starting it again in {self.wait:.0f} s.")
        return due


class App(Child):
    """Streamlit. Its address is printed once it answers there; when it has died too often it is given up."""

    def __init__(self, address: str, port: int) -> None:
        place = ["--server.port", str(port), "--server.address", address]
        quiet = ["--logger.hideWelcomeMessage", "true", "--logger.level", "warning"]
        super().__init__([sys.executable, "-m", "streamlit", "run", "app.py", *place, *quiet], **local.apart())
        self.url, self.deaths, self.announced = url(address, port), 0, False

    def next_start(self, code: int, now: float) -> float | None:
        self.deaths, self.announced = self.deaths + 1, False
        if self.deaths > MOST_DEATHS:
            print(
                f"evenly: the app ended {self.deaths} times (code {code}); giving up, its messages are above",
                file=sys.stderr,
                flush=True,
            )
            return None
        say(f"The app ended (code {code}); starting it again. The worker goes on.")
        return now + 1.0

    def watch(self, now: float) -> None:
        """However long the app takes to answer: a first start reads a lot from the disk."""
        if self.announced:
            return
        with suppress(OSError), DIRECT.open(f"{self.url}/_stcore/health", timeout=2):
            say(f"Evenly is at {self.url} (Ctrl-C ends it). Data: {data_root()}")
            self.announced = True


class Serve(ProcessGroup):
    """Worker and app."""

    def __init__(self, address: str, port: int) -> None:
        self.worker, self.app = WorkerParent(local.worker("--patient"), **local.apart()), App(address, port)
        super().__init__(self.worker, self.app)

    def run(self) -> int:
        """Serve until a signal, or until the app cannot be kept on; returns the exit status."""
        return self.keep(lambda: 1 if self.app.over else None)

    def order(self, signum: int, frame: object) -> None:
        """The first signal asks for an end, a second one for it at once."""
        super().order(signum, frame)
        if len(self.orders) > 1:
            for child in self.children:
                if child.process is not None and child.process.poll() is None:
                    kill(child.process)

    def end(self) -> None:
        """The worker first, so that the page can be looked at while it saves."""
        if self.orders:
            say("Ending. A run that is on is saved first and goes on at the next start; Ctrl-C again ends at once.")
        # the worker's parent gives its children the first of these
        for child, seconds in ((self.worker, GRACE_SECONDS + 5), (self.app, APP_GRACE_SECONDS)):
            if child.process is not None:
                end([child.process], seconds)


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
