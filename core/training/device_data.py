"""Data on the device: normalized there, shuffled by index, augmented in batches.

A split that fits is on the device as one tensor (uint8 or float32); a larger one streams from its array file.
All randomness comes from generators seeded by (seed, purpose, epoch), so an epoch can be trained again or resumed
in the middle with the same bits.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.training.device import Device

PAD = 4  # pixels on each side for the random crop, as in He et al. (2016)
SHARE_OF_MEMORY = 0.6  # of the free memory of the device, at most, for the data of all splits


def generator(seed: int, purpose: str, epoch: int) -> torch.Generator:
    """A CPU generator that depends only on its three arguments."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


Arrays = Mapping[str, tuple[np.ndarray, np.ndarray]]  # split -> inputs, labels


def placed(parts: Arrays, mean: np.ndarray, std: np.ndarray, device: Device, augment: str) -> dict[str, Split]:
    """The splits, "train" first, as many on the device as fit into one budget; the rest of its memory is for the network."""
    left, out = SHARE_OF_MEMORY * device.free_bytes(), {}
    for name in sorted(parts, key=lambda name: name != "train"):
        x, y = parts[name]
        out[name] = Split(x, y, mean, std, device, augment if name == "train" else "none", left)
        left -= out[name].bytes * out[name].resident
    return {name: out[name] for name in parts}


class Split:
    """One split: `batch(index)` gives normalized float inputs and labels on the device."""

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        mean: np.ndarray,
        std: np.ndarray,
        device: Device,
        augment: str = "none",
        budget: float = math.inf,
    ) -> None:
        """`budget`: bytes it may use on the device; a larger split streams."""
        self.device, self.augment = device, augment
        self.labels = torch.as_tensor(np.ascontiguousarray(y), dtype=torch.int64).to(device.device)
        self.bytes = x.nbytes * (2 if augment != "none" else 1)
        self.resident = self.bytes < budget
        shape = (1, -1) + (1,) * (x.ndim - 2)
        factor = 1 / 255 if x.dtype == np.uint8 else 1.0
        std_c = torch.as_tensor(np.asarray(std, dtype=np.float32))
        self._scale = (factor / std_c).reshape(shape).to(device.device)
        self._bias = (-torch.as_tensor(np.asarray(mean, dtype=np.float32)) / std_c).reshape(shape).to(device.device)
        self.sample_bytes = 4 * int(np.prod(x.shape[1:]))
        self._source: np.ndarray | Tensor = self._place(np.require(x, requirements=["C", "W"])) if self.resident else x

    def __len__(self) -> int:
        return len(self.labels)

    def _place(self, x: np.ndarray) -> Tensor:
        data = torch.as_tensor(x).to(self.device.device)
        return self._padded(data) if self.augment != "none" else data

    def _padded(self, data: Tensor) -> Tensor:
        # Black borders before normalizing, as torchvision's RandomCrop(padding=4) on a PIL image gives.
        return F.pad(data, (PAD, PAD, PAD, PAD))

    def draws(self, seed: int, epoch: int) -> Tensor | None:
        """The epoch's augmentation, one row (dy, dx, flip) per sample of the split, on the device. None without augmentation."""
        if self.augment == "none":
            return None
        g = generator(seed, "augment", epoch)
        n = len(self)
        offsets = torch.randint(0, 2 * PAD + 1, (n, 2), generator=g)
        flips = torch.randint(0, 2, (n, 1), generator=g) * int("flip" in self.augment)
        return torch.cat([offsets, flips], dim=1).to(self.device.device)

    def batch(self, index: Tensor, draws: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Inputs [B, ...] float32 and labels [B] for sample indices on the device."""
        labels = self.labels[index]
        if draws is None:
            x = self._crop_center(self._take(index)) if self.augment != "none" else self._take(index)
        else:
            x = self._crop(index, draws[index])
        x = torch.addcmul(self._bias, x.to(torch.float32), self._scale)
        if self.device.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        return x, labels

    def _take(self, index: Tensor) -> Tensor:
        if isinstance(self._source, Tensor):
            return self._source[index]
        rows = torch.as_tensor(np.ascontiguousarray(self._source[index.cpu().numpy()])).to(self.device.device)
        return self._padded(rows) if self.augment != "none" else rows

    @staticmethod
    def _crop_center(x: Tensor) -> Tensor:
        return x[:, :, PAD:-PAD, PAD:-PAD]

    def _crop(self, index: Tensor, draws: Tensor) -> Tensor:
        """Random crop and horizontal flip of a batch in one gather: every window is a view of the padded images."""
        size = 2 * PAD
        if isinstance(self._source, Tensor):
            windows, rows = self._source, index
        else:
            windows = self._take(index)
            rows = torch.arange(len(index), device=index.device)
        h, w = windows.shape[2] - size, windows.shape[3] - size
        windows = windows.unfold(2, h, 1).unfold(3, w, 1)  # [N, C, 2P+1, 2P+1, h, w], no copy
        x = windows[rows, :, draws[:, 0], draws[:, 1]]
        return torch.where(draws[:, 2].bool()[:, None, None, None], x.flip(3), x)
