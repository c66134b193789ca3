"""What the tests of the runner share: a short run, its queue and its log."""

from core.config import RunConfig
from storage import queue, results
from storage.launch import new_run

CONFIG = RunConfig("digits", "mlp", epochs=3, recipe_params={"batch_size": 64})


def submit(worker, *configs):
    return queue.submit(worker.engine, [new_run(c, "Digits") for c in configs])


def drained(worker, run_id):
    worker.loop(drain=True)
    return results.get_run(worker.engine, run_id)


def changed(config=CONFIG, **fields):
    from dataclasses import replace

    return replace(config, **fields)


def log_of(worker, run_id):
    return " | ".join(f"{e.kind}: {e.text}" for e in queue.events(worker.engine, run_id))
