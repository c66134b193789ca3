"""What is in force in an epoch: the method's terms, the sampler's, and a late start of either (DRW, DRS)."""

from __future__ import annotations

import math
from dataclasses import replace

from core.config import RunConfig
from core.evidence import ClassTerms, Evidence
from core.methods import METHODS, answer
from core.methods.row import CLASSIFIER
from core.samplers import SAMPLERS

PLAIN = "instance"  # the sampler that changes nothing


def first_epoch(config: RunConfig) -> int:
    """The 0-based epoch from which the terms act: start x epochs, rounded up, at most the last."""
    return min(math.ceil(config.start * config.epochs - 1e-9), config.epochs - 1)


def in_force(config: RunConfig, evidence: Evidence) -> ClassTerms:
    """The terms for `evidence.epoch`. Before the start either nothing acts ("everything" waits), or all but weight and sampling.

    A scale that belongs to the last layer (knob s) always acts: without it a cosine classifier cannot learn.
    Source of the late start: Cao et al. (2019). Errors as in `answer`.
    """
    terms = answer(config.method, evidence, config.params)
    sampler = answer(config.sampler, evidence, config.sampler_params, table=SAMPLERS)
    if config.sampler != PLAIN:
        terms = replace(terms, sampling=sampler.sampling, draw=sampler.draw, knobs={**terms.knobs, **sampler.knobs},
                        notes=(*terms.notes, *sampler.notes), info={**(terms.info or {}), **(sampler.info or {})} or None)
    start = first_epoch(config)
    if evidence.epoch >= start:
        return terms
    said = f"Plain until epoch {start}: the terms act from epoch {start + 1} on."
    if config.deferred == "weight":
        return replace(terms, weight=None, sampling=None, draw="replace", clipped=(), notes=(f"Weight and sampling act from epoch {start + 1} on.",))
    return ClassTerms(knobs={k: v for k, v in terms.knobs.items() if k == "s"}, notes=(said,))


_MADE_UP_FOR = {"unequal counts": {"counts"}, "the difficulty of the classes": {"tpr", "last_tpr"}}  # by what is looked at


def double_correction(config: RunConfig) -> str | None:
    """A warning where method and sampler both make up for the same imbalance, else None."""
    method, sampler = METHODS[config.method], SAMPLERS[config.sampler]
    if config.sampler == PLAIN or method.stage == CLASSIFIER:
        return None
    needs = method.needs_with(config.params)
    twice = [words for words, evidence in _MADE_UP_FOR.items() if needs & evidence and sampler.needs & evidence]
    if not twice:
        return None
    return (f"{method.label} and the sampler {sampler.label[0].lower()}{sampler.label[1:]} both make up for {' and '.join(twice)}: "
            "the correction is applied twice.")
