"""Two runs compared, cached by what they hold: the bridge between stored counts and core.compare."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import streamlit as st

from core.compare import Comparison, compare
from pages.parts import reads, signature
from storage import results
from storage.engine import database_url
from storage.sides import side

SEED = 20_240_101  # of the redrawn test counts: the same two runs always get the same sentence


@st.cache_data(max_entries=256, show_spinner=False)
def _compared(url: str, key: tuple, _before: Any, _after: Any) -> Comparison:
    engine = reads.database()
    return compare(side(engine, _before), side(engine, _after), np.random.default_rng(SEED))


def comparison(before: Any, after: Any) -> Comparison:
    """The comparison of two runs; raises EvenlyError when they cannot be compared."""
    stamps = [(r.id, r.attempt, r.last_epoch, r.status, tuple(results.replicates(reads.database(), r.id))) for r in (before, after)]
    return _compared(database_url(), tuple(stamps), before, after)


def pictured(c: Comparison) -> tuple[signature.Side, signature.Side]:
    """Both sides of the signature picture, with the very numbers of the comparison."""
    b = np.array([(r.before, r.before_low, r.before_high) for r in c.rows]).T
    a = np.array([(r.after, r.after_low, r.after_high) for r in c.rows]).T
    return signature.Side(f"before ({c.before})", *b), signature.Side(f"after ({c.after})", *a)


def verdict(before: Any, after: Any) -> str:
    """The comparison in a sentence, with typographic arrows and minus signs."""
    return pretty(comparison(before, after).verdict)


def pretty(text: str) -> str:
    """First letter up, -> as an arrow, - before a digit as a minus, variances without the leading 0, a full stop."""
    text = re.sub(r"(?<!\w)-(?=\d)", "−", text.replace("->", "→"))
    text = re.sub(r"\b0(\.\d{4})\b", r"\1", text)
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
