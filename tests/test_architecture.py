"""The house: which folder may import which, no circle of files, and no torch in the process that draws pages.

The rules are MAY, printed in docs/architecture.md. Read are all import statements, those inside functions and for type
checkers as well, and `import_module("name")`. Relative imports, `__import__` and any other use of `import_module` are refused,
except that LOADERS import what a row or a folder names. What no such name shows (exec, runpy, a name put together at run
time) only the tests see that load the rooms in a fresh Python and look for torch, sklearn, streamlit and sqlalchemy.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GROUPS = {
    "GROUND": "core.errors core.findings core.registry core.modality core.formatting core.serialization core.split_names",
    "SCIENCE": "GROUND core.methods core.metrics core.datasets core.experiment core.diagnostics core.comparison",
    "RECORDS": "storage.db storage.jobs storage.results",
    "ROOMS": "SCIENCE RECORDS models reporting services",
}
# A file obeys the longest key that its name begins with: it may import files of the same key and what is named here. A name
# stands for what is below it, except what has a key of its own: "models" is not "models.networks".
# A file without a key may import nothing of ours.
MAY = {
    "core.errors": "",
    "core.findings": "",
    "core.formatting": "",
    "core.serialization": "",
    "core.split_names": "",
    "core.registry": "core.errors",
    "core.modality": "core.registry",
    "core.torchvision_compat": "core.errors torch torchvision",
    "core.methods": "GROUND",
    "core.metrics": "GROUND",
    "core.datasets": "GROUND core.torchvision_compat",
    "core.experiment": "GROUND core.methods",
    "core.diagnostics": "GROUND core.experiment core.methods core.metrics core.datasets.spec",
    "core.comparison": "GROUND core.diagnostics core.experiment core.methods core.metrics",
    "core.training": "GROUND core.experiment core.methods torch",
    "core.training.reference": "core.errors core.methods core.datasets torch",
    "models": "GROUND models.networks",
    "models.networks": "core.errors core.registry core.torchvision_compat torch",
    "storage.db": "core.errors core.experiment.states sqlalchemy alembic",
    "storage.jobs": "GROUND core.methods core.experiment storage.db sqlalchemy",
    "storage.results": "GROUND core.methods core.metrics core.experiment storage.db storage.jobs sqlalchemy",
    "reporting": "SCIENCE models",
    "services": "SCIENCE RECORDS models reporting.run_report reporting.text sqlalchemy.Engine",
    "services.launchers": "core.registry storage.db",
    "pages.components.common": "ROOMS services.launchers streamlit sqlalchemy.Engine sqlalchemy.exc",
    "pages.components.preview": "ROOMS streamlit",
    "pages.components": "ROOMS services.launchers pages.components.common pages.components.preview streamlit",
    "pages.views": "ROOMS pages.components pages.components.common streamlit",
    "app": "pages.components.common streamlit",
    "work": "SCIENCE RECORDS core.training models models.networks reporting.text services.launchers torch sqlalchemy.Engine",
    "worker": "work",
    "serve": "core.errors storage.db services.launchers work",
    "commands": "ROOMS work commands sqlalchemy.Engine",
    "cli": "ROOMS work commands sqlalchemy.Engine",
}
KEPT_OUT = {"torch", "torchvision", "streamlit", "sqlalchemy", "alembic"}  # other libraries are free to everybody
OPEN = {"benchmarks", "docs", "tests"}  # they may import everything, and no key names them: nobody imports them
LOADERS = {"core.registry", "core.methods.registry"}  # import what a row names, and the files of a folder
FILES = sorted([*ROOT.glob("*.py"), *(p for top in {k.split(".")[0] for k in MAY} for p in (ROOT / top).rglob("*.py"))])


def name_of(path: Path) -> str:
    """core/registry.py -> core.registry, models/__init__.py -> models."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


OURS = {name_of(path): path for path in FILES}
WATCHED = {name.split(".")[0] for name in OURS} | KEPT_OUT | OPEN


def under(name: str, roots: str | set[str]) -> bool:
    return any(
        name == root or name.startswith(f"{root}.") for root in (roots.split() if isinstance(roots, str) else roots)
    )


def expanded(rule: str) -> set[str]:
    """A rule without the names of GROUPS."""
    return {name for word in rule.split() for name in (expanded(GROUPS[word]) if word in GROUPS else {word})}


def room(name: str) -> str:
    """The key of MAY that a module obeys; "" without one."""
    return max((key for key in MAY if under(name, {key})), key=len, default="")


def granted(name: str, allowed: set[str]) -> bool:
    """Whether one of the allowed names stands for this one."""
    return any(under(name, root) and len(room(name)) <= len(root) for root in allowed)


def module_of(name: str) -> str | None:
    """The module of ours that an imported name is or belongs to: core.errors.EvenlyError -> core.errors."""
    while name and name not in OURS:
        name = name.rpartition(".")[0]
    return name or None


def read(source: str) -> Iterator[tuple[int, str]]:
    """(line, full name) of every import; the name ends in "?" where it is not plain what is imported."""
    tree = ast.parse(source)
    plain = set()  # the nodes of import_module in a call with one constant
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, f"{a.name} as ?") for a in node.names if a.name == "importlib" and a.asname)
            yield from ((node.lineno, a.name) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = f"{'.' * node.level}{node.module or ''}"
            for alias in node.names:
                renamed = node.level or (origin == "importlib" and (alias.asname or alias.name == "*"))
                yield node.lineno, f"{origin}.{alias.name}" + " ?" * bool(renamed)
        elif isinstance(node, ast.Call) and called(node.func) == "import_module":
            if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and not node.keywords:
                plain.add(node.func)
                yield node.lineno, str(node.args[0].value)
        elif called(node) in {"import_module", "__import__"} and node not in plain:
            yield node.lineno, f"{ast.unparse(node)} ?"


def called(node: ast.AST) -> str | None:
    """The last name of "import_module" or "importlib.import_module"; None of anything else."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """(line, module) of every import of a file; of "from core import errors" core.errors."""
    return tuple((line, module_of(name) or name) for line, name in read(path.read_text(encoding="utf-8")))


def broken(own: str, source: str) -> list[str]:
    """The imports in the source of a module that no rule allows."""
    allowed = expanded(MAY.get(room(own), ""))

    def fine(name: str) -> bool:
        if name.endswith("?"):
            return own in LOADERS and name == "importlib.import_module ?"
        if name.split(".")[0] not in WATCHED or granted(name, allowed):
            return True
        target = module_of(name)
        return target == own or (target is not None and room(target) == room(own) != "")

    return [f"{own}:{line} imports {name}" for line, name in read(source) if not fine(name)]


def test_every_folder_imports_only_what_the_rules_name():
    assert [each for own, path in OURS.items() for each in broken(own, path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("own", "source"),
    [
        ("core.formatting", "import core.training.host"),
        ("core.formatting", "def late():\n    from core.training import host"),
        ("core.errors", "from core.methods import METHODS"),
        ("core", "import core.errors"),
        ("storage", "from storage.db import paths"),
        ("pages", "import torch"),
        ("core.metrics.scalar", "from ..training import host"),
        ("core.metrics.scalar", "from . import classification"),
        ("core.metrics.scalar", "from importlib import import_module as load\nload('torch')"),
        ("core.metrics.scalar", "from importlib import *"),
        ("core.metrics.scalar", "import importlib as i\ni.reload"),
        ("core.metrics.scalar", "import importlib\nload = importlib.import_module"),
        ("core.metrics.scalar", "import importlib\nimportlib.import_module('torch')"),
        ("core.metrics.scalar", "import importlib\nimportlib.import_module(f'core.{x}')"),
        ("core.metrics.scalar", "import importlib\nimportlib.import_module(name='torch')"),
        ("core.metrics.scalar", "__import__('torch')"),
        ("core.metrics.scalar", "import builtins\nbuiltins.__import__('torch')"),
        ("core.registry", "from . import errors"),
        ("core.registry", "__import__('torch')"),
        ("core.metrics.scalar", "import benchmarks.gpu"),
        ("core.training.trainer", "from docs import worked_examples"),
        ("core.training.trainer", "from tests.conftest import ROOT"),
        ("core.training.trainer", "from core.datasets import load"),
        ("storage.results.runs", "from core.comparison.pairing import replicate"),
        ("services.replicates", "from sqlalchemy import select"),
        ("services.replicates", "from sqlalchemy import Engine, text"),
        ("services.replicates", "import sqlalchemy"),
        ("commands.runs", "from sqlalchemy.orm import Session"),
        ("services.replicates", "import services.launchers"),
        ("serve", "from work import inputs; import torch"),
        ("pages.views.home", "import work.worker"),
        ("pages.views.run", "from models.networks.resnet import resnet20"),
        ("pages.views.run", "from models import MODELS, networks"),
        ("commands.tables", "def late():\n    from models.networks import heads"),
        ("core.training.trainer", "from models.networks.heads import Network"),
        ("models", "from torch import nn"),
        ("models.shapes", "import torch"),
        ("core.methods.formula", "from core.torchvision_compat import torchvision"),
        ("core.training.trainer", "from core.torchvision_compat import torchvision"),
    ],
)
def test_a_planted_violation_is_found(own, source):
    assert own in OURS
    assert broken(own, source) != []


@pytest.mark.parametrize(
    ("own", "source"),
    [
        ("core.metrics.scalar", "import math\nfrom core.errors import EvenlyError\nfrom core.metrics import intervals"),
        ("core.methods.registry", "import importlib\nimportlib.import_module(f'core.methods.{x}')"),
        ("work.worker", "from importlib import import_module\nimport_module('work.runner')"),
        ("services.replicates", "from sqlalchemy import Engine"),
        ("pages.components.common.error_guard", "from sqlalchemy.exc import SQLAlchemyError"),
        ("core.training.reference", "from core.datasets import load"),
    ],
)
def test_what_the_rules_name_is_allowed(own, source):
    assert own in OURS
    assert broken(own, source) == []


def test_every_loader_loads():
    """A name that needs no exception any more leaves LOADERS."""
    assert {own for own, path in OURS.items() if any(name[-1] == "?" for _, name in imports(path))} == LOADERS


def test_the_rules_are_printed_in_the_docs():
    """The rows of the table under "The tree" are those of GROUPS and MAY."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| ([^|]+) \|[^|]*\| ([^|]*) \|$", text.split("## The tree")[1].split("\n## ")[0], re.MULTILINE
    )
    printed = {
        key.removesuffix(".py").strip("/").replace("/", "."): rule
        for keys, rule in rows
        for key in re.findall(r"`([^`]+)`", keys)
    }
    assert {key: set(re.findall(r"[\w.]+", rule)) for key, rule in printed.items() if key not in OPEN} == {
        key: set(rule.split()) for key, rule in {**GROUPS, **MAY}.items()
    }


def test_no_component_of_a_screen_imports_another_screens():
    """pages.components.run imports nothing of pages.components.compare, and a view only its own components and the shared ones."""
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
        if under(n, "pages.views") or folders.get(n, "") not in {"", *shared, o.replace("views", "components")}
    ]
    assert broken + views == []


def test_every_folder_of_code_is_a_package():
    """Without __init__.py a folder works by chance, and says of itself nothing."""
    folders = {path.parent for path in OURS.values()} - {ROOT}
    assert [str(folder.relative_to(ROOT)) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


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
        ("SCIENCE reporting models", "torch sklearn streamlit sqlalchemy"),
        ("RECORDS services services.launchers", "torch sklearn streamlit"),
        ("cli commands serve worker", "torch sklearn streamlit"),
    ],
    ids=["science", "records", "entry points"],
)
def test_what_a_room_loads(rooms, absent):
    """Imported in a fresh Python: what comes in by way of a library counts too. Alembic's own scripts only alembic can import."""
    names = [n for n in OURS if granted(n, expanded(rooms)) and ("migrations" not in n or n.endswith("migrations"))]
    assert not set(absent.split()) & loaded_after(IMPORT_ALL, *names)


OPEN_EVERY_PAGE = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=300).run()
for view in sys.argv[2:]:
    app.switch_page(view)
    app.query_params["id"] = sys.argv[1]
    app.run()
    assert not app.exception, (view, app.exception)
"""


def test_no_page_loads_torch_or_sklearn(seeded, monkeypatch):
    """Opened as a person opens them, not only imported: what a page imports while it draws a finished run counts too."""
    root, ids = seeded
    monkeypatch.setenv("EVENLY_DATA", str(root))
    views = [str(p.relative_to(ROOT)) for n, p in OURS.items() if under(n, "pages.views") and p.name != "__init__.py"]
    parts = [n for n in OURS if under(n, "pages.components")]
    assert views
    loaded = loaded_after(
        f"{OPEN_EVERY_PAGE}\nimport importlib\nfor n in {parts!r}: importlib.import_module(n)",
        str(ids["weighted"]),
        *views,
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
