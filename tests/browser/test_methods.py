"""Post-hoc steps in a real Chromium: from the page of a finished run to the page of the step's run."""

import re

import pytest

pytest.importorskip("playwright.sync_api")

from tests.browser.kit import BARS, cli, expect, figure, key, settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def finished(served):
    """A finished run on MNIST-1D; returns (address, data folder, run)."""
    address, data = served
    run = cli(data, "run", "--dataset", "mnist1d", "--model", "cnn1d", "--epochs", "6", "--wait", "--json")
    return address, data, run


def test_a_step_is_applied_from_the_run_page_and_its_run_shows_its_tprs(finished, page):
    address, data, run = finished
    page.goto(f"{address}/run?id={run['id']}")
    settle(page)
    slider = key(page, "posthoc_equal_tpr_bias_strength").get_by_role("slider")
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    settle(page)
    key(page, "posthoc_apply").get_by_role("button").dblclick()
    expect(page.get_by_text("Applying Equal-TPR bias, strength 0.8")).to_be_visible()
    links = key(page, "posthoc_open")
    expect(links).to_be_visible()
    runs = cli(data, "runs", "--json")
    assert [r["status"] for r in runs] == ["succeeded", "succeeded"], "a double click makes one run"
    made = runs[0]
    assert made["baseline_id"] == run["id"]
    expect(key(page, "posthoc_apply").get_by_role("button")).to_be_disabled()
    links.get_by_role("button").click()
    page.wait_for_url(re.compile(rf"/run\?id={made['id']}$"))
    settle(page)
    shown = figure(page, "run_signature", BARS)
    wanted = [[c["tpr"] for c in cli(data, "show", str(i), "--json")["classes"]] for i in (run["id"], made["id"])]
    assert [sorted(bars) for bars in shown] == [pytest.approx(sorted(tprs)) for tprs in wanted]
    assert cli(data, "show", str(made["id"]), "--json")["config"]["params"] == {"strength": 0.8}


def test_an_applied_step_is_compared_with_the_run_as_trained(finished, page):
    address, data, run = finished
    made = cli(data, "posthoc", str(run["id"]), "--strength", "1", "--json")
    page.goto(f"{address}/run?id={run['id']}")
    settle(page)
    expect(page.get_by_text(f"Already applied as run {made['id']}.")).to_be_visible()
    key(page, "posthoc_compare").get_by_role("button").click()
    page.wait_for_url(re.compile(rf"/compare\?a={run['id']}&b={made['id']}"))
    settle(page)
    assert [len(bars) for bars in figure(page, "compare_signature", BARS)] == [10, 10]


def test_the_section_fits_a_phone(finished, page):
    address, _, run = finished
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/run?id={run['id']}")
    settle(page)
    button = key(page, "posthoc_apply").get_by_role("button")
    button.scroll_into_view_if_needed()
    for element in (button, key(page, "posthoc_step"), key(page, "posthoc_equal_tpr_bias_strength")):
        box = element.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
