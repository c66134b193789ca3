"""The live preview of terms that change over the epochs: the same component, with an epoch slider and a chart of all epochs.

Pure: answers of core.experiment.replay in, plain lists out. Where the grid of stops x epochs x classes is too large
for the browser, only the current stop is sent, and the chart updates when the slider is released.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.diagnostics.weight_dominance import of_terms
from core.experiment.replay import TermHistory, TprHistory
from core.methods import shares
from core.methods.types import ClassTerms
from core.registry import Param
from pages.components.preview.component import (
    CELLS,
    Payload,
    bar_colors,
    clipped_words,
    rounded,
    slider_data,
    warning_above_bars,
)
from reporting import numbers, text
from reporting.epoch_charts import LINES
from reporting.palette import Palette

Slider = tuple[Param, Sequence[float], Sequence[str], float]  # parameter, stops, their formulas, the current value
Fact = list[str | int]  # a number, and the index of its name in `TextTable.texts`
FEW_LINES = 15  # classes drawn as lines; above, a heat map
FRAMES = 3_500  # maximum of stops x epochs sent
EPOCHS = 200  # maximum of epochs shown
DASHES = ("none", "2 3", "8 4", "8 3 2 3")  # the next one when the colors repeat, so that color is not the only cue


@dataclass(frozen=True)
class Drawn:
    """Names of a term's values: title of the chart, header of the column, legend; `percent`: they are shares."""

    title: str
    value: str
    legend: str
    percent: bool = False

    def form(self, value: float) -> str:
        """A value as the preview over epochs shows it."""
        return numbers.percent(float(value)) if self.percent else numbers.weight(float(value))


def most_epochs(classes: int) -> int:
    """The largest number of epochs that the live preview shows for this number of classes."""
    return max(2, min(EPOCHS, CELLS // max(classes, 1)))


def carries_all_stops(stops: int, epochs: int, classes: int) -> bool:
    """Whether the live preview over the epochs can be sent with all stops of the slider."""
    return stops * epochs <= FRAMES and stops * epochs * classes <= CELLS


@dataclass(frozen=True)
class Classes:
    """The classes of a preview: names and TPRs [C] by class id, None where no TPRs are known; `order` [C], the ids as shown."""

    names: Sequence[str]
    tpr: NDArray[np.float64] | None
    order: NDArray[np.int64]

    @property
    def ordered(self) -> list[str]:
        """The classes in the order in which the preview over epochs shows them."""
        return [self.names[c] for c in self.order]


def payload(
    classes: Classes,
    replays: Sequence[TermHistory],
    term: str,
    drawn: Drawn,
    p: Palette,
    *,
    slider: Slider | None = None,
    begin: int = 0,
    past: TprHistory | None = None,
) -> Payload:
    """The data of the live preview over the epochs: one frame per stop and epoch, the epoch varying fastest; classes as shown.

    replays  one per stop of the slider, or only one
    begin    0-based first epoch of a late start, 0 for none
    past     TPRs that the terms are computed from; each epoch shows those of the previous one
    """
    order, tpr = classes.order, classes.tpr
    values = np.stack([r.values(term)[:, order] for r in replays])  # [S, E, C]
    share = _shares(replays, classes) if term == "weight" else None
    over_epochs = _over_epochs(classes, values, replays[0], drawn, p, begin, past)
    over_epochs["carried"] = len(values) > 1 or slider is None or len(slider[1]) == 1
    unknown = None if past is None else [None] * len(order)
    return {
        "names": classes.ordered,
        "tpr": unknown if tpr is None else _tprs(tpr[order]),
        **_frames(classes, values, share, [t for r in replays for t in r.frames], drawn),
        "warn": None if share is None else _warned(replays, classes.names),
        "alt": [epochs_alt(drawn, v, classes.ordered, replays[0]) for v in values],
        "bars": bool(values.min() >= 0),
        "words": _words(drawn, hard=tpr is not None or past is not None, share=share is not None),
        "colors": bar_colors(p),
        "percent": drawn.percent,
        "along": over_epochs,
        **(
            {"slider": False, "values": [0.0]}
            if slider is None
            else slider_data(slider[1], slider[2], slider[0], slider[3])
        ),
    }


def _frames(
    classes: Classes,
    values: NDArray[np.float64],
    share: NDArray[np.float64] | None,
    terms: Sequence[ClassTerms],
    drawn: Drawn,
) -> Payload:
    """What each frame shows: bars, their scale, clipped classes, facts and notes.

    values  [S, E, C], the classes as shown
    share   [S * E, C], by class id; None where no weights are shown
    terms   [S * E]
    """
    flat, texts, level = values.reshape(-1, values.shape[2]), TextTable(), values.mean(axis=2).ravel()
    highest = np.repeat(values.max(axis=(1, 2)), values.shape[1])
    place = {int(c): i for i, c in enumerate(classes.order)}
    if share is not None:
        facts = [[*texts.fact(*_ratio(v)), *texts.facts(t, classes.names)] for v, t in zip(flat, terms, strict=True)]
    else:
        facts = [
            [*texts.fact(drawn.form(v.min()), "smallest"), *texts.fact(drawn.form(v.max()), "largest")] for v in flat
        ]
    return {
        "grid": [rounded(v, 4) for v in flat],
        "shares": None if share is None else [rounded(v, 4) for v in share[:, classes.order]],
        "level": rounded(level, 4),
        "top": rounded(np.maximum(highest, 2 * level).clip(1e-12), 4),
        "clipped": [[place[int(c)] for c in t.clipped] for t in terms],
        "facts": facts,
        "notes": [[texts.at(text.of(n)) for n in t.notes] for t in terms],
        "said": texts.texts,
    }


def _over_epochs(
    classes: Classes,
    values: NDArray[np.float64],
    replayed: TermHistory,
    drawn: Drawn,
    p: Palette,
    begin: int,
    past: TprHistory | None,
) -> Payload:
    """The chart over the epochs and its slider; `values` [S, E, C]."""
    epochs, unknown = replayed.epochs, [None] * len(classes.order)
    low, high = np.minimum(values.min(axis=(1, 2)), 0.0), values.max(axis=(1, 2))
    before = (
        None if past is None else [_tprs(past.tpr[e - 1, classes.order]) if e else unknown for e in epochs.tolist()]
    )
    return {
        "epochs": (epochs + 1).tolist(),
        "at": len(epochs) - 1,
        "label": "epoch",
        "title": drawn.title,
        "ranges": [[float(a), float(b)] for a, b in zip(low, high, strict=True)],
        "lines": list(LINES) if len(classes.order) <= FEW_LINES else None,
        "dashes": list(DASHES),
        "map": [p.low, p.high],
        "tpr": before,
        "begin": _begin(replayed, begin),
        "begin_words": f"Late start: from epoch {begin + 1:,}",
    }


def _tprs(tpr: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(v) else round(float(v), 4) for v in tpr]


class TextTable:
    """The texts of all frames, each stored once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._at: dict[str, int] = {}

    def at(self, text: str) -> int:
        """Index of this text in `texts`."""
        if text not in self._at:
            self._at[text] = len(self.texts)
            self.texts.append(text)
        return self._at[text]

    def fact(self, value: str, name: str) -> list[Fact]:
        """A number and the index of its name."""
        return [[value, self.at(name)]]

    def facts(self, terms: ClassTerms, names: Sequence[str]) -> list[Fact]:
        """The facts of an answer: how many classes were clipped, and its scalars."""
        out = self.fact(f"{len(terms.clipped):,}", clipped_words(terms, names)) if terms.clipped else []
        return out + [f for name, v in (terms.info or {}).items() for f in self.fact(numbers.weight(v), name)]


def _ratio(weight: NDArray[np.float64]) -> tuple[str, str]:
    return (
        numbers.weight(float(weight.max() / weight.min())) if weight.min() > 0 else "∞"
    ), "largest / smallest weight"


def _shares(replays: Sequence[TermHistory], classes: Classes) -> NDArray[np.float64]:
    """Share of each class in the weighted loss in every frame, by class id [S * E, C]."""
    return np.stack([shares(t, r.counts, len(classes.names)) for r in replays for t in r.frames])


def _warned(replays: Sequence[TermHistory], names: Sequence[str]) -> list[str]:
    """Per frame, a warning where one class has most of the weight; "" elsewhere."""
    return [warning_above_bars(of_terms(t, r.counts, names)) for r in replays for t in r.frames]


def _words(drawn: Drawn, *, hard: bool, share: bool) -> dict[str, str | list[str]]:
    legend = [drawn.legend, *(["share of the weight"] if share else []), *(["all equal"] if share else [])]
    return {
        "name": "class",
        "tpr": "TPR" if hard else "",
        "bar": "",
        "legend": legend,
        "value": drawn.value,
        "share": "share" if share else "",
        "first": "hardest class" if hard else "first class",
        "last": "easiest class" if hard else "last class",
    }


def _begin(replayed: TermHistory, begin: int) -> int | None:
    """Index of the first epoch of a late start among the epochs shown; None without one."""
    where = np.flatnonzero(replayed.epochs == begin)
    return int(where[0]) if begin and len(where) else None


def epochs_alt(drawn: Drawn, values: NDArray[np.float64], names: Sequence[str], replayed: TermHistory) -> str:
    """The live preview over the epochs as a sentence, for screen readers; `values` [E, C]."""
    last = values[-1]
    return (
        f"{drawn.title}, epochs {replayed.epochs[0] + 1} to {replayed.epochs[-1] + 1}; "
        f"in the last epoch the largest is {drawn.form(last.max())} for {names[int(last.argmax())]}, "
        f"the smallest {drawn.form(last.min())} for {names[int(last.argmin())]}"
    )
