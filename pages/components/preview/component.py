"""The live preview, a Streamlit v2 component: a slider, and bars that the browser draws from a grid computed here.

`payload` is pure: a core.methods.Grid in, plain lists out. The formulas stay in core.methods; the browser only draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.diagnostics.weight_dominance import DominantClass, dominant
from core.formatting import listed
from core.methods import Grid, shares
from core.methods.types import ClassTerms
from core.registry import Param
from pages.components.preview.latex_text import latex_in_text
from reporting import numbers
from reporting import text as words
from reporting.palette import Palette

_HERE = Path(__file__).parent
HTML = """<div class="box" part="box">
  <div class="control" hidden><label for="level">value</label>\
<input id="level" type="range" min="0" step="1" /><output for="level"></output></div>
  <div class="bars" role="img" aria-label="weights per class"></div>
  <div class="facts"></div>
  <div class="formula" hidden></div>
  <ul class="notes"></ul>
</div>"""
SCRIPT = (_HERE / "component.js").read_text("utf-8")
_COMPONENT = st.components.v2.component(
    "evenly_preview",
    html=HTML,
    css=(_HERE / "component.css").read_text("utf-8"),
    js=SCRIPT,
)
Payload = dict[str, Any]  # JSON for component.js
CELLS = 40_000  # maximum of stops x classes sent to the browser; more classes mean fewer stops
P_TRUE = (0.1, 0.3, 0.5, 0.7, 0.9)  # probabilities of the true class at which a sample's factor is shown


def most_stops(classes: int) -> int:
    """The largest number of stops that the live preview's slider has for this number of classes."""
    return max(2, CELLS // max(classes, 1))


def rounded(v: NDArray[np.float64], digits: int = 5) -> list[float]:
    """Values of the live preview rounded to `digits` significant digits, which keeps its JSON short."""
    return [float(f"{x:.{digits}g}") for x in v]


def clipped_words(terms: ClassTerms, names: Sequence[str]) -> str:
    """Above the bars of the live preview: "class clipped: cat", "classes clipped: cat, dog and 3 more"."""
    text = "class clipped" if len(terms.clipped) == 1 else "classes clipped"
    return text + (f": {listed([words.shortened(names[c]) for c in terms.clipped], 3)}" if terms.clipped else "")


def _facts(ratio: float, share: NDArray[np.float64], terms: ClassTerms, names: Sequence[str]) -> list[list[str]]:
    rows = [
        [numbers.weight(ratio) if np.isfinite(ratio) else "∞", "largest / smallest weight"],
        [
            f"{numbers.in_percent(share.min())} to {numbers.percent(share.max())}",
            "share of the weight (samples times weight)",
        ],
        [f"{len(terms.clipped):,}", clipped_words(terms, names)],
    ]
    return rows + [[numbers.weight(v), name] for name, v in (terms.info or {}).items()]


def warning_above_bars(found: DominantClass | None) -> str:
    """What the live preview shows above the bars of a stop; "" where no class dominates."""
    return words.of(found) if found else ""


def payload(
    names: Sequence[str],
    order: NDArray[np.int64],
    tpr: NDArray[np.float64] | None,
    grid: Grid,
    param: Param | None,
    value: float,
    p: Palette,
    counts: NDArray[np.float64] | None = None,
) -> Payload:
    """The live preview's data for the browser: one frame per stop of the slider, classes in `order`.

    param, value  the slider's parameter, or None, and its current value
    tpr           TPRs [C] that the weights are computed from, or None
    counts        training samples per class [C]; None: equal
    """
    if grid.frames[0].weight is None and grid.frames[0].focus is not None:
        return _sample_factor(float(grid.frames[0].focus[0]), p)
    ordered = [names[c] for c in order]
    place = {int(c): i for i, c in enumerate(order)}
    weight, share = grid.weight[:, order], grid.share[:, order]
    level = weight.mean(axis=1)
    top = np.maximum(np.maximum(weight.max(axis=1), 2 * level), 1e-12)
    hard = tpr is not None
    own = shares(ClassTerms(), counts, len(names))
    facts = [_facts(float(r), s, t, names) for r, s, t in zip(grid.ratio, share, grid.frames, strict=True)]
    return {
        "names": ordered,
        "tpr": [None if np.isnan(v) else round(float(v), 4) for v in tpr[order]] if hard else None,
        "grid": [rounded(w) for w in weight],
        "shares": [rounded(s) for s in share],
        "level": rounded(level),
        "top": rounded(top),
        "clipped": [[place[int(c)] for c in t.clipped] for t in grid.frames],
        "facts": facts,
        "notes": [words.lines(t.notes) for t in grid.frames],
        "warn": [
            warning_above_bars(None if t.weight is None else dominant(s, own, names))
            for s, t in zip(grid.share, grid.frames, strict=True)
        ],
        "alt": [
            f"Weights per class, {f[0][0]} largest over smallest, largest for {ordered[int(w.argmax())]}"
            for f, w in zip(facts, weight, strict=True)
        ],
        "words": {
            "name": "class",
            "tpr": "TPR" if hard else "",
            "bar": "",
            "legend": ["weight", "share of the weight", "all equal"],
            "value": "weight",
            "share": "share",
            "first": "hardest class" if hard else "first class",
            "last": "easiest class" if hard else "last class",
        },
        **_slider(grid, param, value),
        "colors": bar_colors(p),
    }


def bar_colors(p: Palette) -> dict[str, str]:
    """The two colors of the live preview's bars."""
    return {"after": p.after, "before": p.before}


def _slider(grid: Grid, param: Param | None, value: float) -> Payload:
    if param is None:
        return {"slider": False, "values": [0.0]}
    return slider_data(grid.values.tolist(), grid.formula, param, value)


def slider_data(values: Sequence[float], formulas: Sequence[str], param: Param, value: float) -> Payload:
    """The live preview's slider: its stops, the formula at each, and the current value."""
    shown = [f"{v:.6g}" if param.step < 0.01 else f"{v:.2f}" for v in values]
    return {
        "slider": True,
        "label": param.label,
        "values": [float(v) for v in values],
        "shown": shown,
        "value": value,
        "formula": [latex_in_text(f) for f in formulas],
    }


def slider_alone(values: Sequence[float], formulas: Sequence[str], param: Param, value: float, p: Palette) -> Payload:
    """The live preview's data without bars: the slider and its formula, while there are no TPRs to compute weights from."""
    each: list[list[object]] = [[]] * len(values)
    return {
        "names": [],
        "tpr": None,
        "grid": each,
        "shares": None,
        "level": [1.0] * len(values),
        "top": [1.0] * len(values),
        "clipped": each,
        "facts": each,
        "notes": each,
        "alt": [""] * len(values),
        "words": {"name": "", "tpr": "", "bar": "", "legend": [], "value": "", "share": "", "first": "", "last": ""},
        **slider_data(values, formulas, param, value),
        "colors": bar_colors(p),
    }


def _sample_factor(gamma: float, p: Palette) -> Payload:
    """A focal method without class weights: the factor (1 - p)^gamma on a sample's loss."""
    factor = np.array([(1 - s) ** gamma for s in P_TRUE])
    return {
        "names": [f"{s:g}" for s in P_TRUE],
        "tpr": None,
        "grid": [rounded(factor)],
        "shares": None,
        "level": [1.0],
        "top": [1.0],
        "clipped": [[]],
        "facts": [[["none", "weight per class"]]],
        "notes": [[]],
        "alt": [
            f"Factor on a sample's loss, from {numbers.weight(factor[0])} at p = {P_TRUE[0]:g} to "
            f"{numbers.weight(factor[-1])} at p = {P_TRUE[-1]:g}, "
            "p the predicted probability of its true class"
        ],
        "words": {
            "name": "p",
            "tpr": "",
            "legend": ["factor on the loss of a sample; p: predicted probability of its true class"],
            "bar": "",
            "value": "factor",
            "share": "",
            "first": "",
            "last": "",
        },
        "slider": False,
        "values": [0.0],
        "colors": bar_colors(p),
    }


def released_value(key: str, default: float) -> float:
    """The value at which the live preview's slider was released last in this session, or the default. Stored
    separately: Streamlit drops a component's state with its page."""
    released, kept = _released(key), f"{key}_kept"
    if released:
        st.session_state[kept] = float(released["value"])
    return st.session_state.get(kept, default)


def preset_slider(key: str, value: float) -> None:
    """Set the value of the live preview's slider. Call before the component is mounted."""
    st.session_state[key] = {"released": {"value": value, "count": _count(key)}}


def mount(data: Payload, key: str) -> None:
    """Show the live preview. Its state `released` changes once, when the slider is released: the value, and the number
    of the release.

    The browser is told which release the data answer, so that an answer to an earlier one does not move the slider back.
    """
    shown = {**data, "key": key, "answered": _count(key)}
    _COMPONENT(key=key, data=shown, on_released_change=_rerun, width="stretch", height="content")


def _released(key: str) -> dict[str, float]:
    return (st.session_state.get(key) or {}).get("released") or {}


def _count(key: str) -> int:
    """Number of the newest release that has arrived here; 0 before the first."""
    return int(_released(key).get("count", 0))


def _rerun() -> None:
    """Nothing to do: the rerun that follows reads the value from the session state."""
