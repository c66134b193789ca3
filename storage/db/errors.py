"""The errors of the database."""

from __future__ import annotations

from core.errors import EvenlyError


class StorageError(EvenlyError):
    """The database or a checkpoint cannot serve; the text says why and what to do."""


class Unavailable(StorageError):  # noqa: N818 - it passes
    """Locked, full or out of reach just now: what was asked can be asked again. Workers wait, they do not fail a run for it."""
