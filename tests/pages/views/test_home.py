"""Home and the worker's state in the sidebar: the start button, the latest comparison, what to do without a worker."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pages.components.common import cached_reads
from reporting import numbers
from storage import results
from storage.jobs import queue, workers
from tests.pages.kit import HOME, NEW, RUN, RUNS, visit, words_on
from tests.seed import epoch_record, facts, mnist1d, train, worker_of


def test_home_says_what_will_appear_before_there_is_anything(empty):
    at = visit()
    assert "Nothing to compare yet" in words_on(at)
    assert not at.get("plotly_chart")


def test_the_one_button_queues_a_baseline_and_a_weighted_run_once(empty):
    at = visit()
    at.button(key="home_start").click().run()
    runs = results.list_runs(empty).sort_values("id")
    assert runs["method"].tolist() == ["none", "tpr_ratio"]
    assert results.get_run(empty, int(runs["id"].iloc[1])).baseline_id == runs["id"].iloc[0]
    assert at.button(key="home_start").disabled
    assert visit().button(key="home_start").disabled  # another tab


def test_two_tabs_that_saw_the_same_state_start_it_once(empty):
    one, two = visit(), visit()
    one.button(key="home_start").click().run()
    two.button(key="home_start").click().run()
    assert len(results.list_runs(empty)) == 2


def first_pair_trained(engine):
    """Home after its button was pressed and both runs have finished."""
    at = visit()
    at.button(key="home_start").click().run()
    worker = worker_of(engine)
    train(engine, worker, mnist1d(), 20)
    train(engine, worker, mnist1d(0.4), 20)
    return at


def test_when_both_runs_have_finished_home_leads_to_their_comparison(empty):
    at = first_pair_trained(empty)
    at.run()
    assert at.title[0].value == "Compare"
    assert at.query_params["a"] == "1"
    assert at.query_params["b"] == "2"


def test_home_shows_the_latest_pair_and_five_runs(full):
    at = visit()
    assert "The latest comparison" in words_on(at)
    assert len([e for e in at.get("page_link") if e.proto.label.startswith(("MNIST", "CIFAR"))]) == 5


class Going:
    """A run that finishes an epoch each time the pages read runs by id."""

    def __init__(self, engine, done):
        self.engine, self.read, self.epoch, self.rng = engine, cached_reads.runs, 0, np.random.default_rng(0)
        self.claim = queue.claim(engine, worker_of(engine), "cpu")
        results.start_run(engine, self.claim, facts(mnist1d()))
        for _ in range(done):
            self.train()

    def train(self):
        self.epoch += 1
        results.record_epoch(self.engine, self.claim, epoch_record(mnist1d(), self.epoch, 20, None, self.rng))

    def runs(self, **filters):
        frame = self.read(**filters)
        if "ids" in filters:
            self.train()
        return frame


def test_progress_picture_and_list_are_of_one_epoch_however_fast_the_run_is(empty, monkeypatch):
    visit().button(key="home_start").click().run()
    train(empty, worker_of(empty), mnist1d(), 20)
    going = Going(empty, 3)
    monkeypatch.setattr(cached_reads, "runs", going.runs)
    at, shown = visit().run(), going.epoch - 1
    assert going.epoch > 4, "it went on while the page was drawn"
    frame = results.epochs(empty, [going.claim.run_id], "test").set_index("epoch")
    at_last = numbers.percent(frame["accuracy"][shown])
    assert at_last != numbers.percent(frame["accuracy"][going.epoch])
    assert f"epoch {shown} of 20" in at.get("progress")[-1].proto.text
    (chart,) = at.get("plotly_chart")
    after = json.loads(chart.proto.spec)["data"][-1]
    assert after["name"].startswith(f"after: mean {at_last}")
    assert (
        next(c.value.split(",")[0] for c in at.main.caption if c.value.startswith("accuracy")) == f"accuracy {at_last}"
    )


# -- the worker's state ------------------------------------------------------------------------------------------


def test_without_a_worker_the_sidebar_says_how_to_start_one(empty):
    assert "python worker.py" in "\n".join(c.value for c in visit().sidebar.caption)


def test_the_sidebar_names_the_run_being_trained(full):
    engine, ids = full
    workers.beat(engine, 1)
    text = "\n".join(m.value for m in visit().sidebar.markdown)
    assert f"run {ids['running']}" in text


def notices(at):
    return [w.value for w in at.warning if "No worker is running" in w.value]


@pytest.mark.parametrize(("page", "query"), [(HOME, None), (NEW, None), (RUNS, None), (RUN, "queued")])
def test_where_a_run_would_wait_the_page_itself_says_how_to_start_a_worker(full, page, query):
    engine, ids = full
    workers.stop_worker(engine, 1)
    address = {"id": str(ids[query])} if query else {}
    assert len(notices(visit(page, **address))) == 1
    assert "python worker.py" in notices(visit(page, **address))[0]
    workers.beat(engine, worker_of(engine))
    assert notices(visit(page, **address)) == []


def test_a_finished_run_needs_no_word_about_workers(full):
    engine, ids = full
    workers.stop_worker(engine, 1)
    assert notices(visit(RUN, id=str(ids["baseline"]))) == []


def test_homes_button_works_after_the_first_pair_was_archived(empty):
    first_pair_trained(empty)
    results.archive(empty, [1, 2])
    visit().button(key="home_start").click().run()
    new = results.list_runs(empty).sort_values("id")
    assert new["id"].tolist() == [3, 4]
    assert new["seed"].tolist() == [1, 1]


def test_a_database_that_refuses_a_write_is_told_and_the_page_stays(empty, monkeypatch):
    from storage.db.errors import StorageError
    from storage.jobs import queue

    def locked(*_):
        raise StorageError(
            "the database is locked by another program and was not released; close that program and try again"
        )

    at = visit()
    monkeypatch.setattr(queue, "submit", locked)
    at.button(key="home_start").click().run()
    assert "locked by another program" in at.error[0].value
    assert at.title[0].value == "No class left behind"
    assert results.list_runs(empty).empty


def test_the_estimate_names_the_runs_that_are_ahead(full):
    _, ids = full
    assert {"running", "queued"} <= ids.keys()
    assert "behind 2 runs" in "\n".join(c.value for c in visit().caption)
