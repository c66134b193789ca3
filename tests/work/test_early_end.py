"""An end that is asked for while a worker starts: it has no run to save, so it goes at once instead of importing on."""

from __future__ import annotations

import signal
import sys
import time

import pytest
from filelock import FileLock

import serve
from core.experiment.config import RunConfig
from services.queue_rows import new_run
from storage import results
from storage.jobs import queue, workers
from work import worker as door
from work.locks import lock_path


def start_standing_at(place: object, name: str) -> None:
    """What takes its time at a start (an upgrade of the database, the imports, the first dataset) takes ten minutes."""

    def stand(*_: object, **__: object) -> None:
        print("here")
        time.sleep(600)

    setattr(door if place is None else getattr(door, place), name, stand)
    sys.exit(door.serve(0))


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize(
    "place", [(None, "upgrade"), ("Worker", "rescue"), (None, "import_module")], ids=["upgrade", "rescue", "imports"]
)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_worker_that_is_starting_ends_at_once(home, fork, place, signum):
    root, engine = home
    (run_id,) = queue.submit(engine, [new_run(RunConfig("digits", "mlp", epochs=3, recipe_params={"batch_size": 64}))])
    process = fork(start_standing_at, *place)
    process.says("here")
    process.send(signum)
    assert process.wait() == 0  # it stands for ten minutes where it does not listen
    assert "Traceback" not in process.said()
    with FileLock(lock_path(root / "locks", 0), timeout=0):
        pass  # its slot is free
    assert all(w.stopped_at is not None for w in workers.newest(engine))
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
