"""Every method and every sampler on five tables, each replicate against the baseline of its own seed: \
results/methods.csv and docs/results.md.

    python -m benchmarks.methods_table run --tables mnist1d mnist1d_tail --seeds 10 --workers 2
    python -m benchmarks.methods_table docs

`run` queues what its data folder (EVENLY_DATA) does not hold yet, works it off with the worker's own loop and writes
its rows into the CSV; a second call goes on where the first one stopped. MNIST and the JPEG copy of CIFAR-10 are read
from the data folder: `MNIST/raw` and `cifar10-jpeg.zip`. `collect` writes the CSV alone, `docs` the page and its
picture from the CSV (benchmarks/methods_report.py).
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

import worker
from core.config import RunConfig, checked, from_dict
from core.methods import METHODS
from core.methods.row import CLASSIFIER, TRAIN
from core.presets import FIRST
from core.samplers import SAMPLERS
from storage import queue, results
from storage.engine import open_database
from storage.launch import new_run
from storage.migrate import upgrade
from work import supervisor

ROOT = Path(__file__).resolve().parents[1]
CSV = ROOT / "results" / "methods.csv"
MACHINE = CSV.with_suffix(".json")  # what the figures were measured on
FIRST_SEED = 1
OVER = ("succeeded", "failed", "cancelled")
COLUMNS = (
    "table",
    "dataset",
    "model",
    "recipe",
    "epochs",
    "imbalance",
    "method",
    "params",
    "sampler",
    "start",
    "seed",
    "accuracy",
    "balanced_accuracy",
    "tpr_variance",
    "tpr_min",
    "seconds",
    "error",
)
PARAMS = "; "  # between two parameters in the CSV
CELL = ("table", "method", "params", "sampler", "start")  # what replicates share
FIGURES = ("accuracy", "balanced_accuracy", "tpr_variance", "tpr_min")


# -- what is measured --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A row of a table: a method, a sampler and a late start."""

    method: str = "none"
    params: Mapping[str, Any] = field(default_factory=dict)
    sampler: str = "instance"
    start: float = 0.0
    deferred: str = "everything"


@dataclass(frozen=True)
class Setting:
    """A table: the data, the network and the recipe of all its cells.

    `second` are the epochs of a second stage, `note` a remark for the page.
    """

    key: str
    label: str
    base: RunConfig
    cells: tuple[Cell, ...]
    second: int = 10
    note: str = ""

    def config(self, cell: Cell, seed: int) -> RunConfig:
        """The settings of one replicate, checked."""
        epochs = self.base.epochs if METHODS[cell.method].stage == TRAIN else self.second
        return checked(
            replace(
                self.base,
                method=cell.method,
                params=cell.params,
                sampler=cell.sampler,
                start=cell.start,
                deferred=cell.deferred,
                epochs=epochs,
                seed=seed,
            )
        )


# Without a default that fits: weights for ten classes of which the last five are the rare ones, and a formula that no other row is.
STATED: dict[str, dict[str, Any]] = {
    "manual": {"weights": "1,1,1,1,1,2,2,2,2,2"},
    "custom": {"formula": "sqrt(N / (C * n)) * mean_tpr / tpr"},
}
LDAM_DRW = Cell("ldam", {"reweight": 0.9999}, start=0.8, deferred="weight")
USUAL = (  # beside the defaults: the forms that papers use, and post-hoc steps at half strength
    Cell("tpr_ratio", {"exponent": 4.0}),
    Cell("cdb", {"tau": 1.0}),
    Cell("cdb", {"ema": 0.9}),
    Cell("ldam", {"max_margin": 0.0}),  # the cosine head alone
    LDAM_DRW,
    Cell("class_balanced", start=0.8),
    Cell(sampler="balanced", start=0.8),
    Cell("logit_adjusted_posthoc", {"tau": 0.5}),
    Cell("equal_tpr_bias", {"strength": 0.5}),
)


def every_row() -> tuple[Cell, ...]:
    """The baseline, every method, every sampler (with crt where it works on features, else without a method), and USUAL."""
    methods = [Cell(m.key, STATED.get(m.key, {})) for m in METHODS]
    samplers = [
        Cell("crt" if s.stage == CLASSIFIER else "none", sampler=s.key) for s in SAMPLERS if s.key != "instance"
    ]
    return (*methods, *samplers, *USUAL)


CHOSEN = (  # the cheap ones first, so that a table that is stopped has them
    Cell(),
    Cell("crt"),
    Cell("lws"),
    Cell("tau_norm"),
    Cell("logit_adjusted_posthoc"),
    Cell("equal_tpr_bias", {"strength": 0.5}),
    Cell("equal_tpr_bias"),
    Cell("balanced_softmax"),
    Cell("class_balanced"),
    Cell(sampler="balanced"),
    Cell("inverse_frequency"),
    Cell("tpr_ratio"),
    LDAM_DRW,
    Cell("cdb", {"ema": 0.9}),
    Cell("cdb"),
    Cell("focal"),
)

FEW = (
    Cell(),
    Cell("tau_norm"),
    Cell("logit_adjusted_posthoc"),
    Cell("equal_tpr_bias", {"strength": 0.5}),
    Cell("equal_tpr_bias"),
    Cell("crt"),
    Cell("balanced_softmax"),
    Cell("tpr_ratio"),
    Cell(sampler="balanced"),
    LDAM_DRW,
    Cell("cdb", {"ema": 0.9}),
)

_MNIST1D = FIRST.baseline
TABLES = {
    s.key: s
    for s in (
        Setting("mnist1d", "MNIST-1D, balanced", _MNIST1D, every_row()),
        # a quarter of the samples: twice the epochs are half the steps
        Setting("mnist1d_tail", "MNIST-1D, imbalance 100", replace(_MNIST1D, imbalance=100.0, epochs=40), every_row()),
        Setting(
            "mnist_tail",
            "MNIST, imbalance 100",
            RunConfig("mnist", "lenet5", recipe="adam_cycle", epochs=10, imbalance=100.0),
            (*CHOSEN, Cell("logit_adjusted")),
        ),
        Setting(
            "cifar_tail",
            "CIFAR-10 (JPEG copy) at 16 x 16 pixels, imbalance 100",
            RunConfig("cifar10-jpeg.zip@16", "cnn", recipe="adam_cycle", epochs=10, imbalance=100.0),
            CHOSEN,
            note="Half the side length and the small CNN: ResNet-20 at 32 x 32 pixels takes more than a minute of a core an epoch. "
            "`logit_adjusted` is left out: at tau 1 it is `balanced_softmax`.",
        ),
        Setting(
            "cifar_resnet20",
            "CIFAR-10 (JPEG copy), ResNet-20, imbalance 100",
            RunConfig("cifar10-jpeg.zip", "resnet20", recipe="sgd_cosine", epochs=10, imbalance=100.0),
            FEW,
            second=5,
            note="Ten epochs are few for ResNet-20, and one takes 80 to 200 seconds of a core here: the networks are far from settled. "
            "The methods are those that the other tables leave in question; a GPU allows more of both. "
            "Measured at commit 2b333be, three workers of one thread beside other work.",
        ),
    )
}


# -- measuring it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planned:
    """A replicate of a cell, and the run the database has of it, if any."""

    setting: Setting
    cell: Cell
    config: RunConfig
    new: queue.NewRun
    run: int | None


def planned(engine: Engine, settings: Iterable[Setting], seeds: Iterable[int]) -> Iterator[list[Planned]]:
    """The replicates of a setting and a seed, the baseline first; seed by seed, so that whole seeds finish one after another."""
    known = {
        (row.group_sha, row.seed): row.id
        for row in results.list_runs(engine, archived=None).sort_values("id").itertuples()
    }
    settings = list(settings)
    for seed in seeds:
        for setting in settings:
            group = new_run(setting.config(Cell(), seed), setting.label).group_sha
            block = []
            for cell in setting.cells:
                config = setting.config(cell, seed)
                first = cell == Cell()
                new = new_run(config, setting.label, baseline_group="" if first else group)
                block.append(Planned(setting, cell, config, new, known.get((new.group_sha, seed))))
            yield block


def submit(engine: Engine, settings: Iterable[Setting], seeds: Iterable[int]) -> int:
    """Queue the replicates that the database lacks, each with the baseline of its own seed; how many there were."""
    count = 0
    for block in planned(engine, settings, seeds):
        base = block[0]
        absent = [p.new for p in block if p.run is None]
        if not absent:
            continue
        if base.run is None:
            runs = [absent[0], *(replace(new, baseline_index=0) for new in absent[1:])]
        else:
            runs = [replace(new, baseline=base.run) for new in absent]
        count += len(queue.submit(engine, runs))
    return count


def work(workers: int) -> None:
    """Work the queue off in that many processes. SIGTERM or Ctrl-C is passed on: the runs in hand are given back, a later call goes on."""
    command = [sys.executable, "-m", "benchmarks.methods_table", "work", "--slot"]
    children = [subprocess.Popen([*command, str(slot)]) for slot in range(workers)]
    orders: list[int] = []
    worker.on_signals(lambda signum, _: orders.append(signum))
    while not orders and any(child.poll() is None for child in children):
        time.sleep(0.5)
    supervisor.end(children)


# -- the CSV -----------------------------------------------------------------------------------------------------


def params_in_words(config: RunConfig) -> str:
    """ "exponent=2; normalize=mean_one": every parameter of the method, then the sampler's."""
    both = {**config.params, **config.sampler_params}
    return PARAMS.join(f"{k}={v if isinstance(v, str) else format(v, 'g')}" for k, v in both.items())


def cell_of(setting: Setting, key: Sequence[str]) -> Cell | None:
    """The cell that a row with these values of CELL is a replicate of.

    A parameter that came after the row was written stands at its default.
    """
    _, *rest = key
    theirs = _split(rest.pop(1))
    for cell in setting.cells:
        _, *mine = cell_key(setting, cell)
        params = _split(mine.pop(1))
        later = params.keys() - theirs.keys()
        if (
            mine == rest
            and theirs == {k: v for k, v in params.items() if k not in later}
            and not later & cell.params.keys()
        ):
            return cell
    return None


def earlier_cell(key: Sequence[str]) -> Cell:
    """The cell of a row that is none of today's, as when a default has changed: named by what differs from today's defaults."""
    _, method, params, sampler, start = key
    usual = {
        p.key: p.default if isinstance(p.default, str) else format(p.default, "g")
        for row in (METHODS[method], SAMPLERS[sampler])
        for p in row.params
    }
    share, _, what = start.partition(" ")
    return Cell(
        method,
        {k: v for k, v in _split(params).items() if usual.get(k) != v},
        sampler,
        float(share),
        what or "everything",
    )


def _split(params: str) -> dict[str, str]:
    return dict(item.split("=", 1) for item in params.split(PARAMS) if item)


def start_in_words(config: RunConfig) -> str:
    """ "0", "0.8", or "0.8 weight" where the logit terms act from the first epoch."""
    return f"{config.start:g}" + (" weight" if config.start > 0 and config.deferred == "weight" else "")


def measured(engine: Engine, settings: Iterable[Setting], seeds: Iterable[int]) -> Iterator[dict[str, str]]:
    """A row of the CSV for every replicate that is over: figures of the test split after the last epoch."""
    frame = results.list_runs(engine, archived=None).set_index("id")
    for block in planned(engine, settings, seeds):
        for p in block:
            if p.run is None or frame.at[p.run, "status"] not in OVER:
                continue
            run = frame.loc[p.run]
            config = checked(from_dict(results.get_run(engine, p.run).config))
            done = run["status"] == "succeeded"
            figures = {key: f"{run[key]:.6g}" if done else "" for key in FIGURES}
            yield {
                "table": p.setting.key,
                "dataset": config.dataset,
                "model": config.model,
                "recipe": config.recipe,
                "epochs": str(config.epochs),
                "imbalance": f"{config.imbalance:g}",
                "method": config.method,
                "params": params_in_words(config),
                "sampler": config.sampler,
                "start": start_in_words(config),
                "seed": str(config.seed),
                **figures,
                "seconds": f"{run['seconds']:.1f}",
                "error": "" if done else run["error"] or run["status"],
            }


def read(path: Path = CSV) -> list[dict[str, str]]:
    """The rows of the CSV; none where there is no file yet."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def merge(path: Path, rows: Iterable[Mapping[str, str]]) -> int:
    """Put rows into the CSV, in place of those of the same cell and seed; how many it has then."""
    place = {key: n for n, key in enumerate(TABLES)}
    cells = {cell_key(s, c): n for s in TABLES.values() for n, c in enumerate(s.cells)}
    both = {(*present_key(r), r["seed"]): r for r in (*read(path), *rows)}
    ordered = sorted(
        both.items(), key=lambda item: (place[item[0][0]], cells.get(item[0][:-1], len(cells)), int(item[0][-1]))
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for _, row in ordered)
    return len(ordered)


def present_key(row: Mapping[str, str]) -> tuple[str, ...]:
    """The values of CELL that the row's cell has today; its own where it is none of today's."""
    own = tuple(row[k] for k in CELL)
    cell = cell_of(TABLES[row["table"]], own)
    return own if cell is None else cell_key(TABLES[row["table"]], cell)


def cell_key(setting: Setting, cell: Cell) -> tuple[str, ...]:
    """The values of CELL that the cell's rows have."""
    config = setting.config(cell, FIRST_SEED)
    return setting.key, config.method, params_in_words(config), config.sampler, start_in_words(config)


# What the code did when results/methods.csv was measured, where it does something else now. Measured anew, a row leaves this table.
SINCE: dict[str, str] = {}


# -- what it was measured on -------------------------------------------------------------------------------------


def this_machine() -> dict[str, str]:
    """Processor, threads of a worker and versions, in words."""
    from core.machine import cores

    versions = {name: metadata.version(name) for name in ("torch", "torchvision", "numpy", "scikit-learn", "mnist1d")}
    asked = (
        subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=False, cwd=ROOT, capture_output=True, text=True)
        if shutil.which("git")
        else None
    )
    code = {"code": f"commit {asked.stdout.strip()}"} if asked and asked.returncode == 0 else {}
    return {
        **code,
        "processor": _processor(),
        "threads of a worker": str(cores()),
        "Python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (
        f"{names[0] if names else platform.processor() or 'unknown'} ({platform.machine()}), no GPU"
        if not worker.gpus()
        else f"{worker.gpus()} GPU"
    )


def read_machine(path: Path = MACHINE) -> dict[str, str]:
    """What `collect` wrote of the machine; empty where there is no file yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


# -- the command -------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "collect", "docs", "work"))
    parser.add_argument("--tables", nargs="+", choices=tuple(TABLES), default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=10, help="replicates: seeds 1 to this")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--csv", type=Path, default=CSV)
    parser.add_argument("--slot", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.what == "docs":
        from benchmarks.methods_report import write

        write(given.csv)
        return
    if given.what == "work":
        logging.basicConfig(level=logging.INFO, format="%(asctime)s worker: %(message)s", datefmt="%H:%M:%S")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        sys.exit(worker.serve(given.slot, drain=True))
    engine = open_database()
    upgrade(engine)
    settings, seeds = [TABLES[key] for key in given.tables], range(FIRST_SEED, FIRST_SEED + given.seeds)
    if given.what == "run":
        print(f"{submit(engine, settings, seeds)} runs queued")
        work(given.workers)
    print(f"{merge(given.csv, measured(engine, settings, seeds))} rows in {given.csv}")
    given.csv.with_suffix(".json").write_text(json.dumps(this_machine(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
