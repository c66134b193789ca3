"""A choice that stands in the address by its key, so that a link survives a reworded label: /new?method=cdb."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.parts import words


def take(name: str, labels: Mapping[str, str]) -> None:
    """Before the widget with this key is drawn: choose what the address asks for, by key, or by label as older links have it.

    Say so where there is no such. What this page wrote there itself asks for nothing.
    """
    asked = st.query_params.get(name)
    if not asked or asked == st.session_state.get(_written(name)):
        return
    key = asked if asked in labels else next((k for k, label in labels.items() if label == asked), None)
    if key is None:
        st.warning(
            f"The address asks for the {name} {words.plain(words.short(asked, 60))}, which is not on offer here. Choose one from the list.",
            icon=":material/link_off:",
        )
    else:
        st.session_state[name] = key


def keep(name: str, key: str, default: str) -> None:
    """After the widget is drawn: the address is to name what is chosen, once the page has been through all its choices (`write`).

    `default` is what an address without this name stands for.
    """
    st.session_state[_written(name)] = key
    st.session_state.setdefault(_KEPT, {})[name] = (key, default)


def write() -> None:
    """Put all that was kept into the address at once, unless it stands for it as it is.

    Every change of the address is a step of the browser's way back: a page that is only opened makes none.
    """
    kept = st.session_state.pop(_KEPT, {})
    if any(st.query_params.get(name, default) != key for name, (key, default) in kept.items()):
        st.query_params.update({name: key for name, (key, _) in kept.items()})


_KEPT = "address_kept"


def _written(name: str) -> str:
    return f"{name}_in_address"
