"""Difficulty-Net: a small network turns the TPRs of the last epoch into the weights of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from core.training.objectives.base import Batch
from core.training.objectives.influence import drawn_linear, normalized
from core.training.objectives.learned import LearnedWeights

WIDTH = 128


class DifficultyNet(LearnedWeights):
    """w = C D(A) / sum D(A), A the validation TPRs after the last epoch, 0 before the first and for a class without samples.

    D is a network C-128-128-C with ReLU, a final sigmoid and no biases; a_i = w_y / B. In addition to the meta loss, D
    minimizes driver * mean_c (D_c - (1 - A_c / sum A))^2. Knobs: driver, lr, copied. In the authors' CIFAR code the weights
    of the virtual step are copied without their graph, so that D learns from the driver loss alone: the knob copied does this.
    Source: Sinha and Ohashi (2023).
    """

    tpr: Tensor

    def __init__(
        self, classes: int, knobs: Mapping[str, float], counts: Tensor | None, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(classes, knobs, counts, generator)
        self.register_buffer("tpr", torch.zeros(classes))

    def make_network(self, generator: torch.Generator) -> nn.Module:
        sizes = (self.classes, WIDTH, WIDTH, self.classes)
        first, second, third = (drawn_linear(a, b, False, generator) for a, b in pairwise(sizes))
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third, nn.Sigmoid())

    def difficulties(self) -> Tensor:
        """D(A), in [0, 1]. [C]"""
        return self.network(self.tpr)

    def weights(self, batch: Batch, losses_B: Tensor) -> Tensor:
        return self.classes * normalized(self.difficulties())[batch.labels] / len(batch.labels)

    def looks_ahead(self) -> bool:
        return not self.knobs.get("copied")

    def side_loss(self) -> Tensor:
        return self.knobs["driver"] * mse_loss(self.difficulties(), 1 - self.tpr / (self.tpr.sum() + 1e-12))

    def new_epoch(self, last_tpr: Tensor | None) -> None:
        super().new_epoch(last_tpr)
        if last_tpr is not None:
            self.tpr.copy_(torch.nan_to_num(last_tpr, nan=0.0))
