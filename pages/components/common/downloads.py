"""Download buttons for figures: CSV, JSON and one HTML file. A file is built when it is requested."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

OFFLINE = "One file including its charts; opens offline."
File = tuple[str, str, str, Callable[[], str], str | None]  # label, file extension, MIME type, text, help


def buttons(prefix: str, name: str, files: Sequence[File]) -> None:
    """A download button per file, in a row; keys are `<prefix>_<extension>`."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"{prefix}_exports"):
        for label, extension, mime, text, help_text in files:
            st.download_button(
                label,
                lambda text=text: text().encode(),
                f"{name}.{extension}",
                mime,
                key=f"{prefix}_{extension}",
                icon=":material/download:",
                on_click="ignore",
                help=help_text,
            )
