"""The parts of OLTR: modulated attention over the feature map, and a last layer with a memory of class centroids.

Liu, Miao, Zhan, Wang, Gong and Yu (2019), Large-scale long-tailed recognition in an open world, and the authors' code.
Left out: the open-set part, because every test sample has a known class, and the extra fully connected layer that their
code adds after the pooling of ImageNet-LT networks.

Shapes: B batch, C classes, d features (the channels of the map), P positions of the map.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REACH = 10.0  # divided by the distance to the nearest centroid
MARGIN = 10.0  # beyond this mean squared distance, the centroids of other classes repel no more
COARSE = {1: 64, 2: 8}  # most positions per side, by the number of sides: the paper's maps are 7x7


class Attention(nn.Module):
    """The term that modulated attention adds to the pooled features: [B, d, *sides] -> [B, d].

        map + spatial * mask(softmax(theta phi^T) g),  spatial = softmax over positions of a linear layer of the whole map

    The mean over positions follows directly and is linear, so only the mean of the added term is computed here. `mask`
    starts at zero: a new attention has no effect. The layers grow with the square of P, so a map of more than 64 positions
    is first averaged to at most 8 per side (a signal to 64 steps).
    """

    def __init__(self, channels: int, sides: tuple[int, ...]) -> None:
        super().__init__()
        positions = math.prod(-(-side // step) for side, step in zip(sides, _steps(sides), strict=True))
        inner = channels // 2
        self.g, self.theta, self.phi = (nn.Linear(channels, inner) for _ in range(3))
        self.mask = nn.Linear(inner, channels, bias=False)
        self.spatial = nn.Linear(positions * channels, positions)
        for layer in (self.g, self.theta, self.phi):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.mask.weight)

    def forward(self, maps: Tensor) -> Tensor:
        x = _coarse(maps).flatten(2).transpose(1, 2)  # [B, P, d]
        related = torch.softmax(self.theta(x) @ self.phi(x).transpose(1, 2), dim=2)  # [B, P, P]
        spatial = torch.softmax(self.spatial(x.flatten(1)), dim=1)  # [B, P]
        return (spatial[:, :, None] * self.mask(related @ self.g(x))).mean(dim=1)


def _steps(sides: tuple[int, ...]) -> tuple[int, ...]:
    """How many neighbors along each side are averaged so that at most COARSE remain."""
    return tuple(-(-side // COARSE[len(sides)]) for side in sides)


def _coarse(maps: Tensor) -> Tensor:
    steps = _steps(tuple(maps.shape[2:]))
    if max(steps) == 1:
        return maps
    return (F.avg_pool1d if len(steps) == 1 else F.avg_pool2d)(maps, steps, ceil_mode=True)


class Memory(nn.Module):
    """The last layer of OLTR: features v [B, d] -> logits [B, C].

        x_hat = 10 / min_c |v - M_c| * (v + tanh(select(v)) * softmax(recall(v)) M)
        z_c   = scale * |x_hat| / (1 + |x_hat|) * cos(x_hat, w_c)

    `M` (`centroids` [C, d]) starts at the class means given to `remember` and then learns only from `memory_loss`: as in
    the authors' code, the cross entropy has no gradient for it. `recall` starts as the finished linear layer if there is
    one. x_hat / (1 + |x_hat|) is computed as 10 u / (min + 10 |u|), u the bracket: the same, and finite for a sample at
    its centroid. Everything here is computed in the parameters' own precision, also under autocast.
    """

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.recall, self.select = nn.Linear(features, classes), nn.Linear(features, features)
        bound = 1 / math.sqrt(features)
        self.weight = nn.Parameter(torch.empty(classes, features).uniform_(-bound, bound))
        self.centroids = nn.Parameter(torch.zeros(classes, features))
        self._last: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}  # a copy has no last batch; a tensor in a graph cannot be copied

    @torch.no_grad()
    def remember(self, means: Tensor) -> None:
        """Start the centroids at the class means of the features [C, d]. A row of NaN, for a class without training
        samples, becomes the mean of the others."""
        missing = means.isnan().any(dim=1)
        self.centroids.copy_(torch.where(missing[:, None], means[~missing].mean(dim=0), means))

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            v, memory = features.to(self.weight.dtype), self.centroids.detach()
            self._last = v if self.training else None
            with torch.no_grad():
                nearest = torch.cdist(v, memory).argmin(dim=1)
            distance = torch.linalg.vector_norm(v - memory[nearest], dim=1, keepdim=True)
            u = v + torch.tanh(self.select(v)) * (torch.softmax(self.recall(v), dim=1) @ memory)
            squashed = (
                REACH * u / (distance + REACH * torch.linalg.vector_norm(u, dim=1, keepdim=True)).clamp_min(1e-12)
            )
            return self.scale * F.linear(squashed, F.normalize(self.weight))

    def memory_loss(self, labels: Tensor, repel: float) -> Tensor:
        """Pulls the features of the last forward pass in training mode to the centroid of their class and away from others.

            1/(2B) sum_i |v_i - M_y|^2  +  repel * max(0, 10 - 1/(BC) sum_i sum_{c != y} |v_i - M_c|^2)

        As in the authors' code, a centroid's gradient of the first part is divided by 1 + its samples in the batch.
        """
        if self._last is None:
            raise RuntimeError("memory_loss needs a forward pass in training mode before it")
        with torch.autocast(labels.device.type, enabled=False):
            v, own = self._last, self.centroids[labels]
            samples = torch.zeros(len(self.centroids), dtype=v.dtype, device=v.device).index_add_(
                0, labels, torch.ones_like(v[:, 0])
            )
            slower = 1 / (1 + samples)[labels][:, None]
            own = slower * own + ((1 - slower) * own).detach()  # the value of `own` with a smaller gradient
            attract = (v - own).square().sum() / (2 * len(v))
            squared = (
                v.square().sum(dim=1, keepdim=True) + self.centroids.square().sum(dim=1) - 2 * v @ self.centroids.T
            )
            foreign = squared.scatter(1, labels[:, None], 0.0).sum() / squared.numel()
            return attract + repel * F.relu(MARGIN - foreign)
