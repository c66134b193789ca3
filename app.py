"""Entry point of the pages: page config, navigation, worker status. Starts no run and computes nothing."""

from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

SIDEBAR = 260  # px
# Streamlit only moves a collapsed sidebar out of view; without this, the Tab key would still reach its links.
HIDDEN_WHEN_COLLAPSED = "<style>[data-testid=stSidebar][data-collapsed=true] { visibility: hidden; }</style>"
PICTURES = Path(__file__).parent / "pages" / "components" / "common"


def draw() -> None:
    """One script run. The imports are local because Streamlit's caches do not exist yet when the server imports this file."""
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


if __name__ == "__main__":  # a script run: Streamlit executes this file again
    draw()
else:  # the server: `streamlit run` imports this file once, before the first script run, and finds the App below
    # With a folder named pages/, Streamlit looks up the first visitor's URL in that folder and shows "Page not found",
    # until st.navigation turns this off. Turn it off before the first request; no public API does it this early.
    PagesManager.uses_pages_directory = False
    app = st.App(__file__)
