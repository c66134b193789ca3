"""Residual networks: the CIFAR form with option A shortcuts, and torchvision's ResNet-18.

Shapes: B batch, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from core.torchvision_compat import torchvision


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut without parameters: [B, C, H, W] -> [B, C', H/s, W/s]."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.widen = stride, after - before

    def shortcut(self, x: Tensor) -> Tensor:
        """Option A: every second pixel, and zeros for the new channels, half before and half after."""
        if self.stride == 1 and self.widen == 0:
            return x
        half = self.widen // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.widen - half))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def cifar_resnet(blocks: int, shape: tuple[int, ...], classes: int) -> nn.Module:
    """A stem and three stages of `blocks` blocks, 16, 32 and 64 wide: 6 * blocks + 2 layers. [B, C, H, W] -> [B, K].

    Convolutions use He's normal initialization, the head torch's own. Source: He et al. (2016), section 4.2.
    """
    layers: list[nn.Module] = [nn.Conv2d(shape[0], 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for after in (16, 32, 64):
        for i in range(blocks):
            layers.append(Block(before, after, stride=2 if i == 0 and after > 16 else 1))
            before = after
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return network


def resnet20(shape: tuple[int, ...], classes: int) -> nn.Module:
    return cifar_resnet(3, shape, classes)


def resnet32(shape: tuple[int, ...], classes: int) -> nn.Module:
    return cifar_resnet(5, shape, classes)


def resnet18(shape: tuple[int, ...], classes: int) -> nn.Module:
    """torchvision's ResNet-18, not pretrained, as a Sequential of its layers: [B, 3, H, W] -> [B, K]."""
    *layers, (name, head) = torchvision().models.resnet18(weights=None, num_classes=classes).named_children()
    return nn.Sequential(OrderedDict([*layers, ("flatten", nn.Flatten()), (name, head)]))
