"""The weights that samples were given in an epoch, summed by class."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Tally(nn.Module):
    """Sums of sample weights and numbers of samples per class, as buffers: an interrupted epoch keeps them."""

    total: Tensor
    seen: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(classes))
        self.register_buffer("seen", torch.zeros(classes))

    @torch.no_grad()
    def add(self, labels_B: Tensor, weights_B: Tensor) -> None:
        """Count a batch. Its weights should be comparable between batches, as at mean 1."""
        weights = weights_B.detach().to(self.total.dtype)
        self.total.scatter_add_(0, labels_B, weights)
        self.seen.scatter_add_(0, labels_B, torch.ones_like(weights))

    def clear(self) -> None:
        self.total.zero_()
        self.seen.zero_()

    def mean(self) -> Tensor:
        """Mean weight of a sample of each class [C], rescaled to mean 1 over the classes. A class without samples so far
        stands at 1. All 0 where every sample's weight was 0."""
        there = self.seen > 0
        value = self.total / self.seen.clamp_min(1)
        mean = value.sum() / there.sum().clamp_min(1)
        if there.any() and mean == 0:
            return value
        return torch.where(there, value / mean, torch.ones_like(value))
