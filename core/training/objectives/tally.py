"""The sample weights of an epoch, summed by class."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Tally(nn.Module):
    """Sums of sample weights and numbers of samples per class, in buffers, so that an interrupted epoch keeps them."""

    total: Tensor
    seen: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(classes))
        self.register_buffer("seen", torch.zeros(classes))

    @torch.no_grad()
    def add(self, labels_B: Tensor, weights_B: Tensor) -> None:
        """Add a batch. Its weights should be comparable between batches, for example with mean 1."""
        weights = weights_B.detach().to(self.total.dtype)
        self.total.scatter_add_(0, labels_B, weights)
        self.seen.scatter_add_(0, labels_B, torch.ones_like(weights))

    def clear(self) -> None:
        self.total.zero_()
        self.seen.zero_()

    def mean(self) -> Tensor:
        """Mean weight of a sample of each class [C], rescaled to mean 1 over the classes. A class without samples so far
        has 1. All 0 if every sample's weight was 0."""
        seen = self.seen > 0
        value = self.total / self.seen.clamp_min(1)
        mean = value.sum() / seen.sum().clamp_min(1)
        if seen.any() and mean == 0:
            return value
        return torch.where(seen, value / mean, torch.ones_like(value))
