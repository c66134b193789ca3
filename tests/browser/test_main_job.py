"""The main job in a real Chromium with app and worker as `make run` starts them: from New run to the comparison and on."""

import json
import re
from pathlib import Path

import pytest

from tests import seed

pytest.importorskip("playwright.sync_api")

from reporting import numbers
from storage import results
from storage.db.connection import open_database
from storage.jobs import queue
from tests.browser.kit import BARS, expect, figure, go, key, settle, window_of

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
BASELINE, WEIGHTED = 1, 2
TRAINED = 600_000  # ms, for what waits for the worker


@pytest.fixture(scope="module")
def engine(served):
    """The database of the app and its worker."""
    engine = open_database(f"sqlite:///{served[1] / 'evenly.db'}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def compared(served, engine, browser):
    """The main job, once: TPR ratio with a baseline trained first, two epochs each, started by a double click, watched, compared."""
    address, _ = served
    with window_of(browser, viewport={"width": 1440, "height": 1200}, accept_downloads=True) as page:
        page.goto(f"{address}/new?method=tpr_ratio")
        settle(page)
        page.locator("#level").focus()
        page.keyboard.press("Home")
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        page.exponent = float(page.locator("#level").get_attribute("aria-valuetext"))
        key(page, "new_run_epochs").locator("input").fill("2")
        page.keyboard.press("Enter")
        settle(page)
        key(page, "new_start").get_by_role("button").dblclick()
        page.wait_for_url(f"{address}/run?id={WEIGHTED}")
        expect(key(page, "run_state")).to_contain_text("Succeeded", timeout=TRAINED)
        settle(page)
        key(page, "run_compare").get_by_role("button").click()
        page.wait_for_url(f"{address}/compare?a={BASELINE}&b={WEIGHTED}")
        settle(page)
        yield page


@pytest.fixture
def page(compared):
    """The window, on the comparison."""
    go(compared, f"/compare?a={BASELINE}&b={WEIGHTED}")
    return compared


def tprs(engine, run_id):
    """The TPRs of a run on the test split in ascending order."""
    counts = results.class_counts(engine, run_id, "test")
    return sorted((counts.tp / counts.support).tolist())


def shown(page, chart, first=None):
    """The bars of a chart in ascending order, before and after; `first`: once the first are these."""
    until = "() => true"
    if first is not None:
        until = f"g => Math.abs(Math.min(...g.data.find(t => t.type === 'bar').y) - {first[0]}) < 1e-9"
    return [pytest.approx(sorted(values)) for values in figure(page, chart, BARS, until=until)]


def test_the_main_job(page, engine):
    runs = [results.get_run(engine, run_id) for run_id in results.list_runs(engine)["id"][::-1]]
    assert [(r.id, r.status, r.attempt, r.last_epoch) for r in runs] == [
        (BASELINE, "succeeded", 1, 2),
        (WEIGHTED, "succeeded", 1, 2),
    ], "a double click starts the pair once"
    assert runs[1].baseline_id == BASELINE
    assert 0 < page.exponent < 8
    assert runs[1].config.params["exponent"] == pytest.approx(page.exponent), (
        "the value at release is the one that starts"
    )
    accuracy = page.get_by_test_id("stMetric").filter(has_text="Accuracy")
    expect(accuracy).to_contain_text(numbers.percent(runs[1].accuracy))
    expect(accuracy).to_contain_text(f"from {numbers.percent(runs[0].accuracy)}")
    assert shown(page, "compare_signature") == [tprs(engine, BASELINE), tprs(engine, WEIGHTED)]


def test_compare_swaps_and_exports(page, engine):
    key(page, "compare_swap").get_by_role("button").click()
    page.wait_for_url(re.compile(rf"a={WEIGHTED}&b={BASELINE}"))
    settle(page)
    before, after = tprs(engine, WEIGHTED), tprs(engine, BASELINE)
    assert shown(page, "compare_signature", first=before) == [before, after]
    with page.expect_download() as download:
        key(page, "compare_json").get_by_role("button").click()
    saved = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert (saved["before"]["id"], saved["after"]["id"]) == (WEIGHTED, BASELINE)
    assert sorted(c["tpr_before"] for c in saved["classes"]) == pytest.approx(before)


def test_a_post_hoc_step_is_applied_from_the_page_of_a_run(page, served, engine):
    """By a helper process; a double click makes one run, whose page and comparison follow."""
    address, _ = served
    count = len(results.list_runs(engine))
    go(page, f"/run?id={BASELINE}")
    key(page, "posthoc_equal_tpr_bias_strength").get_by_role("slider").focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    settle(page)
    key(page, "posthoc_apply").get_by_role("button").dblclick()
    expect(page.get_by_text("Applying Equal-TPR bias, strength 0.8")).to_be_visible()
    expect(key(page, "posthoc_open")).to_be_visible(timeout=TRAINED)
    expect(key(page, "posthoc_apply").get_by_role("button")).to_be_disabled()
    assert len(results.list_runs(engine)) == count + 1
    step = results.get_run(engine, int(results.list_runs(engine)["id"].iloc[0]))
    assert (step.status, step.baseline_id, step.config.params) == ("succeeded", BASELINE, {"strength": 0.8})
    key(page, "posthoc_open").get_by_role("button").click()
    page.wait_for_url(f"{address}/run?id={step.id}")
    settle(page)
    assert shown(page, "run_signature") == [tprs(engine, BASELINE), tprs(engine, step.id)]


def test_a_run_is_watched_paused_and_resumed(page, engine):
    run_id = seed.submit(engine, seed.config_of(epochs=1000, seed=7), "MNIST-1D: none, seed 7")
    try:
        go(page, f"/run?id={run_id}")
        figure(page, "run_loss", "() => null")  # the page is live
        key(page, "run_pause").get_by_role("button").click()
        expect(key(page, "run_state")).to_contain_text("Paused")
        reached = results.get_run(engine, run_id).last_epoch
        key(page, "run_resume").get_by_role("button").click()
        expect(key(page, "run_pause")).to_be_visible()
        while results.get_run(engine, run_id).last_epoch == reached:
            page.wait_for_timeout(100)
        key(page, "run_stop").get_by_role("button").click()
        expect(key(page, "run_state")).to_contain_text("Stopped")
        assert results.get_run(engine, run_id).status == "cancelled"
    except BaseException:
        queue.ask(engine, run_id, "cancel")  # the tests that follow want the worker
        raise
