"""What the pages say and offer where a run is paused, stopped, or waits for its baseline."""

from __future__ import annotations

import pytest

from core.experiment.states import STATES
from pages.components.common import run_status
from storage import results
from storage.jobs import queue
from tests.pages.kit import RUN, RUNS, visit, words_on
from tests.pages.views.test_runs import ticked
from tests.seed import mnist1d, train, worker_of
from tests.storage.kit import new_run


def states(engine):
    return [results.get_run(engine, i).status for i in (1, 2)]


@pytest.fixture
def pair(empty):
    """Home's two runs, queued."""
    visit().button(key="home_start").click().run()
    return empty


def paused_baseline(engine):
    claim = queue.claim(engine, worker_of(engine), "cpu")
    queue.ask(engine, 1, "pause")
    queue.finish(engine, claim, "paused")


def test_home_names_the_paused_run_and_resumes_it(pair):
    paused_baseline(pair)
    at = visit()
    text = words_on(at)
    assert "Run 1 is paused" in text
    assert "in progress" not in text
    assert "waits for its baseline, run 1, which is paused" in " ".join(e.proto.text for e in at.get("progress"))
    assert at.button(key="home_start").disabled
    at.button(key="home_resume").click().run()
    assert states(pair) == ["queued", "queued"]
    assert "Both runs are in progress" in words_on(at)
    assert "home_resume" not in {b.key for b in at.button}


def test_home_says_that_its_runs_were_stopped_and_resumes_both(pair):
    queue.ask(pair, 1, "cancel")
    at = visit()
    (line,) = [e.proto.label.replace("\\", "") for e in at.get("page_link") if "was stopped" in e.proto.label]
    assert line == "Run 2 was stopped: its baseline, run 1, was stopped."
    assert not at.button(key="home_start").disabled
    at.button(key="home_resume").click().run()
    assert states(pair) == ["queued", "queued"]


def test_home_tries_a_failed_run_again(pair):
    queue.finish(pair, queue.claim(pair, worker_of(pair), "cpu"), "failed", "the loss is not finite")
    at = visit()
    assert at.button(key="home_resume").label == "Try again"
    at.button(key="home_resume").click().run()
    assert states(pair) == ["queued", "queued"]


def test_home_keeps_quiet_about_a_stopped_run_that_is_archived_or_older_than_a_finished_pair(pair):
    queue.ask(pair, 1, "cancel")
    results.archive(pair, [1, 2])
    assert "home_resume" not in {b.key for b in visit().button}
    results.archive(pair, [1, 2], False)
    visit().button(key="home_start").click().run()
    for _ in range(2):
        train(pair, worker_of(pair), mnist1d(), 20)
    assert "home_resume" not in {b.key for b in visit().button}


def test_resumed_from_home_it_still_leads_to_the_comparison(empty):
    at = visit()
    at.button(key="home_start").click().run()
    queue.ask(empty, 1, "cancel")
    at.run()
    at.button(key="home_resume").click().run()
    for _ in range(2):
        train(empty, worker_of(empty), mnist1d(), 20)
    at.run()
    assert at.title[0].value == "Compare"


def test_a_run_that_waits_for_a_paused_baseline_says_so_and_resumes_it(pair):
    paused_baseline(pair)
    at = visit(RUN, id="2")
    assert "waits for its baseline, run 1, which is paused" in words_on(at)
    at.button(key="run_resume").click().run()
    assert states(pair) == ["queued", "queued"]
    assert "run_resume" not in {b.key for b in at.button}


def test_a_run_stopped_with_its_baseline_is_not_shown_as_an_error(pair):
    queue.ask(pair, 1, "cancel")
    at = visit(RUN, id="2")
    assert not at.error
    assert "Its baseline, run 1, was stopped" in " ".join(i.value for i in at.info)
    at.button(key="run_resume").click().run()
    assert states(pair) == ["queued", "queued"]


def test_the_list_says_what_a_queued_run_waits_for_and_resumes_it(pair, monkeypatch):
    paused_baseline(pair)
    ticked(monkeypatch, {2})
    at = visit(RUNS)
    frame = at.dataframe[0].value.set_index("id")
    assert frame.loc[2, "state"] == "Queued, run 1 paused"
    at.button(key="runs_run").click().run()
    assert states(pair) == ["queued", "queued"]


@pytest.fixture
def chain(pair):
    """A run on the second of Home's two, whose baseline is paused."""
    queue.submit(pair, [new_run("third", baseline=2)])
    queue.ask(pair, 1, "pause")
    return pair


def test_a_run_that_waits_for_a_paused_one_through_another_says_so_and_resumes_all(chain):
    at = visit(RUN, id="3")
    assert (
        "This run waits for its baseline, run 2, which waits for run 1, which is paused. "
        "It starts once the baseline has succeeded. Resume also resumes run 1." in words_on(at)
    )
    at.button(key="run_resume").click().run()
    assert states(chain) == ["queued", "queued"]
    assert "run_resume" not in {b.key for b in at.button}


def test_the_list_names_the_paused_run_and_not_the_one_between(chain, monkeypatch):
    ticked(monkeypatch, {3})
    at = visit(RUNS)
    frame = at.dataframe[0].value.set_index("id")
    assert frame.loc[[3, 2], "state"].tolist() == ["Queued, run 1 paused"] * 2
    at.button(key="runs_run").click().run()
    assert states(chain) == ["queued", "queued"]


def test_a_run_page_and_the_list_offer_the_same_in_every_state(full, monkeypatch):
    _, ids = full
    for run_id in ids.values():
        with monkeypatch.context() as patch:
            ticked(patch, {run_id})
            listed = {b.key.removeprefix("runs_") for b in visit(RUNS).button}
        here = {b.key.removeprefix("run_") for b in visit(RUN, id=str(run_id)).button}
        offered = {"pause": "pause", "resume": "run", "stop": "cancel"}
        assert {offered[name] for name in here & offered.keys()} == listed & set(offered.values())


def test_every_state_has_a_badge():
    assert tuple(run_status.BADGES) == STATES.keys
