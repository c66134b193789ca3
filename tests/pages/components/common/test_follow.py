"""Pages follow the database: what they look at, where they hold still."""

from __future__ import annotations

import pytest

from pages.components.common import auto_refresh
from storage.jobs import queue
from tests.pages.kit import COMPARE, HOME, RUN, RUNS, visit
from tests.pages.views.test_runs import ticked


def seen(at, address, monkeypatch):
    """Whether the open page would be drawn again now."""
    monkeypatch.setattr(
        auto_refresh.st,
        "session_state",
        {"follow_seen": at.session_state["follow_seen"], "follow_held": at.session_state["follow_held"]},
    )
    monkeypatch.setattr(
        auto_refresh.navigation,
        "id_from_url",
        lambda name: int(at.query_params[name][0]) if name in at.query_params else None,
    )
    return auto_refresh.runs_changed(address) and not auto_refresh.st.session_state["follow_held"]


@pytest.mark.parametrize(
    ("page", "address", "query"),
    [(HOME, "", {}), (RUNS, "runs", {}), (COMPARE, "compare", {"a": "1", "b": "2"}), (RUN, "run", {"id": "8"})],
)
def test_a_page_sees_that_a_run_was_paused_elsewhere(full, page, address, query, monkeypatch):
    engine, ids = full
    assert ids["running"] == 8
    at = visit(page, **query)
    assert not seen(at, address, monkeypatch)
    queue.ask(engine, ids["running"], "pause")
    assert seen(at, address, monkeypatch)


def test_a_runs_own_page_is_not_drawn_again_for_others(full, monkeypatch):
    engine, ids = full
    at = visit(RUN, id=str(ids["hundred"]))
    queue.ask(engine, ids["running"], "pause")
    assert not seen(at, "run", monkeypatch)


def test_new_run_is_left_alone():
    assert "new" not in auto_refresh.FOLLOWING
    assert {"", "runs", "compare", "run"} <= set(auto_refresh.FOLLOWING)


@pytest.mark.parametrize("opened", [None, "runs_edit", "runs_delete"])
def test_runs_holds_still_with_rows_ticked_and_under_a_dialog(full, monkeypatch, opened):
    engine, ids = full
    ticked(monkeypatch, {ids["baseline"]})
    at = visit(RUNS)
    if opened:
        at.button(key=opened).click().run()
    queue.ask(engine, ids["running"], "pause")
    assert not seen(at, "runs", monkeypatch)


def test_a_page_that_is_drawn_anew_follows_again(full, monkeypatch):
    engine, ids = full
    at = visit(RUNS)
    at.session_state["follow_held"] = True
    at.run()
    queue.ask(engine, ids["running"], "pause")
    assert seen(at, "runs", monkeypatch)


def test_a_busy_database_is_not_a_change(full, monkeypatch):
    from core.errors import EvenlyError

    at = visit(RUNS)

    def busy(*_):
        raise EvenlyError("the database is busy")

    monkeypatch.setattr(auto_refresh.change_stamp, "stamp", busy)
    assert not seen(at, "runs", monkeypatch)
