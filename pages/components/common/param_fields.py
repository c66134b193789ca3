"""Widgets of parameters: a Param in, a widget and its value out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import streamlit as st

from core.registry import Param
from reporting import text

Value = float | int | str  # of a parameter
Values = dict[str, Value]  # by the parameter's key
FIXED = "fixed"
TEXT_HEIGHT = 80
LISTED = re.compile(r"[\d.]+")  # one number in a list


def key_of(owner: str, param: Param) -> str:
    """The key of a parameter's widget, unique per owner and parameter."""
    return f"new_{owner}_{param.key}"


def _format(param: Param) -> str:
    """A printf format fine enough for the step and the default."""
    if param.integer:
        return "%d"
    return "%.6g" if param.step < 1e-3 or param.default < 1e-2 else "%.4g"


def _number(param: Param, key: str, default: float | int, label: str) -> float | int:
    kind = int if param.integer else float
    low = None if math.isinf(param.low) else kind(param.low)
    high = None if math.isinf(param.high) else kind(param.high)
    st.session_state.setdefault(key, kind(default))
    return st.number_input(
        label,
        min_value=low,
        max_value=high,
        step=kind(param.step),
        format=_format(param),
        key=key,
        help=param.help or None,
        persist_state="session",
    )


def field(owner: str, param: Param) -> Value:
    """Show one parameter as a widget and return its value. core checks the range again before a run starts."""
    key = key_of(owner, param)
    if param.choices:
        st.session_state.setdefault(key, param.default)
        return choice_field(param.choices, param, key)
    if param.text:
        return text_field(key, param)
    if not param.words:
        return _number(param, key, param.default, param.label)
    return word_field(owner, param)


def text_field(key: str, param: Param) -> str:
    """The widget of a parameter with a text of several lines. The text is not parsed here; the method validates it."""
    st.session_state.setdefault(key, param.default)
    return st.text_area(
        param.label, key=key, height=TEXT_HEIGHT, help=text.plain(param.help) or None, persist_state="session"
    )


def fit_list(owner: str, param: Param, classes: int) -> None:
    """Expand the default list of a parameter to one number per class, unless a person has edited it. Call before the
    widget is shown."""
    parts = str(param.default).split(",")
    if not param.text or len(parts) < 2 or not all(LISTED.fullmatch(p.strip()) for p in parts):
        return
    key, fitted = key_of(owner, param), ", ".join([parts[0].strip()] * classes)
    ours = f"{key}_fitted"
    if st.session_state.get(key, param.default) == st.session_state.get(ours, param.default):
        st.session_state[key] = st.session_state[ours] = fitted


def switched_off(param: Param, why: str) -> Value:
    """Show a parameter that has no effect here as disabled, with the reason below; returns its default."""
    st.number_input(
        param.label,
        value=param.default,
        format=_format(param),
        disabled=True,
        key=f"{key_of('off', param)}",
        help=param.help or None,
    )
    st.caption(why)
    return param.default


def word_choice(owner: str, param: Param) -> str:
    """Show the choice between "fixed" and the words of `param`; returns the selection."""
    key = f"{key_of(owner, param)}_mode"
    st.session_state.setdefault(key, param.default if isinstance(param.default, str) else FIXED)
    return choice_field((FIXED, *param.words), param, key)


def choice_field(options: tuple[str, ...], param: Param, key: str) -> str:
    """Show a parameter's list of words. Labels and help are formatted as on Compare; the value is the stored key."""
    help_text = text.choice(param.help) or None
    return st.selectbox(param.label, options, format_func=text.choice, key=key, help=help_text, persist_state="session")


def word_field(owner: str, param: Param) -> Value:
    """The widget of a parameter that is a word or a number; the number field appears only for "fixed"."""
    chosen = word_choice(owner, param)
    if chosen != FIXED:
        return chosen
    return _number(param, key_of(owner, param), number_default(param), f"{param.label}, value")


def number_default(param: Param) -> float:
    """The initial number of a parameter's widget: the default, or 1 clipped to the range where the default is a word."""
    if not isinstance(param.default, str):
        return param.default
    return min(max(1.0, param.low), param.high)


def prefill(owner: str, params: Iterable[Param], values: Mapping[str, Value]) -> None:
    """Write stored values to the session state of the parameters' widgets. Call before the widgets are shown."""
    for param in params:
        if param.key not in values:
            continue
        key, value = key_of(owner, param), values[param.key]
        if param.words:
            word = isinstance(value, str)
            st.session_state[f"{key}_mode"] = value if word else FIXED
            if word:
                continue
        st.session_state[key] = value if param.choices or param.text else int(value) if param.integer else float(value)
