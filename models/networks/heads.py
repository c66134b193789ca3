"""A network in two parts, `body` and `head`, and the last layers that a method may use instead of the linear one.

Shapes: B batch, C classes, d features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import EvenlyError
from core.registry import Registry
from models.networks.oltr import Attention, Memory

# ---------------------------------------------------------------- the two parts


class Keeper(nn.Module):
    """A module whose frozen parts stay in evaluation mode in any mode of the module."""

    def train(self, mode: bool = True) -> Keeper:
        super().train(mode)
        for part in self.children():
            if getattr(part, "frozen", False):
                part.eval()
        return self


def freeze(part: nn.Module) -> nn.Module:
    """Permanently without gradients and batch statistics: `freeze(network.body)`. The parent module must be a Keeper."""
    part.requires_grad_(False).eval()
    part.frozen = True
    return part


class Pooled(nn.Module):
    """A body that ends in a mean over positions: inputs -> `maps` [B, d, *sides] -> `pool` [B, d], with optional `attention` between."""

    def __init__(self, maps: nn.Module, pool: nn.Module) -> None:
        super().__init__()
        self.maps, self.pool = maps, pool
        self.register_module("attention", None)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x)
        return self.pool(maps) if self.attention is None else self.pool(maps) + self.attention(maps)


class Network(Keeper):
    """`body` [B, *shape] -> features [B, d] and `head` -> logits [B, C]; `shape` is that of one sample."""

    def __init__(self, body: nn.Module, head: nn.Module, shape: tuple[int, ...], width: int, classes: int) -> None:
        super().__init__()
        self.body, self.head = body, head
        self.shape, self.width, self.classes = shape, width, classes

    def features(self, x: Tensor) -> Tensor:
        """The input of the head: [B, *shape] -> [B, d]."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class Staged(Network):
    """The same network with a frozen body, called with precomputed features [B, d]: for a second stage.

    It shares the network's parts, and its state_dict is the network's and loads into a Network unchanged.
    """

    def __init__(self, network: Network) -> None:
        super().__init__(freeze(network.body), network.head, network.shape, network.width, network.classes)
        self.train(network.training)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(features)


def split(model: nn.Module, shape: tuple[int, ...]) -> Network:
    """Split a plain network before its last layer: the same layers, parameters and outputs; nothing is initialized again.

    `model` must be a Sequential that ends in a Linear, else EvenlyError. If a mean over positions comes before the Linear
    (AdaptiveAvgPool, Flatten), the body is a Pooled.
    """
    layers = list(model.named_children())
    if not isinstance(model, nn.Sequential) or not layers or not isinstance(layers[-1][1], nn.Linear):
        raise EvenlyError(
            f"the network is a {type(model).__name__}, expected a Sequential whose last layer is Linear; change its maker"
        )
    *layers, (_, head) = layers
    pooled = [type(layer) for _, layer in layers[-2:]] in (
        [nn.AdaptiveAvgPool1d, nn.Flatten],
        [nn.AdaptiveAvgPool2d, nn.Flatten],
    )
    body = Pooled(_sequential(layers[:-2]), _sequential(layers[-2:])) if pooled else _sequential(layers)
    return Network(body, head, shape, head.in_features, head.out_features)


def _sequential(layers: list[tuple[str, nn.Module]]) -> nn.Sequential:
    made = nn.Sequential()
    for name, layer in layers:
        made.add_module(name, layer)
    return made


# ---------------------------------------------------------------- the heads


class Cosine(nn.Module):
    """Cosines between features and class vectors, no bias: [B, d] -> [B, C].

    In training mode the outputs are the cosines: the loss subtracts its margin from them and multiplies by s (Cao et al.,
    2019). In evaluation mode they are scale * cosine, the logits of the loss without the margin: predictions are the same,
    and cross entropy and calibration are comparable with other heads. The class vectors start with length 1. The cosines
    are computed in the weight's own precision, also under autocast.
    """

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(F.normalize(torch.empty(classes, features).uniform_(-1, 1)))

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            cosines = F.linear(F.normalize(features.to(self.weight.dtype)), F.normalize(self.weight))
            return cosines if self.training else self.scale * cosines


class Scaled(Keeper):
    """The finished head, frozen, with one factor per class on its whole logit including the bias: [B, d] -> [B, C].

    The factors start at 1 and are the only trained parameters (Kang et al., 2020, LWS).
    """

    def __init__(self, head: nn.Module, classes: int) -> None:
        super().__init__()
        self.head = freeze(head)
        self.factors = nn.Parameter(torch.ones(classes))

    def forward(self, features: Tensor) -> Tensor:
        return self.factors * self.head(features)


class Prior(nn.Linear):
    """W f + b whose biases start at -log((1 - p) / p), so that the sigmoid of every class starts near the probability p.

    Otherwise a sigmoid loss of C classes starts with C - 1 false predictions of 0.5: a loss of about 0.7 C, nearly all of
    it due to the biases. The bias has no weight decay, which would pull it back. Sources: Lin et al. (2017), Cui et al. (2019).
    """

    undecayed = ("bias",)

    def __init__(self, features: int, classes: int, p: float) -> None:
        super().__init__(features, classes)
        nn.init.constant_(self.bias, -math.log((1 - p) / p))


def linear(network: Network, knobs: Mapping[str, float]) -> nn.Module:
    """W f + b with torch's own initialization. With the knob prior it is a `Prior`, which keeps the weights of the network's
    linear head, if it has one: apart from the bias it starts like a run without the knob."""
    if "prior" not in knobs:
        return nn.Linear(network.width, network.classes)
    head = Prior(network.width, network.classes, knobs["prior"])
    if isinstance(network.head, nn.Linear):
        head.weight.data.copy_(network.head.weight.data)
    return head


def cosine(network: Network, knobs: Mapping[str, float]) -> nn.Module:
    """Knob s: the scale in evaluation mode."""
    return Cosine(network.width, network.classes, knobs.get("s", 30.0))


def scaled(network: Network, knobs: Mapping[str, float]) -> nn.Module:
    """Wraps the network's current head, of any kind, in evaluation mode."""
    return Scaled(network.head, network.classes)


def oltr(network: Network, knobs: Mapping[str, float]) -> nn.Module:
    """Knob scale. Adds attention between maps and pooling if the body is a Pooled without one; mlp and lenet5 have no such
    map and no attention. Pass the class means to `head.remember` before training."""
    if isinstance(network.body, Pooled) and network.body.attention is None:
        network.body.attention = Attention(network.width, _sides(network))
    head = Memory(network.width, network.classes, knobs.get("scale", 16.0))
    if isinstance(network.head, nn.Linear):
        head.recall.load_state_dict(network.head.state_dict())
    return head


@torch.no_grad()
def _sides(network: Network) -> tuple[int, ...]:
    """Height and width (or length) of the feature map, found with a sample of zeros in evaluation mode."""
    maps, training = network.body.maps, network.body.maps.training
    like = next(maps.parameters())
    sides = maps.eval()(torch.zeros(1, *network.shape, dtype=like.dtype, device=like.device)).shape[2:]
    maps.train(training)
    return tuple(sides)


@dataclass(frozen=True)
class Head:
    """A kind of last layer. `maker` (network, knobs) -> a new layer; it may use the network's current one."""

    key: str
    label: str
    maker: Callable[[Network, Mapping[str, float]], nn.Module]


HEADS = Registry(
    "head",
    Head(key="linear", label="Linear", maker=linear),
    Head(key="cosine", label="Cosine (normalized features and weights)", maker=cosine),
    Head(key="scaled", label="Finished head times one factor per class", maker=scaled),
    Head(key="oltr", label="Memory, attention and cosines (OLTR)", maker=oltr),
)


def attach(network: Network, key: str, knobs: Mapping[str, float]) -> Network:
    """Replace the network's head, in place, with a new one of this kind; returns the network.

    New parameters come from torch's global generator, as torch's layers initialize them: fork and seed it around this call.
    They end up on the device of the old ones, in the network's mode. An unknown key raises EvenlyError. To load a
    state_dict of a network with this head, attach the head first.
    """
    device = next(chain(network.parameters(), network.buffers())).device
    network.head = HEADS[key].maker(network, knobs)
    return network.to(device).train(network.training)
