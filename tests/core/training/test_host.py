"""What a process may use: cores and memory under affinity, container limits and OMP_NUM_THREADS."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.training import host


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("quota", "asked", "expected"),
    [
        (None, None, 8),
        ("max 100000", None, 8),
        ("300000 100000", None, 3),
        ("50000 100000", None, 1),
        ("300000 100000", "2", 2),
        (None, "64", 8),
        (None, "x", 8),
    ],
)
def test_cores(cgroup, monkeypatch, quota, asked, expected):
    if quota:
        (cgroup / "cpu.max").write_text(quota + "\n")
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert host.cores(cgroup) == expected


def test_memory_of_a_container(cgroup):
    free = host.free_memory(cgroup)
    assert free > 0
    (cgroup / "memory.current").write_text("700\n")
    (cgroup / "memory.max").write_text("max\n")
    assert host.free_memory(cgroup) > 1000
    (cgroup / "memory.max").write_text("1000\n")
    assert host.free_memory(cgroup) == 300
    (cgroup / "memory.max").write_text("500\n")
    assert host.free_memory(cgroup) == 0


def test_the_worker_sets_its_policy_before_torch_is_loaded():
    code = (
        "import os, sys; from work import worker; "
        "print(os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=env,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert done.stdout.split() == ["PASSIVE", host.SPINS, "False"], done.stderr
