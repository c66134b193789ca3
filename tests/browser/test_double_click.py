"""Clicks that reach the server between two pages, and the way back, in a real Chromium: a second click must change nothing."""

import pytest

pytest.importorskip("playwright.sync_api")

from storage import results
from tests.browser.kit import expect, key, settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
GAPS = (40, 140)  # ms between the two clicks: before and after the first one has reached the server


def twice(page, button, gap):
    """Two clicks at one place, whatever stands there by the second."""
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(*at)
    page.wait_for_timeout(gap)
    page.mouse.click(*at)


@pytest.mark.parametrize("gap", GAPS)
def test_start_queues_once_and_opens_the_run(app, page, gap):
    address, engine, _ = app
    before = len(results.list_runs(engine, archived=None))
    page.goto(f"{address}/new")
    settle(page)
    twice(page, key(page, "new_start").get_by_role("button"), gap)
    page.wait_for_url("**/run?id=*")
    settle(page)
    newest = results.list_runs(engine, archived=None, limit=1).iloc[0]
    expect(page.get_by_role("heading", level=1)).to_have_text(newest["name"])
    page.wait_for_timeout(2 * max(GAPS))
    settle(page)
    assert page.url.endswith(f"/run?id={newest['id']}")
    assert len(results.list_runs(engine, archived=None)) == before + 1


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize(
    ("button", "address_of", "title"),
    [("run_compare", "**/compare?a={baseline}&b={weighted}", "Compare"), ("run_duplicate", "**/new?*", "New run")],
)
def test_a_runs_page_is_left_for_where_the_first_click_leads(app, page, button, address_of, title, gap):
    address, _, ids = app
    page.goto(f"{address}/run?id={ids['weighted']}")
    settle(page)
    twice(page, key(page, button).get_by_role("button").first, gap)
    page.wait_for_url(address_of.format(**ids))
    page.wait_for_timeout(2 * max(GAPS))
    settle(page)
    page.wait_for_url(address_of.format(**ids))
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


@pytest.mark.parametrize(
    ("where", "button", "level", "title"),
    [
        ("/run?id={weighted}", "run_compare", 1, "TPR ratio"),
        ("/run?id={weighted}", "run_use", 1, "TPR ratio"),
        ("/methods?row=ldam", "methods_use", 2, "LDAM"),
    ],
)
def test_the_way_back_leads_to_what_was_shown(app, page, where, button, level, title):
    address, _, ids = app
    here = address + where.format(**ids)
    page.goto(here)
    settle(page)
    key(page, button).get_by_role("button").first.click()
    page.wait_for_url(lambda url: url.split("?")[0] != here.split("?")[0])
    page.wait_for_timeout(2 * max(GAPS))
    settle(page)
    page.go_back()
    page.wait_for_url(here)
    settle(page)
    expect(page.get_by_role("heading", level=level).first).to_contain_text(title)


def test_a_state_asked_for_by_its_key_stays_in_the_address_of_runs(app, page):
    address, _, _ = app
    page.goto(f"{address}/runs?status=failed")
    settle(page)
    page.wait_for_url("**/runs?status=Failed")
    page.reload()
    settle(page)
    expect(page.get_by_text("1 of ")).to_be_visible()
