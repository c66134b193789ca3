"""SMOTE on features: new samples between a sample and one of its neighbors of the same class (Chawla et al., 2002)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 1 << 27  # size of a chunk of the float64 distance matrix of a class


def oversampled(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    k: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The features [n, d] and labels [n], followed by synthetic ones until every class is as large as the largest.

    x_new = x_i + u (x_nn - x_i), u ~ U(0, 1) once per sample, x_nn one of the k nearest others of the same class; k is at
    most n_c - 1 in a small class, and a single sample is repeated. Classes without samples stay empty.
    """
    counts = np.bincount(labels)
    parts, names = [features], [labels]
    for c in np.flatnonzero((counts > 0) & (counts < counts.max())):
        own = features[labels == c]
        missing = int(counts.max() - counts[c])
        start = rng.integers(0, len(own), missing)
        if len(own) == 1:
            parts.append(np.repeat(own, missing, axis=0))
        else:
            near = neighbors(own, min(k, len(own) - 1))
            other = near[start, rng.integers(0, near.shape[1], missing)]
            u = rng.random((missing, 1))
            parts.append((own[start] + u * (own[other] - own[start])).astype(features.dtype))
        names.append(np.full(missing, c, dtype=labels.dtype))
    return np.concatenate(parts), np.concatenate(names)


def neighbors(points: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The k nearest other points of each point by Euclidean distance, nearest first. [n, d] -> [n, k]"""
    x = points.astype(np.float64)
    square = (x**2).sum(axis=1)
    out = np.empty((len(x), k), dtype=np.int64)
    chunk = max(1, CHUNK_BYTES // (8 * len(x)))
    for start in range(0, len(x), chunk):
        rows = slice(start, start + chunk)
        distance = square[rows, None] + square[None, :] - 2 * x[rows] @ x.T
        distance[np.arange(len(distance)), np.arange(start, start + len(distance))] = np.inf
        nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
        by = np.take_along_axis(distance, nearest, axis=1).argsort(axis=1, kind="stable")
        out[rows] = np.take_along_axis(nearest, by, axis=1)
    return out
