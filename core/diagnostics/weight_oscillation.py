"""Whether class weights oscillate: how much they change per epoch, how often the change reverses, and what stops it. numpy only.

Our measure, over the second half of the epochs in which the weights change (the first change, from equal weights, is left out):

    change    = mean over epochs t and classes c of |log w_{t,c} - log w_{t-1,c}|; exp(change) is the average factor per epoch
    reversal  = share of changes whose sign is not that of the change one epoch before, among those where neither is 0

Independent random weights reverse in 2/3 of the epochs, a drift never, an alternation between two states always. Weights
oscillate if the factor is at least 2 and more than half of the changes reverse.

Source of these limits: method `cdb`, n = 3 seeds each, test split after the last epoch, mean (standard deviation), commit 3bec151.
A group is made by

    python cli.py run --dataset mnist1d --model cnn1d --method cdb --param tau=2 --param ema=0 --seeds 3 --wait

with its tau and ema, or `--method none` for plain. That is one cycle (AdamW at .01, 20 epochs); constant: `--recipe sgd_constant
--recipe-param lr=0.05`, cosine: `--recipe sgd_cosine`, both 30 epochs. A run's page shows its factor and reversal.

    tau  ema   constant: accuracy, TPR variance, factor, reversal   cosine                          one cycle
    plain      .856 (.020)  .0177                                   .882 (.012)  .0095              .858 (.018)  .0141
    2    0     .366 (.029)  .1439  27.5  .95                        .402 (.074)  .0426  10.8  .82   .576 (.056)  .0301  27.2  .92
    2    .5    .857 (.018)  .0067   1.7  .63                        .881 (.017)  .0015   1.4  .66   .839 (.027)  .0037   1.4  .73
    2    .9    .895 (.017)  .0037   1.1  .45                        .895 (.009)  .0019   1.0  .32   .853 (.019)  .0050   1.0  .24
    1    0     .534 (.113)  .1552   8.8  .99                        .711 (.061)  .0227   5.1  .92   .792 (.023)  .0203   7.6  .90
    1    .5    .883 (.009)  .0057   1.3  .60                        .892 (.002)  .0028   1.2  .59   .857 (.015)  .0058   1.1  .57
    1    .9    .886 (.011)  .0071   1.0  .38                        .889 (.012)  .0045   1.0  .24   .862 (.018)  .0079   1.0  .25
    .5   0     .858 (.016)  .0116   1.7  .75                        .896 (.007)  .0039   1.3  .77   .849 (.026)  .0095   1.3  .77

Every group above a factor of 2 lost 7 to 49 points against plain cross entropy, none below it lost more than 2. tau "dynamic"
behaves like tau 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.methods import METHODS

FACTOR = 2.0  # a weight that doubles or halves from one epoch to the next
TURNS = 0.5  # share of reversals above which weights oscillate
LEAST = 4  # changes in the half that is judged; with fewer, the share of reversals is meaningless
SMOOTHING, SMOOTH = (
    "ema",
    0.9,
)  # the parameter that smooths a method's TPRs, and the value that stopped every oscillation


@dataclass(frozen=True)
class Oscillation:
    """change [1] mean absolute change of the log weights per epoch; reversal [0, 1].

    `classes`: those that oscillate, strongest first; of `among` classes.
    """

    change: float
    reversal: float
    classes: tuple[int, ...]
    among: int

    @property
    def factor(self) -> float:
        """The average factor by which a weight changes per epoch, at least 1."""
        return math.exp(self.change)

    @property
    def oscillates(self) -> bool:
        """Whether the weights oscillate; see the module docstring."""
        return self.factor >= FACTOR and self.reversal > TURNS


def changes(weight: ArrayLike) -> NDArray[np.float64]:
    """log w_t - log w_{t-1} [E-1, C] of weights [E, C]; NaN where one of the two is missing or 0."""
    w = np.asarray(weight, dtype=np.float64)
    return np.diff(np.log(np.where(w > 0, w, np.nan)), axis=0)


def oscillation(weight: ArrayLike) -> Oscillation | None:
    """The measure of weights [E, C]; None where they do not change, or in too few epochs to judge."""
    steps = changes(weight)
    moving = np.flatnonzero((np.nan_to_num(steps) != 0).any(axis=1))
    if not len(moving):
        return None
    steps = steps[moving[0] + 1 :]
    steps = steps[len(steps) // 2 :]
    steps = steps[:, np.isfinite(steps).all(axis=0)]
    if len(steps) < LEAST or not steps.size:
        return None
    return _measured(steps, np.isfinite(changes(weight)[-len(steps) :]).all(axis=0))


def _measured(steps: NDArray[np.float64], known: NDArray[np.bool_]) -> Oscillation:
    change, pairs = np.abs(steps).mean(axis=0), steps[1:] * steps[:-1]
    turned, able = (pairs < 0).sum(axis=0), (pairs != 0).sum(axis=0)
    moving = np.flatnonzero((change >= math.log(FACTOR)) & (turned > TURNS * able))
    named = np.flatnonzero(known)[moving[np.argsort(-change[moving], kind="stable")]]
    return Oscillation(
        float(change.mean()), float(turned.sum() / max(able.sum(), 1)), tuple(map(int, named)), int(known.sum())
    )


def smoothable(method: str, params: Mapping[str, Any]) -> bool:
    """Whether the method can smooth its TPRs and does not do so yet."""
    own = next((p for p in METHODS[method].params if p.key == SMOOTHING), None) if method in METHODS else None
    return own is not None and params.get(SMOOTHING, own.default) < SMOOTH
