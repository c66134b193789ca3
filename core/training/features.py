"""What the body of a network gives: features and logits of a whole split, and the mean feature of each class."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.training.device import Device
from core.training.device_data import Split
from core.training.evaluation import eval_batch


class WithFeatures(Protocol):
    """A network in two parts, as models.networks.heads.Network: a body that gives features, and a head that makes logits of them."""

    head: nn.Module

    def eval(self) -> nn.Module: ...

    def features(self, x: Tensor) -> Tensor: ...


def features_of(network: WithFeatures, split: Split, device: Device) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features [n, d] and logits [n, C] of a split, in evaluation mode, without augmentation and in float32."""
    network.eval()
    features: list[Tensor] = []
    logits: list[Tensor] = []
    for part in torch.arange(len(split), device=device.device).split(eval_batch(split, device.device)):
        with device.exact():
            x, _ = split.batch(part)
            f = network.features(x)
            z = network.head(f)
        features.append(f.cpu())
        logits.append(z.cpu())
    return torch.cat(features).numpy(), torch.cat(logits).numpy()


def class_means(features: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> Tensor:
    """Mean feature of each class [C, d]; that of all samples for a class without any."""
    sums = np.zeros((classes, features.shape[1]))
    np.add.at(sums, labels, features)
    counts = np.bincount(labels, minlength=classes)
    means = sums / np.maximum(counts, 1)[:, None]
    means[counts == 0] = features.mean(axis=0)
    return torch.as_tensor(means, dtype=torch.float32)
