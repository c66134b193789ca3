"""Door 1: the pages. Page config, navigation, the worker's state in the sidebar. Starts nothing, computes nothing."""

from pathlib import Path

import streamlit as st

from pages.parts import nav
from pages.parts.guard import database_ready
from pages.parts.worker_state import worker_state

PICTURES = Path(__file__).parent / "pages" / "parts"

st.set_page_config(page_title="Evenly", page_icon=str(PICTURES / "icon.svg"), layout="wide")
st.logo(str(PICTURES / "logo.svg"), size="large")
page = nav.navigation()
if database_ready():
    with st.sidebar:
        worker_state()
    page.run()
