"""A data folder that was seeded once, as a test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


def own_copy(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was seeded once, copied for this test and made the data folder of everything it starts."""
    shutil.copytree(root, tmp_path / "data")
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
