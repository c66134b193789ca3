"""The settings in which two compared runs differ."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.components.common import viewport
from reporting import settings_text
from reporting.text import plain
from storage.results.runs import RunRow

DIFFERING = "Settings that differ between the two runs"


def draw(before: RunRow, after: RunRow) -> None:
    """The settings that differ between the two runs of Compare, as a table."""
    st.subheader("Settings that differ", anchor=False)
    rows = settings_text.differing(before, after)
    if not rows:
        st.caption("None: the two runs have the same settings.")
        return
    table = pd.DataFrame(rows, columns=["setting", f"before (run {before.id})", f"after (run {after.id})"])
    if viewport.narrow_window():  # wraps long cells, which st.dataframe cuts
        st.table(table.map(plain), border="horizontal", hide_index=True, alt=DIFFERING)
        return
    st.dataframe(table, hide_index=True, height="content", key="compare_settings", alt=DIFFERING)
