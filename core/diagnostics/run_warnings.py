"""Why a run's weights are unreliable: too few samples, samples that were trained on, or weights that oscillate.

What makes two runs an unfair comparison is in core.comparison.confounders.
"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from core.diagnostics import sample_size, weight_oscillation
from core.diagnostics.sample_size import FewSamples
from core.diagnostics.weight_oscillation import Oscillation
from core.experiment.config import RunConfig
from core.experiment.facts import Facts
from core.findings import Finding
from core.methods import METHODS, takes_tprs
from core.methods.samplers import SAMPLERS


@dataclass(frozen=True)
class MadeOfFew(Finding):
    """The weights or the sampling of a run are based on TPRs of few validation samples."""

    run: str
    made: tuple[str, ...]
    few: FewSamples


@dataclass(frozen=True)
class SeenInTraining(Finding):
    """The weights, the sampling or the fit of a run use validation samples that the network was trained on.

    `learner` is the label of the method that takes its meta samples there.
    """

    run: str
    made: str
    learner: str


@dataclass(frozen=True)
class Oscillating(Finding):
    """A run's class weights oscillate; `smoothable`: its method can smooth the TPRs and does not yet."""

    run: str
    found: Oscillation
    smoothable: bool


def few_samples(label: str, config: RunConfig, facts: Facts) -> MadeOfFew | None:
    """Whether the TPRs behind a run's weights or sampling come from few validation samples; None where they do not, or nothing is known.

    config  its method and sampler determine whether an earlier run's TPRs or its own are used
    facts   what the worker recorded: the evidence it started from, and the counts of its splits
    """
    found = {
        made: few
        for made, support in _supports(config, facts).items()
        if (few := sample_size.few_samples(support, facts.classes or range(len(support))))
    }
    return MadeOfFew(label, tuple(found), next(iter(found.values()))) if found else None


def seen_in_training(label: str, config: RunConfig, facts: Facts) -> SeenInTraining | None:
    """Whether a run uses validation outputs of a network that was trained on that split; None where it does not.

    config  its method and sampler determine what is used
    facts   what the worker recorded: `evidence` holds the key of the baseline's method
    """
    if config.method not in METHODS:
        return None
    row, learner = METHODS[config.method], facts.evidence.method or ""
    if found := baseline_seen_in_training(label, config, learner):
        return found
    own = config.sampler in SAMPLERS and "last_tpr" in SAMPLERS[config.sampler].needs
    return SeenInTraining(label, "sampling", row.label) if row.meets_validation and own else None


def baseline_seen_in_training(label: str, config: RunConfig, learner: str) -> SeenInTraining | None:
    """Whether a run meets validation samples that its baseline, trained by the method `learner`, has seen in training."""
    if learner not in METHODS or not METHODS[learner].meets_validation or config.tpr is not None:
        return None
    needs = METHODS[config.method].needs_with(config.params)
    made = "weights" if "tpr" in needs else "fit" if "validation" in needs else ""
    return SeenInTraining(label, made, METHODS[learner].label) if made else None


def oscillating(label: str, config: RunConfig, weight: ArrayLike | None) -> Oscillating | None:
    """Whether a run's class weights [E, C] oscillate from epoch to epoch; None where they do not, or where there are none."""
    found = None if weight is None else weight_oscillation.oscillation(weight)
    if found is None or not found.oscillates:
        return None
    return Oscillating(label, found, weight_oscillation.smoothable(config.method, config.params))


def _supports(config: RunConfig, facts: Facts) -> dict[str, list[float]]:
    """ "weights", "sampling" or both, where they are computed from TPRs -> the validation samples behind these, one number per class.

    The list is empty where the samples are unknown.
    """
    method, sampler = config.method, config.sampler
    given, own = facts.evidence.support or (), facts.validation_counts
    looked = METHODS[method].needs_with(config.params) if method in METHODS else frozenset()
    found = (
        {"weights": given}
        if takes_tprs(config.method, config.params)
        else {"weights": own}
        if "last_tpr" in looked
        else {}
    )
    if sampler in SAMPLERS and "last_tpr" in SAMPLERS[sampler].needs:
        found["sampling"] = own
    return {made: [0.0 if n is None else float(n) for n in support] for made, support in found.items()}
