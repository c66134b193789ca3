"""Two runs compared, cached by what they hold: the bridge between stored counts and core.compare."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import streamlit as st

from core.compare import Comparison, compare
from pages.parts import reads
from storage import results
from storage.engine import database_url
from storage.sides import side

SEED = 20_240_101  # of the redrawn test counts: the same two runs always get the same sentence


@st.cache_data(max_entries=256, show_spinner=False)
def _compared(url: str, key: tuple, _before: Any, _after: Any) -> Comparison:
    return compare(side(reads.database(), _before), side(reads.database(), _after), np.random.default_rng(SEED))


def comparison(before: Any, after: Any) -> Comparison:
    """The comparison of two runs; raises EvenlyError when they cannot be compared."""
    stamps = [(r.id, r.attempt, r.last_epoch, r.status, tuple(results.replicates(reads.database(), r.id))) for r in (before, after)]
    return _compared(database_url(), tuple(stamps), before, after)


def verdict(before: Any, after: Any) -> str:
    """The comparison in a sentence, with typographic arrows and minus signs."""
    return pretty(comparison(before, after).verdict)


def pretty(text: str) -> str:
    """First letter up, -> as an arrow, - before a digit as a minus, variances without the leading 0, a full stop."""
    text = re.sub(r"\b0(\.\d{4})\b", r"\1", text.replace("->", "→").replace(" -", " −"))
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
