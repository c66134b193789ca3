"""The pages, their URLs and the links between them."""

from __future__ import annotations

from typing import Literal, NoReturn
from urllib.parse import unquote, urlsplit

import streamlit as st

from pages.components.common import query_params
from reporting.text import plain

HOME = "pages/views/home.py"
NEW = "pages/views/new_run.py"
RUNS = "pages/views/runs.py"
RUN = "pages/views/run.py"
COMPARE = "pages/views/compare.py"
METHODS = "pages/views/methods.py"
LONGEST_ID = 12  # digits; anything longer is not a run id
Width = int | Literal["content", "stretch"]  # of a widget; a number is in px
OPEN = "nav_open"  # set by a callback: the run to open next, from any page
SEEDS_SAID = "compare_seeds_said"  # ((before, after), the findings of the plan of the seeds that were added last)
KEPT_ON = {
    "new_submit_key": "new",
    SEEDS_SAID: "compare",
}  # session key -> path of the page that keeps it while it is shown
PARAM_PAGE = {
    "id": "run",
    "a": "compare",
    "b": "compare",
    "row": "methods",
    "dataset": "new",
    "model": "new",
    "method": "new",
}  # URL parameter -> path of the page that reads it


def navigation() -> st.Page:
    """The menu and the current page. A run's own page is not in the menu; its URL is /run?id=3."""
    pages = [
        st.Page(
            HOME,
            title="Home",
            icon=":material/home:",
            default=True,
            help="What Evenly does, the latest comparison and the runs so far.",
        ),
        st.Page(
            NEW,
            title="New run",
            icon=":material/add_circle:",
            url_path="new",
            help="Choose data, model and method, preview the weights, start a run.",
        ),
        st.Page(
            RUNS,
            title="Runs",
            icon=":material/table_rows:",
            url_path="runs",
            help="Every run: state, accuracy, spread, tags and notes.",
        ),
        st.Page(
            COMPARE,
            title="Compare",
            icon=":material/compare_arrows:",
            url_path="compare",
            help="Two runs side by side, class by class.",
        ),
        st.Page(
            METHODS,
            title="Methods",
            icon=":material/function:",
            url_path="methods",
            help="Every method: formula, parameters, source, worked example.",
        ),
        st.Page(RUN, title="Run", icon=":material/monitoring:", url_path="run", visibility="hidden"),
    ]
    path = _last_part(st.context.url)
    if path not in {page.url_path for page in pages}:
        pages.append(
            st.Page(_no_such_page, title="No such page", icon=":material/help:", url_path=path, visibility="hidden")
        )
    page = st.navigation(pages)
    if OPEN in st.session_state:
        open_run(st.session_state.pop(OPEN))
    _forget_other_pages(page.url_path)
    _forget_other_params(page.url_path)
    query_params.begin(page.url_path)
    return page


def starts_runs(page: st.Page) -> bool:
    """Whether this page can start runs: Home and New run."""
    return page.url_path in ("", "new")


def _last_part(url: str | None) -> str:
    """http://host/prefix/runs -> "runs"; "" for the URL of the app itself."""
    return unquote(urlsplit(url or "").path).rstrip("/").rpartition("/")[2].strip()


def _no_such_page() -> None:
    """Shown for an unknown URL. Streamlit itself would open Home with its own message and change the URL.

    Registered as a hidden page under the requested path. Behind a proxy this may be the prefix, which nobody opens.
    """
    path = _last_part(st.context.url)
    st.title("No such page")
    st.markdown(f"Evenly has no page at /{plain(path)}. Choose a page from the menu.")
    st.page_link(HOME, label="Home", icon=":material/home:")


def _forget_other_pages(path: str) -> None:
    """Remove from the session what only another page keeps: each time New run is opened, its form gets a new submit key."""
    for name in [n for n, page in KEPT_ON.items() if page != path]:
        st.session_state.pop(name, None)


def _forget_other_params(path: str) -> None:
    """Remove URL parameters of other pages: when the page changes, Streamlit leaves entries such as /runs?id=3 in the history."""
    for name in [n for n, page in PARAM_PAGE.items() if page != path and n in st.query_params]:
        del st.query_params[name]


def open_run(run_id: int) -> NoReturn:
    """Go to a run's page."""
    st.switch_page(RUN, query_params={"id": str(run_id)})


def open_compare(before: int, after: int) -> NoReturn:
    """Go to the comparison of two runs."""
    st.switch_page(COMPARE, query_params={"a": str(before), "b": str(after)})


def open_new(**choices: str) -> NoReturn:
    """Go to New run with these URL parameters: dataset, model, method."""
    st.switch_page(NEW, query_params=choices)


def link_run(run_id: int, label: str, *, icon: str | None = None, width: Width = "content") -> None:
    """A link to a run's page."""
    st.page_link(RUN, label=label, query_params={"id": str(run_id)}, icon=icon, width=width)


def link_compare(before: int, after: int, label: str, *, icon: str | None = None) -> None:
    """A link to the comparison of two runs."""
    st.page_link(COMPARE, label=label, query_params={"a": str(before), "b": str(after)}, icon=icon)


def link_method(key: str, label: str) -> None:
    """A link to a method's formula, parameters and source."""
    st.page_link(METHODS, label=label, query_params={"row": key}, icon=":material/function:")


def id_from_url(name: str) -> int | None:
    """The run id in a parameter of the page's URL; None where it is missing or not a whole number."""
    text = st.query_params.get(name, "")
    return int(text) if text.isdecimal() and len(text) < LONGEST_ID else None
