"""How long runs take on this machine, estimated from its finished runs."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from core.experiment.config import RunConfig

NEWEST = 10  # finished runs that are used; the machine's speed may have changed since older ones


def seconds_an_epoch(frame: pd.DataFrame, dataset: str, model: str) -> float | None:
    """Median of the newest finished runs on this dataset with this model, or None without any. `frame` is a list of runs."""
    same = (
        (frame["dataset"] == dataset)
        & (frame["model"] == model)
        & (frame["status"] == "succeeded")
        & (frame["last_epoch"] > 0)
        & (frame["seconds"] > 0)
    )
    newest = frame.loc[same, ["id", "seconds", "last_epoch"]].sort_values("id").tail(NEWEST)
    return None if newest.empty else float((newest["seconds"] / newest["last_epoch"]).median())


def seconds_for(frame: pd.DataFrame, configs: Iterable[RunConfig]) -> float | None:
    """Time to train these runs one after another; None where one of them has no finished run to estimate from."""
    each = [(c.epochs, seconds_an_epoch(frame, c.dataset, c.model)) for c in configs]
    return (
        None
        if any(pace is None for _, pace in each)
        else sum(epochs * pace for epochs, pace in each if pace is not None)
    )
