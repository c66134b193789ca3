"""A confusion matrix as bytes: its nonzero cells as (index, count) in 32 bits each, compressed.

With 10,000 samples at most 10,000 of the million cells of a 1,000-class matrix are nonzero: about 40 kB instead of 8 MB.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from storage.db.errors import StorageError

MOST = 2**32 - 1


def pack(matrix: ArrayLike) -> bytes:
    """Bytes of a [C, C] matrix of counts."""
    flat = np.asarray(matrix).reshape(-1)
    place = np.flatnonzero(flat)
    count = flat[place]
    if flat.size > MOST or (count.size and (count.min() < 0 or count.max() > MOST)):
        raise StorageError(f"a confusion matrix of {flat.size} cells has counts outside 0 to {MOST}, or too many cells")
    return zlib.compress(np.stack([place.astype("<u4"), count.astype("<u4")]).tobytes(), 1)


def unpack(cells: bytes, classes: int) -> NDArray[np.int64]:
    """The [C, C] matrix, rows by true class. Damaged bytes raise StorageError."""
    matrix = np.zeros(classes * classes, dtype=np.int64)
    try:
        place, count = np.frombuffer(zlib.decompress(cells), dtype="<u4").reshape(2, -1)
        matrix[place] = count
    except (zlib.error, ValueError, IndexError) as error:
        raise StorageError(f"a stored confusion matrix is damaged ({error}); restore a copy of the database") from None
    return matrix.reshape(classes, classes)
