"""Pages in a real Chromium that follow what others do to the runs, and stand still where somebody is at work."""

import pytest

pytest.importorskip("playwright.sync_api")

from storage.jobs import queue
from tests.browser.kit import expect, key, settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_a_runs_page_and_home_follow_and_a_dialog_stays_open(app, page):
    address, engine, ids = app
    page.goto(f"{address}/run?id={ids['stopped']}")
    settle(page)
    expect(key(page, "run_resume")).to_be_visible()
    queue.ask(engine, ids["stopped"], "run")
    expect(key(page, "run_resume")).to_have_count(0)
    expect(key(page, "run_stop")).to_be_visible()
    page.goto(address)
    settle(page)
    row = key(page, f"home_run_{ids['queued']}")
    expect(row).to_contain_text("Queued")
    queue.ask(engine, ids["queued"], "cancel")
    expect(row).to_contain_text("Stopped")
    page.goto(f"{address}/runs")
    settle(page)
    queue.ask(engine, ids["stopped"], "cancel")
    table = page.locator("[data-testid=stDataFrame]").first
    expect(table).to_be_visible()
    table.click(position={"x": 16, "y": 52})
    settle(page)
    key(page, "runs_edit").get_by_role("button", name="Edit").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    queue.ask(engine, ids["stopped"], "run")
    page.wait_for_timeout(6000)  # three looks
    expect(page.get_by_role("dialog")).to_be_visible()
