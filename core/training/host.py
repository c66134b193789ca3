"""What this process may use of the machine: cores and memory, and settings for its waiting threads and its allocator.

Nothing here imports torch: `tune` must run before torch is loaded, because OpenMP reads its settings then.
"""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
SPINS = "30000"  # under a millisecond; overrides OMP_WAIT_POLICY where torch uses GNU's OpenMP, as on Linux
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of glibc's mallopt


def tune() -> None:
    """Set up a process that trains. Call it before torch is imported.

    Waiting threads spin briefly, then sleep. Spinning for long slows training down when another program uses a core, as
    threads that wait hold the others up; sleeping at once slows it down anywhere, because the wait between two operations
    is shorter than a wake-up. A GOMP_SPINCOUNT that is already set is kept, to compare: benchmarks/train_speed.py.
    Freed memory is kept: otherwise glibc returns the large blocks of every step to the kernel and faults them in again.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 1 << 26)):
            libc.mallopt(option, value)


def cores(root: Path = CGROUP) -> int:
    """Number of threads to use: the minimum of this process's cores, its container's CPU quota and OMP_NUM_THREADS."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    quota, _, period = _read(root / "cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        limits.append(max(int(quota) // int(period), 1))
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdigit() and int(asked):
        limits.append(int(asked))
    return min(limits)


def free_memory(root: Path = CGROUP) -> int:
    """Bytes this process may still use: free memory of the machine, or of its container if that is less."""
    import psutil

    free = psutil.virtual_memory().available
    limit, used = _read(root / "memory.max"), _read(root / "memory.current")
    return min(free, max(int(limit) - int(used), 0)) if limit.isdigit() and used.isdigit() else free


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
