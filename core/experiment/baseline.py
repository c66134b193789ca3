"""What a run takes from its baseline, TPRs or only the comparison, and whether both used the same data."""

from __future__ import annotations

from dataclasses import dataclass

from core.experiment.config import RunConfig
from core.findings import Finding
from core.methods import METHODS

SHOWN = 16  # characters of a fingerprint that a message shows


@dataclass(frozen=True)
class BaselineDiffers(Finding):
    """Why another run cannot be the baseline: older data, its tail (imbalance, profile), its validation share, its model.

    None: the same. False where nothing differs.
    """

    older: bool = False
    tail: tuple[float, str] | None = None
    validation: float | None = None
    model: str | None = None

    def __bool__(self) -> bool:
        return self != BaselineDiffers()


@dataclass(frozen=True)
class OtherSeedsBaseline(Finding):
    """Seeds that take the TPRs of a baseline with another seed; `own_validation`: the validation split is the same for all seeds."""

    baseline: int
    seed: int
    others: tuple[int, ...]
    own_validation: bool


def takes_tprs(config: RunConfig) -> bool:
    """Whether a run with these settings computes its weights from the TPRs of an earlier run, or from given TPRs.

    The parameters decide: a formula of the counts alone uses none. An unknown method uses none.
    """
    return config.method in METHODS and "tpr" in METHODS[config.method].needs_with(config.params)


def same_data(theirs: str | None, ours: str | None) -> bool:
    """Whether two fingerprints are of the same data; an unknown one (a run from before they were recorded) counts as the same."""
    return not theirs or not ours or theirs == ours


def older_data(run_id: int, dataset: str, theirs: str, ours: str) -> str:
    """Why the TPRs of a run on another version of the data cannot be used for weights, and what to do."""
    return (
        f"run {run_id} was trained on another version of {dataset} (data {theirs[:SHOWN]}, "
        f"now {ours[:SHOWN]}), so the samples "
        "behind its TPRs may be test samples of this run; train the baseline again, or give the TPRs as a file"
    )
