"""The first comparison of a new user: a baseline and a weighted run with nothing to set."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.experiment.config import RunConfig


@dataclass(frozen=True)
class Preset:
    """Two runs that differ in the method alone; the second takes its TPRs from the first."""

    key: str
    label: str
    seconds: int  # both runs together on two idle cores
    most_seconds: int  # and on a machine that is busy with other work
    baseline: RunConfig
    weighted: RunConfig


# The learning rate ends at zero: at a constant rate the TPR variance differs by half its mean from seed to seed.
_BASE = RunConfig(dataset="mnist1d", model="cnn1d", recipe="adam_cycle", epochs=20)

FIRST = Preset(
    "first",
    "Even out MNIST-1D",
    20,
    80,
    _BASE,
    replace(_BASE, method="tpr_ratio", params={"exponent": 4.0}),
)
