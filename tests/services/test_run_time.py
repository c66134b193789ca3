"""How long runs take: before they start from finished ones, while they train from their own epochs."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from core.experiment.presets import FIRST
from services import run_time
from storage.jobs.workers import Place


def frame(*rows):
    return pd.DataFrame(
        [
            {"id": i, "dataset": d, "model": m, "status": s, "last_epoch": e, "seconds": t}
            for i, (d, m, s, e, t) in enumerate(rows, 1)
        ],
        columns=["id", "dataset", "model", "status", "last_epoch", "seconds"],
    )


def test_the_estimate_uses_finished_runs_of_the_same_kind():
    kind = (FIRST.baseline.dataset, FIRST.baseline.model)
    found = frame(
        (*kind, "succeeded", 20, 40.0),
        (*kind, "succeeded", 10, 30.0),
        (*kind, "succeeded", 5, 50.0),
        (*kind, "failed", 1, 900.0),
        ("digits", "mlp", "succeeded", 1, 500.0),
    )
    assert run_time.seconds_an_epoch(found, *kind) == 3.0
    assert run_time.seconds_for(found, (FIRST.baseline, FIRST.weighted)) == 120.0
    assert run_time.seconds_for(found, (FIRST.baseline, replace(FIRST.weighted, dataset="cifar10"))) is None
    assert run_time.seconds_an_epoch(frame(), *kind) is None


def row(**changes):
    """A run that trains its first of two epochs."""
    about = {"id": 12, "status": "running", "epochs": 2, "last_epoch": 0, "seconds": 0.0}
    return SimpleNamespace(**about | changes)


HALF = {12: Place(12, 1, 50, 100, 80.0)}


@pytest.mark.parametrize(
    ("rows", "places", "left"),
    [
        ([row()], {}, None),
        ([row()], HALF, 1.5 * 80.0),
        ([row(last_epoch=1, seconds=100.0)], {12: Place(12, 2, 50, 100)}, 0.5 * 100.0),
        ([row(), row(id=13, status="queued")], HALF, 3.5 * 80.0),
        ([row(), row(id=13)], HALF, 3.5 * 80.0 / 2),
        ([row(), row(id=13, status="paused")], HALF, 1.5 * 80.0),
    ],
)
def test_the_time_left_is_that_of_the_epochs_left_shared_among_runs_in_training(rows, places, left):
    assert run_time.seconds_left(rows, places) == left
