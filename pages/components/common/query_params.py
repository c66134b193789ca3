"""A choice that stands in the address by its key, so that a link survives a reworded label: /new?method=cdb."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from reporting import text


def begin(page: str) -> None:
    """Once in every run of the program, for the page that is shown: what another page left unwritten or had in its address is over."""
    st.session_state.pop(_KEPT, None)
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE], st.session_state[_SHOWN], st.session_state[_CHOICES] = page, {}, {}
    chosen = st.session_state[_CHOICES].items()
    st.session_state[_BY_HAND] = any(st.session_state.get(widget, key) != key for widget, key in chosen)


def asked(name: str, default: str) -> str | None:
    """What the address newly asks for; None where it is as this page left it.

    A name that has gone from the address of the same page (the browser's Back) asks for its default. What a person has just chosen
    counts more: over a slow line it comes with the address from before the choice that was made just before.
    """
    if st.session_state.get(_BY_HAND):
        return None
    value = st.query_params.get(name)
    if value is None:
        return default if name in st.session_state.get(_SHOWN, {}) else None
    return None if value == st.session_state.get(_written(name)) else value or None


def take(name: str, labels: Mapping[str, str], default: str) -> None:
    """Before the widget with this key is drawn: choose what the address asks for, by key, or by label as older links have it.

    Say so where there is no such. What this page wrote there itself asks for nothing.
    """
    wanted = asked(name, default)
    if wanted is None:
        return
    key = wanted if wanted in labels else next((k for k, label in labels.items() if label == wanted), None)
    if key is None:
        absent(name, wanted)
    else:
        st.session_state[name] = key


def absent(name: str, wanted: str) -> None:
    """Say that the address asks for something that there is not."""
    st.warning(
        f"The address asks for the {name} {text.plain(text.short(wanted, 60))}, which is not on offer here. "
        "Choose one from the list.",
        icon=":material/link_off:",
    )


def keep(name: str, key: str, default: str, widget: str | None = None) -> None:
    """After the widget is drawn: the address is to name what is chosen, once the page has been through all its choices (`write`).

    `default` is what an address without this name stands for; `widget` the widget's key where it is not the name.
    """
    st.session_state[_written(name)] = key
    st.session_state.setdefault(_CHOICES, {})[widget or name] = key
    st.session_state.setdefault(_KEPT, {})[name] = (key, default)


def write() -> None:
    """Put all that was kept into the address at once, unless it stands for it as it is.

    Every change of the address is a step of the browser's way back: a page that is only opened makes none.
    """
    kept = st.session_state.pop(_KEPT, {})
    if any(st.query_params.get(name, default) != key for name, (key, default) in kept.items()):
        st.query_params.update({name: key for name, (key, _) in kept.items()})
    st.session_state[_SHOWN] = {name: st.query_params[name] for name in kept if name in st.query_params}


_KEPT, _PAGE, _SHOWN = "address_kept", "address_page", "address_shown"
_CHOICES, _BY_HAND = "address_choices", "address_by_hand"


def _written(name: str) -> str:
    return f"{name}_in_address"
