"""A worker's slot as files: the lock it holds until it exits, and its exit codes. Its heartbeat file is in work/liveness.py.

They are beside the database, because they decide which of its workers are alive: all workers of a database see the same files.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

ALREADY_ON = 3  # exit code: another worker holds this slot
REFUSED = 2  # exit code: the database or the folder is not usable; restarting would not help
USUAL = "evenly.db"  # the name of a database unless EVENLY_DATABASE_URL gives another
PROBED_SECONDS = 1.0  # how long a worker waits for its slot, which `taken` may be holding for a moment


def locks_of(database: Path) -> Path:
    """The folder for the locks and heartbeat files of a database's workers: `locks` beside evenly.db, `other.db.locks` beside other.db."""
    return database.with_name("locks" if database.name == USUAL else f"{database.name}.locks")


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
