"""What the tests of comparisons share: sides made from counts of three classes."""

from dataclasses import replace

import numpy as np

from core.comparison.compare import compare
from core.comparison.pairing import replicate as counted
from core.comparison.side import Side

NAMES = ("car", "dog", "cat")
N = np.array([500, 400, 300])
BEFORE, AFTER = np.array([480, 280, 225]), np.array([460, 320, 240])


def rng():
    return np.random.default_rng(7)


def replicate(seed, tp, n, **origin):
    """A replicate that predicts every class as often as it occurs."""
    return counted(seed, tp, n, n, **origin)


def side(tp, label="A", seed=0, replicates=(), n=N, classes=NAMES, index_hash="", **more):
    own = replicate(seed, np.rint(tp).astype(np.int64), np.asarray(n), index_hash=index_hash)
    return Side(label, classes, own, tuple(replicates), **more)


def compared(before, after):
    """Two sides compared under names of their own."""
    return compare(replace(before, label="run 1"), replace(after, label="run 2"), rng())


def shifted(tp, seeds, spread, n=N):
    """Replicates whose counts wander by `spread` samples from seed to seed, the same way for the same seed."""
    return [
        replicate(s, np.clip(tp + np.random.default_rng(s).integers(-spread, spread + 1, len(tp)), 0, n), n)
        for s in seeds
    ]
