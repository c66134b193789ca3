"""What the tests of the runner share: a short run, its queue and its log."""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch._dynamo  # noqa: F401  the first optimizer of a process loads it

from core.experiment.config import RunConfig
from services.queue_rows import new_run
from storage import results
from storage.jobs import events, queue
from tests.storage.kit import database
from work import runner
from work import worker as door

CONFIG = RunConfig("digits", "mlp", epochs=3, recipe_params={"batch_size": 64})


def submit(worker, *configs):
    return queue.submit(worker.engine, [new_run(c) for c in configs])


def pair(baseline, weighted):
    """A baseline and the run that takes its TPRs from it, for one submission."""
    first = new_run(baseline)
    return [first, new_run(weighted, baseline_index=0, baseline_group=first.group_sha)]


def drained(worker, run_id):
    worker.loop(drain=True)
    return results.get_run(worker.engine, run_id)


def changed(config=CONFIG, **fields):
    return replace(config, **fields)


def log_of(worker, run_id):
    return " | ".join(f"{e.kind}: {e.text}" for e in events.log_of(worker.engine, run_id))


@contextmanager
def working(folder):
    """A worker in this process on a data folder of its own, however little disk is free."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENLY_DATA", str(folder))
        patch.setattr(runner, "MIN_FREE_BYTES", 0)
        database(folder).dispose()
        patch.setattr(
            runner, "gc", SimpleNamespace(collect=lambda: 0)
        )  # of all that the tests have loaded, after each run
        with door.Worker(0) as worker:
            yield worker
