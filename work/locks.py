"""A worker's slot as files: the lock it holds for life, the beat it touches, and what its exit code says.

They lie beside the database, because they decide who of its workers is alive: workers of one database always see the same.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

ALREADY_ON = 3  # exit code: another worker holds this slot
REFUSED = 2  # exit code: the database or the folder is not usable; starting again would not help
USUAL = "evenly.db"  # what a database is called unless EVENLY_DATABASE_URL says otherwise
PROBED_SECONDS = 1.0  # how long a worker waits for its slot, which `taken` may be holding for a moment


def locks_of(database: Path) -> Path:
    """The folder for the locks and beats of a database's workers: `locks` beside evenly.db, `other.db.locks` beside other.db."""
    return database.with_name("locks" if database.name == USUAL else f"{database.name}.locks")


def lock_path(locks: Path, slot: int) -> Path:
    return locks / f"worker-{slot}.lock"


def beat_path(locks: Path, slot: int) -> Path:
    """Touched with every beat. A file, so that a locked database does not make a healthy worker look frozen."""
    return locks / f"worker-{slot}.beat"


def taken(locks: Path, slot: int) -> bool:
    """Whether a living worker holds the slot's lock: a free lock means a dead worker, whatever the clocks say.

    Asking takes a free lock for a moment, so a worker that comes to stay waits PROBED_SECONDS for its slot.
    """
    probe = FileLock(lock_path(locks, slot))
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return True
    probe.release()
    return False
