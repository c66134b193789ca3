"""Data folders of the worker's tests."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def home(home, digits):
    """A data folder with a migrated database and Digits prepared; returns (folder, engine)."""
    shutil.copytree(digits, home[0] / "cache")
    return home
