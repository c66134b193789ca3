"""Whether a dataset has enough validation samples for TPRs, weights and the best epoch. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.datasets.spec import DataSpec
from core.findings import Finding
from core.metrics.intervals import wilson

FEW_VALIDATION = 10  # validation samples of a class: with fewer, one sample changes its TPR by more than 10 points


def half_width(samples: int) -> float:
    """Half of the 95 % Wilson interval of a TPR of one half, the widest case, from this many samples."""
    low, high = wilson(samples / 2, samples)
    return float(high - low) / 2


@dataclass(frozen=True)
class FewSamples(Finding):
    """Classes with fewer than FEW_VALIDATION validation samples: how many, and the first of those with the fewest.

    half_width  of the 95 % interval of that class's TPR; None where it has no sample
    remedy      what to increase: "images" (the dataset has its own validation split) or "share"; "" where that is reported elsewhere
    """

    classes: int
    name: str
    samples: int
    half_width: float | None
    below: int = FEW_VALIDATION
    remedy: str = ""


def few_samples(counts: Sequence[float], names: Sequence[object]) -> FewSamples | None:
    """The classes with fewer than FEW_VALIDATION validation samples; None without any.

    counts  [C] validation samples
    names   [C] class names
    """
    few = [c for c, n in enumerate(counts) if n < FEW_VALIDATION]
    if not few:
        return None
    worst = min(few, key=lambda c: counts[c])
    n = int(counts[worst])
    return FewSamples(len(few), str(names[worst]), n, half_width(n) if n else None)


def few_validation(spec: DataSpec) -> FewSamples | None:
    """The classes of a dataset with few validation samples, with the remedy; None too where it has no validation sample at all."""
    found = few_samples(spec.val_counts.tolist(), spec.classes) if spec.val_counts.sum() else None
    return None if found is None else replace(found, remedy="images" if spec.own_validation else "share")
