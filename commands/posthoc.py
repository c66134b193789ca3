"""Post-hoc steps from the command line: applied at once, without waiting for the workers, each as a run of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from commands.runs import RunId, database, run_dict, run_list
from commands.submit import note, notes_held, pairs
from commands.tables import Json, Params
from commands.terminal import emit
from core.errors import EvenlyError
from core.experiment.states import LIVE, STATES
from core.methods.posthoc import USUAL

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from storage.results.runs import RunRow

SLOTS = range(255, 199, -1)  # lock files of helper processes that run beside the workers


def posthoc(
    run_id: RunId,
    method: Annotated[str, typer.Option(metavar="K", help="A post-hoc method: see `methods`")] = USUAL,
    strength: Annotated[str | None, typer.Option(metavar="S", help="Short for --param strength=S")] = None,
    param: Params = None,
    key: Annotated[str | None, typer.Option(metavar="TEXT", help="The same key again creates no second run")] = None,
    as_json: Json = False,
) -> None:
    """Apply a post-hoc step to a finished run: seconds, no queue.

    The result is a run of its own whose baseline is RUN. Anything fitted is fitted on the validation split.
    """
    from reporting import text
    from services.posthoc import plan_step
    from storage.jobs.queue import submit
    from storage.results import get_run

    params = {**pairs(param, "--param"), **({} if strength is None else {"strength": strength})}
    engine = database()
    before = get_run(engine, run_id)
    planned = plan_step(engine, before, method, params)
    with notes_held():
        for finding in planned.findings:
            note(text.of(finding))
        (made,) = submit(engine, list(planned.rows), key)
    row = at_once(engine, made)
    emit(run_dict(engine, row)) if as_json else run_list([before, row])


def at_once(engine: Engine, run_id: int) -> RunRow:
    """The run once it has ended. It is applied in this process, unless a worker claims it first."""
    from filelock import Timeout

    from storage.results import get_run
    from work.worker import Worker

    def over() -> bool:
        return get_run(engine, run_id).status not in LIVE

    for slot in _slots():
        try:
            with Worker(slot, only=(run_id,)) as worker:
                worker.loop(until=over)
            break
        except Timeout:  # another helper has this slot
            continue
    row = get_run(engine, run_id)
    if row.status != "succeeded":
        raise EvenlyError(f"run {run_id} {STATES[row.status].clause}" + (f": {row.error}" if row.error else ""))
    return row


def _slots() -> Iterator[int]:
    yield from SLOTS
    raise EvenlyError(f"{len(SLOTS)} post-hoc steps are being applied already; try again in a moment")
