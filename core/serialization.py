"""Nested values as plain JSON types: the one converter for exports and the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Arrays as lists, numpy scalars as numbers, times as ISO 8601, undefined or missing values (NaN, NaT, NA) as None.

    Raises TypeError for anything that JSON cannot express.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat() if value == value else None  # pandas' NaT is not equal to itself
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | int):
        return value
    if repr(value) == "<NA>":  # pandas.NA, recognized without importing pandas
        return None
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written as JSON")
