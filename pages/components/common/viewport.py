"""Whether the window is as narrow as a phone. Streamlit draws tables on a canvas, so CSS cannot choose their columns."""

from __future__ import annotations

import streamlit as st

WIDTH = 640  # px, below which Streamlit stacks columns
_REPORTED = "narrow_window"
_COMPONENT = st.components.v2.component(
    "evenly_narrow",
    html="<div></div>",
    js="""
export default function ({ data, parentElement, setStateValue }) {
  const query = (parentElement.query ??= matchMedia(`(max-width: ${data.width}px)`))
  const report = () => { if (query.matches !== data.narrow) setStateValue("narrow", query.matches) }
  query.onchange = report
  report()
}""",
)


def narrow_window() -> bool:
    """Whether the window is as narrow as a phone, as the browser reported; until then, a guess from the user agent."""
    return st.session_state.get(_REPORTED, "Mobi" in (st.context.headers.get("User-Agent") or ""))


def watch() -> None:
    """Watch the window width; the page reruns when it crosses WIDTH. Takes no space; call it last."""
    _COMPONENT(
        key="narrow_watch", data={"narrow": narrow_window(), "width": WIDTH}, on_narrow_change=_store, height="content"
    )


def _store() -> None:
    st.session_state[_REPORTED] = bool(st.session_state["narrow_watch"]["narrow"])
