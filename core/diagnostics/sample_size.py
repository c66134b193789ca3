"""Whether a dataset has validation samples enough for what is done with them: TPRs, weights, the best epoch. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from core.datasets.spec import DataSpec
from core.metrics.classification import wilson

FEW = 10  # validation samples of a class: below, one sample moves its TPR by more than 10 points


def half_width(samples: int) -> float:
    """Half of the 95 % Wilson interval of a TPR of one half, the widest there is, from this many samples."""
    low, high = wilson(samples / 2, samples)
    return float(high - low) / 2


def few_samples(counts: Sequence[float], names: Sequence[str]) -> str:
    """A sentence on the classes of which fewer than FEW validation samples tell the TPR; "" without any.

    counts  [C] validation samples
    names   [C] class names
    """
    few = [c for c, n in enumerate(counts) if n < FEW]
    if not few:
        return ""
    worst = min(few, key=lambda c: counts[c])
    n = int(counts[worst])
    known = (
        f"its TPR is known only to about ±{100 * half_width(n):.0f} points (95 %)"
        if n
        else "its TPR cannot be measured, and its weight is the mean of the others"
    )
    one = f"Class {names[worst]} has {n} validation sample{'' if n == 1 else 's'}: {known}."
    return one if len(few) == 1 else f"{len(few):,} classes have fewer than {FEW} validation samples. {one}"


def few_validation(spec: DataSpec) -> str:
    """The sentence for a dataset, with what to do; "" where there is enough, and where there is no validation sample at all."""
    text = few_samples(spec.val_counts.tolist(), spec.classes) if spec.val_counts.sum() else ""
    remedy = "Add validation images." if spec.own_validation else "Raise the validation share or add images."
    return f"{text} {remedy}" if text else ""
