"""A run's name, tags and notes: display and edit fields, shared by the list of runs and a run's own page."""

from __future__ import annotations

import streamlit as st

from pages.components.common import cached_reads
from pages.components.common.error_guard import showing_errors
from reporting.text import plain
from storage import results
from storage.results.run_records import ListedRun
from storage.results.runs import RunRow


def show(row: RunRow) -> None:
    """A run's tags in one line, and its notes with their line breaks; nothing where both are empty."""
    if row.tags:
        st.caption(f":material/sell: {plain(row.tags)}")
    if row.notes:
        st.markdown(notes_as_markdown(row.notes), width=820)


def notes_as_markdown(text: str) -> str:
    """A run's notes as Markdown that keeps their line breaks and shows everything else literally."""
    return "  \n".join(plain(line) for line in text.strip().splitlines())


def editor(row: RunRow) -> None:
    """The fields for a run's name, tags and notes behind a button. A popover, because unlike a dialog it keeps its
    input when a live page reruns."""
    with (
        st.popover("Tags and notes", icon=":material/edit:", key="run_about"),
        st.form(f"run_about_{row.id}", border=False, width=420),
    ):
        fields(row, "run")
        st.form_submit_button("Save", key="run_about_save", type="primary", on_click=save, args=(int(row.id), "run"))


def fields(record: ListedRun, prefix: str) -> None:
    """The three fields for a run's name, tags and notes; their keys are `<prefix>_<field>_<id>`, which `save` reads."""
    st.text_input("Name", record.name, key=f"{prefix}_name_{record.id}", max_chars=200)
    st.text_input(
        "Tags", record.tags or "", key=f"{prefix}_tags_{record.id}", help="Separate tags with commas.", max_chars=200
    )
    st.text_area("Notes", record.notes or "", key=f"{prefix}_notes_{record.id}", max_chars=4000)


def save(run_id: int, prefix: str) -> bool:
    """Store the fields of a run's name, tags and notes. Returns False, with the reason on the page, if a value was refused."""
    name, tags, notes = (st.session_state[f"{prefix}_{field}_{run_id}"] for field in ("name", "tags", "notes"))
    with showing_errors():
        engine = cached_reads.database()
        results.rename(engine, run_id, name)
        results.set_tags(engine, run_id, tags)
        results.set_notes(engine, run_id, notes)
        st.toast("Saved.", icon=":material/check:")
        return True
    return False
