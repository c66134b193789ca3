"""LeNet-5 with the layer sizes of 1998, in its usual PyTorch form: ReLU, max pooling, softmax outputs."""

from __future__ import annotations

from torch import nn


def lenet5(shape: tuple[int, ...], classes: int) -> nn.Module:
    """[B, C, 28 or 32, 28 or 32] -> [B, K]. conv 6, pool, conv 16, pool, conv 120 (5x5 each), 84, K.

    61,026 parameters at C = 1 and K = 2. A 28x28 image is padded by 2 on each side in the first convolution, so its
    border is 0 after normalization.
    """
    padding = (32 - shape[1]) // 2
    return nn.Sequential(
        nn.Conv2d(shape[0], 6, 5, padding=padding), nn.ReLU(), nn.MaxPool2d(2),  # 28x28 -> 14x14
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),  # 10x10 -> 5x5
        nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten(),  # 1x1
        nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, classes),
    )  # fmt: skip
