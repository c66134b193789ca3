"""Stand-ins for a worker and the app, without torch and Streamlit: their commands, locks, heartbeats and exit codes.

    python -m tests.work.standin --slot 0    a slot's worker: takes its lock, beats, ends on SIGTERM
    python -m tests.work.standin --patient   the parent of one such worker, work.supervisor itself
    python -m tests.work.standin --app 8501  answers as the app does when it is asked for its health

What else they do is in the environment: STANDIN_EXIT, the code with which a slot ends at once; STANDIN_FREEZES, any value: the
first worker of a slot stands still after its first beat.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from work.liveness import beat_path
from work.locks import ALREADY_ON, lock_path

ALIVE_SECONDS = 0.05  # between two beats


def command(*options: str) -> list[str]:
    """In place of `services.launchers.local.Local.command`."""
    return [sys.executable, "-m", "tests.work.standin", *options]


def slot(number: int) -> int:
    if code := os.environ.get("STANDIN_EXIT"):
        return int(code)
    locks = Path(os.environ["EVENLY_DATA"]) / "locks"
    locks.mkdir(exist_ok=True)
    frozen = locks / f"frozen-{number}"
    try:
        with FileLock(lock_path(locks, number), timeout=0):
            print(f"slot {number} is served", file=sys.stderr, flush=True)
            while True:
                beat_path(locks, number).touch()
                if os.environ.get("STANDIN_FREEZES") and not frozen.exists():
                    frozen.write_text(str(os.getpid()))
                    os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(ALIVE_SECONDS)
    except Timeout:
        print(f"slot {number} is taken", file=sys.stderr, flush=True)
        return ALREADY_ON


def use_it() -> None:
    """Have every worker that this process starts replaced by a stand-in."""
    from services.launchers.local import Local

    Local.command = lambda self, *options: command(*options)


def supervise(slots: int, *, patient: bool = False, frozen_seconds: float | None = None) -> None:
    """The parent of workers, in this process, with stand-ins as workers."""
    import logging

    from work import supervisor

    logging.basicConfig(level=logging.INFO)
    use_it()
    supervisor.TAKEN_SECONDS = 0.2
    supervisor.FROZEN_SECONDS = frozen_seconds or supervisor.FROZEN_SECONDS
    sys.exit(supervisor.supervise(slots, patient=patient))


def app(port: int) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/_stcore/health" else 404)
            self.end_headers()

    HTTPServer(("127.0.0.1", port), Health).serve_forever()


def starter() -> None:
    """serve.py, in this process, with stand-ins as worker and app."""
    import serve

    class App(serve.App):
        def __init__(self, address: str, port: int) -> None:
            super().__init__(address, port)
            self.command = command("--app", str(port))

    serve.App = App
    use_it()
    sys.argv = ["serve.py"]
    sys.exit(serve.main())


def main() -> int:
    kind, *rest = sys.argv[1:]
    if kind == "--slot":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        return slot(int(rest[0]))
    if kind == "--app":
        app(int(rest[0]))
    else:
        supervise(1, patient=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
