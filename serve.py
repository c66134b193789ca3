"""What `make run` starts: migrates the database, keeps worker.py and the app running, stops both when it ends.

    python serve.py        port and address: EVENLY_PORT (8501), EVENLY_ADDRESS (127.0.0.1)

It claims no run and draws no page. The children have sessions of their own, so that a Ctrl-C in the terminal reaches
them only through `Serve.end` and the worker can save first. If this process is killed, the kernel sends them SIGTERM
(Linux, process_group.die_with_parent), so nothing is left running.
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
from services.launchers import launcher
from services.launchers.local import GRACE_SECONDS, end, kill, popen_options
from storage.db.connection import open_database
from storage.db.data_folder import settle
from storage.db.migrate import upgrade
from storage.db.paths import data_root
from work.locks import REFUSED
from work.process_group import Child, ProcessGroup, die_with_parent

APP_GRACE_SECONDS = 3.0  # it has nothing to save
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the app is local: never ask a proxy
MOST_DEATHS = 5  # of the app, before giving up


def settings() -> tuple[str, int]:
    """Address and port from the environment. A port that is not one raises EvenlyError."""
    address, port = os.environ.get("EVENLY_ADDRESS") or "127.0.0.1", os.environ.get("EVENLY_PORT") or "8501"
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise EvenlyError(f"EVENLY_PORT is {port!r}, expected a whole number from 1 to 65535")
    return address, int(port)


def check_port(address: str, port: int) -> None:
    """Raise EvenlyError, with what to do, if the app cannot listen there."""
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
            reason = f"port {port} of {address} is reserved for root: choose 1024 or higher: EVENLY_PORT=8501 make run"
        else:
            reason = f"cannot listen on {address}, port {port} ({error.strerror}): set EVENLY_ADDRESS to an address of this machine"
        raise EvenlyError(reason) from None


def url(address: str, port: int) -> str:
    """Where a browser on this machine finds the app."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address, f"[{address}]" if ":" in address else address)
    return f"http://{host}:{port}"


class WorkerParent(Child):
    """The parent process of the workers."""

    def next_start(self, code: int, now: float) -> float | None:
        if code == REFUSED:
            say(
                "The worker cannot start; see its message above, fix the cause and start again. Until then nothing is trained."
            )
            return None
        due = super().next_start(code, now)
        say(f"The worker exited (code {code}); restarting it in {self.wait:.0f} s.")
        return due


class App(Child):
    """Streamlit. Its address is printed once it answers; after MOST_DEATHS restarts it is given up."""

    def __init__(self, address: str, port: int) -> None:
        place = ["--server.port", str(port), "--server.address", address]
        quiet = ["--logger.hideWelcomeMessage", "true", "--logger.level", "warning"]
        super().__init__([sys.executable, "-m", "streamlit", "run", "app.py", *place, *quiet], **popen_options())
        self.url, self.deaths, self.announced = url(address, port), 0, False

    def next_start(self, code: int, now: float) -> float | None:
        self.deaths, self.announced = self.deaths + 1, False
        if self.deaths > MOST_DEATHS:
            print(
                f"evenly: the app exited {self.deaths} times (code {code}); giving up, see its messages above",
                file=sys.stderr,
                flush=True,
            )
            return None
        say(f"The app exited (code {code}); restarting it. The worker keeps running.")
        return now + 1.0

    def watch(self, now: float) -> None:
        """Print the address once the app answers. No time limit: a first start reads a lot from the disk."""
        if self.announced:
            return
        with suppress(OSError), DIRECT.open(f"{self.url}/_stcore/health", timeout=2):
            say(f"Evenly is at {self.url} (Ctrl-C stops it). Data: {data_root()}")
            self.announced = True


class Serve(ProcessGroup):
    """Worker and app."""

    def __init__(self, address: str, port: int) -> None:
        self.worker, self.app = WorkerParent(launcher().command("--patient"), **popen_options()), App(address, port)
        super().__init__(self.worker, self.app)

    def run(self) -> int:
        """Serve until a signal, or until the app is given up; returns the exit status."""
        return self.keep(lambda: 1 if self.app.over else None)

    def order(self, signum: int, frame: object) -> None:
        """The first signal requests a clean stop, a second one stops at once."""
        super().order(signum, frame)
        if len(self.orders) > 1:
            for child in self.children:
                if child.process is not None and child.process.poll() is None:
                    kill(child.process)

    def end(self) -> None:
        """Stop the worker first, so that pages can still be read while it saves."""
        if self.orders:
            say("Stopping. A run in progress is saved first and resumes at the next start; Ctrl-C again stops at once.")
        # the worker's parent gives its children GRACE_SECONDS
        for child, seconds in ((self.worker, GRACE_SECONDS + 5), (self.app, APP_GRACE_SECONDS)):
            if child.process is not None:
                end([child.process], seconds)


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Start the worker and the app; stop both with this process.")
    parser.add_argument(
        "--with-parent",
        type=int,
        nargs="?",
        const=os.getppid(),
        metavar="PID",
        help="exit when the parent process PID exits",
    )
    given = parser.parse_args()
    if given.with_parent is not None:  # for make: exit too when make is killed
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
