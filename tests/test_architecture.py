"""The import rules, held twice: by reading every import statement, lazy ones too, and by importing and looking.

core computes, models holds networks, storage records, pages draw; worker.py with work and cli.py with commands compose.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("core", "models", "storage", "pages", "work", "commands")
FILES = sorted([*ROOT.glob("*.py"), *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))])
DOORS = {path.stem for path in ROOT.glob("*.py")}  # app, worker, cli, serve
ROOMS = {"work", "commands"}  # behind worker.py and cli.py
UI = {"app"}
TORCH = {"torch", "torchvision"}
# What may not be imported, not even inside a function. A name stands for all that lies under it.
FORBIDDEN = {
    "core": {"streamlit", "sqlalchemy", "alembic", "storage", "models", "pages"} | DOORS | ROOMS,
    "models": {"streamlit", "sqlalchemy", "alembic", "storage", "pages"} | DOORS | ROOMS,
    "storage": {"streamlit", "models", "pages"} | TORCH | DOORS | ROOMS,
    "pages": {"core.training.trainer"} | TORCH | DOORS | ROOMS,
    "app": {"core.training.trainer"} | TORCH | (DOORS - UI) | ROOMS,
    "work": {"streamlit", "pages", "commands"} | DOORS,
    "commands": {"streamlit"} | (DOORS - {"worker"}),
}
MODELS_MAY = {
    "torch",
    "core.registry",
    "core.torchvision_compat",
    "core.errors",
    "models",
}  # beside the standard library
OF_THE_PAGES = {
    "pages.components",
    "reporting.html_pages",
    "reporting.settings_text",
}  # what the other doors may import: said and drawn once, for all
MAY_IMPORT_WORKER = {"cli.py", "commands/wait.py", "commands/posthoc.py"}


def module_name(path: Path) -> str:
    """core/registry.py -> core.registry, models/__init__.py -> models."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def targets(node: ast.AST, path: Path) -> Iterator[str]:
    """The modules that one statement imports, by full name; `from core import engine` gives core and core.training.trainer."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = path.relative_to(ROOT).parts[: -node.level]
            base = ".".join([*package, *([base] if base else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names if is_module(f"{base}.{alias.name}"))
    elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func) and node.args:
        if isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """(line, module) for every import in the file, wherever it stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return tuple((node.lineno, name) for node in ast.walk(tree) for name in targets(node, path))


@cache
def imports_at_start(path: Path) -> frozenset[str]:
    """Modules imported when the file is: not those inside functions, nor those for the type checker alone."""
    found: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"), str(path))]
    while todo:
        node = todo.pop()
        found.update(targets(node, path))
        for child in ast.iter_child_nodes(node):
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if not typing_only and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                todo.append(child)
    return frozenset(found)


@cache
def needs_torch() -> frozenset[str]:
    """Our modules that bring torch with them, directly or through another of ours."""
    start = {module_name(path): imports_at_start(path) for path in FILES}
    heavy = {name for name, found in start.items() if any(under(f, TORCH) for f in found)}
    while more := {name for name, found in start.items() if name not in heavy and found & heavy}:
        heavy |= more
    return frozenset(heavy)


def under(name: str, roots: set[str] | frozenset[str]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def broken(path: Path, forbidden: set[str] | frozenset[str]) -> list[str]:
    return [f"{path.relative_to(ROOT)}:{line} imports {name}" for line, name in imports(path) if under(name, forbidden)]


def files_of(area: str) -> list[Path]:
    return [path for path in FILES if path.relative_to(ROOT).parts[0] in (area, f"{area}.py")]


@pytest.mark.parametrize("area", FORBIDDEN)
def test_an_area_imports_nothing_it_must_not(area):
    assert files_of(area), f"nothing found in {area}"
    assert [line for path in files_of(area) for line in broken(path, FORBIDDEN[area])] == []


def test_models_import_torch_and_little_else():
    allowed = MODELS_MAY | sys.stdlib_module_names
    names = [(path, line, name) for path in files_of("models") for line, name in imports(path)]
    assert [
        f"{p.name}:{line} imports {name}" for p, line, name in names if name != "core" and not under(name, allowed)
    ] == []


def test_pages_never_reach_torch_by_way_of_another_module():
    heavy = needs_torch()
    assert "core.training.trainer" in heavy, "the search for modules that need torch finds nothing"
    assert "core.methods" not in heavy
    files = files_of("pages") + files_of("app")
    assert [line for path in files for line in broken(path, heavy)] == []


def test_no_screen_imports_another():
    views = [path for path in files_of("pages") if path.parent.name == "views"]
    assert [line for path in views for line in broken(path, {"pages.views"})] == []


def test_only_the_doors_import_the_worker():
    others = [path for path in FILES if str(path.relative_to(ROOT)) not in MAY_IMPORT_WORKER]
    assert [line for path in others for line in broken(path, {"worker"})] == []


def test_the_other_doors_take_nothing_of_the_pages_but_the_export():
    doors = (
        [path for path in FILES if path.parent == ROOT and path.stem not in UI]
        + files_of("work")
        + files_of("commands")
    )
    found = [
        f"{p.name}:{line} imports {name}"
        for p in doors
        for line, name in imports(p)
        if under(name, {"pages"}) and name not in OF_THE_PAGES
    ]
    assert found == []


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
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return set(json.loads(done.stdout.splitlines()[-1]))


def importable(*areas: str) -> list[str]:
    """Modules of these areas; alembic's own scripts are left out, as only alembic can import them."""
    files = [
        path
        for area in areas
        for path in files_of(area)
        if "migrations" not in path.parts or path.name == "__init__.py"
    ]
    return [module_name(path) for path in files]


IMPORT_ALL = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)"


def test_everything_but_the_pages_works_without_streamlit():
    doors = sorted(DOORS - UI)
    loaded = loaded_after(IMPORT_ALL, *importable("core", "models", "storage", *sorted(ROOMS)), *doors)
    assert {"torch", "sqlalchemy"} <= loaded
    assert "streamlit" not in loaded


def test_storage_works_without_torch():
    assert not {"torch", "streamlit"} & loaded_after(IMPORT_ALL, *importable("storage"))


def test_exported_pages_are_drawn_without_streamlit_or_torch():
    assert not (TORCH | {"streamlit", "sqlalchemy", "sklearn"}) & loaded_after(IMPORT_ALL, "reporting.html_pages")


def test_the_tables_are_read_without_torch():
    tables = [
        "core.methods",
        "core.experiment.recipes",
        "core.datasets",
        "core.experiment.config",
        "models",
        "models.shapes",
    ]
    assert not (TORCH | {"sklearn", "streamlit"}) & loaded_after(IMPORT_ALL, *tables)


def test_the_command_line_starts_without_torch():
    assert not (TORCH | {"sklearn"}) & loaded_after(IMPORT_ALL, "cli", "serve", "worker")


OPEN_EVERY_PAGE = """
import sys
from streamlit.testing.v1 import AppTest
from storage.db.connection import open_database
from storage.db.migrate import upgrade
upgrade(open_database(role="worker"))
app = AppTest.from_file("app.py", default_timeout=60).run()
for view in sys.argv[1:]:
    app.switch_page(view).run()
    assert not app.exception, (view, app.exception)
"""


def test_no_page_loads_torch_or_sklearn(tmp_path, monkeypatch):
    """Opened as a person opens them, not only imported: what a page imports while it draws counts too."""
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    views = [
        str(path.relative_to(ROOT))
        for path in files_of("pages")
        if path.parent.name == "views" and path.name != "__init__.py"
    ]
    assert views
    parts = [name for name in importable("pages") if ".views" not in name]
    loaded = loaded_after(
        f"{OPEN_EVERY_PAGE}\nimport importlib\nfor name in {parts!r}: importlib.import_module(name)", *views
    )
    assert "streamlit" in loaded
    assert not (TORCH | {"sklearn"}) & loaded


WORDS_TOO = {"none", "share", "difficulty"}  # keys that are words of the pages as well


def test_no_page_names_a_method_or_a_sampler():
    """Pages read the rows: adding a method touches one file."""
    from core.methods import METHODS
    from core.methods.samplers import SAMPLERS

    keys = {row.key for table in (METHODS, SAMPLERS) for row in table} - WORDS_TOO
    named = {
        (str(path.relative_to(ROOT)), node.value)
        for path in files_of("pages")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in keys
    }
    assert not named
