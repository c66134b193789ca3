"""What a run starts from: its splits, loaded while requests are still answered, and the evidence its method may use."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from core import datasets
from core.datasets.file_io import attended
from core.datasets.spec import DataSpec, Progress
from core.errors import EvenlyError
from core.experiment.baseline import refusal
from core.experiment.config import RunConfig, given_tprs
from core.experiment.facts import Facts, origin_of_run
from core.methods import METHODS
from core.methods.types import Evidence
from core.training.interrupts import Interrupted
from reporting import text
from storage import results
from storage.jobs.queue import Claim
from storage.results.class_counts import validation_tprs

ASK_SECONDS, LOG_SECONDS = 0.5, 5.0  # while data is prepared: between checks for a request, between lines in the log
Orders = Callable[[], str | None]


def load_splits(config: RunConfig, root: Path, control: Orders, say: Callable[[str], None]) -> datasets.DataSplits:
    """The dataset's splits. Slow steps are logged with `say` and can be interrupted by a request from `control`."""
    progress = interruptible(control, say)
    datasets.prepare(config.dataset, root, progress)  # writes: interrupted only between two pieces, then cleans up
    return attended(  # only reads: may be abandoned
        lambda: datasets.load(
            config.dataset,
            root,
            seed=config.seed,
            validation=config.validation,
            imbalance=config.imbalance,
            profile=config.profile,
        ),
        lambda: progress(1.0, "reading the array file"),
    )


def interruptible(control: Orders, say: Callable[[str], None] = lambda line: None) -> Progress:
    """A Progress that checks for a request every half second, raising Interrupted, and logs every few seconds how far it is."""
    asked = logged = time.monotonic()

    def progress(share: float, text: str) -> None:
        nonlocal asked, logged
        now = time.monotonic()
        if now - asked > ASK_SECONDS:
            asked = now
            if reason := control():
                raise Interrupted(reason)
        if now - logged > LOG_SECONDS:
            logged = now
            say(f"{text} ({share:.0%})")

    return progress


def stored_evidence(facts: Facts) -> tuple[Evidence, str] | None:
    """The evidence an earlier attempt of the run started from, or None. It is kept even if the baseline has been deleted since."""
    stored = facts.evidence
    if stored.tpr is None:
        return None
    tpr, support = (None if v is None else np.array(v, dtype=np.float64) for v in (stored.tpr, stored.support))
    return Evidence(len(facts.classes), tpr=tpr, support=support), stored.origin


def find_evidence(engine: Engine, claim: Claim, config: RunConfig, spec: DataSpec) -> tuple[Evidence, str]:
    """The evidence that the method may use, and the origin of its TPRs in words.

    TPRs come from the run's own settings (pasted or uploaded) or from its baseline's validation split after the
    last epoch, never from a test split. A run that cannot be its baseline (`core.experiment.baseline`) raises EvenlyError.
    """
    classes = spec.classes
    if config.tpr is not None:
        tpr, support = given_tprs(config)
        return Evidence(len(classes), tpr=tpr, support=support), config.tpr_source or "given TPRs"
    if claim.baseline_id is None:
        return Evidence(len(classes)), ""
    needs = METHODS[config.method].needs_with(config.params)
    if found := refusal(results.get_run(engine, claim.baseline_id), config, spec, needs):
        raise EvenlyError(text.of(found))
    tpr, support, epoch = validation_tprs(engine, claim.baseline_id)
    return Evidence(len(classes), tpr=tpr, support=support), origin_of_run(claim.baseline_id, epoch)
