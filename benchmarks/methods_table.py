"""Every method and sampler on five tables, each replicate against the baseline of its own seed: results/methods.csv, docs/results.md.

    python -m benchmarks.methods_table run --tables mnist1d mnist1d_tail --seeds 10 --workers 2
    python -m benchmarks.methods_table docs

`run` queues what its data folder (EVENLY_DATA) does not hold yet, trains it with the ordinary worker and writes its rows
into the CSV; a second call resumes where the first one stopped. Three tables need `MNIST/raw` or `cifar10-jpeg.zip` in the
data folder. `collect` writes the CSV alone, `docs` the page and its picture from the CSV (benchmarks/methods_report.py).
benchmarks/methods_schema.py lists the tables.
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
from core.experiment.states import ENDED
from core.training.host import cores
from services.launchers import launcher
from services.queue_rows import new_run
from storage import results
from storage.db.connection import open_database
from storage.db.migrate import upgrade
from storage.jobs import queue
from work import supervisor
from work.process_group import on_signals


class Planned(NamedTuple):
    """A replicate of a cell, and the id of its run where the database has one."""

    setting: Setting
    config: RunConfig
    new: queue.NewRun
    run: int | None


def planned(engine: Engine, settings: Sequence[Setting], seeds: Iterable[int]) -> Iterator[list[Planned]]:
    """The replicates of a setting and a seed, the baseline first; seed by seed, so that whole seeds finish one after another."""
    runs = results.list_runs(engine, archived=None).sort_values("id")
    known = {(row.group_sha, row.seed): row.id for row in runs.itertuples()}
    for seed in seeds:
        for setting in settings:
            configs = [setting.config(cell, seed) for cell in setting.cells]
            base = new_run(configs[0], baseline_group="")
            new = [base, *(new_run(c, baseline_group=base.group_sha) for c in configs[1:])]
            yield [Planned(setting, c, n, known.get((n.group_sha, seed))) for c, n in zip(configs, new, strict=True)]


def submit(engine: Engine, settings: Sequence[Setting], seeds: Iterable[int]) -> int:
    """Queue the replicates that the database lacks, each with the baseline of its own seed; returns their number."""
    count = 0
    for block in planned(engine, settings, seeds):
        base = block[0].run
        given = {"baseline_index": 0} if base is None else {"baseline": int(base)}
        runs = [p.new if p is block[0] else replace(p.new, **given) for p in block if p.run is None]
        count += len(queue.submit(engine, runs))
    return count


def work(workers: int) -> None:
    """Drain the queue in that many processes. SIGTERM and Ctrl-C are passed on: runs in progress are requeued."""
    place, signals = launcher(), []
    on_signals(lambda signum, _: signals.append(signum))
    started = place.start(workers)
    while not signals and place.alive(started):
        time.sleep(0.5)
    place.stop(started)


def measured(engine: Engine, settings: Sequence[Setting], seeds: Iterable[int]) -> Iterator[dict[str, str]]:
    """A row of the CSV for every replicate that has ended: figures of the test split after the last epoch."""
    runs = results.list_runs(engine, archived=None).set_index("id")
    for p in chain.from_iterable(planned(engine, settings, seeds)):
        if p.run is None or runs.at[p.run, "status"] not in ENDED:
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
    """Put rows into the CSV, in place of those of the same cell and seed; returns how many it has then.

    They are in the order of the tables and their cells; a row that is none of today's cells comes last in its table.
    """
    cells = [(key, name) for key, setting in TABLES.items() for name in (*setting.names(), "")]
    both = pd.concat([read(path), pd.DataFrame(list(rows), columns=COLUMNS)])
    names = [(row["table"], name_of(row)) for row in both.to_dict("records")]
    places = [cells.index(name if name in cells else (name[0], "")) for name in names]
    both = both.assign(name=names, place=places, number=both["seed"].astype(int))
    both = both.drop_duplicates(["name", "number"], keep="last").sort_values(["place", "number"], kind="stable")
    path.parent.mkdir(parents=True, exist_ok=True)
    both[COLUMNS].to_csv(path, index=False, lineterminator="\n")
    return len(both)


def this_machine() -> dict[str, str]:
    """Commit, processor, threads of a worker and versions."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = (
        subprocess.run(git, check=False, cwd=ROOT, capture_output=True, text=True).stdout if shutil.which("git") else ""
    )
    info, gpus = Path("/proc/cpuinfo"), supervisor.gpus()
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = f"{names[0] if names else platform.processor() or 'unknown'} ({platform.machine()})"
    return {
        **({"code": f"commit {commit.strip()}"} if commit else {}),
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
