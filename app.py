"""Door 1: the pages. Page config, navigation, the worker's state. Starts nothing, computes nothing."""

from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

SIDEBAR = 260  # px
# Streamlit only moves a collapsed sidebar out of the window; the keyboard would still stop at every link of it.
HIDDEN_WHEN_COLLAPSED = "<style>[data-testid=stSidebar][data-collapsed=true] { visibility: hidden; }</style>"
PICTURES = Path(__file__).parent / "pages" / "components" / "common"


def draw() -> None:
    """One visit. Imports what it needs here: when the server reads this file, Streamlit's caches are not there yet."""
    from pages.components.common import auto_refresh, navigation
    from pages.components.common.error_guard import database_ready
    from pages.components.common.worker_status import live_notice, worker_state

    st.set_page_config(
        page_title="Evenly", page_icon=str(PICTURES / "icon.svg"), layout="wide", initial_sidebar_state=SIDEBAR
    )
    st.html(HIDDEN_WHEN_COLLAPSED)
    st.logo(str(PICTURES / "logo.svg"), size="large")
    page = navigation.navigation()
    if database_ready():
        with st.sidebar:
            worker_state()
        if navigation.starts_runs(page):
            live_notice()
        auto_refresh.begin(page)
        page.run()
        auto_refresh.end(page)


if __name__ == "__main__":  # a visit: Streamlit runs this file anew
    draw()
else:  # the server: `streamlit run` finds the App below and imports this file once, before the first visit
    # A folder named pages/ makes Streamlit take its first visitor's address for a file in there and say "Page not found",
    # until st.navigation has switched that off. Here it is off before anybody asks; nothing public does it this early.
    PagesManager.uses_pages_directory = False
    app = st.App(__file__)
