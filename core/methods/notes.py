"""Notes of methods, samplers and post-hoc steps on their results; `reporting.text` has the sentences."""

from __future__ import annotations

from dataclasses import dataclass

from core.findings import Finding

Classes = tuple[int, ...]  # indices


@dataclass(frozen=True)
class TprsClipped(Finding):
    """TPRs clipped away from 0 and 1: by `floor` where the number of validation samples is unknown, else by half a sample."""

    classes: Classes
    floor: float | None = None


@dataclass(frozen=True)
class WeightsClipped(Finding):
    """Weights clipped at `max_ratio` times the smallest."""

    classes: Classes
    max_ratio: float


@dataclass(frozen=True)
class WeightsFilled(Finding):
    """Classes without what the weight is made from, `missing` of core.methods.normalization.MISSING: they get the mean of the others."""

    classes: Classes
    missing: tuple[str, ...]


@dataclass(frozen=True)
class WeightsNegligible(Finding):
    """Weights below `below` of the largest."""

    classes: Classes
    below: float


@dataclass(frozen=True)
class WeightsZero(Finding):
    """Classes with weight 0, a number of `among`."""

    zero: int
    among: int


@dataclass(frozen=True)
class WeightsOfEpoch(Finding):
    """The weights are those of one epoch, counted from 1, of a formula that uses it."""

    epoch: int
    epochs: int


@dataclass(frozen=True)
class EqualBeforeFirstEpoch(Finding):
    """No TPRs are known yet: the `term`, weight or sampling, is equal for all classes."""

    term: str


@dataclass(frozen=True)
class ShiftsZero(Finding):
    """Classes without a TPR, whose shift is 0, a number of `among`."""

    zero: int
    among: int


@dataclass(frozen=True)
class CountsFilled(Finding):
    """Classes without training samples, counted as one sample or as the smallest class that has any."""

    classes: Classes
    as_smallest: bool


@dataclass(frozen=True)
class ClassesMasked(Finding):
    """Classes below a share of the training samples, whose logits are masked, a number of `among`."""

    masked: int
    among: int
    threshold: float


@dataclass(frozen=True)
class EqualSmoothing(Finding):
    """All counts are equal: every class gets the mean of the smoothing for head and tail."""


@dataclass(frozen=True)
class NoMinority(Finding):
    """No class is below the mean count: rho has no effect."""


@dataclass(frozen=True)
class NeverDrawn(Finding):
    """Classes that are never drawn at this rho."""

    classes: Classes


@dataclass(frozen=True)
class CountsNearlyEqual(Finding):
    """Counts within `within` (a share) of each other, although some classes count as the minority for rho."""

    within: float
    rho: float
    minority: Classes


@dataclass(frozen=True)
class EpochShare(Finding):
    """An epoch draws this share of the training samples."""

    share: float


@dataclass(frozen=True)
class TermsWait(Finding):
    """A late start: `terms` (all where empty) act from `epoch` on, counted from 1."""

    terms: tuple[str, ...]
    epoch: int


@dataclass(frozen=True)
class BiasCost(Finding):
    """Figures of the validation split that a fitted bias lowers: (accuracy or mean TPR, before, after), as shares."""

    lowered: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class BiasFewSamples(Finding):
    """Classes with fewer than `below` validation samples to fit a bias on, a number of `among`; the fewest samples of one."""

    few: int
    among: int
    below: int
    fewest: int
