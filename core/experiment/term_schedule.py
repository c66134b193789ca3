"""The terms of an epoch: the method's, the sampler's, and a late start of either (DRW, DRS)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.experiment.config import RunConfig
from core.methods import CLASSIFIER, METHODS, answer
from core.methods.notes import TermsWait
from core.methods.samplers import PLAIN, SAMPLERS
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import check_params


def first_epoch(config: RunConfig) -> int:
    """The 0-based epoch from which the terms act: start x epochs, rounded up, at most the last."""
    return min(math.ceil(config.start * config.epochs - 1e-9), config.epochs - 1)


def in_force(config: RunConfig, evidence: Evidence) -> ClassTerms:
    """The terms for `evidence.epoch`. Before the start no term acts (deferred: everything), or all but weight and sampling.

    Where the objective carries the weight (row flag `weighs`), the plain loss replaces it until then. A scale that belongs
    to the last layer (knob s) always acts: without it a cosine classifier cannot learn.
    Source of the late start: Cao et al. (2019). Errors as in `answer`; EvenlyError too where nothing would be delayed.
    """
    start = first_epoch(config)
    if start and SAMPLERS[config.sampler].stage == CLASSIFIER:
        raise EvenlyError(
            f"sampler {config.sampler} creates its samples once, before the first epoch, and cannot start late; "
            "set start to 0, or choose another sampler"
        )
    evidence = replace(evidence, start=max(evidence.start, start))
    terms = answer(config.method, evidence, config.params)
    sampler = answer(config.sampler, evidence, config.sampler_params, table=SAMPLERS)
    if config.sampler != PLAIN:
        terms = replace(
            terms,
            sampling=sampler.sampling,
            draw=sampler.draw,
            knobs={**terms.knobs, **sampler.knobs},
            notes=(*terms.notes, *sampler.notes),
            info={**(terms.info or {}), **(sampler.info or {})} or None,
        )
    waits = _waiting(config, terms) if start and config.deferred == "weight" else ()
    if evidence.epoch >= start:
        return terms
    if waits:
        notes = (TermsWait(waits, start + 1),)
        plain = {"objective": "terms", "knobs": _kept_knobs(terms)} if METHODS[config.method].weighs else {}
        return replace(terms, weight=None, sampling=None, draw="replace", clipped=(), notes=notes, **plain)
    return ClassTerms(knobs=_kept_knobs(terms), notes=(TermsWait((), start + 1),))


def _kept_knobs(terms: ClassTerms) -> dict[str, float]:
    return {k: v for k, v in terms.knobs.items() if k == "s"}


def _waiting(config: RunConfig, terms: ClassTerms) -> tuple[str, ...]:
    """The terms that `deferred weight` delays: weight, sampling or both; EvenlyError where there are none."""
    held = {"weight": terms.weight is not None or METHODS[config.method].weighs, "sampling": terms.sampling is not None}
    if any(held.values()):
        return tuple(term for term, there in held.items() if there)
    raise EvenlyError(
        f"deferred weight: {config.method} sets no weight and the sampler {config.sampler} no sampling, so nothing would start late; "
        "set deferred to everything, or start to 0"
    )


def in_epoch(
    config: RunConfig,
    evidence: Evidence,
    epoch: int,
    last_tpr: Vector | None,
    last_support: Vector | None,
    past: NDArray[np.float64] | None,
) -> ClassTerms:
    """The terms of a run in `epoch` (from 0), given its own validation TPRs so far.

    `last_tpr` and `last_support` [C] are of the epoch before, `past` [epoch, C] of all epochs so far.
    Used by the worker and by the replay of an earlier run. Errors as in `answer`.
    """
    return in_force(config, replace(evidence, epoch=epoch, last_tpr=last_tpr, last_support=last_support, past=past))


def kept(config: RunConfig, past: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """What replaces the TPRs of all epochs so far, `past` [E, C], in later epochs, by the method's row; None where nothing is needed.

    Folding epoch by epoch gives the same bits as all epochs at once: kept([kept(past), new]) = kept([past, new]).
    """
    row = METHODS[config.method]
    return None if row.keeps is None else row.keeps(past, check_params(row.params, config.params, row.key))
