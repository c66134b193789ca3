"""The table of benchmarks/gpu.py as text, Markdown and JSON, with the machine it was measured on."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from core.training.device import Device, versions
from core.training.host import cores

HEAD = ("measured", "value", "n", "target", "met")


@dataclass(frozen=True)
class Row:
    """A line of the table; `values` are the numbers behind `value`. `met` is None without a target on this machine."""

    measured: str
    value: str
    values: tuple[float, ...] = ()
    target: str = ""
    met: bool | None = None
    failed: bool = False

    def cells(self) -> tuple[str, ...]:
        met = "FAILED" if self.failed else {None: "-", True: "yes", False: "no"}[self.met]
        return self.measured, self.value, str(len(self.values) or "-"), self.target or "-", met


def machine(device: Device) -> dict[str, str]:
    """The machine and versions the figures were measured with."""
    found = {"device": device.name, "processor": f"{platform.machine()}, {cores()} cores"}
    if device.device.type == "cuda":
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        has_smi, memory = shutil.which(query[0]), torch.cuda.mem_get_info()[1]
        driver = subprocess.run(query, check=False, capture_output=True, text=True).stdout if has_smi else ""
        found |= {"memory": f"{memory / 2**30:.0f} GiB", "driver": (driver.split() or ["unknown (no nvidia-smi)"])[0]}
    return found | versions()


def as_text(rows: Sequence[Row]) -> str:
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def write(file: Path, rows: Sequence[Row], about: Mapping[str, str]) -> None:
    """The table as Markdown in `file`, its rows with the machine as JSON next to it."""
    lines = [HEAD, ["---"] * len(HEAD), *([c.replace("|", "\\|") for c in row.cells()] for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    file.write_text(f"{', '.join(f'{k} {v}' for k, v in about.items())}\n\n{table}\n")
    file.with_suffix(".json").write_text(json.dumps({"machine": about, "rows": [asdict(r) for r in rows]}, indent=1))
