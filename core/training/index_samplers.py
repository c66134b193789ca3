"""How the samples of an epoch are drawn. Stateless: the same seed and epoch give the same indices.

A way of drawing is a function (labels [n], probability [C], knobs, batch size, generator) -> indices of the epoch, and a
row of DRAWS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from core.errors import EvenlyError
from core.methods.types import ClassTerms
from core.training.device_data import generator

Draw = Callable[[Tensor, Tensor, Mapping[str, float], int, torch.Generator], Tensor]


def order(labels: Tensor, terms: ClassTerms, seed: int, epoch: int, batch_size: int) -> Tensor:
    """The samples of an epoch in order, as indices on the labels' device.

    A permutation if the terms set no sampling, else the indices drawn by the function that `terms.draw` names. Their number
    is the length of the epoch: usually n, fewer with under-sampling, possibly more with turns.
    """
    g = generator(seed, "order", epoch)
    if terms.sampling is None:
        return torch.randperm(len(labels), generator=g).to(labels.device)
    if terms.draw not in DRAWS:
        raise EvenlyError(f"unknown draw {terms.draw!r}; known: {', '.join(DRAWS)}")
    probability = torch.as_tensor(terms.sampling, dtype=torch.float64)
    return DRAWS[terms.draw](labels.cpu(), probability, terms.knobs, batch_size, g).to(labels.device)


def replace(
    labels: Tensor, probability: Tensor, knobs: Mapping[str, float], batch_size: int, g: torch.Generator
) -> Tensor:
    """n samples with replacement: the class by its probability, then a sample of it uniformly.

    A class with a probability but no samples is never drawn.
    """
    n = len(labels)
    counts = torch.bincount(labels, minlength=len(probability)).clamp_min(1)
    cumulative = (probability / counts)[labels].cumsum(0)
    draws = torch.rand(n, generator=g, dtype=torch.float64) * cumulative[-1]
    return torch.searchsorted(cumulative, draws, right=True).clamp_max(n - 1)


def turns(
    labels: Tensor, probability: Tensor, knobs: Mapping[str, float], batch_size: int, g: torch.Generator
) -> Tensor:
    """The classes take turns, `run` consecutive samples each: every window of C x run samples has each class `run` times.

    Each class has a shuffled list and a pointer; the list is reshuffled when the pointer wraps. The classes with samples and
    a probability above 0 take part, in an order reshuffled each round (cycle) or fixed (half-and-half). Within a batch the
    order is random. Length: n samples, or, with knob `whole`, until each sample of the largest class was used once.
    """
    members = _members(labels, probability)
    run, classes = int(knobs.get("run", 1)), len(members)
    length = classes * max(len(m) for m in members) if knobs.get("whole") else len(labels)
    each = -(-length // (classes * run)) * run  # samples wanted of every class
    lists = torch.stack([_cycled(m, each, g) for m in members])  # [classes, each]
    rounds = lists.reshape(classes, each // run, run).transpose(0, 1)  # [rounds, classes, run]
    if knobs.get("cycle"):
        at = torch.rand(rounds.shape[:2], generator=g).argsort(dim=1)
        rounds = rounds.gather(1, at[:, :, None].expand(-1, -1, run))
    return _shuffled_batches(rounds.reshape(-1)[:length], batch_size, g)


def subset(
    labels: Tensor, probability: Tensor, knobs: Mapping[str, float], batch_size: int, g: torch.Generator
) -> Tensor:
    """From every class as many samples as the smallest class has, without replacement, a new subset every epoch."""
    members = _members(labels, probability)
    least = min(len(m) for m in members)
    chosen = torch.cat([m[torch.randperm(len(m), generator=g)[:least]] for m in members])
    return chosen[torch.randperm(len(chosen), generator=g)]


def _members(labels: Tensor, probability: Tensor) -> list[Tensor]:
    """The samples of each class that has any and a probability above 0."""
    members = [torch.nonzero(labels == c).squeeze(1) for c in torch.nonzero(probability > 0).squeeze(1).tolist()]
    return [m for m in members if len(m)]


def _cycled(members: Tensor, length: int, g: torch.Generator) -> Tensor:
    """`length` of the members, shuffled, and reshuffled each time they are used up."""
    rounds = -(-length // len(members))
    return torch.cat([members[torch.randperm(len(members), generator=g)] for _ in range(rounds)])[:length]


def _shuffled_batches(index: Tensor, batch_size: int, g: torch.Generator) -> Tensor:
    """The same batches, each shuffled internally."""
    key = torch.arange(len(index)) // batch_size + torch.rand(len(index), generator=g, dtype=torch.float64)
    return index[key.argsort(stable=True)]


DRAWS: dict[str, Draw] = {"replace": replace, "turns": turns, "subset": subset}


class EvenDraws:
    """Batches with equally many samples of every class that has any, drawn with replacement within a class."""

    def __init__(self, labels: Tensor, size: int) -> None:
        """`size` samples per batch, rounded down to a multiple of the classes; at least one of each class."""
        own = labels.cpu()
        counts = torch.bincount(own)
        self._by_class, self._on = own.argsort(stable=True), labels.device
        first = counts.cumsum(0) - counts
        self._counts, self._first = counts[counts > 0], first[counts > 0]
        self.each = max(size // len(self._counts), 1)

    def __call__(self, g: torch.Generator) -> Tensor:
        """Indices of one batch, on the labels' device."""
        u = torch.rand(len(self._counts), self.each, generator=g, dtype=torch.float64)
        at = self._first[:, None] + (u * self._counts[:, None]).long()
        return self._by_class[at.reshape(-1)].to(self._on)
