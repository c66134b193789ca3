"""Selections kept in the URL by key, so that links survive a changed label: /new?method=cdb."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from reporting import text


def begin(page: str) -> None:
    """Once per script run, before the page: drop the selections that another page kept or had in its URL."""
    st.session_state.pop(_KEPT, None)
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE], st.session_state[_SHOWN], st.session_state[_CHOICES] = page, {}, {}
    chosen = st.session_state[_CHOICES].items()
    st.session_state[_BY_HAND] = any(st.session_state.get(widget, key) != key for widget, key in chosen)


def asked(name: str, default: str) -> str | None:
    """The value of a selection that the URL newly requests; None where the URL is as this page wrote it.

    A parameter that disappeared from the URL of the same page (browser Back) requests its default. A selection just made in a
    widget takes precedence: on a slow connection it can arrive with the URL of an earlier selection.
    """
    if st.session_state.get(_BY_HAND):
        return None
    value = st.query_params.get(name)
    if value is None:
        return default if name in st.session_state.get(_SHOWN, {}) else None
    return None if value == st.session_state.get(_written(name)) else value or None


def take(name: str, labels: Mapping[str, str], default: str) -> None:
    """Before the widget with this key is shown: select what the URL requests, by key, or by label for older links.

    Shows a warning where the value is not available. Values that this page wrote itself are ignored.
    """
    wanted = asked(name, default)
    if wanted is None:
        return
    key = wanted if wanted in labels else next((k for k, label in labels.items() if label == wanted), None)
    if key is None:
        not_available(name, wanted)
    else:
        st.session_state[name] = key


def not_available(name: str, wanted: str) -> None:
    """Warn that the value of a selection in the URL is not available."""
    st.warning(
        f"The {name} {text.plain(text.shortened(wanted, 60))} in the URL is not available here. Choose one from the list.",
        icon=":material/link_off:",
    )


def keep(name: str, key: str, default: str, widget: str | None = None) -> None:
    """After the widget is shown: keep the selection for the URL, which `write` updates at the end of the page.

    `default` is the value of a URL without this parameter; `widget` the widget's key where it differs from the name.
    """
    st.session_state[_written(name)] = key
    st.session_state.setdefault(_CHOICES, {})[widget or name] = key
    st.session_state.setdefault(_KEPT, {})[name] = (key, default)


def write() -> None:
    """Write all kept selections to the URL in one update, unless it already says the same.

    Every change of the URL adds an entry to the browser's history; opening a page must add none.
    """
    kept = st.session_state.pop(_KEPT, {})
    if any(st.query_params.get(name, default) != key for name, (key, default) in kept.items()):
        st.query_params.update({name: key for name, (key, _) in kept.items()})
    st.session_state[_SHOWN] = {name: st.query_params[name] for name in kept if name in st.query_params}


_KEPT, _PAGE, _SHOWN = "address_kept", "address_page", "address_shown"
_CHOICES, _BY_HAND = "address_choices", "address_by_hand"


def _written(name: str) -> str:
    return f"{name}_in_address"
