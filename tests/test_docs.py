"""The docs match the code: generated pages are current, and every file, test, link, variable and command they name exists."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from core.datasets import DATASETS
from core.experiment.config import SETTINGS
from core.experiment.recipes import RECIPES
from core.methods import METHODS, answer, tpr_weights
from core.methods.samplers import SAMPLERS
from core.methods.types import Evidence
from core.registry import Registry
from models import MODELS
from storage.db.schema import metadata

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README, ARCHITECTURE, CHANGELOG = ROOT / "README.md", DOCS / "architecture.md", ROOT / "CHANGELOG.md"
FAULTS = DOCS / "faults.md"
PAGES = [README, CHANGELOG, ARCHITECTURE, FAULTS, DOCS / "methods.md", DOCS / "tables.md"]
TABLES = {"methods.md": (METHODS,), "tables.md": (DATASETS, MODELS, RECIPES)}
CODE = (
    "*.py",
    "work/*.py",
    "commands/*.py",
    "core/**/*.py",
    "services/**/*.py",
    "reporting/**/*.py",
    "models/**/*.py",
    "storage/**/*.py",
    "pages/**/*.py",
    "tests/**/*.py",
    "benchmarks/*.py",
    "Makefile",
    "compose.yaml",
    ".ci/run",
)
GENERATED = runpy.run_path(str(DOCS / "generate.py"))


def text_of(path: Path) -> str:
    """A page's text. A missing page fails the test: a skip would hide it."""
    assert path.is_file(), f"{path.relative_to(ROOT)} is missing"
    return path.read_text(encoding="utf-8")


def fenced(text: str) -> list[str]:
    """The fenced blocks of a page."""
    return re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def methods_of_the_readme():
    """The code blocks of both methods: function and row of the first, two files of the second."""
    return fenced(text_of(README).split("## Add a method in ten lines")[1].split("\n## ")[0])


def test_the_method_of_the_readme_works_as_printed():
    """The function and the row, pasted where the text says."""
    function, row, *_ = methods_of_the_readme()
    assert len((function + row).rstrip().splitlines()) <= 10
    there = dict(vars(tpr_weights))
    exec(f"{function}\nROWS = (\n{row}\n)", there)
    (method,) = there["ROWS"]
    table = Registry("method", *METHODS, method)
    terms = answer("tpr_gap", Evidence(3, tpr=np.array([0.9, 0.6, 0.75])), {"strength": 1.0}, table=table)
    np.testing.assert_allclose(terms.weight, np.array([1.0, 1.3, 1.15]) / 1.15, rtol=1e-12)
    (golden,) = method.golden
    terms = answer("tpr_gap", Evidence(2, tpr=np.array(golden.given["tpr"])), table=table)
    np.testing.assert_allclose(terms.weight, golden.expect["weight"], rtol=1e-12)


@pytest.fixture
def extended(tmp_path, digits):
    """Runs Python in a copy of the code with the two new files of the README and no other change; returns what it prints."""
    row, objective = methods_of_the_readme()[2:]
    assert len((row + objective).splitlines()) <= 30
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "data"))
    shutil.copytree(digits, tmp_path / "data" / "cache")
    for text in (row, objective):
        new = copy / text.splitlines()[0].removeprefix("# ")
        assert not new.exists()
        new.write_text(text, encoding="utf-8")

    def run(code):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=copy,
            env={**os.environ, "EVENLY_DATA": str(tmp_path / "data"), "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return run


EXTENDED = """
import sys
import pytest
import cli
from docs.generate import write_pages
write_pages()
sys.argv = ["cli.py", *{command!r}.split()]
assert cli.main() == 0
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", {mine!r}, *{files!r}]))
"""


@pytest.mark.slow
def test_the_method_with_its_own_objective_of_the_readme_trains_as_printed(extended):
    """Once the pages are made again, a run of one epoch succeeds, and every test that reads the rows passes."""
    contract = [
        "core/methods/test_method_rows",
        "core/methods/test_golden",
        "core/training/test_objectives",
        "core/training/test_objective_edges",
        "reporting/test_report",
        "test_docs",
        "test_results",
    ]
    files = [f"tests/{name}.py" for name in contract]
    pages = "generated_pages or every_row_of_every_table or page_and_its_picture or every_method_and_every_sampler"
    mine = f"generalized or every_setting_of_every_row or {pages}"
    command = "run --dataset digits --model mlp --method generalized --epochs 1 --wait --json"
    printed = extended(EXTENDED.format(command=command, mine=mine, files=files))
    run, end = json.JSONDecoder().raw_decode(printed, printed.index("{"))
    assert run["status"] == "succeeded"
    assert " passed" in printed[end:]


# -- generated pages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GENERATED["PAGES"])
def test_generated_pages_are_current(name):
    assert text_of(DOCS / name) == GENERATED["PAGES"][name](), "run `python docs/generate.py`"


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_every_table_is_on_its_page(name):
    text = text_of(DOCS / name)
    missing = [
        row.key for table in TABLES[name] for row in table if f"`{row.key}`" not in text or row.label not in text
    ]
    assert missing == []


def test_every_parameter_is_named_with_its_range():
    rows = {
        "methods.md": [p for m in METHODS for p in m.params],
        "tables.md": [*SETTINGS, *(p for r in RECIPES for p in r.params)],
    }
    for name, params in rows.items():
        text = text_of(DOCS / name)
        assert [p.key for p in params if f"| `{p.key}` |" not in text or p.expected not in text] == []


def test_no_placeholder_is_left_in_a_formula():
    formulas = re.findall(r"\$\$(.+?)\$\$", text_of(DOCS / "methods.md"))
    assert len(formulas) == len(METHODS) + len(SAMPLERS) + 1  # and the one loss
    assert [f for f in formulas if "<" in f or f.count("{") != f.count("}")] == []


def test_every_example_command_prints_the_numbers_of_its_table():
    sections = text_of(DOCS / "methods.md").split("\n## ")[1:]
    assert len(sections) == len(METHODS) + len(SAMPLERS) + 2  # the headings of samplers and measures
    examples = [
        (section, found[1]) for section in sections if (found := re.search(r"`python cli\.py terms ([^`]+)`", section))
    ]
    assert len(examples) > 30
    for section, words in examples:
        command = shlex.split(words)
        for term, numbers in answered(command).items():
            row = re.search(rf"^\| {term} \| (.+) \|$", section, flags=re.MULTILINE)
            assert [float(cell) for cell in row[1].split(" | ")] == pytest.approx(numbers, rel=1e-5), command


def answered(command: list[str]) -> dict[str, list[float]]:
    """The terms that `cli.py terms` prints as JSON."""
    from typer.testing import CliRunner

    import cli

    done = CliRunner().invoke(cli.app, ["terms", *command, "--json"])
    assert done.exit_code == 0, (command, done.output)
    return {
        k: v
        for k, v in json.loads(done.stdout).items()
        if isinstance(v, list) and len(v) > 1 and not isinstance(v[0], str)
    }


# -- what pages name ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_to_files_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    inside = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith(("#", "mailto:"))]
    assert [link for link in inside if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_named_in_code_marks_exist(page):
    named = re.findall(r"`([\w./*-]+(?:/|\.(?:py|md|json|toml|js|css|yaml|ini)))`", text_of(page))
    own = re.compile(r"^(train|val|test|pages/x)\b|^\*|^data/")  # the user's folders, not ours
    assert [
        name for name in named if not own.match(name) and not list(ROOT.glob(name)) and not list(DOCS.glob(name))
    ] == []


def test_benchmarks_named_exist():
    for page in (README, ARCHITECTURE):
        for module in re.findall(r"python -m (benchmarks\.\w+)", text_of(page)):
            assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module


@cache
def functions_of(path: Path) -> frozenset[str]:
    """The test functions of a file."""
    return frozenset(node.name for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, ast.FunctionDef))


def test_tests_named_exist():
    named = re.findall(r"`([\w/]*test_\w+\.py)::(test_\w+)`", text_of(FAULTS))
    assert len(named) > 20
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(ROOT / "tests" / file)] == []


def test_the_architecture_page_stays_short():
    """Newcomers read it first."""
    assert len(text_of(ARCHITECTURE).splitlines()) <= 200


def test_every_table_of_the_database_is_described():
    text = text_of(ARCHITECTURE)
    assert [name for name in metadata.tables if f"| `{name}` |" not in text] == []


def tree_names() -> Iterator[str]:
    """The names at the left edge of the README's file tree."""
    tree = next(
        (block for block in fenced(text_of(README)) if re.search(r"^app\.py\s", block, flags=re.MULTILINE)), None
    )
    assert tree is not None, "README.md has no file tree: a fenced block with a line that begins with app.py"
    for line in tree.splitlines():
        if line and not line[0].isspace():
            yield from re.split(r",?\s+", re.split(r"\s{2,}", line)[0].strip())


def test_the_readme_tree_names_what_is_there():
    assert [name for name in tree_names() if not list(ROOT.glob(name))] == []


def test_the_readme_tree_names_every_program_and_folder():
    named = {path for name in tree_names() for path in ROOT.glob(name)}
    folders = {path.parent for path in ROOT.glob("[a-z]*/*.py")} - {ROOT / "pages"} | {
        ROOT / "pages" / "views",
        ROOT / "pages" / "components",
    }
    assert sorted(str(path.relative_to(ROOT)) for path in {*ROOT.glob("*.py"), *folders} - named) == []


def test_every_variable_that_is_read_is_documented():
    read = {
        name
        for pattern in CODE
        for path in ROOT.glob(pattern)
        if path != Path(__file__)
        for name in re.findall(r"EVENLY_[A-Z_]+", path.read_text("utf-8"))
    }
    assert {"EVENLY_DATA", "EVENLY_PORT"} <= read
    written = "\n".join(map(text_of, PAGES))
    assert [name for name in sorted(read) if not re.search(rf"\b{name}\b", written)] == []


def test_the_changelog_ends_at_the_version_of_the_project():
    version = re.search(r'^version = "([^"]+)"', text_of(ROOT / "pyproject.toml"), flags=re.MULTILINE)[1]
    assert re.search(r"^## (\d+\.\d+\.\d+)", text_of(CHANGELOG), flags=re.MULTILINE)[1] == version


def test_no_path_of_the_machine_is_named():
    words = re.compile(r"/work/|/root/|/home/\w+/|/tmp/")
    assert [page.name for page in PAGES if words.search(text_of(page))] == []
