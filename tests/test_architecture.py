"""The house: which folder may import which, no circle of files, and no torch in the process that draws pages.

The rules stand in docs/architecture.md too. Read are all import statements, those inside functions and for type checkers as well.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GROUND = (
    "core.errors core.findings core.registry core.modality core.formatting core.serialization core.torchvision_compat"
)
SCIENCE = f"{GROUND} core.methods core.metrics core.datasets core.experiment core.diagnostics core.comparison"
RECORDS = "storage.db storage.jobs storage.results"
ROOMS = f"{SCIENCE} models reporting services {RECORDS}"
COMPONENTS = f"{ROOMS} pages.components.common pages.components.preview"
# A module obeys the longest key that its name begins with; it may import its own folder and what is named here.
MAY = {
    "core": GROUND,
    "core.torchvision_compat": "core.errors torch torchvision",
    "core.methods": GROUND,
    "core.metrics": GROUND,
    "core.datasets": GROUND,
    "core.experiment": f"{GROUND} core.methods",
    "core.diagnostics": f"{GROUND} core.experiment core.methods core.metrics core.datasets.spec",
    "core.comparison": f"{GROUND} core.diagnostics core.experiment core.methods core.metrics",
    "core.training": f"{GROUND} core.experiment core.methods core.datasets torch",
    "models": f"{GROUND} torch torchvision",
    "storage.db": "core.errors sqlalchemy alembic",
    "storage.jobs": f"{GROUND} core.methods core.experiment storage.db sqlalchemy",
    "storage.results": f"{GROUND} core.methods core.experiment core.comparison.pairing storage.db storage.jobs sqlalchemy",
    "reporting": f"{SCIENCE} models",
    "services": f"{SCIENCE} models reporting.run_report reporting.text {RECORDS} sqlalchemy",
    "services.launchers": "storage.db",
    "pages.components.common": f"{ROOMS} streamlit sqlalchemy",
    "pages.components.preview": f"{ROOMS} streamlit",
    "pages.components": f"{COMPONENTS} streamlit",
    "pages.views": f"{ROOMS} pages.components streamlit",
    "app": "pages.components.common streamlit",
    "work": f"{SCIENCE} core.training models reporting.text {RECORDS} services.launchers torch sqlalchemy",
    "worker": "work",
    "serve": f"core.errors {RECORDS} services.launchers work",
    "commands": f"{ROOMS} work sqlalchemy",
    "cli": f"{ROOMS} work commands sqlalchemy",
}
KEPT_OUT = {"torch", "torchvision", "streamlit", "sqlalchemy", "alembic"}  # other libraries are free to everybody
FILES = sorted([*ROOT.glob("*.py"), *(p for top in {k.split(".")[0] for k in MAY} for p in (ROOT / top).rglob("*.py"))])


def name_of(path: Path) -> str:
    """core/registry.py -> core.registry, models/__init__.py -> models."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


OURS = {name_of(path): path for path in FILES}


def under(name: str, roots: str | set[str]) -> bool:
    return any(
        name == root or name.startswith(f"{root}.") for root in (roots.split() if isinstance(roots, str) else roots)
    )


def room(name: str) -> str:
    """The key of MAY that a module obeys."""
    return max((key for key in MAY if under(name, {key})), key=len)


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """(line, module) of every import in a file; of "from core import errors" core.errors."""

    def found(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in OURS else str(node.module) for name in whole)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(a.value) for a in node.args[:1] if isinstance(a, ast.Constant))

    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return tuple((node.lineno, name) for node in ast.walk(tree) if hasattr(node, "lineno") for name in found(node))


def test_every_folder_imports_only_what_the_rules_name():
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for own, path in OURS.items()
        for line, name in imports(path)
        if (name in OURS or under(name, KEPT_OUT)) and not under(name, {room(own), *MAY[room(own)].split()})
    ]
    assert broken == []


def test_no_component_of_a_screen_imports_another_screens():
    """pages.components.run imports nothing of pages.components.compare, and no view another view."""
    folders = {name: name.rpartition(".")[0] for name in OURS if name.startswith("pages.components.")}
    shared = {"pages.components.common", "pages.components.preview"}
    broken = [
        f"{own} imports {name}"
        for own, folder in folders.items()
        for _, name in imports(OURS[own])
        if name in folders and folders[name] not in {folder, *shared}
    ]
    views = [
        f"{o} imports {n}"
        for o in OURS
        if under(o, "pages.views")
        for _, n in imports(OURS[o])
        if under(n, "pages.views")
    ]
    assert broken + views == []


def test_no_circle_of_files():
    """A package is its __init__.py; type-checking imports count."""
    try:
        TopologicalSorter(
            {own: {n for _, n in imports(p) if n in OURS and n != own} for own, p in OURS.items()}
        ).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_pages_hold_only_packages_directly():
    """A cold deep link to pages/x.py would run it without app.py; one level down it does not."""
    assert [path.name for path in (ROOT / "pages").glob("*.py")] == ["__init__.py"]


def test_no_unsafe_reading_of_checkpoints():
    """A file from outside is never unpickled."""
    words = ("weights_only=False", "pickle.load", "allow_pickle=True")
    assert [
        f"{path.name}: {word}" for path in FILES for word in words if word in path.read_text(encoding="utf-8")
    ] == []


def loaded_after(code: str, *arguments: str) -> set[str]:
    """The top-level modules in sys.modules of a fresh Python after `code`."""
    code += "\nimport sys, json; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return set(json.loads(done.stdout.splitlines()[-1]))


IMPORT_ALL = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)"


@pytest.mark.parametrize(
    ("rooms", "absent"),
    [
        (f"{SCIENCE} reporting models.shapes models", "torch sklearn streamlit sqlalchemy"),
        (f"{RECORDS} services", "torch sklearn streamlit"),
        ("cli serve worker", "torch sklearn streamlit"),
    ],
    ids=["science", "records", "entry points"],
)
def test_what_a_room_loads(rooms, absent):
    """Imported in a fresh Python: what comes in by way of a library counts too. Alembic's own scripts only alembic can import."""
    names = [n for n in OURS if under(n, rooms) and ("migrations" not in n or n.endswith("migrations"))]
    names = [n for n in names if not (n.startswith("models.") and n != "models.shapes")]
    assert not set(absent.split()) & loaded_after(IMPORT_ALL, *names)


OPEN_EVERY_PAGE = """
import sys
from streamlit.testing.v1 import AppTest
from storage.db.connection import open_database
from storage.db.migrate import upgrade
upgrade(open_database(role="worker"))
app = AppTest.from_file("app.py", default_timeout=300).run()
for view in sys.argv[1:]:
    app.switch_page(view).run()
    assert not app.exception, (view, app.exception)
"""


def test_no_page_loads_torch_or_sklearn(tmp_path, monkeypatch):
    """Opened as a person opens them, not only imported: what a page imports while it draws counts too."""
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    views = [str(p.relative_to(ROOT)) for n, p in OURS.items() if under(n, "pages.views") and p.name != "__init__.py"]
    parts = [n for n in OURS if under(n, "pages.components")]
    assert views
    loaded = loaded_after(
        f"{OPEN_EVERY_PAGE}\nimport importlib\nfor n in {parts!r}: importlib.import_module(n)", *views
    )
    assert "streamlit" in loaded
    assert not {"torch", "torchvision", "sklearn"} & loaded


WORDS_TOO = {"none", "share", "difficulty"}  # keys that are words of the pages as well


def test_no_page_names_a_method_or_a_sampler():
    """Pages read the rows: adding a method touches one file."""
    from core.methods import METHODS
    from core.methods.samplers import SAMPLERS

    keys = {row.key for table in (METHODS, SAMPLERS) for row in table} - WORDS_TOO
    named = {
        (name, node.value)
        for name, path in OURS.items()
        if under(name, "pages")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in keys
    }
    assert not named
