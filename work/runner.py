"""One claimed run from its settings to its end: data -> train -> (metrics, then checkpoint) per epoch -> finish.

What the run starts from is in work/inputs.py and work/network_start.py, its training in work/recorded_run.py;
this file handles every way in which it can end.
"""

from __future__ import annotations

import gc
import logging
import shutil
import time
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from sqlalchemy import Engine

from core.errors import EvenlyError
from core.experiment.config import RunConfig, checked
from core.experiment.states import REQUESTS, RESUME
from core.training.device import Device, choose, device_lost, out_of_memory
from core.training.interrupts import Interrupted
from core.training.trainer import Trainer
from storage import results
from storage.db.connection import once
from storage.db.errors import StorageError, Unavailable
from storage.jobs import queue
from storage.jobs.queue import Claim, Lost
from work.inputs import Orders, find_evidence, load_splits, stored_evidence
from work.recorded_run import Halted, Run, log_to_run

log = logging.getLogger("evenly.worker")
MIN_FREE_BYTES = 1 << 30  # a run is not started with less free disk than this
# The epoch counted from 1, steps done in it, steps per epoch; None when the run has ended
Steps = Callable[[], tuple[int, int, int] | None]


class Outcome(NamedTuple):
    """How an attempt at a run ended: its new status, why it did not succeed, and whether the device is lost to this process."""

    status: str
    reason: str | None = None
    device_lost: bool = False


LOST = Outcome("lost", "another worker has taken over this run")


def execute(
    engine: Engine,
    claim: Claim,
    device: Device,
    root: Path,
    orders: Orders,
    follow: Callable[[Steps], None] = lambda steps: None,
) -> Outcome:
    """Train a claimed run. Other runs are never affected.

    `orders()` returns "stop" when the worker itself must exit: the run is then requeued.
    `follow` is called before the first step with a function that returns the training's position, for any thread.
    """
    try:
        outcome = Outcome(_attempt(engine, claim, device, root, orders, follow))
    except Lost:
        return LOST
    except Interrupted as interrupted:
        if interrupted.reason == "lost":
            return LOST
        asked = interrupted.reason
        outcome = Outcome("queued" if asked == "stop" else REQUESTS[asked].leads_to)
    except Halted as error:
        outcome = Outcome("paused", str(error))
    except Unavailable as error:  # the run is fine; if the worker must stop, it is requeued as it is
        outcome = Outcome("queued") if orders() else Outcome("paused", f"{error}; then resume")
    except EvenlyError as error:
        outcome = Outcome("failed", str(error))
    except Exception as error:  # a bug in a run must not end the worker; the run's log has the traceback
        if out_of_memory(error):
            outcome = Outcome("failed", _memory_advice(claim.config, device))
        else:
            log.exception("run %s", claim.run_id)
            outcome = Outcome("failed", f"unexpected {type(error).__name__}: {error}", device_lost(error))
            log_to_run(engine, claim, "error", traceback.format_exc())
    return _close(engine, claim, outcome, orders)


def _memory_advice(config: RunConfig, device: Device) -> str:
    size = config.recipe_params.get("batch_size", "?")
    return f"out of memory on {device.name} with batch size {size}: halve the batch size, or use a smaller model or image size"


def _close(engine: Engine, claim: Claim, outcome: Outcome, orders: Orders) -> Outcome:
    """Record the end of the run, waiting for a locked or full database, and free its memory."""
    gc.collect()  # here, outside of every except block, no traceback holds the tensors any more
    with suppress(RuntimeError):  # of a lost GPU; the worker is then restarted
        torch.cuda.empty_cache()
    engine, (status, reason, _) = once(engine), outcome
    while True:
        try:
            held = queue.release(engine, claim) if status == "queued" else queue.finish(engine, claim, status, reason)
            return outcome if held else LOST
        except StorageError as error:
            log.error("run %s cannot be recorded as %s: %s", claim.run_id, status, error)
            if orders():
                return outcome  # the next worker finds it running without a worker and rescues it
            time.sleep(1)


def _attempt(
    engine: Engine, claim: Claim, device: Device, root: Path, orders: Orders, follow: Callable[[Steps], None]
) -> str:
    """Train the claimed run to its end; returns "succeeded", or raises what ended it."""
    _check_space(root)
    config, control = checked(claim.config), _control(engine, claim, orders)
    if config.device not in ("auto", device.device.type):
        device = choose(config.device)
    before = results.get_run(engine, claim.run_id).facts  # of an earlier attempt, whose inputs are kept
    splits = load_splits(config, root, control, lambda line: log_to_run(engine, claim, "data", line))
    if before.index_hash not in ("", splits.index_hash):
        raise EvenlyError(
            f"the data of {config.dataset} has changed since this run started; duplicate the run to train on the current data"
        )
    evidence, origin = stored_evidence(before) or find_evidence(engine, claim, config, splits.spec)
    run = Run(engine, claim, config, splits, evidence, device, before)
    run.start(origin)
    follow(steps_of(run.trainer))
    return run.train(control)


def _check_space(root: Path) -> None:
    if (free := shutil.disk_usage(root).free) < MIN_FREE_BYTES:
        raise Halted(
            f"only {free / 1e6:.0f} MB are free in {root}, a run needs {MIN_FREE_BYTES / 1e6:.0f} MB; free some space, then resume"
        )


def _control(engine: Engine, claim: Claim, orders: Orders) -> Orders:
    """The worker's orders, then the requests of people; None to keep training."""

    def control() -> str | None:
        if order := orders():
            return order
        try:
            wanted = queue.wanted(engine, claim)
        except StorageError as error:  # locked for a moment: keep training and check again
            log.warning("run %s: %s", claim.run_id, error)
            return None
        return None if wanted == RESUME else wanted

    return control


def steps_of(trainer: Trainer) -> Steps:
    """A function that reads the trainer's position without keeping the trainer and its memory alive."""
    seen = weakref.ref(trainer)

    def steps() -> tuple[int, int, int] | None:
        alive = seen()
        return None if alive is None else (alive.progress.epoch + 1, alive.progress.step, alive.steps)

    return steps
