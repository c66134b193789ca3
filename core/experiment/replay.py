"""The terms of a run epoch by epoch, replayed on the validation TPRs that an earlier run recorded: for previews of changing terms.

Every term comes from `core.experiment.term_schedule.in_epoch`, which the worker calls too: replayed on its own epochs,
a run's preview is what it trained with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.experiment.config import RunConfig
from core.experiment.term_schedule import first_epoch, in_epoch, kept
from core.methods import METHODS
from core.methods.samplers import SAMPLERS
from core.methods.types import TERMS, ClassTerms, Evidence, Vector

NEUTRAL = {
    "weight": 1.0,
    "scale": 1.0,
}  # neutral value of an unset term; 0 for the others, and the shares of the data for sampling
LAST_TPR = "last_tpr"


@dataclass(frozen=True)
class TprHistory:
    """Validation TPRs of an earlier run after each of its epochs [P, C], and the samples behind them [P, C].

    The TPRs are NaN where a class has no samples.
    """

    tpr: NDArray[np.float64]
    support: NDArray[np.float64]


@dataclass(frozen=True)
class TermHistory:
    """The terms in the epochs shown: `epochs` [E] from 0, ascending; `frames`: the terms of each."""

    epochs: NDArray[np.int64]
    frames: tuple[ClassTerms, ...]
    counts: Vector | None = None

    def values(self, name: str) -> NDArray[np.float64]:
        """One term over the epochs [E, C]; its neutral value where it is not set."""
        classes = next((len(v) for t in self.frames for v in t.set().values()), 0)
        plain = unset(name, classes, self.counts)
        return np.stack([plain if (v := getattr(t, name)) is None else v for t in self.frames])

    def moving(self) -> tuple[str, ...]:
        """The terms that change between the epochs shown."""
        named = [name for name in TERMS if any(getattr(t, name) is not None for t in self.frames)]
        return tuple(name for name in named if not np.allclose(v := self.values(name), v[0], rtol=1e-9, atol=1e-12))


def unset(name: str, classes: int, counts: Vector | None) -> Vector:
    """Neutral value of an unset term [C]."""
    if name == "sampling" and counts is not None and np.nansum(counts) > 0:
        return np.nan_to_num(counts) / np.nansum(counts)
    return np.full(classes, 1 / classes if name == "sampling" and classes else NEUTRAL.get(name, 0.0))


def looks_back(config: RunConfig) -> bool:
    """Whether the method or the sampler uses the run's own TPRs of the last epoch, so that a preview needs those of an earlier run."""
    return LAST_TPR in METHODS[config.method].needs_with(config.params) | SAMPLERS[config.sampler].needs


def replayable_epochs(config: RunConfig, past: TprHistory | None) -> int:
    """How many epochs can be shown: all, or one more than `past` holds where its TPRs are used."""
    if not looks_back(config):
        return config.epochs
    return min(config.epochs, 1 + (0 if past is None else len(past.tpr)))


def epochs_shown(config: RunConfig, past: TprHistory | None, most: int) -> NDArray[np.int64]:
    """The epochs [E] to show, from 0: all, or about `most`, evenly spaced.

    The first, the last and the two around a late start are always included.
    """
    end, start = replayable_epochs(config, past), first_epoch(config)
    spread = np.linspace(0, end - 1, min(end, max(most, 2))).round().astype(np.int64)
    around = [e for e in (start - 1, start) if 0 <= e < end]
    return np.unique(np.r_[spread, np.array(around, dtype=np.int64)])


def replay(config: RunConfig, evidence: Evidence, past: TprHistory | None = None, *, most: int = 1000) -> TermHistory:
    """The terms of `config` in its epochs, as if `past` had been its own TPRs so far.

    `evidence` holds what does not change: counts [C], and the TPRs of a baseline. Errors as in `core.methods.answer`.
    """
    evidence = replace(evidence, epochs=config.epochs)
    epochs = epochs_shown(config, past, most)
    frames = tuple(
        in_epoch(config, evidence, e, *seen)
        for e, seen in zip(epochs.tolist(), _before(config, past, epochs), strict=True)
    )
    return TermHistory(epochs, frames, evidence.counts)


def _before(
    config: RunConfig,
    past: TprHistory | None,
    epochs: NDArray[np.int64],
) -> Iterator[tuple[Vector | None, Vector | None, NDArray[np.float64] | None]]:
    """What a run has recorded before each of these epochs, ascending: (last_tpr, last_support, past); None before its first.

    Epochs beyond the end of `past` get all of it.
    """
    seen, so_far = 0, None
    for epoch in epochs:
        while past is not None and seen < min(epoch, len(past.tpr)):
            new = past.tpr[seen : seen + 1]
            so_far, seen = kept(config, new if so_far is None else np.concatenate([so_far, new])), seen + 1
        yield (past.tpr[seen - 1], past.support[seen - 1], so_far) if past is not None and seen else (None, None, None)


def with_param(config: RunConfig, values: Mapping[str, float]) -> RunConfig:
    """A run's config with some of the method's parameters changed."""
    return replace(config, params={**config.params, **values})
