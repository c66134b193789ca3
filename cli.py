"""Entry point of the command line: everything without a browser. `python cli.py --help`.

Exit status 0 only on success; an error is one line on stderr and nothing on stdout. With --json, stdout holds nothing but
JSON. Slow imports are inside the commands that need them.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from core.experiment.states import PAUSE, REQUESTS, RESUME, STATES, STOP

try:
    import typer
    from typer.exceptions import TyperException
except ModuleNotFoundError as missing:
    sys.exit(f"error: {sys.executable} has no {missing.name}; use .venv/bin/python, which `make run` sets up")

from commands import submit, tables
from commands.compare import compare
from commands.posthoc import posthoc
from commands.progress import preparing, worker_line
from commands.runs import (
    RunId,
    close_databases,
    database,
    export,
    run_dict,
    run_list,
    run_number,
    runs,
    show,
)
from commands.tables import Json, Params
from commands.terminal import emit
from commands.wait import wait_for
from core.errors import EvenlyError
from core.experiment.config import SETTINGS, RunConfig
from core.registry import Param

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from storage.results.runs import RunRow

INTERRUPTED = 130  # what typer returns after Ctrl-C
app = typer.Typer(
    help="Class-weighting experiments: train, weight, retrain, compare.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# where RunConfig's default does not apply
OWN_DEFAULT = {"epochs": "; default: 1 for a post-hoc step, else the method's own, else the recipe's"}


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for every setting of a run (core.experiment.config.SETTINGS), passed as `settings`.

    Values are text, None where not given: `commands.submit.parsed` reads them.
    """
    own = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(p.key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(p)) for p in SETTINGS
    ]
    kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.parameters.values() if p.name != "settings"]
    command.__signature__ = own.replace(parameters=[*kept, *added])
    command.__annotations__ = {p.name: p.annotation for p in (*kept, *added)}
    return command


def _option(p: Param) -> Any:
    """The option of a setting."""
    default = OWN_DEFAULT.get(p.key, f"; default: {p.default}")
    text = p.help.rstrip(".") + (f" ({', '.join(p.choices)})" if p.choices else "") + default
    return Annotated[str | None, typer.Option(metavar=p.key[0].upper(), help=text)]


for command in (
    tables.methods,
    tables.samplers,
    tables.models,
    tables.recipes,
    tables.datasets,
    tables.terms,
):
    app.command()(command)


# -- starting runs -----------------------------------------------------------------------------------------------


@app.command()
@with_settings
def run(
    dataset: Annotated[str, typer.Option(metavar="D", help="A dataset (see `datasets`), a folder or a .zip")],
    model: Annotated[str, typer.Option(metavar="M", help="A model: see `models`")],
    method: Annotated[str, typer.Option(metavar="K", help="A method: see `methods`")] = RunConfig.method,
    param: Params = None,
    baseline: Annotated[
        int | None,
        typer.Option(
            metavar="RUN",
            parser=run_number,
            help="The run whose validation TPRs provide the weights; each seed uses its replicate",
        ),
    ] = None,
    same_baseline: Annotated[bool, typer.Option("--same-baseline", help="Use this one run for every seed")] = False,
    tpr: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="TPRs from a file instead: numbers, or class,tpr")
    ] = None,
    seeds: Annotated[
        str, typer.Option(metavar="N", help="Replicates: N runs with consecutive seeds from --seed on")
    ] = "1",
    recipe: Annotated[str, typer.Option(metavar="R", help="An optimizer recipe: see `recipes`")] = RunConfig.recipe,
    recipe_param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of the recipe; repeat for more")
    ] = None,
    sampler: Annotated[
        str, typer.Option(metavar="K", help="How often each class is drawn: see `samplers`")
    ] = RunConfig.sampler,
    sampler_param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of the sampler; repeat for more")
    ] = None,
    name: Annotated[str, typer.Option(metavar="TEXT", help="Default: dataset, method and seed")] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the run has ended; trains here if no worker is running")
    ] = False,
    as_json: Json = False,
    **settings: str | None,
) -> None:
    """Queue a run; with --wait, wait until it has ended."""
    from services.submission import plan
    from storage.jobs.queue import submit as queue_runs

    count = submit.SEEDS.check(seeds, "run")
    config = RunConfig(
        dataset=dataset,
        model=model,
        method=method,
        params=submit.pairs(param, "--param"),
        recipe=recipe,
        recipe_params=submit.pairs(recipe_param, "--recipe-param"),
        **submit.parsed(settings, method, recipe),
        sampler=sampler,
        sampler_params=submit.pairs(sampler_param, "--sampler-param"),
    )
    engine = database()
    with submit.notes_held():
        with preparing(quiet=as_json) as progress:
            config, spec = submit.with_data(config, progress)
        if tpr is not None:
            config = submit.with_tprs(config, tpr, spec.classes)
        wanted = [config.seed + i for i in range(count)]
        source = submit.source_of(engine, config, spec, wanted, baseline, same=same_baseline, waits=wait)
        new = plan(engine, config, spec, wanted, source, name=submit.named(name))
        submit.note_findings(new, spec.label)
        ids = queue_runs(engine, list(new.rows))
    _show_queued(engine, ids, wait, as_json)


def _show_queued(engine: Engine, ids: list[int], wait: bool, as_json: bool) -> None:
    """Print the run numbers; with `wait`, wait for the runs and print their results."""
    if wait:
        _show_ended(engine, wait_for(engine, ids, quiet=as_json), as_json)
    elif as_json:
        emit({"id": ids[0], "ids": ids, "status": "queued"})
    else:
        print("queued: " + ", ".join(f"run {i}" for i in ids))


def _show_ended(engine: Engine, rows: list[RunRow], as_json: bool) -> None:
    """Print the results of ended runs; as JSON, an object for one run and a list for several."""
    if as_json:
        emit(run_dict(engine, rows[0]) if len(rows) == 1 else [run_dict(engine, r) for r in rows])
    else:
        run_list(rows)


for command in (posthoc, runs, show, compare, export):
    app.command()(command)


# -- working on the queue ----------------------------------------------------------------------------------------


def ask(run_id: int, request: str) -> None:
    """Store a person's request and print the resulting status."""
    from storage.jobs import queue

    status = queue.ask(database(), run_id, request)
    print(
        f"run {run_id}: running, asked to {REQUESTS[request].word}"
        if status == "running" and request != RESUME
        else f"run {run_id}: {STATES[status].word}"
    )


@app.command()
def stop(run_id: RunId) -> None:
    """Stop a run; its results so far are kept."""
    ask(run_id, STOP)


@app.command()
def pause(run_id: RunId) -> None:
    """Pause a run at this step; `resume` continues it."""
    ask(run_id, PAUSE)


@app.command()
def resume(run_id: RunId) -> None:
    """Resume a paused, stopped or failed run."""
    ask(run_id, RESUME)


@app.command()
def worker(
    drain: Annotated[bool, typer.Option("--drain", help="Exit when no run is left that could start")] = False,
    slot: Annotated[
        int, typer.Option(metavar="N", min=0, max=255, help="Slot to serve; with several GPUs, the GPU")
    ] = 0,
) -> None:
    """Train queued runs in this process."""
    from work.worker import serve

    database()  # reports errors of the folder or the database before a lock is taken in it
    logging.getLogger("evenly").setLevel(logging.INFO)
    raise typer.Exit(serve(slot, drain=drain))


@app.command()
def health() -> None:
    """Succeed if a worker sent a heartbeat in the last 30 seconds."""
    from storage.jobs import workers

    alive = [w for w in workers.newest(database()) if w.alive]
    if not alive:
        raise EvenlyError("no worker is running; start one with `python cli.py worker` or `make run`")
    for w in alive:
        print(worker_line(w))


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; checkpoints and datasets are not included")],
) -> None:
    """Copy the database into a new file, also while runs train."""
    from storage.db import connection, paths

    engine = database()
    connection.backup(engine, file.resolve())
    print(f"copied the database {paths.name_of(engine)} to {file.resolve()}")


@app.command()
def demo(
    seeds: Annotated[str, typer.Option(metavar="N", help="A baseline and a weighted run for each of N seeds")] = "3",
    epochs: Annotated[str | None, typer.Option(metavar="E", help="Epochs of each run; default: the preset's")] = None,
) -> None:
    """The main workflow on MNIST-1D, with a table per class.

    Trains a baseline and a weighted run for each seed, then prints what weighting changed for every class.
    """
    from commands import demo as script

    count = submit.SEEDS.check(seeds, "demo")
    script.run(database(), count, None if epochs is None else SETTINGS["epochs"].check(epochs, "demo"), wait_for)


# -- the entry point -----------------------------------------------------------------------------------------------


class ToStderr(logging.Handler):
    """The program's log on stderr, one line per record. Tracebacks are left out: they are in the log of their run."""

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        if record.levelno <= logging.INFO:
            print(f"{time.strftime('%H:%M:%S')} worker: {text}", file=sys.stderr, flush=True)
        elif not record.exc_info:
            print(f"{record.levelname.lower()}: {text}", file=sys.stderr, flush=True)


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    log, handler = logging.getLogger("evenly"), ToStderr()
    level = log.level
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def main() -> int:
    """The CLI with errors as one line on stderr and a non-zero exit."""
    if sys.stdout is None:  # closed by the caller (>&-)
        sys.stdout = open(os.devnull, "w")
    try:
        with logging_to_stderr():
            code = app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0
        sys.stdout.flush()
        if code != INTERRUPTED:
            return code
        message = "interrupted"
    except BrokenPipeError:  # `... | head` has closed the pipe
        silence_stdout()
        return 1
    except TyperException as error:
        message = error.format_message().replace("Value error, ", "")  # added by the library that parses choices
    except EvenlyError as error:
        message = str(error)
    except (KeyboardInterrupt, typer.Abort):
        message = "interrupted"
    except OSError as error:
        if error.filename is None:
            silence_stdout()
        message = f"{error.filename or 'output'}: {error.strerror or error}"
    except Exception as error:
        if os.environ.get("EVENLY_TRACEBACK"):
            raise
        message = f"unexpected {type(error).__name__}: {error} (a bug in Evenly; EVENLY_TRACEBACK=1 shows where)"
    finally:
        close_databases()
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 1


def silence_stdout() -> None:
    """Drop buffered output that cannot be written; else Python tries again at exit and prints an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
