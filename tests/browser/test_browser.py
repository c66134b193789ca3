"""The app in a real Chromium: the main workflow, the drag preview, Compare, the list of runs."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from tests.browser.kit import BARS, NEWEST, ROOT, app_on, cli, expect, figure, key, next_picture, settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def compared(served, browser):
    """The main workflow, once: open Home, click the button (twice), end on Compare."""
    address, data = served
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    started = time.monotonic()
    page.goto(address)
    settle(page)
    expect(page.get_by_role("heading", name="No class left behind")).to_be_visible()
    expect(key(page, "home_empty")).to_be_visible()
    key(page, "home_start").get_by_role("button").dblclick()
    page.wait_for_url(re.compile(r"/compare\?"), timeout=600_000)
    settle(page)
    seconds = time.monotonic() - started
    print(f"from opening the page to the comparison: {seconds:.0f} s")
    yield page, address, data
    page.close()


def test_the_main_job(compared):
    page, _, data = compared
    runs = cli(data, "runs", "--json")
    assert [r["status"] for r in runs] == ["succeeded", "succeeded"], "a double click starts the pair once"
    expect(page.get_by_text(re.compile(r"Variance 0\.\d+ → 0\.\d+")).first).to_be_visible()
    expect(page.get_by_text(re.compile("seed", re.I)).first).to_be_visible()
    assert [len(bars) for bars in figure(page, "compare_signature", BARS)] == [10, 10]


def test_the_url_restores_the_comparison(compared, page):
    first, _, _ = compared
    page.goto(first.url)
    settle(page)
    assert figure(page, "compare_signature", BARS) == figure(first, "compare_signature", BARS)


def test_compare_swaps_and_exports(compared, page):
    first, _, data = compared
    page.goto(first.url)
    settle(page)
    before, after = (sorted(bars) for bars in figure(page, "compare_signature", BARS))
    key(page, "compare_swap").get_by_role("button").click()
    page.wait_for_url(re.compile(r"a=2&b=1"))
    settle(page)
    first_bars = "JSON.stringify(Array.from(g.data.find(t => t.type === 'bar').y).sort((a, b) => a - b))"
    swapped = figure(
        page, "compare_signature", BARS, until=f"g => {first_bars} !== '{json.dumps(before, separators=(',', ':'))}'"
    )
    assert [sorted(bars) for bars in swapped] == [after, before]
    with page.expect_download() as download:
        key(page, "compare_json").get_by_role("button").click()
    saved = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert saved["before"]["id"] == 2
    wanted = cli(data, "compare", "2", "1", "--json")
    assert [c["tpr_before"] for c in saved["classes"]] == pytest.approx([c["before"] for c in wanted["classes"]])


def slider_of(page):
    """The preview's slider, once the page has settled."""
    settle(page)
    slider = page.locator("input[type=range]")
    expect(slider).to_be_visible()
    return slider


@pytest.fixture
def new_run(compared, page):
    """New run with the TPR ratio fed by the finished baseline."""
    _, address, data = compared
    page.goto(f"{address}/new?method=tpr_ratio")
    slider = slider_of(page)
    return page, slider, data


def look(page):
    """What the preview shows right now."""
    return page.evaluate("""() => { const seen = []; const walk = root => { for (const e of root.querySelectorAll('*')) {
        if (e.classList.contains('bar')) seen.push(e.style.width); if (e.shadowRoot) walk(e.shadowRoot) } };
        walk(document); return seen }""")


def values_said(page):
    """Frames that carry the component's value; the sidebar's own polling does not count."""
    return [frame for frame in page.said if b'"value":' in frame]


def wait_for_value(page):
    """Wait until the component's value is on its way to the server."""
    while not values_said(page):
        page.wait_for_timeout(30)


def test_bars_move_while_the_thumb_is_dragged(new_run):
    """During the drag the bars follow with no word to the server; the value at release is the one that starts."""
    page, slider, data = new_run
    box = slider.bounding_box()
    y, at = box["y"] + box["height"] / 2, lambda share: box["x"] + box["width"] * share
    page.mouse.move(at(0.25), y)
    page.mouse.down()
    pictures = [look(page)]
    for step in range(1, 11):
        page.mouse.move(at(0.25 + 0.05 * step), y, steps=3)
        next_picture(page)
        pictures.append(look(page))
    assert len({tuple(p) for p in pictures}) >= 8, "the bars follow the thumb"
    assert not values_said(page), "no word of the value before release"
    page.mouse.up()
    settle(page)
    assert values_said(page)
    assert look(page) == pictures[-1]
    exponent = float(slider.get_attribute("aria-valuetext"))
    assert exponent == pytest.approx(6.0, abs=0.3)
    key(page, "new_start").get_by_role("button").click()
    page.wait_for_url(re.compile(r"/run\?id="))
    settle(page)
    newest = max(cli(data, "runs", "--json"), key=lambda r: r["id"])
    shown = cli(data, "show", str(newest["id"]), "--json")
    assert shown["config"]["params"]["exponent"] == pytest.approx(exponent, abs=0.006)
    assert shown["baseline_id"] == 1


def test_the_one_formula_follows_the_thumb(new_run):
    """While it is dragged, too: no second formula stands still beside it."""
    page, slider, _ = new_run
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.4, 0.6, 0.8):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2, steps=3)
        value = float(page.locator("output").inner_text())
        assert float(page.locator(".formula sup").inner_text()) == value
        assert page.locator("[data-testid=stMain] .katex").count() == 0
    page.mouse.up()
    settle(page)


def test_a_slider_without_weights_keeps_its_value_over_other_pages(compared, page):
    """Digits has no baseline yet: a slider, no bars.

    Method and value are still there after a look at the runs, dataset and method after a reload.
    """
    _, address, _ = compared
    page.goto(f"{address}/new?dataset=Digits+%28scikit-learn%29&method=From+TPRs%3A+TPR+deficit")
    slider = slider_of(page)
    expect(page.locator(".bars")).to_be_hidden()
    slider.focus()
    page.keyboard.press("End")
    wait_for_value(page)
    settle(page)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Runs").click()
    page.wait_for_url(re.compile("/runs"))
    settle(page)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="New run").click()
    expect(page.locator("output")).to_have_text("8.00")
    expect(page.locator(".formula sup")).to_have_text("8")
    assert "method=tpr_deficit" in page.url
    page.reload()
    settle(page)
    expect(key(page, "new_waiting")).to_contain_text("trained first")
    assert "dataset=digits" in page.url


def test_the_slider_answers_to_the_keyboard(new_run):
    page, slider, _ = new_run
    slider.focus()
    before = look(page)
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert look(page) != before
    wait_for_value(page)
    settle(page)
    assert slider.get_attribute("aria-valuetext") != "2.00"


def test_the_snippet_and_the_command_hold_the_value(new_run):
    page, slider, _ = new_run
    slider.focus()
    page.keyboard.press("End")
    wait_for_value(page)
    settle(page)
    page.get_by_text("Copy as a command or as PyTorch").click()
    expect(page.get_by_test_id("stCode").filter(has_text="--param exponent=8").first).to_be_visible()
    texts = " ".join(page.locator("[data-testid=stCode]").all_inner_texts())
    assert "--param exponent=8" in texts.replace("\n", " ")
    assert "cli.py run --dataset mnist1d" in texts.replace("\n", " ")


def test_a_run_is_watched_paused_and_resumed(compared, page):
    _, address, data = compared
    queued = cli(data, "run", "--dataset", "mnist1d", "--model", "cnn1d", "--epochs", "1000", "--seed", "7", "--json")
    try:
        page.goto(f"{address}/run?id={queued['id']}")
        settle(page)
        seen = figure(page, "run_loss", NEWEST)
        later = f"g => ({NEWEST})(g) > {seen}"  # the page is live
        assert figure(page, "run_loss", NEWEST, until=later) > seen
        key(page, "run_pause").get_by_role("button").click()
        expect(page.get_by_text("Paused", exact=False).first).to_be_visible()
        key(page, "run_resume").get_by_role("button").click()
        expect(key(page, "run_pause")).to_be_visible()
        key(page, "run_stop").get_by_role("button").click()
        while cli(data, "show", str(queued["id"]), "--json")["status"] != "cancelled":
            pass
    except BaseException:
        cli(data, "stop", str(queued["id"]))  # the tests that follow want the worker
        raise


def test_two_tabs_and_a_reload_leave_a_run_alone(compared, browser):
    _, address, data = compared
    queued = cli(data, "run", "--dataset", "mnist1d", "--model", "cnn1d", "--epochs", "6", "--seed", "8", "--json")
    context = browser.new_context()
    tabs = [context.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto(f"{address}/run?id={queued['id']}")
    tabs[0].reload()
    tabs[1].close()
    while (row := cli(data, "show", str(queued["id"]), "--json"))["status"] in ("queued", "running"):
        pass
    assert (row["status"], row["attempt"], row["last_epoch"]) == ("succeeded", 1, 6)
    context.close()


@pytest.mark.parametrize("path", ["/", "/new", "/runs", "/compare?a=1&b=2", "/run?id=2"])
def test_no_page_is_wider_than_a_phone(compared, browser, path):
    _, address, _ = compared
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(address + path)
    settle(page)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    context.close()


@pytest.mark.parametrize("path", ["/runs", "/run?id=7"])
def test_the_first_visit_of_a_fresh_server_may_be_a_deep_link(tmp_path, chromium, page, path):
    """No "Page not found" and no reload on the way."""
    upgrade = (
        "from storage.db.connection import open_database; from storage.db.migrate import upgrade; "
        "upgrade(open_database(role='worker'))"
    )
    subprocess.run(
        [sys.executable, "-c", upgrade], cwd=ROOT, env={**os.environ, "EVENLY_DATA": str(tmp_path)}, check=True
    )
    with app_on(tmp_path) as address:
        said, addresses = [], []
        page.on("console", lambda m: said.append(m.text))
        page.on("framenavigated", lambda frame: addresses.append(frame.url))
        page.goto(address + path)
        settle(page)
        expect(page.get_by_role("heading", name="Runs" if path == "/runs" else "No such run")).to_be_visible()
        expect(key(page, "worker_state")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert not [text for text in said if "does not seem to exist" in text]
        assert addresses == [address + path]


def test_an_unknown_address_says_so_and_leads_home(compared, page):
    _, address, _ = compared
    page.goto(f"{address}/nonsense?x=1")
    settle(page)
    expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    expect(page.get_by_text("no page at /nonsense")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("[data-testid=stMain]").get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="No class left behind")).to_be_visible()


def test_the_console_is_quiet_about_our_settings(compared, page):
    _, address, _ = compared
    said = []
    page.on(
        "console",
        lambda m: (
            said.append(m.text)
            if m.type in ("warning", "error") and "/_stcore/" not in m.location.get("url", "")
            else None
        ),
    )
    for path in ("/", "/new", "/runs", "/compare?a=1&b=2", "/run?id=2"):
        page.goto(address + path)
        settle(page)
    assert said == []


def heads(page):
    """The headers of the table's columns in order, as a screen reader gets them."""
    return page.locator("[data-testid=stDataFrame] canvas th").filter(has_text=re.compile(r"\S"))


def test_the_main_columns_fit_a_desktop_window(compared, page):
    _, address, _ = compared
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{address}/runs")
    settle(page)
    expect(heads(page)).to_have_text(
        ["Run", "Name", "State", "Method", "Accuracy", "TPR var.", "Lowest TPR", "Tags", "Dataset"]
    )  # the visible ones, the last one in part


def test_a_phone_gets_the_columns_that_fit_it(compared, browser):
    _, address, _ = compared
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{address}/runs")
    for i, name in enumerate(("State", "Name", "Acc.", "TPR var.")):
        expect(heads(page).nth(i)).to_have_text(name)
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(heads(page).nth(0)).to_have_text("Run")
    context.close()


def cell(page, row, x):
    """A point in the table: the row from 0, x in px from its left edge."""
    table = page.locator("[data-testid=stDataFrame]").bounding_box()
    return table["x"] + x, table["y"] + 36 + 35 * row + 17


def test_a_click_on_a_name_opens_the_run_and_back_leaves_a_clean_address(compared, page):
    _, address, data = compared
    newest = cli(data, "runs", "--json")[0]["id"]
    page.goto(f"{address}/runs")
    settle(page)
    page.mouse.click(*cell(page, 0, 130))
    page.wait_for_url(re.compile(rf"/run\?id={newest}$"))
    settle(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.wait_for_url(re.compile(r"/runs$"))


def test_a_phone_opens_a_run_by_a_tap_on_its_name(compared, browser):
    _, address, data = compared
    newest = cli(data, "runs", "--json")[0]["id"]
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{address}/runs")
    expect(heads(page).nth(1)).to_have_text("Name")
    settle(page)
    table = page.locator("[data-testid=stDataFrame]")
    top = table.bounding_box()["y"]
    page.mouse.click(*cell(page, 0, 180))
    expect(page.get_by_text("1 selected")).to_be_visible()
    settle(page)
    assert table.bounding_box()["y"] == top  # otherwise a second tap would select another run
    key(page, "runs_open").get_by_role("button", name="Open").click()
    page.wait_for_url(re.compile(rf"/run\?id={newest}$"))
    context.close()


def test_on_a_phone_neither_a_tap_on_a_header_nor_an_arrow_key_opens_a_run(compared, browser):
    """Both make the grid select a cell."""
    _, address, _ = compared
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{address}/runs")
    expect(heads(page).nth(0)).to_have_text("State")
    settle(page)
    table = page.locator("[data-testid=stDataFrame]").bounding_box()
    page.touchscreen.tap(table["x"] + 290, table["y"] + 18)
    settle(page)
    page.locator("[data-testid=data-grid-canvas]").focus()
    for pressed in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(pressed)
        settle(page)
    assert page.url == f"{address}/runs"
    context.close()


def test_a_run_is_opened_with_the_keyboard(compared, page):
    _, address, _ = compared
    page.goto(f"{address}/runs")
    settle(page)
    page.locator("[data-testid=data-grid-canvas]").focus()
    for pressed in ("ArrowDown", "Shift+Space"):
        page.keyboard.press(pressed)
    expect(page.get_by_text("1 selected")).to_be_visible()
    key(page, "runs_open").get_by_role("button", name="Open").press("Enter")
    page.wait_for_url(re.compile(r"/run\?id=\d+$"))


def test_a_new_run_keeps_the_selection(compared, page):
    _, address, data = compared
    page.goto(f"{address}/runs")
    settle(page)
    rows = len(cli(data, "runs", "--json"))
    for row in (rows - 1, rows - 2):  # the oldest, runs 1 and 2
        page.mouse.click(*cell(page, row, 16))
        settle(page)
    expect(page.get_by_text("2 selected")).to_be_visible()
    cli(data, "run", "--dataset", "digits", "--model", "mlp", "--epochs", "1", "--seed", "77", "--wait", "--json")
    key(page, "runs_compare").get_by_role("button").click()
    page.wait_for_url(re.compile(r"/compare\?a=1&b=2$"))


def test_selected_runs_are_archived_and_unarchived(compared, page):
    _, address, data = compared
    page.goto(f"{address}/runs")
    settle(page)
    rows = len(cli(data, "runs", "--json"))
    table = page.locator("[data-testid=stDataFrame]").bounding_box()
    page.mouse.click(table["x"] + 16, table["y"] + 36 + 35 * (rows - 1) + 17)  # the oldest run, in the last row
    expect(page.get_by_text("1 selected")).to_be_visible()
    key(page, "runs_archive").get_by_role("button").click()
    expect(page.get_by_text("Run 1 archived")).to_be_visible()
    assert 1 not in [r["id"] for r in cli(data, "runs", "--json")]
    key(page, "runs_undo").get_by_role("button").click()
    expect(page.get_by_text("Run 1 archived")).to_have_count(0)
    settle(page)
    assert 1 in [r["id"] for r in cli(data, "runs", "--json")]


def test_many_classes_show_weight_and_share_of_each(compared, page):
    _, address, _ = compared
    page.goto(f"{address}/new?dataset=CIFAR-100&method=From+counts%3A+Class-balanced")
    settle(page)
    expect(page.locator("input[type=range]")).to_be_visible()
    title = page.locator(".strip:not(.shares) .col").first.get_attribute("title")
    assert re.fullmatch(r"\w+: weight [\d.]+, share 1\.00 %", title)
    expect(page.locator(".strip.shares .col")).to_have_count(100)
    assert page.locator(".strip.shares .fill").first.bounding_box()["height"] > 10
