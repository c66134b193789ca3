"""An end that is asked for while a worker starts: it has no run to save, so it goes at once instead of importing on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

import serve
from core.experiment.config import RunConfig
from services.submission import new_run
from storage import results
from storage.jobs import queue
from work.locks import lock_path

ROOT = Path(__file__).resolve().parents[2]

# What takes its time at a start, standing still: an upgrade of the database, the imports, the first dataset.
STANDS = "def stand(*_, **__):\n    print('here', flush=True)\n    time.sleep(600)\n"
START = "import sys, time, work.worker\n" + STANDS + "{place} = stand\nsys.exit(work.worker.serve(0))"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("place", ["work.worker.upgrade", "work.worker.Worker.rescue", "work.worker.import_module"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_worker_that_is_starting_ends_at_once(home, place, signum):
    root, engine = home
    (run_id,) = queue.submit(
        engine, [new_run(RunConfig("digits", "mlp", epochs=3, recipe_params={"batch_size": 64}), "Digits")]
    )
    process = subprocess.Popen(
        [sys.executable, "-c", START.format(place=place)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "EVENLY_DATA": str(root), "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout.readline() == "here\n", process.stderr.read()
        process.send_signal(signum)
        _, said = process.communicate()  # it stands for ten minutes where it does not listen
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "Traceback" not in said
    with FileLock(lock_path(root / "locks", 0), timeout=0):
        pass  # its slot is free
    assert all(w.stopped_at is not None for w in queue.workers(engine))
    row = results.get_run(engine, run_id)
    assert (row.status, row.attempt) == ("queued", 0)


def test_ctrl_c_is_answered_before_the_worker_has_ended(capsys, monkeypatch):
    starter = serve.Serve("127.0.0.1", 8501)
    starter.worker.process = starter.app.process = object()
    said_first = []
    monkeypatch.setattr(serve, "end", lambda processes, seconds: said_first.append(capsys.readouterr().out))
    starter.order(signal.SIGINT, None)
    starter.end()
    assert (
        said_first[0]
        == "Stopping. A run in progress is saved first and resumes at the next start; Ctrl-C again stops at once.\n"
    )
