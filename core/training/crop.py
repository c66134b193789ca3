"""The random crop of images, with or without a horizontal flip, as in He et al. (2016)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PAD = 4  # pixels on each side


class Crop:
    """A window of the image's size at a random place of the image with a black border. An augmentation of core.modality.

    Images are kept with their border [N, C, H + 8, W + 8] and in their own type: it is black before normalizing, as
    torchvision's RandomCrop(padding=4) on a PIL image gives.
    """

    growth = 2  # bytes kept for each byte of the data, as a bound
    flips = False

    def kept(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> with the border."""
        return F.pad(x, (PAD, PAD, PAD, PAD))

    def draws(self, n: int, generator: torch.Generator) -> Tensor:
        """An epoch's augmentation of n samples: rows (dy, dx, flip)."""
        offsets = torch.randint(0, 2 * PAD + 1, (n, 2), generator=generator)
        return torch.cat([offsets, torch.randint(0, 2, (n, 1), generator=generator) * int(self.flips)], dim=1)

    def plain(self, kept: Tensor) -> Tensor:
        """The images as they are in the data."""
        return kept[:, :, PAD:-PAD, PAD:-PAD]

    def augmented(self, kept: Tensor, rows: Tensor, draws: Tensor) -> Tensor:
        """The images `rows` of all that are kept, by their draws, in one gather: every window is a view of the bordered images."""
        h, w = kept.shape[2] - 2 * PAD, kept.shape[3] - 2 * PAD
        windows = kept.unfold(2, h, 1).unfold(3, w, 1)  # [N, C, 2P+1, 2P+1, h, w], no copy
        x = windows[rows, :, draws[:, 0], draws[:, 1]]
        return torch.where(draws[:, 2].bool()[:, None, None, None], x.flip(3), x)


class CropFlip(Crop):
    """The same, and half of the images mirrored."""

    flips = True
