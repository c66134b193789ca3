"""Entry point of the background process: claims a run, trains it, records it; survives any error in a run.

    python worker.py            one worker per GPU (one in total without a GPU), each a child that is restarted when it dies
    python worker.py --slot 0   the worker of one slot, in this process

A worker holds its slot's lock file until it exits, so the kernel frees it at once on any death. While it makes progress,
it touches a heartbeat file (work/liveness.py), which its parent watches (work/supervisor.py). The life of one run is in
work/runner.py.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

from work.supervisor import gpus, supervise
from work.worker import serve


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Train queued runs.")
    parser.add_argument("--slot", type=int, help="serve this slot only, in this process")
    parser.add_argument("--drain", action="store_true", help="with --slot: exit when no run is left that could start")
    parser.add_argument("--patient", action="store_true", help="if another worker has the slot, wait until it exits")
    given = parser.parse_args(argv)
    if given.drain and given.slot is None:
        parser.error("--drain is for one slot; add --slot 0")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if given.slot is None:
        return supervise(max(gpus(), 1), patient=given.patient)
    return serve(given.slot, drain=given.drain)


def end_now(code: int) -> None:
    """Exit without tearing down the interpreter.

    Everything is saved and the locks are free; with torch, teardown takes seconds on a busy machine.
    """
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    try:
        status = main()
    except SystemExit as ended:  # a signal during startup, a lost GPU, invalid options
        status = int(ended.code or 0)
    end_now(status)
