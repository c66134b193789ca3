"""The page of an active run: what is redrawn and when, a worker without a heartbeat, tags and notes.

Estimates by earlier runs.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from commands import demo
from pages.components.common import run_notes
from pages.components.run import charts, stalled_worker
from pages.components.run.live import (
    DETAILS,
    LONGEST,
    PAUSES,
    PICTURES,
    SHARES,
    Drawn,
    due_for_redraw,
    pause_between_redraws,
)
from reporting import epoch_charts
from storage import results
from storage.db.connection import write
from storage.db.schema import worker as workers_table
from storage.jobs import queue
from tests import seed
from tests.pages.kit import HOME, RUN, visit, words_on

# -- what is redrawn --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [PICTURES, DETAILS])
def test_a_part_is_redrawn_for_a_new_epoch_and_after_its_pause(part):
    drawn = Drawn(3, 7, 100.0, 0.1)
    assert due_for_redraw(part, drawn, SimpleNamespace(id=3, last_epoch=8), 100.0 + PAUSES[part])
    assert not due_for_redraw(part, drawn, SimpleNamespace(id=3, last_epoch=8), 99.9 + PAUSES[part]), "too soon"
    assert not due_for_redraw(part, drawn, SimpleNamespace(id=3, last_epoch=7), 1e6), "nothing new"
    assert not due_for_redraw(part, None, SimpleNamespace(id=3, last_epoch=8), 1e6), "the page draws it first"
    assert not due_for_redraw(part, drawn, SimpleNamespace(id=4, last_epoch=8), 1e6), "another run's"


@pytest.mark.parametrize("part", [PICTURES, DETAILS])
def test_slow_drawing_makes_the_pause_longer(part):
    drawn, row = Drawn(3, 7, 100.0, 1.0), SimpleNamespace(id=3, last_epoch=8)
    assert not due_for_redraw(part, drawn, row, 99.0 + 1.0 / SHARES[part])
    assert due_for_redraw(part, drawn, row, 100.0 + 1.0 / SHARES[part])
    assert due_for_redraw(part, replace(drawn, took=900.0), row, 100.0 + LONGEST), "but not forever"


def test_the_lower_part_keeps_up_with_the_charts_if_it_is_drawn_quickly():
    quick, slow = Drawn(3, 7, 100.0, 0.1), Drawn(3, 7, 100.0, 0.8)
    assert pause_between_redraws(DETAILS, quick) == pause_between_redraws(PICTURES, quick) == 5.0
    assert pause_between_redraws(DETAILS, slow) > 2 * pause_between_redraws(PICTURES, slow)


@pytest.mark.parametrize("count", [1, 2, 119, 120, 121, 400, 401, 10_000])
def test_few_epochs_are_all_drawn_and_many_with_both_ends(count):
    epochs = np.arange(1, count + 1)
    places = epoch_charts.some_epochs(epochs, 120)
    assert (places[0], places[-1]) == (0, count - 1)
    assert len(places) <= 122
    assert count > 120 or len(places) == count


@pytest.fixture
def long(empty):
    """A running run at epoch 250 of 400. Returns its id."""
    worker = seed.worker_of(empty)
    run_id = seed.submit(empty, seed.config_of(epochs=400, method="cdb"), "MNIST-1D: CDB, seed 0")
    seed.train(
        empty,
        worker,
        seed.mnist1d(),
        400,
        until=250,
        weight=seed.weights_for(seed.mnist1d(), 1.0),
        moving=True,
        end=None,
    )
    return run_id


def length(at, name):
    chart = next(c for c in at.get("plotly_chart") if name in c.proto.id)
    return [trace["x"] for trace in json.loads(chart.proto.spec)["data"]]


def test_a_long_active_run_is_drawn_with_fewer_epochs_and_a_note(empty, long):
    note, names = "charts show one epoch in 4", ("run_loss", "run_accuracy", "run_heatmap", "run_weights")
    at = visit(RUN, id=str(long))
    assert note in words_on(at)
    for x in (x for name in names for x in length(at, name)):
        assert x[-1] == 250
        assert len(x) <= charts.MOST_LIVE + 2
    queue.ask(empty, long, "pause")
    claim = queue.Claim(long, 1, 1, {}, None)
    assert queue.finish(empty, claim, "paused")
    at = visit(RUN, id=str(long))
    assert note not in words_on(at)
    assert all(x == list(range(1, 251)) for name in names for x in length(at, name))


def test_pause_is_acknowledged_next_to_the_state(full):
    engine, ids = full
    at = visit(RUN, id=str(ids["running"]))
    assert not at.button(key="run_pause").disabled
    at.button(key="run_pause").click().run()
    assert "Pausing" in words_on(at)
    assert at.button(key="run_pause").disabled
    assert at.button(key="run_stop").disabled
    assert results.get_run(engine, ids["running"]).wanted == "pause"


# -- no heartbeat ------------------------------------------------------------------------------------------------


def dead_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    return child.pid


def of(run_id=5, host=None, pid=None, seen=1000.0):
    return SimpleNamespace(
        run_id=run_id,
        host=host or platform.node(),
        pid=pid or os.getpid(),
        seen_at=datetime.fromtimestamp(seen, UTC),
        stopped_at=None,
    )


ON = SimpleNamespace(id=5, status="running")


def test_a_live_worker_has_no_message():
    assert stalled_worker.no_heartbeat(ON, [of()], 1000.0 + stalled_worker.LATE) is None
    assert stalled_worker.no_heartbeat(SimpleNamespace(id=5, status="queued"), [], 1000.0) is None


def test_a_worker_whose_process_has_ended_is_reported_at_once():
    assert stalled_worker.no_heartbeat(ON, [of(pid=dead_pid())], 1004.0).startswith(
        "Its worker has ended; last heartbeat 4 s ago. A new worker resumes from the last checkpoint"
    )


def test_a_worker_on_another_machine_is_judged_by_its_heartbeat():
    there = of(host="another-machine", pid=dead_pid())
    assert stalled_worker.no_heartbeat(ON, [there], 1004.0) is None
    assert stalled_worker.no_heartbeat(ON, [there], 1000.0 + stalled_worker.LATE + 5).startswith(
        "No heartbeat from its worker for 20 s."
    )


def test_a_run_without_a_worker_is_reported():
    assert stalled_worker.no_heartbeat(ON, [of(run_id=None)], 1000.0).startswith(
        "No worker is registered for this run."
    )


def test_the_page_shows_no_estimate_without_a_heartbeat(full):
    engine, ids = full
    write(
        engine, lambda c: c.execute(workers_table.update().values(seen_at=time.time()))
    )  # a heartbeat just now, however long earlier tests took
    row = visit(RUN, id=str(ids["running"]))
    assert "left" in "".join(c.value for c in row.main.caption)
    write(engine, lambda c: c.execute(workers_table.update().values(host=platform.node(), pid=dead_pid())))
    at = visit(RUN, id=str(ids["running"]))
    assert "Its worker has ended" in words_on(at)
    assert not any(" left" in c.value for c in at.main.caption)


# -- tags and notes ----------------------------------------------------------------------------------------------


def test_tags_and_notes_are_near_the_top_and_keep_their_lines(full):
    engine, ids = full
    results.set_tags(engine, ids["weighted"], "tail, *first*")
    results.set_notes(engine, ids["weighted"], "one\ntwo <b>bold</b>\n\nthree")
    at = visit(RUN, id=str(ids["weighted"]))
    assert r":material/sell: tail, \*first\*" in [c.value for c in at.main.caption][:3]
    shown = at.main.markdown[0].value
    assert [line.strip() for line in shown.splitlines()] == ["one", r"two \<b\>bold\</b\>", "", "three"]
    assert shown.startswith("one  \n"), "a break that Markdown keeps"


@pytest.mark.parametrize("state", ["weighted", "running"])
def test_tags_and_notes_are_changed_on_the_page(full, state):
    engine, ids = full
    run_id = ids[state]
    at = visit(RUN, id=str(run_id))
    at.text_input(key=f"run_tags_{run_id}").set_value("a, b , a")
    at.text_area(key=f"run_notes_{run_id}").set_value("first\nsecond")
    next(b for b in at.button if b.label == "Save").click().run()
    row = results.get_run(engine, run_id)
    assert (row.tags, row.notes) == ("a, b", "first\nsecond")
    assert "first  \nsecond" in [m.value for m in at.main.markdown]
    assert run_notes.notes_as_markdown("- no list\n# no heading").splitlines() == ["\\- no list  ", "\\# no heading"]


# -- estimates by earlier runs -----------------------------------------------------------------------------------


def test_home_estimates_from_measured_runs(empty):
    assert "20 s to 1 min 20 s, depending on the machine" in words_on(visit(HOME))
    seed.submit(empty, seed.config_of(epochs=20), "MNIST-1D: none, seed 9")
    seed.train(empty, seed.worker_of(empty), seed.mnist1d(), 20)  # 0.42 s an epoch
    assert "about 20 s, estimated from earlier runs" in words_on(visit(HOME))


def test_the_demo_estimates_from_measured_runs(empty):
    assert demo.lasts(empty, 3, {}) == "; 1 min to 4 min, depending on the machine"
    assert demo.lasts(empty, 3, {"epochs": 5}) == ""
    seed.submit(empty, seed.config_of(epochs=20), "MNIST-1D: none, seed 9")
    seed.train(empty, seed.worker_of(empty), seed.mnist1d(), 20)
    assert demo.lasts(empty, 3, {"epochs": 5}) == "; about 15 s, estimated from earlier runs"
