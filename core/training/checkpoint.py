"""Checkpoints as bytes: tensors and plain Python only, so that they load with weights_only=True. Files are written by storage."""

from __future__ import annotations

import io
import pickle
from typing import Any

import torch

from core.errors import TrainingError

SCHEMA = 2


def dumps(state: dict[str, Any], about: dict[str, Any]) -> bytes:
    """A trainer's `state()` and its metadata (`about`: run settings, classes, epoch) as torch.save bytes."""
    buffer = io.BytesIO()
    torch.save({"schema": SCHEMA, "about": about, **state}, buffer)
    return buffer.getvalue()


def loads(data: bytes, *config_shas: str) -> dict[str, Any]:
    """The state in `data` of a run whose settings have one of these shas.

    Another schema, another run's settings or anything but tensors raises TrainingError.
    """
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise TrainingError(f"the checkpoint cannot be read: {str(error).splitlines()[0]}") from error
    schema = state.get("schema") if isinstance(state, dict) else None
    if schema != SCHEMA:
        raise TrainingError(
            f"the checkpoint has schema {schema!r}, this Evenly reads {SCHEMA}; duplicate the run instead"
        )
    if state["about"].get("config_sha") not in config_shas:
        raise TrainingError("the checkpoint belongs to a run with other settings; duplicate the run instead")
    return state
