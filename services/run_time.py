"""How long runs take on this machine: estimated from finished runs before they start, and from their own epochs while they train."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from core.experiment.config import RunConfig
from core.experiment.states import LIVE
from storage.jobs.workers import Place, position_in_epoch
from storage.results.run_records import RunState

NEWEST = 10  # finished runs that are used; the machine's speed may have changed since older ones


# -- before they start -------------------------------------------------------------------------------------------


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


# -- while they train --------------------------------------------------------------------------------------------


def epochs_trained(row: RunState, positions: Mapping[int, Place]) -> float:
    """Epochs done, including the fraction of the current one. `positions` as from `storage.jobs.workers.places`."""
    place = position_in_epoch(row, positions)
    return int(row.last_epoch) + (0.0 if place is None else place.share)


def seconds_left(rows: Sequence[RunState], positions: Mapping[int, Place]) -> float | None:
    """Time until all of these runs have ended: epochs left x seconds per epoch / runs in training; None while unknown."""
    each = _seconds_per_epoch(rows, positions)
    if each is None:
        return None
    left = sum(int(r.epochs) - epochs_trained(r, positions) for r in rows if r.status in LIVE)
    return left * each / max(sum(r.status == "running" for r in rows), 1)


def _seconds_per_epoch(rows: Sequence[RunState], positions: Mapping[int, Place]) -> float | None:
    """The mean of the recorded epochs, which holds no preparation of data and no imports.

    The first epoch is unusually slow: until a second one is done, the steps of the current epoch are preferred.
    """
    done = sum(int(r.last_epoch) for r in rows)
    paces = [p.pace for r in rows if (p := position_in_epoch(r, positions)) is not None and p.pace is not None]
    if done < 2 and paces:
        return sum(paces) / len(paces)
    return sum(float(r.seconds) for r in rows) / done if done else None
