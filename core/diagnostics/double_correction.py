"""Double correction: whether one imbalance is corrected twice, by the method and the sampler of a run, or by a post-hoc step and its run.

It is judged by the effect of the terms and the sampling on the run's own counts, not by what the rows declare.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from core.errors import EvenlyError
from core.experiment.config import RunConfig
from core.experiment.term_schedule import first_epoch
from core.findings import Finding
from core.methods import METHODS, POSTHOC, answer
from core.methods.method import Method
from core.methods.samplers import PLAIN, SAMPLERS
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import check_params

SMALL = 1.5  # a correction whose classes differ by no more than this factor does not count
ALIKE = 0.5  # two corrections with at least this correlation over the classes act in the same direction
MASKED = 0.999  # largest mask: a class that is always left out counts as left out this often
HARDEST, EASIEST = 0.3, 0.9  # TPRs assumed where none is known and the counts are equal
IMBALANCE, DIFFICULTY = "class imbalance", "class difficulty"  # what is corrected
METHOD, SAMPLING, SAMPLER = (
    "method",
    "sampling",
    "sampler",
)  # what corrects: the method's terms, the method's sampling, or the sampler


@dataclass(frozen=True)
class Corrector(Finding):
    """What corrects: METHOD, SAMPLING (a method's own) or SAMPLER, the label of its row; `earlier`: of the run continued from."""

    kind: str
    label: str
    earlier: bool = False


@dataclass(frozen=True)
class DoubleCorrection(Finding):
    """Two correctors of the same thing, IMBALANCE or DIFFICULTY."""

    first: Corrector
    second: Corrector
    corrects: str


@dataclass(frozen=True)
class Push:
    """Log of how much a sample of each class counts [C], up to a constant; NaN for a class that is not trained."""

    by: Corrector
    log: Vector

    def factor(self) -> float:
        """Largest over smallest of the classes that are trained."""
        return math.exp(np.nanmax(self.log) - np.nanmin(self.log))


def double_correction(
    config: RunConfig, evidence: Evidence, before: RunConfig | None = None
) -> DoubleCorrection | None:
    """What corrects one imbalance twice, else None.

    evidence  counts [C] of the training split; TPRs [C] of an earlier run where they are known. Others are assumed: lower for
              rarer classes, and evenly spaced where the counts are equal
    before    the settings of the run that a post-hoc step is applied to, or a second stage continues from. A second stage retrains its
              last layer with sampling of its own, which replaces the earlier correction: it is not applied twice there
    None too where a method rejects the assumed TPRs: the check is repeated when the real ones are known.
    """
    evidence = replace(_assumed(evidence), epochs=config.epochs)
    try:
        method, draws = pushes(config, evidence)
        others = [draws]
        if METHODS[config.method].stage == POSTHOC and before is not None:
            others = [
                replace(p, by=replace(p.by, earlier=True))
                for p in pushes(before, replace(evidence, epochs=before.epochs))
            ]
    except EvenlyError:
        return None
    twice = next((other for other in others if same_way(method, other)), None)
    return None if twice is None else DoubleCorrection(method.by, twice.by, _corrected(twice, evidence))


def same_way(a: Push, b: Push) -> bool:
    """Whether both change how much classes count, by more than a small factor and in the same direction."""
    there = ~np.isnan(a.log) & ~np.isnan(b.log)
    if there.sum() < 2:
        return False
    x, y = a.log[there], b.log[there]
    if min(np.ptp(x), np.ptp(y)) <= math.log(SMALL):
        return False
    return bool(np.corrcoef(x, y)[0, 1] > ALIKE)


def pushes(config: RunConfig, evidence: Evidence) -> tuple[Push, Push]:
    """Effect of a run's method and sampling on the classes: the stronger of the last epoch and the first in which they act."""
    method, sampler = METHODS[config.method], SAMPLERS[config.sampler]
    drawer = Corrector(SAMPLING, method.label) if config.sampler == PLAIN else Corrector(SAMPLER, sampler.label)
    each = []
    for epoch in {first_epoch(config), config.epochs - 1}:
        seen = replace(evidence, epoch=epoch)
        terms = answer(config.method, seen, config.params)
        drawn = answer(config.sampler, seen, config.sampler_params, table=SAMPLERS)
        sampling = terms.sampling if config.sampler == PLAIN else drawn.sampling
        each.append(
            (
                Push(Corrector(METHOD, method.label), _of_terms(method, config, terms, seen)),
                Push(drawer, _of_draws(sampling, seen)),
            )
        )
    by_method, by_draws = zip(*each, strict=True)
    return max(by_method, key=Push.factor), max(by_draws, key=Push.factor)


def _of_terms(method: Method, config: RunConfig, terms: ClassTerms, evidence: Evidence) -> Vector:
    """log of weight x prior that the terms correct for.

    A shift b corresponds to a prior exp b, a scale a to a factor 1 / a, a mask m to 1 / (1 - m).
    A shift of a post-hoc step is added at prediction: it counts with the opposite sign of one added during training.

    Margin, smoothing and focus change the target of a class, not how much it counts.
    """
    n = np.where(evidence.counts > 0, evidence.counts, np.nan)
    evens = 0.0 if method.evens is None else method.evens(check_params(method.params, config.params, method.key))
    log = -evens * np.log(n)
    if terms.weight is not None:
        log = log + np.log(np.where(terms.weight > 0, terms.weight, np.nan))
    if terms.shift is not None:
        log = log + terms.shift if method.stage == POSTHOC else log - terms.shift
    if terms.scale is not None:
        log = log - np.log(terms.scale)
    if terms.mask is not None:
        log = log - np.log1p(-np.minimum(terms.mask, MASKED))
    return np.where(np.isnan(n), np.nan, log)


def _of_draws(sampling: Vector | None, evidence: Evidence) -> Vector:
    """log of how much more often a sample of the class is drawn than without a sampler."""
    n = np.where(evidence.counts > 0, evidence.counts, np.nan)
    share = n if sampling is None else np.where(sampling > 0, sampling, np.nan)
    return np.log(share) - np.log(n)


def _assumed(evidence: Evidence) -> Evidence:
    """The evidence with TPRs: an earlier run's replace the run's own, and assumed ones replace an earlier run's."""
    tpr, support = evidence.tpr, evidence.support
    if tpr is None:
        n = np.where(evidence.counts > 0, evidence.counts, np.nan)
        unequal = np.nanmax(n) > SMALL * np.nanmin(n)
        tpr = EASIEST * (n / np.nanmax(n)) ** 0.25 if unequal else np.linspace(EASIEST, HARDEST, evidence.classes)
        support = None
    return replace(evidence, tpr=tpr, support=support, last_tpr=tpr, last_support=support)


def _corrected(push: Push, evidence: Evidence) -> str:
    """IMBALANCE if the correction follows the inverse counts, else DIFFICULTY."""
    n = np.where(evidence.counts > 0, evidence.counts, np.nan)
    there = ~np.isnan(push.log)
    log_n = np.log(n[there])
    if np.ptp(log_n) <= math.log(SMALL):
        return DIFFICULTY
    return IMBALANCE if np.corrcoef(push.log[there], -log_n)[0, 1] > ALIKE else DIFFICULTY
