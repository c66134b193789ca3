"""An augmentation for kinds of sample that only a test knows."""

import torch


class Reversed:
    """An augmentation that keeps the data as they are and turns samples round at random."""

    growth = 1

    def kept(self, x):
        return x

    def draws(self, n, generator):
        return torch.randint(0, 2, (n, 1), generator=generator)

    def plain(self, kept):
        return kept

    def augmented(self, kept, rows, draws):
        x = kept[rows]
        return torch.where(draws[:, 0].bool().reshape(-1, *[1] * (x.ndim - 1)), x.flip(2), x)


REVERSED = f"{__name__}:Reversed"
