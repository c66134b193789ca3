"""Why a run's weights are not to be trusted: too few samples, samples that were learned from, or weights that swing.

Each caution ends with what to do next. What makes two runs an unfair comparison is in core.comparison.confounders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from core.diagnostics import sample_size, weight_oscillation
from core.experiment.baseline import takes_tprs
from core.experiment.config import RunConfig
from core.methods import METHODS
from core.methods.samplers import SAMPLERS


def few_samples(label: str, config: RunConfig, facts: Mapping[str, Any]) -> str:
    """Whether the TPRs that make a run's weights or draws rest on few validation samples; "" where they do not, or where nothing is known.

    config  its method and its sampler say whether they look at an earlier run's TPRs or at its own
    facts   what the worker told: the evidence it started from, and the counts of its splits
    """
    found = {
        made: sample_size.few_samples(support, facts.get("classes") or range(len(support)))
        for made, support in _supports(config, facts).items()
    }
    made = [key for key, text in found.items() if text]
    if not made:
        return ""
    return (
        f"The {' and '.join(made)} of {label} rest on TPRs of few validation samples. "
        f"{found[made[0]]} Part of these {' and '.join(made)} is chance. "
        "Hold out a larger validation share, or compare several seeds."
    )


def met_before(label: str, config: RunConfig, facts: Mapping[str, Any]) -> str:
    """Whether what a run takes from a validation split comes from a network that had learned from that split; "" where it does not.

    config  its method and its sampler say what they look at
    facts   what the worker told: `evidence` holds the key of the baseline's method
    """
    if config.method not in METHODS:
        return ""
    row, learner = METHODS[config.method], facts.get("evidence", {}).get("method", "")
    said = ""
    if learner in METHODS and METHODS[learner].meets_validation and config.tpr is None:
        said = met(label, config, METHODS[learner].label)
    if (
        not said
        and row.meets_validation
        and config.sampler in SAMPLERS
        and "last_tpr" in SAMPLERS[config.sampler].needs
    ):
        said = _met("draws", label, row.label)
    return said


def met(label: str, config: RunConfig, learner: str) -> str:
    """The words for a run with these settings whose baseline was trained by a method that learns from validation samples.

    `learner` is that method's label.
    """
    needs = METHODS[config.method].needs_with(config.params)
    made = "weights" if "tpr" in needs else "fit" if "validation" in needs else ""
    return _met(made, label, learner) if made else ""


def _met(made: str, label: str, learner: str) -> str:
    rests = "rests" if made == "fit" else "rest"
    return (
        f"The {made} of {label} {rests} on validation samples that the network had learned from "
        f"({learner} takes its meta samples there): their TPRs are too high. "
        "Take a baseline of another method, or judge by the test split alone."
    )


def swinging(label: str, config: RunConfig, weight: ArrayLike | None) -> str:
    """Whether a run's class weights [E, C] swing from epoch to epoch; "" where they do not, or where there are none."""
    found = None if weight is None else weight_oscillation.oscillation(weight)
    if found is None or not found.swings:
        return ""
    helps = weight_oscillation.smoothed(config.method, config.params)
    return weight_oscillation.in_words(found, label) + (" Smooth the TPRs." if helps else "")


def _supports(config: RunConfig, facts: Mapping[str, Any]) -> dict[str, list[float]]:
    """What is made from TPRs, weights by the method and draws by the sampler -> the validation samples behind these, one number a class.

    What is made without TPRs is left out; of TPRs whose samples are unknown the list is empty.
    """
    method, sampler = config.method, config.sampler
    given = facts.get("evidence", {}).get("support") or []
    own = facts.get("counts", {}).get("validation", [])
    looked = METHODS[method].needs_with(config.params) if method in METHODS else frozenset()
    found = {"weights": given} if takes_tprs(config) else {"weights": own} if "last_tpr" in looked else {}
    if sampler in SAMPLERS and "last_tpr" in SAMPLERS[sampler].needs:
        found["draws"] = own
    return {made: [0.0 if n is None else float(n) for n in support] for made, support in found.items()}
