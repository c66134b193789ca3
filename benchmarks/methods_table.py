"""Every method and every sampler on five tables, each replicate against the baseline of its own seed: \
results/methods.csv and docs/results.md.

    python -m benchmarks.methods_table run --tables mnist1d mnist1d_tail --seeds 10 --workers 2
    python -m benchmarks.methods_table docs

`run` queues what its data folder (EVENLY_DATA) does not hold yet, works it off with the worker's own loop and writes
its rows into the CSV; a second call goes on where the first one stopped. MNIST and the JPEG copy of CIFAR-10 are read
from the data folder: `MNIST/raw` and `cifar10-jpeg.zip`. `collect` writes the CSV alone, `docs` the page and its
picture from the CSV (benchmarks/methods_report.py). What is measured stands in benchmarks/methods_schema.py.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from sqlalchemy import Engine

from benchmarks import methods_report
from benchmarks.methods_schema import COLUMNS, CSV, FIGURES, ROOT, TABLES, Setting, name_of, read, row_of
from core.experiment.config import RunConfig
from core.training.host import cores
from services.launchers import LAUNCHERS
from services.launchers.process_group import on_signals
from services.submission import new_run
from storage import results
from storage.db.connection import open_database
from storage.db.migrate import upgrade
from storage.jobs import queue
from work import supervisor


class Planned(NamedTuple):
    """A replicate of a cell, and the run that the database has of it, if any."""

    setting: Setting
    config: RunConfig
    new: queue.NewRun
    run: int | None


def planned(engine: Engine, settings: Sequence[Setting], seeds: Iterable[int]) -> Iterator[list[Planned]]:
    """The replicates of a setting and a seed, the baseline first; seed by seed, so that whole seeds finish one after another."""
    runs = results.list_runs(engine, archived=None).sort_values("id")
    known = dict(zip(zip(runs["group_sha"], runs["seed"], strict=True), runs["id"], strict=True))
    for seed in seeds:
        for setting in settings:
            block, group = [], ""
            for config in (setting.config(cell, seed) for cell in setting.cells):
                new = new_run(config, setting.label, baseline_group=group)
                group = group or new.group_sha
                block.append(Planned(setting, config, new, known.get((new.group_sha, seed))))
            yield block


def submit(engine: Engine, settings: Sequence[Setting], seeds: Iterable[int]) -> int:
    """Queue the replicates that the database lacks, each with the baseline of its own seed; how many there were."""
    count = 0
    for block in planned(engine, settings, seeds):
        base = block[0].run
        given = {"baseline_index": 0} if base is None else {"baseline": int(base)}
        runs = [p.new if p is block[0] else replace(p.new, **given) for p in block if p.run is None]
        count += len(queue.submit(engine, runs))
    return count


def work(workers: int) -> None:
    """Work the queue off in that many processes. SIGTERM or Ctrl-C is passed on: the runs in hand are given back, a later call goes on."""
    local, orders = LAUNCHERS["local"], []
    on_signals(lambda signum, _: orders.append(signum))
    started = local.start(workers)
    while not orders and local.alive(started):
        time.sleep(0.5)
    local.stop(started)


def measured(engine: Engine, settings: Sequence[Setting], seeds: Iterable[int]) -> Iterator[dict[str, str]]:
    """A row of the CSV for every replicate that is over: figures of the test split after the last epoch."""
    runs = results.list_runs(engine, archived=None).set_index("id")
    for p in chain.from_iterable(planned(engine, settings, seeds)):
        if p.run is None or runs.at[p.run, "status"] not in queue.ENDED:
            continue
        run = runs.loc[p.run]
        done = run["status"] == "succeeded"
        yield {
            **row_of(p.setting, p.config),
            **{key: f"{run[key]:.6g}" if done else "" for key in FIGURES},
            "seconds": f"{run['seconds']:.1f}",
            "error": "" if done else run["error"] or run["status"],
        }


def merge(path: Path, rows: Iterable[Mapping[str, str]]) -> int:
    """Put rows into the CSV, in place of those of the same cell and seed; how many it has then.

    They stand in the order of the tables and their cells; a row that is none of today's cells comes last in its table.
    """
    cells = [(key, name) for key, setting in TABLES.items() for name in (*setting.names(), "")]
    both = pd.concat([read(path), pd.DataFrame(list(rows), columns=COLUMNS)])
    names = [(row["table"], name_of(row)) for row in both.to_dict("records")]
    both["name"] = names
    both["place"] = [cells.index(name if name in cells else (name[0], "")) for name in names]
    both["number"] = both["seed"].astype(int)
    both = both.drop_duplicates(["name", "number"], keep="last").sort_values(["place", "number"], kind="stable")
    path.parent.mkdir(parents=True, exist_ok=True)
    both[COLUMNS].to_csv(path, index=False, lineterminator="\n")
    return len(both)


def this_machine() -> dict[str, str]:
    """Processor, threads of a worker and versions, in words."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    asked = shutil.which("git") and subprocess.run(git, check=False, cwd=ROOT, capture_output=True, text=True)
    code = {"code": f"commit {asked.stdout.strip()}"} if asked and asked.returncode == 0 else {}
    info, gpus = Path("/proc/cpuinfo"), supervisor.gpus()
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = f"{names[0] if names else platform.processor() or 'unknown'} ({platform.machine()})"
    return {
        **code,
        "processor": f"{processor}, {f'{gpus} GPU' if gpus else 'no GPU'}",
        "threads of a worker": str(cores()),
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "torchvision", "numpy", "scikit-learn", "mnist1d")},
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "collect", "docs"))
    parser.add_argument("--tables", nargs="+", choices=tuple(TABLES), default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=10, help="replicates: seeds 1 to this")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--csv", type=Path, default=CSV)
    given = parser.parse_args(argv)
    if given.what == "docs":
        methods_report.write(given.csv)
        return
    engine = open_database()
    upgrade(engine)
    settings, seeds = [TABLES[key] for key in given.tables], range(1, given.seeds + 1)
    if given.what == "run":
        print(f"{submit(engine, settings, seeds)} runs queued")
        work(given.workers)
    print(f"{merge(given.csv, measured(engine, settings, seeds))} rows in {given.csv}")
    given.csv.with_suffix(".json").write_text(json.dumps(this_machine(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
