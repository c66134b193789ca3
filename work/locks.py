"""A worker's slot as files: the lock it holds until it exits, and its exit codes. Its heartbeat file is in work/liveness.py.

They are in the folder of the database's own (`storage.db.paths.lock_folder`), because they decide which of its workers are
alive: all workers of a database see the same files.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

ALREADY_ON = 3  # exit code: another worker holds this slot
REFUSED = 2  # exit code: the database or the folder is not usable; restarting would not help
PROBED_SECONDS = 1.0  # how long a worker waits for its slot, which `taken` may be holding for a moment


def lock_path(locks: Path, slot: int) -> Path:
    return locks / f"worker-{slot}.lock"


def taken(locks: Path, slot: int) -> bool:
    """Whether a live worker holds the slot's lock: a free lock means a dead worker, whatever the clocks say.

    The check takes a free lock for a moment, so a starting worker waits PROBED_SECONDS for its slot.
    """
    probe = FileLock(lock_path(locks, slot))
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return True
    probe.release()
    return False
