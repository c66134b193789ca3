"""Door 3: everything without a browser. `python cli.py --help`.

Exit status 0 only on success; errors are one line on stderr. With --json, stdout holds nothing but JSON.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from sqlalchemy import Engine
from typer.exceptions import TyperException

from core.config import RunConfig
from core.errors import EvenlyError

app = typer.Typer(
    help="Class-weighting experiments: train, weight, retrain, compare.", add_completion=False,
    pretty_exceptions_enable=False, rich_markup_mode=None,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Params = Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the method; repeat for more.")]


class Format(StrEnum):
    csv = "csv"
    json = "json"
    html = "html"


def emit(data: Any) -> None:
    """JSON on stdout; a number that JSON has no word for (NaN, an undefined TPR) becomes null."""
    print(json.dumps(plain(data), indent=1))


def plain(value: Any) -> Any:
    """Nested values as JSON knows them."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (datetime, Path)):
        return None if value is pd.NaT else str(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value


def numbers(text: str, name: str) -> np.ndarray:
    """"0.9,0.7" as an array; anything else raises EvenlyError naming the value."""
    try:
        return np.array([float(part) for part in text.split(",")])
    except ValueError:
        bad = next(part for part in text.split(",") if not _is_number(part))
        raise EvenlyError(f"{name}: {bad!r} is not a number; give numbers with commas between them, as in 0.9,0.7") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def pairs(given: list[str] | None) -> dict[str, str]:
    """["tau=1", ...] as a dict; a missing "=" raises EvenlyError."""
    for item in given or []:
        if "=" not in item:
            raise EvenlyError(f"--param {item!r}: expected NAME=VALUE, as in exponent=2")
    return dict(item.split("=", 1) for item in given or [])


def database(role: str = "page"):
    """The migrated database."""
    from storage.engine import open_database
    from storage.migrate import upgrade

    engine = open_database(role=role)
    upgrade(engine)
    return engine


# -- looking things up -------------------------------------------------------------------------------------------


@app.command()
def methods(as_json: Json = False) -> None:
    """The methods, their parameters and what they need."""
    from core.methods import METHODS

    rows = [
        {"key": m.key, "label": m.label, "group": m.group, "needs": sorted(m.needs), "summary": m.summary, "formula": m.formula,
         "source": str(m.source) if m.source else "",
         "params": [{"key": p.key, "default": p.default, "expected": p.expected, "help": p.help} for p in m.params]}
        for m in METHODS
    ]
    if as_json:
        emit(rows)
        return
    for row in rows:
        print(f"{row['key']:<20}{row['summary']}")
        for p in row["params"]:
            print(f"{'':<20}  {p['key']} = {p['default']}  ({p['expected']})")


@app.command()
def datasets(as_json: Json = False) -> None:
    """The datasets of the table, and whether each is ready on this machine."""
    from core.datasets import DATASETS

    rows = [{"key": d.key, "label": d.label, "summary": d.summary, "embedded": d.embedded} for d in DATASETS]
    if as_json:
        emit(rows)
        return
    for row in rows:
        print(f"{row['key']:<16}{row['label']:<20}{row['summary']}")
    print(f"{'PATH':<16}{'Your own':<20}An image folder or a .zip of it: train/, optional val/ and test/, one folder per class.")


@app.command()
def terms(
    method: str,
    tpr: Annotated[str | None, typer.Option(help="TPRs, as in 0.9,0.7")] = None,
    counts: Annotated[str | None, typer.Option(help="Training samples per class, as in 10,20")] = None,
    support: Annotated[str | None, typer.Option(help="Validation samples behind each TPR")] = None,
    param: Params = None,
    as_json: Json = False,
) -> None:
    """What a method answers: weights, shifts and the other terms it sets, for given TPRs and counts."""
    from core.methods import METHODS, answer, what_if

    METHODS[method]  # an unknown method is said before missing evidence
    given = {"tpr": tpr, "counts": counts, "support": support}
    vectors = {name: numbers(text, f"--{name}") for name, text in given.items() if text is not None}
    if not vectors:
        raise EvenlyError(f"{method}: nothing to compute from; give --tpr, --counts or both")
    evidence = what_if(len(next(iter(vectors.values()))), **vectors)
    answered = answer(method, evidence, pairs(param))
    if as_json:
        scalars = {name: [value] for name, value in (answered.info or {}).items()}
        emit({**answered.set(), **scalars, **({"notes": answered.notes} if answered.notes else {})})
        return
    for name, vector in answered.set().items():
        print(f"{name:<10}" + "  ".join(f"{v:.6g}" for v in vector))
    for note in answered.notes:
        print(f"note      {note}")


# -- starting runs -----------------------------------------------------------------------------------------------


@app.command()
def run(
    dataset: Annotated[str, typer.Option(help="A key of the table, a folder or a .zip")],
    model: Annotated[str, typer.Option(help="A key of the model table")],
    method: Annotated[str, typer.Option(help="A key of the method table")] = "none",
    param: Params = None,
    baseline: Annotated[int | None, typer.Option(metavar="RUN", help="The run whose validation TPRs feed the method")] = None,
    tpr: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="TPRs from a file instead of a baseline")] = None,
    recipe: Annotated[str, typer.Option(help="A key of the recipe table")] = "adam_cycle",
    recipe_param: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="As --param, for the recipe")] = None,
    epochs: Annotated[int | None, typer.Option(help="Default: the recipe's")] = None,
    seed: int = 0,
    seeds: Annotated[int, typer.Option(help="Replicates: this many runs with seeds SEED, SEED+1, ...")] = 1,
    imbalance: Annotated[float, typer.Option(help="Long tail on the training split: largest over smallest class")] = 1.0,
    profile: str = "exponential",
    validation: Annotated[float, typer.Option(help="Share of the training data held out for validation")] = 0.1,
    reduction: str = "weighted_mean",
    device: str = "auto",
    name: str = "",
    wait: Annotated[bool, typer.Option(help="Return when the run has ended; trains here if no worker is on")] = False,
    as_json: Json = False,
) -> None:
    """Queue a run; with --wait, see it to its end."""
    from storage import queue
    from storage.launch import new_run

    if not 1 <= seeds <= 100:
        raise EvenlyError(f"--seeds is {seeds}, expected a whole number from 1 to 100")
    config = RunConfig(
        dataset=dataset, model=model, method=method, params=pairs(param), recipe=recipe, recipe_params=pairs(recipe_param),
        epochs=epochs if epochs is not None else _default_epochs(recipe), seed=seed, imbalance=imbalance, profile=profile,
        validation=validation, reduction=reduction, device=device,
    )
    engine = database()
    config, spec = fitted(config)
    config = with_tprs(config, tpr, spec.classes)
    group = check_baseline(engine, config, baseline, spec.classes)
    runs = [
        new_run(replace(config, seed=seed + i), spec.label, baseline=baseline, baseline_group=group, name=name) for i in range(seeds)
    ]
    ids = queue.submit(engine, runs)
    if wait:
        wait_for(engine, ids, quiet=as_json)
    show_started(engine, ids, wait, as_json)


def _default_epochs(recipe: str) -> int:
    from core.recipes import RECIPES

    return RECIPES[recipe].epochs


def with_tprs(config: RunConfig, path: Path | None, classes: tuple[str, ...]) -> RunConfig:
    """The config with the TPRs of a CSV file."""
    if path is None:
        return config
    from core.config import given_tprs
    from core.tprs import parse

    try:
        data = path.read_bytes()
    except OSError as error:
        raise EvenlyError(f"--tpr {path}: {error.strerror or error}") from error
    tprs, support = parse(data, classes)
    return replace(config, **given_tprs(tprs, support, path.name))


def say(share: float, text: str) -> None:
    """Progress of preparing data, on stderr so that stdout stays clean."""
    print(f"\r{text} ({share:.0%})    ", end="" if share < 1 else "\n", file=sys.stderr, flush=True)


def fitted(config: RunConfig):
    """The checked config with its dataset's stored name, and the dataset's spec; data is prepared where it must be read first.

    A dataset that is absent or a model that does not fit raises EvenlyError before anything is queued.
    """
    from core import datasets
    from core.config import checked
    from models import MODELS
    from storage.engine import data_root

    config, model = checked(config), MODELS[config.model]
    row = datasets.find_dataset(config.dataset, data_root())
    if not (row.key in datasets.DATASETS and datasets.DATASETS[row.key].embedded):
        datasets.prepare(config.dataset, data_root(), say)
    spec = datasets.describe(config.dataset, data_root(), config.validation)
    if reason := model.fits(spec.shape, len(spec.classes)):
        raise EvenlyError(f"model {model.key} does not fit {spec.label}: {reason}")
    return replace(config, dataset=row.key), spec


def check_baseline(engine: Engine, config: RunConfig, baseline: int | None, classes: tuple[str, ...]) -> str:
    """The baseline's group, or "" without one. A method that needs TPRs and gets none raises EvenlyError."""
    from core.methods import METHODS
    from storage import results

    if baseline is None:
        if "tpr" in METHODS[config.method].needs and config.tpr is None:
            raise EvenlyError(f"{config.method} needs the TPRs of an earlier run; give --baseline RUN or --tpr FILE.csv")
        return ""
    if config.tpr is not None:
        raise EvenlyError("--baseline and --tpr both name TPRs; give one of them")
    row = results.get_run(engine, baseline)
    known = tuple(row.facts.get("classes", classes))
    if known != tuple(classes):
        raise EvenlyError(f"run {baseline} knows {len(known)} other classes than {config.dataset}; choose a baseline on the same dataset")
    return row.group_sha


def wait_for(engine: Engine, ids: list[int], *, quiet: bool) -> None:
    """Return when every run has ended. Where no worker is on, this process is the worker until then."""
    from storage import results
    from worker import Timeout, Worker

    def over() -> bool:
        frame = results.list_runs(engine, ids=ids)
        return not frame["status"].isin(["queued", "running"]).any()

    with progress_bars(engine, ids, quiet):
        while not over():
            try:
                with Worker() as worker:
                    worker.loop(until=over)
            except Timeout:  # a worker is on: it does the work
                time.sleep(0.2)


def progress_bars(engine: Engine, ids: list[int], quiet: bool):
    """A bar per run on stderr with epochs done and time left, drawn from the database by a thread."""
    from contextlib import nullcontext

    if quiet or not sys.stderr.isatty():
        return nullcontext()
    from terminal import RunBars

    return RunBars(engine, ids)


def show_started(engine: Engine, ids: list[int], waited: bool, as_json: bool) -> None:
    """Ids of queued runs, or what waited-for runs came to. A waited-for run that did not succeed raises EvenlyError."""
    from storage import results

    if not waited:
        emit({"id": ids[0], "ids": ids, "status": "queued"}) if as_json else print("queued: " + ", ".join(f"run {i}" for i in ids))
        return
    rows = [results.get_run(engine, i) for i in ids]
    if as_json:
        emit(run_dict(engine, rows[0]) if len(rows) == 1 else [run_dict(engine, r) for r in rows])
    else:
        for row in rows:
            print(run_line(row))
    for row in rows:
        if row.status != "succeeded":
            raise EvenlyError(f"run {row.id} ended as {row.status}" + (f": {row.error}" if row.error else ""))


# -- looking at runs ---------------------------------------------------------------------------------------------


def share(value: float | None) -> str:
    """.832 as 83.2 %; nothing yet as -."""
    return "-" if value is None or np.isnan(value) else f"{100 * value:.1f} %"


def figure(value: float | None) -> str:
    """A variance or weight with four decimals; nothing yet as -."""
    return "-" if value is None or np.isnan(value) else f"{value:.4f}"


def run_line(row: Any) -> str:
    """One run on one line."""
    return (
        f"{row.id:>5}  {row.status:<10}{row.last_epoch:>5}/{row.epochs:<6}accuracy {share(row.accuracy):<8} TPR variance "
        f"{figure(row.tpr_variance):<8} min TPR {share(row.tpr_min):<8} {row.name}"
    )


def run_dict(engine: Engine, row: Any) -> dict[str, Any]:
    """A run with its settings, facts and the per-class figures of its test split after the last epoch."""
    from core.report import class_rows
    from storage.sides import report

    return {**asdict(row), "classes": class_rows(report(engine, row)) if row.last_epoch else []}


@app.command()
def runs(
    status: Annotated[str | None, typer.Option(help="Only runs with this status")] = None,
    text: Annotated[str | None, typer.Option(help="Only runs whose name, tags, notes or settings hold this")] = None,
    archived: bool = False,
    as_json: Json = False,
) -> None:
    """All runs, the newest first."""
    from storage import results

    frame = results.list_runs(database(), archived=archived, status=status, text=text)
    if as_json:
        emit(frame.to_dict("records"))
        return
    for row in frame.itertuples():
        print(run_line(row))
    if frame.empty:
        print("no runs yet; start one with `run`, or try `demo`")


@app.command()
def show(run_id: int, as_json: Json = False) -> None:
    """One run: settings, figures per class, log."""
    from storage import queue, results

    engine = database()
    row = results.get_run(engine, run_id)
    data, log = run_dict(engine, row), queue.events(engine, run_id)
    if as_json:
        emit({**data, "log": [asdict(e) for e in log]})
        return
    print(run_line(row))
    if row.error:
        print(f"error: {row.error}")
    _class_table(data["classes"])
    for event in log[-10:]:
        print(f"{event.at:%Y-%m-%d %H:%M:%S}  {event.kind:<10}{event.text.splitlines()[-1] if event.text else ''}")


def _class_table(rows: list[dict[str, Any]]) -> None:
    from terminal import table

    if rows:
        body = [[r["class"], str(r["support"]), share(r["tpr"]), f"{share(r['tpr_low'])} to {share(r['tpr_high'])}", figure(r["weight"])] for r in rows]
        table(("class", "test samples", "TPR", "95 % interval", "weight"), body)


@app.command()
def compare(before: int, after: int, as_json: Json = False) -> None:
    """Two runs on the same classes: TPRs of the test split, what changed, and whether it is more than noise."""
    from core.compare import compare as compared
    from core.compare import config_differences
    from storage import results
    from storage.sides import side
    from terminal import table

    engine = database()
    a, b = results.get_run(engine, before), results.get_run(engine, after)
    found = compared(side(engine, a), side(engine, b), np.random.default_rng(0))
    settings = config_differences(a.config, b.config)
    if as_json:
        emit({**comparison_dict(found), "settings": [{"setting": k, "before": x, "after": y} for k, x, y in settings]})
        return
    table(("class", "before", "after", "change"), [[r.name, share(r.before), share(r.after), f"{100 * r.gain:+.1f}"] for r in found.rows])
    for setting, x, y in settings:
        print(f"{setting}: {x} -> {y}")
    print(found.verdict)


def comparison_dict(found: Any) -> dict[str, Any]:
    """A comparison for scripts: per-class TPRs of the test split, a summary per side, deltas and the verdict."""
    data = found.to_dict()
    sides = {side: {name: getattr(delta, side) for name, delta in found.deltas.items()} for side in ("before", "after")}
    classes = [{"class": r.name, "support": r.support, "before": r.before, "after": r.after, "gain": r.gain} for r in found.rows]
    return {"split": "test", "classes": classes, "summary": sides, **data}


@app.command()
def export(
    run_id: int,
    fmt: Annotated[Format, typer.Option("--format")] = Format.csv,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: standard output")] = None,
) -> None:
    """A run's figures per class as CSV, JSON or a self-contained HTML page."""
    from core import report as exporters
    from storage import results
    from storage.sides import report

    engine = database()
    text = {"csv": exporters.run_csv, "json": exporters.run_json, "html": exporters.run_html}[fmt](report(engine, results.get_run(engine, run_id)))
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise EvenlyError(f"{out} cannot be written: {error.strerror}") from error


# -- working on the queue ----------------------------------------------------------------------------------------


def _ask(run_id: int, wish: str) -> None:
    from storage import queue

    print(f"run {run_id}: {queue.ask(database(), run_id, wish)}")


@app.command()
def stop(run_id: int) -> None:
    """End a run; its results so far are kept."""
    _ask(run_id, "cancel")


@app.command()
def pause(run_id: int) -> None:
    """Hold a run at this step."""
    _ask(run_id, "pause")


@app.command()
def resume(run_id: int) -> None:
    """Go on with a paused, stopped or failed run from its checkpoint."""
    _ask(run_id, "run")


@app.command()
def worker(
    drain: Annotated[bool, typer.Option("--drain", help="End when nothing is left that could start")] = False,
    slot: Annotated[int, typer.Option(help="Slot to serve; with several GPUs, the GPU")] = 0,
) -> None:
    """Train queued runs in this process."""
    import worker as door

    raise typer.Exit(door.serve(slot, drain=drain))


@app.command()
def health() -> None:
    """Succeed when a worker has shown a sign of life within the last half minute."""
    from storage import queue

    on = [w for w in queue.workers(database()) if w.alive]
    if not on:
        raise EvenlyError("no worker is on; start one with `python worker.py`")
    for w in on:
        print(f"slot {w.slot} on {w.device}: {w.state}" + (f" run {w.run_id}" if w.run_id else ""))


@app.command()
def demo(seeds: int = 3, epochs: Annotated[int, typer.Option(help="Epochs of each run")] = 0) -> None:
    """The main job on MNIST-1D: a baseline and a weighted run for each seed, then what it did to every class."""
    import demo as script

    script.run(database(), seeds, epochs, wait_for)


def main() -> int:
    """The CLI with errors as one line on stderr and a non-zero exit."""
    try:
        return app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0
    except TyperException as error:
        message = error.format_message()
    except EvenlyError as error:
        message = str(error)
    except (KeyboardInterrupt, typer.Abort):
        message = "interrupted"
    except BrokenPipeError:  # `... | head` has had enough
        sys.stderr.close()
        return 1
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
