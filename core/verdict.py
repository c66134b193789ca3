"""A comparison in one plain sentence: what changed, and whether chance could have done it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ENOUGH_SEEDS = 3
PAIRED, ONE_SIDE, SAMPLING = "paired seeds", "one side's seeds", "test sampling"
HEADLINE = ("tpr_variance", "accuracy")  # what the verdict speaks of


@dataclass(frozen=True)
class Delta:
    """A figure before and after. change_low and change_high: 95 % interval of the change under redrawn test counts.

    beyond  whether the change is more than chance by the yardstick `Noise.kind`
    paired  mean, low, high of the change over paired seeds (95 % t interval); None without them
    """

    figure: str
    before: float
    after: float
    change: float
    change_low: float
    change_high: float
    beyond: bool
    paired: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Noise:
    """The yardstick: "paired seeds", "one side's seeds" or "test sampling"; seeds there are, pairs among them, redraws made."""

    kind: str
    seeds_before: int
    seeds_after: int
    pairs: tuple[int, ...]
    draws: int


def verdict(deltas: Mapping[str, Delta], noise: Noise) -> str:
    """"variance 0.0128 -> 0.0093, accuracy -0.4 points; " and then by which yardstick that is noise or not.

    With paired seeds their mean comes first, and the two runs at hand are named as one pair of them.
    """
    shown = [deltas[name] for name in HEADLINE]
    pair = ", ".join(_change(d) for d in shown)
    if noise.kind == PAIRED:
        return f"{_by_pairs(shown, noise)}; this pair alone: {pair}"
    return f"{pair}; {(_by_one_side if noise.kind == ONE_SIDE else _by_sampling)(shown, noise)}"


def _name(delta: Delta) -> str:
    return "variance" if delta.figure == "tpr_variance" else "accuracy"


def _change(delta: Delta) -> str:
    if delta.figure == "tpr_variance":
        return f"variance {delta.before:.4f} -> {delta.after:.4f}"
    return f"accuracy {_signed(100 * delta.change, 1)} points"


def _signed(value: float, digits: int) -> str:
    """A signed number; one that rounds to zero has no sign."""
    text = f"{value:+.{digits}f}"
    return text[1:] if not text.strip("+-0.") else text


def _by_pairs(shown: list[Delta], noise: Noise) -> str:
    return f"over {len(noise.pairs)} paired seeds " + ", ".join(_mean_change(d) for d in shown)


def _mean_change(delta: Delta) -> str:
    scale, digits, unit = (1, 4, "") if delta.figure == "tpr_variance" else (100, 1, " points")
    mean, low, high = (_signed(scale * v, digits) for v in delta.paired or ())
    extent = "more than" if delta.beyond else "within"
    return f"{_name(delta)} {mean}{unit} (95 % interval {low} to {high}, {extent} seed noise)"


def _by_one_side(shown: list[Delta], noise: Noise) -> str:
    b, a = noise.seeds_before, noise.seeds_after
    seeds = f"{b} seeds before and {a} after" if min(a, b) >= ENOUGH_SEEDS else f"{max(a, b)} seeds {'before' if b > a else 'after'}"
    start = f"measured by the spread of {seeds}"
    if len({d.beyond for d in shown}) == 1:
        return f"{start}, differences this size are {'more than' if shown[0].beyond else 'within'} seed noise"
    return f"{start}, " + ", ".join(f"the change of {_name(d)} is {'more than' if d.beyond else 'within'} seed noise" for d in shown)


def _by_sampling(shown: list[Delta], noise: Noise) -> str:
    one = max(noise.seeds_before, noise.seeds_after) == 1
    seeds = "one seed each" if one else f"{_seeds(noise.seeds_before)} before and {_seeds(noise.seeds_after)} after"
    beyond = [d for d in shown if d.beyond]
    if not beyond:
        return f"{seeds}: differences this size are within the sampling noise of this test set"
    rest = f"larger than the sampling noise of the test set, but {seeds} cannot rule out seed noise: add seeds"
    if len(beyond) == len(shown):
        return f"differences this size are {rest}"
    calm = next(d for d in shown if not d.beyond)
    return f"the change of {_name(calm)} is within the sampling noise of this test set, that of {_name(beyond[0])} is {rest}"


def _seeds(n: int) -> str:
    return "one seed" if n == 1 else f"{n} seeds"
