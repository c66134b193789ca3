"""The four tiles of a comparison: means over seeds, or the two runs.

A color means that the change exceeds noise. Green is withheld if accuracy or the mean TPR fell by more than noise
(`Comparison.fell`) or if something other than the weighting may explain the change (`Comparison.mixed`). No tile is colored
while two single runs are shown although the verdict uses means over seeds.
"""

from __future__ import annotations

import streamlit as st

from core.comparison.compare import Comparison
from core.comparison.seed_statistics import SeedChange
from core.comparison.verdict import Delta
from reporting import numbers

FOUR = (
    ("Accuracy", "accuracy", True),
    ("Spread of TPRs, points", "tpr_spread", False),
    ("TPR variance", "tpr_variance", False),
    ("Lowest TPR", "tpr_min", True),
)


def draw(c: Comparison, averaged: bool) -> None:
    """The four tiles of a comparison; `averaged` shows the means over seeds, which the comparison must have."""
    with st.grid(4, min_column_width=160):
        for label, name, up in FOUR:
            tile(label, c, c.deltas[name], up, averaged)


def tile(label: str, c: Comparison, delta: Delta, up: bool, averaged: bool) -> None:
    """One tile of a comparison: value after, change, value before, and the interval of the change: visible for means,
    on hover for two runs."""
    if averaged and delta.seeds is not None:
        shown, ends = delta.seeds, (delta.seeds.low, delta.seeds.high)
    else:
        shown, ends = delta, (delta.change_low, delta.change_high)
    change, low, high = changes_in_tile(delta, shown, *ends)
    interval = numbers.minus(f"{low} to {high}")
    with st.container(gap=None):  # Streamlit reads a leading real minus sign as a gain, so arrow and color are set here
        st.metric(
            label,
            value_in_tile(delta.figure, shown.after),
            numbers.minus(change),
            delta_color=tile_color(c, delta, shown.change, up, averaged),
            delta_arrow="off" if not float(change) else "up" if shown.change > 0 else "down",
            delta_description=f"from {value_in_tile(delta.figure, shown.before)}",
            help=tile_help(c, delta, interval, averaged),
        )
        if averaged and c.over_seeds is not None:
            st.caption(f"95 %: {interval}, n = {c.over_seeds.fewest}")


def tile_color(c: Comparison, delta: Delta, change: float, up: bool, averaged: bool) -> str:
    """ "off", or the color of a tile of a comparison whose change is beyond noise; see the rule at the top of this file."""
    judged = delta.beyond and (averaged or c.over_seeds is None)
    better = (change > 0) == up
    return "off" if not judged or (better and (c.fell or c.mixed)) else "green" if better else "red"


def value_in_tile(figure: str, value: float) -> str:
    """A metric as a tile of a comparison shows it."""
    if figure == "tpr_variance":
        return numbers.variance(value)
    return numbers.spread_points(value) if figure == "tpr_spread" else numbers.percent(value)


def changes_in_tile(delta: Delta, shown: SeedChange | Delta, low: float, high: float) -> tuple[str, ...]:
    """The change in a tile of a comparison and the limits of its interval, signed, with equal decimals."""
    values = (shown.change, low, high)
    if delta.figure == "tpr_variance":
        return tuple(numbers.variances(values))
    places = numbers.share_decimals(shown.before, shown.after) if delta.figure == "tpr_spread" else 1
    return tuple(numbers.alike([100 * v for v in values], places))


def tile_help(c: Comparison, delta: Delta, interval: str, averaged: bool) -> str:
    """The help of a tile of a comparison: what the number is a mean of, or the interval from sampling noise."""
    s, over = delta.seeds, c.over_seeds
    if not averaged or s is None or over is None:
        return f"These two runs: 95 % interval of the change {interval}, from the sampling noise of the test split."
    sides = [
        f"{len(seeds)} seeds {when}: mean {value_in_tile(delta.figure, mean)}, standard deviation {value_in_tile(delta.figure, sd)}."
        for when, seeds, mean, sd in (
            ("before", over.before, s.before, s.before_sd),
            ("after", over.after, s.after, s.after_sd),
        )
    ]
    each = "" if delta.figure == "accuracy" else " Computed per seed, then averaged."
    return f"{sides[0]} {sides[1]} Mean change with its 95 % t interval: {interval}.{each}"
