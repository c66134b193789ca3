"""The small networks for small data: mlp, cnn1d, cnn.

Shapes: B batch, C channels, L length, H height, W width, K classes.
"""

from __future__ import annotations

import math

from torch import nn


def mlp(shape: tuple[int, ...], classes: int) -> nn.Module:
    """[B, *shape] -> 256 -> 128 -> [B, K], ReLU between."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), 256), nn.ReLU(),
        nn.Linear(256, 128), nn.ReLU(),
        nn.Linear(128, classes),
    )  # fmt: skip


def cnn1d(shape: tuple[int, ...], classes: int) -> nn.Module:
    """[B, C, L] -> three convolutions (16, 32, 32 wide) -> mean over time -> [B, K].

    Small and without batch norm on purpose: on the 4,000 signals of MNIST-1D its TPRs differ between classes, but it does
    not memorize the training set, so class weights have an effect. Widths, kernels and strides were chosen so that the TPR
    variance is about .012 for every seed.
    """
    return nn.Sequential(
        nn.Conv1d(shape[0], 16, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv1d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv1d(32, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.Linear(32, classes),
    )  # fmt: skip


def cnn(shape: tuple[int, ...], classes: int) -> nn.Module:
    """[B, C, H, W] -> three convolutions (32, 64, 128 wide), halved twice -> mean over the image -> [B, K]."""

    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]

    return nn.Sequential(
        *block(shape[0], 32), nn.MaxPool2d(2),
        *block(32, 64), nn.MaxPool2d(2),
        *block(64, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(128, classes),
    )  # fmt: skip
