"""What the tests of recorded results stand on: a migrated database and a run in progress."""

from __future__ import annotations

import pytest

from tests.storage.kit import claimed, database


@pytest.fixture
def engine(tmp_path):
    return database(tmp_path)


@pytest.fixture
def claim(engine):
    return claimed(engine, epochs=10)
