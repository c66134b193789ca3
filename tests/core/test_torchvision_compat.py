"""torchvision imports beside a CPU-only torch, and costs nothing until it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core import torchvision_compat
from core.errors import DataError

ROOT = Path(__file__).parents[2]


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_in_a_fresh_interpreter_models_run_and_the_operators_have_a_schema() -> None:
    code = (
        "from core.torchvision_compat import torchvision\n"
        "tv = torchvision()\n"
        "import torch\n"
        "assert tv is torchvision()\n"
        "print(sum(p.numel() for p in tv.models.resnet18().parameters()), "
        "tuple(tv.models.resnet18().eval()(torch.zeros(1, 3, 32, 32)).shape))\n"
        "print(tv.datasets.CIFAR10.tgz_md5)\n"
        "print(torch.ops.torchvision.nms.default._schema)"
    )
    printed = run(code).split("\n")
    assert printed[:2] == ["11689512 (1, 1000)", "c58f30108f718f92721af3b95e74349a"]
    assert "Tensor dets, Tensor scores, float iou_threshold" in printed[2]


def test_the_module_itself_imports_neither_torch_nor_torchvision() -> None:
    assert (
        run("import sys, core.torchvision_compat; print({'torch', 'torchvision'} & set(sys.modules))").strip()
        == "set()"
    )


def test_nothing_is_declared_where_the_extension_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_compat, "_extension_loads", lambda: True)
    before = len(torchvision_compat._library)
    torchvision_compat._declare_missing_operators()
    assert len(torchvision_compat._library) == before


def test_declaring_twice_does_no_harm() -> None:
    torchvision_compat.torchvision()
    torchvision_compat._declare_missing_operators()


def test_a_missing_torchvision_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(torchvision_compat.importlib, "import_module", absent)
    torchvision_compat.torchvision.cache_clear()
    with pytest.raises(DataError, match=r"No module named 'torchvision'; install requirements\.txt"):
        torchvision_compat.torchvision()
    torchvision_compat.torchvision.cache_clear()
