"""Meta-Weight-Net: a small network turns the loss of a sample into its weight."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.training.objectives.base import Batch
from core.training.objectives.influence import drawn_linear, normalized
from core.training.objectives.learned import LearnedWeights


class MetaWeightNet(LearnedWeights):
    """v_i = sigmoid(MLP_{1-hidden-1}(l_i)); a_i = v_i / B, or with the knob summed v_i / sum_j v_j (weights of 0 if that is 0).

    The first is the authors' code for noisy labels, the second, with the knob sgd, their code for imbalance. Knobs: hidden,
    the width of the network's hidden layer; lr. Source: Shu et al. (2019).
    """

    def make_network(self, generator: torch.Generator) -> nn.Module:
        hidden = int(self.knobs["hidden"])
        return nn.Sequential(
            drawn_linear(1, hidden, True, generator), nn.ReLU(), drawn_linear(hidden, 1, True, generator), nn.Sigmoid()
        )

    def weights(self, batch: Batch, losses_B: Tensor) -> Tensor:
        v = self.network(losses_B[:, None].to(self.network[0].weight.dtype)).squeeze(1)
        return normalized(v) if self.knobs.get("summed") else v / len(v)
