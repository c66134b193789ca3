"""The pages, their addresses and the ways between them."""

from __future__ import annotations

from typing import Any, NoReturn

import streamlit as st

HOME = "pages/views/home.py"
NEW = "pages/views/new_run.py"
RUNS = "pages/views/runs.py"
RUN = "pages/views/run.py"
COMPARE = "pages/views/compare.py"
_PROCESS: set[str] = set()  # what has happened once in this server


def navigation() -> Any:
    """The menu. A run's own page is reached from the others and by its address, /run?id=3."""
    home = st.Page(HOME, title="Home", icon=":material/home:", default=True, help="What Evenly does, the latest comparison and the runs so far.")
    page = st.navigation([
        home,
        st.Page(NEW, title="New run", icon=":material/add_circle:", url_path="new", help="Choose data, model and weights, see the weights, start."),
        st.Page(RUNS, title="Runs", icon=":material/table_rows:", url_path="runs", help="Every run: state, accuracy, spread, tags and notes."),
        st.Page(COMPARE, title="Compare", icon=":material/compare_arrows:", url_path="compare", help="Two runs side by side, class by class."),
        st.Page(RUN, title="Run", icon=":material/monitoring:", url_path="run", visibility="hidden"),
    ])
    _after_a_cold_start(page.url_path != home.url_path)
    _forget_other_forms(page.url_path)
    return page


def _after_a_cold_start(deep: bool) -> None:
    """Reload once when the first visit of a fresh server is a deep link.

    Before the first st.navigation of a process Streamlit looks for the address among the files of pages/, does not find
    it and says "Page not found" over the right page. From then on it knows better.
    """
    if "cold" in _PROCESS:
        return
    _PROCESS.add("cold")
    if deep:
        st.html("<script>location.reload()</script>", unsafe_allow_javascript=True)


def _forget_other_forms(address: str) -> None:
    """A form gets a new submit key when it is opened anew, and keeps it while it is on the screen."""
    if address != "new":
        st.session_state.pop("new_submit_key", None)


def open_run(run_id: int) -> NoReturn:
    """Go to a run's page."""
    st.switch_page(RUN, query_params={"id": str(run_id)})


def open_compare(before: int, after: int) -> NoReturn:
    """Go to the comparison of two runs."""
    st.switch_page(COMPARE, query_params={"a": str(before), "b": str(after)})


def link_run(run_id: int, label: str, **more: Any) -> None:
    """A link to a run's page."""
    st.page_link(RUN, label=label, query_params={"id": str(run_id)}, **more)


def link_compare(before: int, after: int, label: str, **more: Any) -> None:
    """A link to the comparison of two runs."""
    st.page_link(COMPARE, label=label, query_params={"a": str(before), "b": str(after)}, **more)


def id_from_url(name: str) -> int | None:
    """A run id in the address, or None when there is none that is a whole number."""
    text = st.query_params.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 12 else None
