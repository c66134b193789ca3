"""Errors that a person can fix, shown as a message instead of a stack trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from core.errors import EvenlyError
from pages.components.common import cached_reads
from reporting.text import plain, sentence


def database_ready() -> bool:
    """Whether the database can be used without an error; if not, the page shows why and what to do."""
    try:
        cached_reads.database()
    except (EvenlyError, SQLAlchemyError, OSError) as error:
        error_page(error)
        return False
    return True


def error_page(error: Exception) -> None:
    """A whole page: the error, what to do, and a button to try again."""
    st.title("The database cannot be used")
    st.error(sentence(first_line(error)), icon=":material/database_off:")
    st.markdown(
        "Stop Evenly, fix the problem above, then start it again with `make run`. Runs and results are not affected."
    )
    if st.button("Try again", key="guard_retry", icon=":material/refresh:"):
        cached_reads.forget_database()
        st.rerun()


def first_line(error: Exception) -> str:
    """The first line of an error shown on a page, without the driver's details."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()
    return text[0] if text else type(error).__name__


@contextmanager
def showing_errors() -> Iterator[None]:
    """Show an EvenlyError or a busy database as a message in place; the rest of the page still runs."""
    try:
        yield
    except EvenlyError as error:
        st.error(sentence(str(error)), icon=":material/error:")
    except SQLAlchemyError as error:
        st.error(
            f"The database did not answer: {plain(first_line(error))}. Try again in a moment.",
            icon=":material/database_off:",
        )
