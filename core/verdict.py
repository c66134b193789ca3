"""A comparison in one plain sentence: what changed, and whether chance could have done it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

ENOUGH_SEEDS = 3
PAIRED, ONE_SIDE, SAMPLING = "paired seeds", "one side's seeds", "test sampling"
UNFINISHED, SAME = "unfinished run", "same settings"
NO_VERDICT = (UNFINISHED, SAME)  # nothing is judged
HEADLINE = ("tpr_variance", "accuracy")  # what the verdict speaks of


@dataclass(frozen=True)
class Delta:
    """A figure before and after. change_low and change_high: 95 % interval of the change under redrawn test counts.

    beyond  whether the change is more than the noise that `Noise.kind` names; never where nothing is judged
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
    """What the change is judged by (PAIRED, ONE_SIDE, SAMPLING) or why it is not (NO_VERDICT); seeds there are, pairs among them, redraws made."""

    kind: str
    seeds_before: int
    seeds_after: int
    pairs: tuple[int, ...]
    draws: int


def verdict(deltas: Mapping[str, Delta], noise: Noise) -> str:
    """Parts with "; " between them: "variance 0.0128 -> 0.0093, accuracy -0.4 points", then what chance has to do with it.

    With paired seeds their mean comes first, and the two runs at hand last.
    """
    return "; ".join(PARTS[noise.kind]([deltas[name] for name in HEADLINE], noise))


def _by_pairs(shown: list[Delta], noise: Noise) -> list[str]:
    means = ", ".join(f"the {_name(d)} {'' if i else 'changed '}by {_mean_change(d)}" for i, d in enumerate(shown))
    return [f"on average over {len(noise.pairs)} seeds, each trained both ways, {means}", _judged(shown, "seed noise alone"), f"these two runs: {_pair(shown)}"]


def _by_one_side(shown: list[Delta], noise: Noise) -> list[str]:
    b, a = noise.seeds_before, noise.seeds_after
    if min(a, b) >= ENOUGH_SEEDS:
        return [_pair(shown), f"judged by the scatter over {b} seeds before and {a} after, {_judged(shown, 'seed noise alone')}"]
    most, here, there = (b, "before", "after") if b > a else (a, "after", "before")
    return [_pair(shown), f"judged by the scatter over {most} seeds {here}, and taking those {there} to scatter alike, {_judged(shown, 'seed noise alone')}"]


def _by_sampling(shown: list[Delta], noise: Noise) -> list[str]:
    b, a = noise.seeds_before, noise.seeds_after
    seeds = "one seed each" if max(a, b) == 1 else f"{_seeds(b)} before and {_seeds(a)} after"
    return [_pair(shown), _judged(shown, "sampling noise of the test split alone"), f"with {seeds}, seed noise is unknown: add seeds before you judge"]


def _unfinished(shown: list[Delta], noise: Noise) -> list[str]:
    return [_pair(shown), "no verdict: not both runs have finished"]


def _same(shown: list[Delta], noise: Noise) -> list[str]:
    return [_pair(shown), "no verdict on a method: no setting but the seed or the device differs, so this difference is chance"]


PARTS: dict[str, Callable[[list[Delta], Noise], list[str]]] = {
    PAIRED: _by_pairs, ONE_SIDE: _by_one_side, SAMPLING: _by_sampling, UNFINISHED: _unfinished, SAME: _same,
}


def _judged(shown: list[Delta], noise: str) -> str:
    """Both changes in one breath where they are judged alike."""
    first, second = ("can hardly be" if d.beyond else "may be" for d in shown)
    if first == second:
        return f"both changes {first} {noise}"
    return f"the change of the {_name(shown[0])} {first} {noise}, that of the {_name(shown[1])} {second}"


def _name(delta: Delta) -> str:
    return "variance" if delta.figure == "tpr_variance" else "accuracy"


def _pair(shown: list[Delta]) -> str:
    return ", ".join(_change(d) for d in shown)


def _change(delta: Delta) -> str:
    if delta.figure == "tpr_variance":
        return f"variance {delta.before:.4f} -> {delta.after:.4f}"
    return f"accuracy {_signed(100 * delta.change, 1)} points"


def _mean_change(delta: Delta) -> str:
    scale, digits, unit = (1, 4, "") if delta.figure == "tpr_variance" else (100, 1, " points")
    mean, low, high = (_signed(scale * v, digits) for v in delta.paired or ())
    return f"{mean}{unit} (95 % interval {low} to {high})"


def _signed(value: float, digits: int) -> str:
    """A signed number; one that rounds to zero has no sign."""
    text = f"{value:+.{digits}f}"
    return text[1:] if not text.strip("+-0.") else text


def _seeds(n: int) -> str:
    return "one seed" if n == 1 else f"{n} seeds"
