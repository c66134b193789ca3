"""What a run takes from an earlier one, its baseline: TPRs, or nothing but the comparison; and whether both saw the same data."""

from __future__ import annotations

from dataclasses import dataclass

from core.experiment.config import RunConfig
from core.findings import Finding
from core.methods import METHODS

SHOWN = 16  # characters of a fingerprint that a message shows


@dataclass(frozen=True)
class BaselineDiffers(Finding):
    """What another run has that keeps it from being a baseline: older data, its tail (imbalance, profile), validation share, model.

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
    """Whether a run with these settings makes its weights from the TPRs of an earlier run, or from TPRs that were given.

    It is the parameters that decide: a formula over the counts alone takes none. A method that is unknown here takes none.
    """
    return config.method in METHODS and "tpr" in METHODS[config.method].needs_with(config.params)


def same_data(theirs: str | None, ours: str | None) -> bool:
    """Whether two fingerprints are of the same data; one that is unknown (a run made before they were kept) says nothing against it."""
    return not theirs or not ours or theirs == ours


def older_data(run_id: int, dataset: str, theirs: str, ours: str) -> str:
    """Why the TPRs of a run on another version of the data may not make weights, and what to do."""
    return (
        f"run {run_id} was trained on another version of {dataset} than is there now (data {theirs[:SHOWN]}, "
        f"now {ours[:SHOWN]}), so the samples "
        "behind its TPRs may be test samples of this run; train the baseline again, or give the TPRs as a file"
    )
