"""Whether the window is as narrow as a phone: a table that is drawn on a canvas cannot ask CSS which columns to show."""

from __future__ import annotations

import streamlit as st

WIDTH = 640  # px, where Streamlit puts columns under one another
_TOLD = "narrow_window"
_COMPONENT = st.components.v2.component(
    "evenly_narrow",
    html="<div></div>",
    js="""
export default function ({ data, parentElement, setStateValue }) {
  const query = (parentElement.query ??= matchMedia(`(max-width: ${data.width}px)`))
  const tell = () => { if (query.matches !== data.narrow) setStateValue("narrow", query.matches) }
  query.onchange = tell
  tell()
}""",
)


def narrow() -> bool:
    """What the window has said; until it has, a guess by the browser's name."""
    return st.session_state.get(_TOLD, "Mobi" in (st.context.headers.get("User-Agent") or ""))


def watch() -> None:
    """Listen to the window; the page is drawn again when it crosses the width. Takes no space of its own, call it last."""
    _COMPONENT(key="narrow_watch", data={"narrow": narrow(), "width": WIDTH}, on_narrow_change=_told, height="content")


def _told() -> None:
    st.session_state[_TOLD] = bool(st.session_state["narrow_watch"]["narrow"])
