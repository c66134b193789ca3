"""Data on the device: normalized there, shuffled by index, augmented in batches by what its modality names.

A split that fits is on the device as one tensor (uint8 or float32); a larger one streams from its array file.
All randomness comes from generators seeded by (seed, purpose, epoch), so an epoch can be trained again or resumed
in the middle with the same bits.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from core.modality import MODALITIES
from core.registry import imported
from core.training.device import Device

SHARE_OF_MEMORY = 0.6  # of the free memory of the device, at most, for the data of all splits


def generator(seed: int, purpose: str, epoch: int) -> torch.Generator:
    """A CPU generator that depends only on its three arguments."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class Augmentation(Protocol):
    """How training samples are varied. `growth`: bytes it keeps on the device for each byte of the data."""

    growth: int

    def kept(self, x: Tensor) -> Tensor:
        """Samples [N, ...] in their own type, as they are kept on the device."""
        ...

    def draws(self, n: int, generator: torch.Generator) -> Tensor:
        """An epoch's random numbers [n, k], a row per sample."""
        ...

    def plain(self, kept: Tensor) -> Tensor:
        """Kept samples as they are in the data."""
        ...

    def augmented(self, kept: Tensor, rows: Tensor, draws: Tensor) -> Tensor:
        """The samples `rows` [B] of all that are kept, varied by their draws [B, k]; no random numbers of its own."""
        ...


def augmentation(kind: str, key: str) -> Augmentation | None:
    """The augmentation with this key for samples of this modality; None for "none"."""
    return None if key == "none" else imported(MODALITIES[kind].augmenting[key])()


Arrays = Mapping[str, tuple[np.ndarray, np.ndarray]]  # split -> inputs, labels


def placed(
    parts: Arrays, mean: np.ndarray, std: np.ndarray, device: Device, augmented: Augmentation | None
) -> dict[str, Split]:
    """The splits, "train" first, as many on the device as fit into one budget; the rest of its memory is for the network."""
    left, out = SHARE_OF_MEMORY * device.free_bytes(), {}
    for name in sorted(parts, key=lambda name: name != "train"):
        x, y = parts[name]
        out[name] = Split(x, y, mean, std, device, augmented if name == "train" else None, left)
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
        augmentation: Augmentation | None = None,
        budget: float = math.inf,
    ) -> None:
        """`budget`: bytes it may use on the device; a larger split streams."""
        self.device, self.augmentation = device, augmentation
        self.labels = torch.as_tensor(np.ascontiguousarray(y), dtype=torch.int64).to(device.device)
        self.bytes = x.nbytes * (1 if self.augmentation is None else self.augmentation.growth)
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
        return data if self.augmentation is None else self.augmentation.kept(data)

    def draws(self, seed: int, epoch: int) -> Tensor | None:
        """The epoch's augmentation, one row per sample of the split, on the device. None without augmentation."""
        if self.augmentation is None:
            return None
        return self.augmentation.draws(len(self), generator(seed, "augment", epoch)).to(self.device.device)

    def batch(self, index: Tensor, draws: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Inputs [B, ...] float32 and labels [B] for sample indices on the device."""
        x = torch.addcmul(self._bias, self._samples(index, draws).to(torch.float32), self._scale)
        if self.device.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        return x, self.labels[index]

    def _samples(self, index: Tensor, draws: Tensor | None) -> Tensor:
        """The samples of a batch, augmented if there are draws, not yet normalized."""
        if self.augmentation is None:
            return self._take(index)
        if draws is None:
            return self.augmentation.plain(self._take(index))
        if isinstance(self._source, Tensor):
            return self.augmentation.augmented(self._source, index, draws[index])
        return self.augmentation.augmented(
            self._take(index), torch.arange(len(index), device=index.device), draws[index]
        )

    def _take(self, index: Tensor) -> Tensor:
        """The samples of a batch as they are kept."""
        if isinstance(self._source, Tensor):
            return self._source[index]
        return self._place(np.ascontiguousarray(self._source[index.cpu().numpy()]))
