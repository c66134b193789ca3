"""What every test stands on: its own data folder, the real data where it is found, a browser where there is one."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest

from tests.core.datasets.kit import own_copy

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
GIVEN = "EVENLY_TEST_DATA"  # the EVENLY_DATA that the tests were started with
_made: list[str] = []
hypothesis.settings.register_profile("evenly", deadline=None, max_examples=50)  # a busy machine is no failure
hypothesis.settings.load_profile("evenly")


def pytest_configure(config: pytest.Config) -> None:
    """Point EVENLY_DATA at an empty folder before anything is imported: no test may touch a person's runs."""
    if not hasattr(config, "workerinput"):  # an xdist worker inherits what its parent kept
        os.environ[GIVEN] = os.environ.get("EVENLY_DATA", "")
    _made.append(tempfile.mkdtemp(prefix="evenly-tests-"))
    os.environ["EVENLY_DATA"] = _made[-1]
    os.environ.pop("EVENLY_DATABASE_URL", None)
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):  # what rich asks for
        os.environ.pop(name, None)
    os.environ["COLUMNS"] = "80"  # not those of the terminal that the tests were started from
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = (
        "*"  # servers of tests are on this machine, and nothing else is asked
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    while _made:
        shutil.rmtree(_made.pop(), ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked gpu are skipped, with the reason, where there is no CUDA device; files that wait are kept apart."""
    items[:] = apart(items)
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


def apart(items: list[pytest.Item]) -> list[pytest.Item]:
    """The same tests, with the slow files and those that drive a browser spread evenly among the others, from the first on: they
    wait for processes of their own, so several at once make each other late, or leave the cores idle."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting = [tests for tests in files.values() if any(map(waits, tests))]
    others = [tests for tests in files.values() if tests not in waiting]
    places = [(i / max(len(group), 1), tests) for group in (waiting, others) for i, tests in enumerate(group)]
    return [test for _, tests in sorted(places, key=lambda place: place[0]) for test in tests]


def waits(item: pytest.Item) -> bool:
    """Whether a test is marked as one that mostly waits."""
    return any(item.get_closest_marker(name) for name in ("browser", "slow"))


@pytest.fixture(autouse=True)
def _own_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that a test draws stays in place as __main__, and processes spawned by a later test would run it first."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="module", autouse=True)
def _loaded_stays_loaded() -> None:
    """Streamlit and the worker collect garbage after every script and run: what is loaded by now need not be searched again."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """A folder, to be read only, with the real MNIST: the EVENLY_DATA that the tests were started with, or ../shared/data."""
    places = [Path(given)] if (given := os.environ.get(GIVEN)) else []
    places.append(ROOT.parent / "shared" / "data")
    for place in places:
        if (place / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            return place
    pytest.skip(f"MNIST/raw is in none of: {', '.join(map(str, places))}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium: $CHROMIUM, or one on PATH. Without one the test is skipped, or fails under EVENLY_REQUIRE_BROWSER=1."""
    given = os.environ.get("CHROMIUM")
    found = shutil.which(given) if given else next(filter(None, map(shutil.which, BROWSERS)), None)
    if found:
        return found
    reason = (
        f"CHROMIUM names {given!r}, which is not a program"
        if given
        else f"no {', '.join(BROWSERS)} on PATH; install chromium or set CHROMIUM"
    )
    if os.environ.get("EVENLY_REQUIRE_BROWSER") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser(chromium):
    """A headless Chromium."""
    from tests.browser.kit import chromium_at

    with chromium_at(chromium) as browser:
        yield browser


@pytest.fixture(scope="module")
def served(tmp_path_factory, chromium):
    """App and worker on an empty data folder; returns (address, folder)."""
    from tests.browser.kit import served_on

    data = tmp_path_factory.mktemp("data")
    with served_on(data) as address:
        yield address, data


@pytest.fixture(scope="module")
def app(tmp_path_factory, chromium):
    """The app alone, without a worker, on one of everything; returns (address, engine, ids)."""
    from tests.browser.kit import app_on
    from tests.seed import small
    from tests.storage.kit import database

    data = tmp_path_factory.mktemp("data")
    engine = database(data)
    ids = small(engine)
    with app_on(data) as address:
        yield address, engine, ids
    engine.dispose()


# -- data folders ------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder of the test's own with a migrated database; returns (folder, engine)."""
    from tests.storage.kit import database

    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
    engine = database(tmp_path)
    yield tmp_path, engine
    engine.dispose()


@pytest.fixture
def empty(home):
    """The engine of a migrated database without a run."""
    return home[1]


@pytest.fixture(scope="session")
def seeded(tmp_path_factory):
    """A data folder with one of everything, made once; tests work on copies. Returns (folder, ids)."""
    from tests.seed import small
    from tests.storage.kit import database

    root = tmp_path_factory.mktemp("seeded")
    engine = database(root)
    ids = small(engine)
    engine.dispose()
    return root, ids


@pytest.fixture
def full(seeded, tmp_path, monkeypatch):
    """The seeded folder as this test's own; returns (engine, ids)."""
    from storage.db.connection import open_database

    root, ids = seeded
    shutil.copytree(root, tmp_path / "data")
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
    return open_database(), ids


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The folder "cache" of a data folder in which Digits is prepared: a process that trains need not import scikit-learn."""
    from core.datasets import prepare

    root = tmp_path_factory.mktemp("digits")
    prepare("digits", root)
    return root / "cache"


@pytest.fixture(scope="session")
def mnist1d(tmp_path_factory):
    """The same for MNIST-1D, without its generator and what that imports."""
    from core.datasets import prepare

    root = tmp_path_factory.mktemp("mnist1d")
    prepare("mnist1d", root)
    return root / "cache"


@pytest.fixture
def fork(tmp_path_factory):
    """Starts processes that have torch imported: (function, *what it is given)."""
    from tests.work.forked import forking

    with forking(tmp_path_factory.mktemp("forked")) as start:
        yield start


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """A worker in this process, on a data folder of the test's own, however little disk is free."""
    from work import runner
    from work.worker import Worker

    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    monkeypatch.setattr(runner, "MIN_FREE_BYTES", 0)
    with Worker(0) as worker:
        yield worker


@pytest.fixture
def ids(seeded, tmp_path, monkeypatch):
    """What a test file's own `seeded` fixture (folder, ids) has made, its folder copied for this test."""
    root, found = seeded
    own_copy(root, tmp_path, monkeypatch)
    return found
