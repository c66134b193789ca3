"""What only hands on a page in a real Chromium show: dragging, typing, double clicks, Back, a phone. The app runs without a worker.

All tests share one server and one window, which ends as a phone; they get from page to page without loading the app again. The
console has to stay quiet all the way.
"""

import re

import numpy as np
import pytest

from tests import seed

pytest.importorskip("playwright.sync_api")

from storage import results
from storage.jobs import queue, workers
from tests.browser.kit import BARS, expect, figure, go, key, next_picture, settle, window_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
DESK, PHONE = {"width": 1440, "height": 1200}, {"width": 390, "height": 844}
GAPS = (40, 140)  # ms between two clicks: before and after the first one has reached the server


@pytest.fixture(scope="module")
def visit(app, browser):
    """The first visit of a fresh server, at the address of a run; returns the page and the addresses it went through."""
    address, _, ids = app
    with window_of(browser, viewport=DESK) as page:
        addresses = []
        page.on("framenavigated", lambda frame: addresses.append(frame.url))
        page.goto(f"{address}/run?id={ids['weighted']}")
        settle(page)
        yield page, list(addresses)


@pytest.fixture
def page(visit):
    """The window as wide as a desk."""
    page, _ = visit
    page.set_viewport_size(DESK)
    return page


@pytest.fixture(scope="module")
def link(app, visit):
    """The address of a comparison, which the window has opened when it was a phone."""
    address, _, ids = app
    page, _ = visit
    page.set_viewport_size(PHONE)
    link = f"{address}/compare?a={ids['baseline']}&b={ids['weighted']}"
    page.goto(link)
    settle(page)
    return link


@pytest.fixture
def phone(link, visit):
    """The window as narrow as a phone."""
    page, _ = visit
    page.set_viewport_size(PHONE)
    return page


def title(page):
    return page.get_by_role("heading", level=1)


def stored(engine):
    """The ids of all runs, newest first, as the page of runs lists them."""
    return results.list_runs(engine)["id"].tolist()


# -- addresses -----------------------------------------------------------------------------------------------------


def test_the_first_visit_of_a_fresh_server_may_be_a_deep_link(app, visit):
    """No "Page not found" and no reload on the way."""
    address, engine, ids = app
    page, addresses = visit
    expect(title(page)).to_have_text(results.get_run(engine, ids["weighted"]).name)
    expect(key(page, "worker_state")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert addresses == [f"{address}/run?id={ids['weighted']}"]


def test_an_unknown_address_says_so_and_leads_home(app, page):
    page.goto(f"{app[0]}/nonsense?x=1")
    settle(page)
    expect(title(page)).to_have_text("No such page")
    expect(page.get_by_text("no page at /nonsense")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("[data-testid=stMain]").get_by_role("link", name="Home").click()
    expect(title(page)).to_have_text("No class left behind")


def choose(page, box, text):
    """Choose in a list box with the keyboard alone: type a part of the name, Enter."""
    key(page, box).locator("input").focus()
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    settle(page)


def test_a_choice_by_keyboard_is_in_the_address_and_back_takes_it_back(page):
    """To one that the address names, and to the page as it was opened."""
    go(page, "/new")
    box = key(page, "method").locator("input")
    first = box.input_value()
    assert "Focal" not in first
    choose(page, "method", "Focal")
    page.wait_for_url(re.compile("=focal"))
    choose(page, "method", "LDAM")
    page.wait_for_url(re.compile("=ldam"))
    page.go_back()
    expect(box).to_have_value(re.compile("Focal"))
    settle(page)
    page.go_back()
    expect(box).to_have_value(first)
    settle(page)
    expect(box).to_have_value(first)


# -- clicks that reach the server between two pages: the second must change nothing -------------------------------------


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
    before = len(stored(engine))
    go(page, "/new?dataset=mnist1d&model=cnn1d&method=none")
    twice(page, key(page, "new_start").get_by_role("button"), gap)
    page.wait_for_url("**/run?id=*")
    settle(page)
    newest = stored(engine)[0]
    expect(title(page)).to_have_text(results.get_run(engine, newest).name)
    assert page.url == f"{address}/run?id={newest}"
    assert len(stored(engine)) == before + 1


def test_a_double_click_leads_where_the_first_click_does_and_back_to_what_was_shown(app, page):
    address, engine, ids = app
    here = f"{address}/run?id={ids['weighted']}"
    go(page, here)
    twice(page, key(page, "run_compare").get_by_role("button"), GAPS[0])
    page.wait_for_url(f"{address}/compare?a={ids['baseline']}&b={ids['weighted']}")
    settle(page)
    expect(title(page)).to_have_text("Compare")
    page.go_back()
    page.wait_for_url(here)
    expect(title(page)).to_have_text(results.get_run(engine, ids["weighted"]).name)
    settle(page)
    twice(page, key(page, "run_duplicate").get_by_role("button"), GAPS[1])
    page.wait_for_url(f"{address}/new?*")
    settle(page)
    expect(title(page)).to_have_text("New run")


def test_the_way_back_from_new_run_leads_to_the_method_that_was_shown(app, page):
    address, _, _ = app
    go(page, "/methods?row=ldam")
    key(page, "methods_use").get_by_role("button").press("Enter")
    page.wait_for_url(f"{address}/new?*method=ldam*")
    settle(page)
    page.go_back()
    page.wait_for_url(f"{address}/methods?row=ldam")
    expect(page.get_by_role("heading", level=2).first).to_contain_text("LDAM")


# -- the list of runs ----------------------------------------------------------------------------------------------


def heads(page):
    """The headers of the table's columns in order, as a screen reader gets them."""
    return page.locator("[data-testid=stDataFrame] canvas th").filter(has_text=re.compile(r"\S"))


def cell(page, row, x, high=35):
    """A point in the table: the row from 0, x in px from its left edge."""
    table = page.locator("[data-testid=stDataFrame]").bounding_box()
    return table["x"] + x, table["y"] + 36 + high * row + high // 2


def test_a_click_on_a_name_opens_the_run_and_back_leaves_a_clean_address(app, page):
    address, engine, _ = app
    page.set_viewport_size({"width": 1440, "height": 900})
    go(page, "/runs")
    expect(heads(page)).to_have_text(
        ["Run", "Name", "State", "Method", "Accuracy", "TPR var.", "Lowest TPR", "Tags", "Dataset"]
    )  # the visible ones, the last one in part
    newest = stored(engine)[0]
    page.mouse.click(*cell(page, 0, 130))
    page.wait_for_url(f"{address}/run?id={newest}")
    expect(title(page)).to_have_text(results.get_run(engine, newest).name)
    settle(page)
    page.go_back()
    expect(title(page)).to_have_text("Runs")
    page.wait_for_url(f"{address}/runs")


def test_a_run_is_opened_with_the_keyboard(app, page):
    _, engine, _ = app
    go(page, "/runs")
    page.locator("[data-testid=data-grid-canvas]").focus()
    for pressed in ("ArrowDown", "Shift+Space"):
        page.keyboard.press(pressed)
    expect(page.get_by_text("1 selected")).to_be_visible()
    key(page, "runs_open").get_by_role("button", name="Open").press("Enter")
    page.wait_for_url(re.compile(rf"/run\?id=({'|'.join(map(str, stored(engine)))})$"))


def test_a_ticked_run_is_archived_and_brought_back(app, page):
    _, engine, _ = app
    go(page, "/runs")
    runs = stored(engine)
    page.mouse.click(*cell(page, 1, 16))
    expect(page.get_by_text("1 selected")).to_be_visible()
    key(page, "runs_archive").get_by_role("button").click()
    expect(page.get_by_text(f"Run {runs[1]} archived")).to_be_visible()
    assert stored(engine) == [*runs[:1], *runs[2:]]
    settle(page)
    key(page, "runs_undo").get_by_role("button").click()
    expect(page.get_by_text(f"Run {runs[1]} archived")).to_have_count(0)
    assert stored(engine) == runs


def looks(page, count):
    """Wait until the page has looked for changes so many times more."""
    seen = page.talk.looks
    while page.talk.looks < seen + count:
        page.wait_for_timeout(100)


def test_ticked_runs_and_an_open_dialog_outlast_what_happens_to_other_runs(app, page):
    address, engine, _ = app
    go(page, "/runs")
    second, first = stored(engine)[:2]
    for row in (0, 1):
        page.mouse.click(*cell(page, row, 16))
        settle(page)
    expect(page.get_by_text("2 selected")).to_be_visible()
    key(page, "runs_edit").get_by_role("button", name="Edit").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    queue.ask(engine, seed.submit(engine, seed.config_of(seed=77), "MNIST-1D: none, seed 77"), "cancel")
    looks(page, 3)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    settle(page)
    expect(page.get_by_text("2 selected")).to_be_visible()
    key(page, "runs_compare").get_by_role("button").click()
    page.wait_for_url(f"{address}/compare?a={first}&b={second}")
    settle(page)


# -- New run -------------------------------------------------------------------------------------------------------


def inside(page, css, what):
    """What a function says of every element that fits the selector, within components too."""
    return page.evaluate(
        """([css, what]) => { const of = eval(what), out = []; const walk = root => {
        out.push(...Array.from(root.querySelectorAll(css), of));
        for (const e of root.querySelectorAll('*')) if (e.shadowRoot) walk(e.shadowRoot) };
        walk(document); return out }""",
        [css, what],
    )


def bars(page):
    return tuple(inside(page, ".bar", "e => e.style.width"))


def lines(page):
    return tuple(inside(page, "polyline", "e => e.getAttribute('points')"))


def values_said(page):
    """Frames that carry the preview's value to the server."""
    return [frame for frame in page.talk.said if b'"released":' in frame]


def at(slider, share=0.5):
    """A point on a slider, by its share of the width."""
    slider.scroll_into_view_if_needed()
    room = slider.bounding_box()
    return room["x"] + room["width"] * share, room["y"] + room["height"] / 2


def drag(page, slider, start, end, during):
    """Drag a slider's thumb from one share of its width to another and keep it held; what `during` sees on the way."""
    page.mouse.move(*at(slider, start))
    page.mouse.down()
    seen = [during()]
    for step in range(1, 11):
        page.mouse.move(*at(slider, start + (end - start) * step / 10), steps=2)
        next_picture(page)
        seen.append(during())
    return seen


def cap(page, ratio):
    """Type a largest ratio; what takes the focus away sends it."""
    field = key(page, "new_tpr_ratio_max_ratio").locator("input")
    if not field.is_visible():
        key(page, "new_more").locator("summary").click()
    field.scroll_into_view_if_needed()
    field.fill(ratio)


PREVIEW = """() => {
    const inside = []
    const walk = root => { for (const e of root.querySelectorAll('*')) { inside.push(e); if (e.shadowRoot) walk(e.shadowRoot) } }
    walk(document)
    const of = name => inside.filter(e => e.classList.contains(name)), room = of('bars')[0].getBoundingClientRect()
    const lines = of('one').filter(e => !e.hidden).map(e => e.getBoundingClientRect())
    const cells = [...of('num'), ...of('name')].map(e => e.getBoundingClientRect()).filter(r => r.width)
    const crossed = r => lines.some(l => l.left > r.left && l.left < r.right && l.bottom > r.top + 3 && l.top < r.bottom - 3)
    return { lines: lines.length, outside: cells.filter(r => r.right > room.right + 1).length, crossed: cells.filter(crossed).length }
}"""


def test_bars_numbers_and_the_line_of_equal_weights_keep_apart(page):
    go(page, "/new?dataset=mnist1d&model=cnn1d&method=tpr_ratio")
    for width in (390, 1024, 1440):
        page.set_viewport_size({"width": width, "height": 1200})
        settle(page)
        expect(page.get_by_text("all equal", exact=True)).to_be_visible()
        assert page.evaluate(PREVIEW) == {"lines": 10, "outside": 0, "crossed": 0}


def test_bars_follow_the_thumb_and_the_keys_and_the_value_at_release_stays(page):
    """While the thumb is dragged, bars and the one formula follow with no word to the server."""
    go(page, "/new?dataset=mnist1d&model=cnn1d&method=tpr_ratio")
    slider, output, exponent = page.locator("#level"), page.locator("output"), page.locator(".formula sup")
    said = len(values_said(page))
    seen = drag(
        page, slider, 0.25, 0.75, lambda: (bars(page), float(output.inner_text()), float(exponent.inner_text()))
    )
    assert len({widths for widths, *_ in seen}) >= 8, "the bars follow the thumb"
    assert all(value == power for _, value, power in seen), "and so does the formula"
    assert page.locator("[data-testid=stMain] .katex").count() == 0, "of which there is one"
    assert len(values_said(page)) == said, "no word of the value before release"
    page.mouse.up()
    settle(page)
    assert len(values_said(page)) > said
    assert bars(page) == seen[-1][0]
    assert float(slider.get_attribute("aria-valuetext")) == pytest.approx(6.0, abs=0.3)

    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert bars(page) != seen[-1][0]
    page.keyboard.press("End")
    settle(page)
    page.get_by_text("Copy as a command or as PyTorch").click()
    expect(page.get_by_test_id("stCode").filter(has_text="--param exponent=8").first).to_be_visible()

    menu = page.get_by_test_id("stSidebarNav")
    menu.get_by_role("link", name="Runs").click()
    page.wait_for_url("**/runs")
    settle(page)
    menu.get_by_role("link", name="New run").click()
    expect(output).to_have_text("8.00")
    expect(exponent).to_have_text("8")


def test_a_held_thumb_is_left_alone_and_what_is_new_is_drawn_when_it_is_let_go(page):
    go(page, "/new?dataset=mnist1d&model=cnn1d&method=tpr_ratio")
    slider, facts = page.locator("#level"), page.locator(".facts")
    x, y = at(slider)
    page.mouse.click(x, y)
    settle(page)
    before = slider.input_value()
    page.mouse.move(x, y)
    page.mouse.down()
    for to in (x + 90, x + 40, x):  # back at its start: Chromium fires no `change` for this
        page.mouse.move(to, y, steps=4)
    assert slider.input_value() == before
    page.mouse.up()
    cap(page, "1.5")
    page.keyboard.press("Enter")
    settle(page)
    expect(facts).to_contain_text("1.50 largest / smallest")

    cap(page, "1.2")
    page.mouse.move(*at(slider))
    said = len(page.talk.said)
    page.mouse.down()
    held = slider.input_value()
    settle(page)
    assert len(page.talk.said) > said
    expect(facts).to_contain_text("1.50 largest / smallest")
    assert slider.input_value() == held
    page.mouse.up()
    expect(facts).to_contain_text("1.20 largest / smallest")
    settle(page)
    assert slider.input_value() == held


def test_moving_weights_follow_the_epoch_and_tau_without_a_word_to_the_server(page):
    go(page, "/new?dataset=mnist1d&model=cnn1d&method=cdb")
    expect(key(page, "new_along").locator("input")).to_have_value(re.compile("Run "))
    epoch, output, said = page.locator("#epoch"), page.locator(".along output"), len(values_said(page))
    seen = drag(page, epoch, 0.97, 0.1, lambda: (int(output.inner_text()), bars(page)))
    page.mouse.up()
    assert len({widths for _, widths in seen}) >= 6, "the bars follow the epoch"
    assert [n for n, _ in seen] == sorted((n for n, _ in seen), reverse=True)
    epoch.press("Home")
    expect(output).to_have_text("1")
    assert len(set(bars(page))) == 1, "before the first epoch every weight is 1"
    page.mouse.click(*at(page.locator(".along .plot")))
    assert output.inner_text() in ("10", "11"), "a click into the picture goes to that epoch"

    choose(page, "new_cdb_tau_mode", "fixed")
    shown, said = output.inner_text(), len(values_said(page))
    seen = drag(page, page.locator("#level"), 0.15, 0.7, lambda: lines(page))
    assert len({len(picture) for picture in seen}) == 1
    assert len(set(seen)) >= 6, "every line of the picture moves with tau"
    assert len(values_said(page)) == said, "and nobody is asked"
    page.mouse.up()
    settle(page)
    assert lines(page) == seen[-1], "at release the picture stays"
    assert output.inner_text() == shown, "and so does the epoch"

    most = epoch.get_attribute("max")
    key(page, "new_run_epochs").locator("input").fill("5")
    x, y = at(epoch)
    page.mouse.move(x, y)
    page.mouse.down()
    settle(page)
    assert epoch.get_attribute("max") == most, "the thumb is not taken from under the finger"
    page.mouse.move(x + 120, y, steps=4)
    page.mouse.move(x, y, steps=4)
    page.mouse.up()
    expect(epoch).to_have_attribute("max", "4")


def test_many_classes_show_weight_and_share_of_each(page):
    go(page, "/new?dataset=cifar100&method=class_balanced")
    expect(page.locator(".strip.shares .col")).to_have_count(100)
    name = page.locator(".strip:not(.shares) .col").first.get_attribute("title")
    assert re.fullmatch(r"\w+: weight [\d.]+, share 1\.00 %", name)
    assert page.locator(".strip.shares .fill").first.bounding_box()["height"] > 10


def test_methods_without_what_they_need_are_gray_in_the_list(page):
    go(page, "/new?dataset=digits&model=mlp&method=tpr_deficit")
    expect(page.locator("#level")).to_be_visible()
    expect(page.locator(".bars")).to_be_hidden()  # no run to take TPRs from: a slider without weights
    key(page, "method").locator("input").click()
    page.keyboard.type("logit")
    gray = page.get_by_role("option").filter(has_text="needs a finished run").first
    usable = page.get_by_role("option").filter(has_not_text="needs a finished run").first
    expect(gray).to_contain_text("Post-hoc logit adjustment")
    color = "e => getComputedStyle(e.firstElementChild).color"
    assert gray.evaluate(color) != usable.evaluate(color)
    page.keyboard.press("Escape")


# -- pages that follow the runs; the test acts as the worker -----------------------------------------------------------


class Training:
    """A queued run and its worker."""

    def __init__(self, engine, run_id, even=0.0):
        self.engine, self.id, self.made, self.rng = engine, run_id, seed.mnist1d(even), np.random.default_rng(1)
        self.worker, self.epoch = seed.worker_of(engine), 0
        self.claim = queue.claim(engine, self.worker, "cpu", only=[run_id])
        self.epochs = results.get_run(engine, run_id).epochs
        results.start_run(engine, self.claim, seed.facts(self.made))

    def train(self, epochs):
        for _ in range(epochs):
            self.epoch += 1
            record = seed.epoch_record(self.made, self.epoch, self.epochs, None, self.rng)
            results.record_epoch(self.engine, self.claim, record)
        workers.beat(self.engine, self.worker)
        return self

    def finish(self, status):
        assert queue.finish(self.engine, self.claim, status)


@pytest.fixture
def training(app):
    """Twenty of 400 epochs of a run that is still running."""
    _, engine, _ = app
    run_id = seed.submit(engine, seed.config_of(epochs=400, seed=9), "MNIST-1D: none, seed 9")
    return Training(engine, run_id).train(20)


def drawn(page, epoch):
    """Wait until the curves show this epoch."""
    figure(page, "run_loss", "() => null", until=f"g => g.data.every(t => t.x[t.x.length - 1] === {epoch})")


def test_a_running_run_acknowledges_pause_and_keeps_what_is_open_and_typed_over_new_epochs(page, training):
    """Once it has paused, the whole page is drawn again at once, each part one time."""
    state, confusion = key(page, "run_state"), page.get_by_text(re.compile(r"Test split after epoch \d+\. Each row"))
    go(page, f"/run?id={training.id}")
    drawn(page, 20)
    expect(confusion).to_contain_text("epoch 20.")
    key(page, "run_pause").get_by_role("button").click()
    expect(state).to_contain_text("Pausing")
    expect(key(page, "run_stop").get_by_role("button")).to_be_disabled()
    assert results.get_run(training.engine, training.id).wanted == "pause"
    page.get_by_text("Log", exact=True).click()
    log = page.locator("[data-testid=stExpanderDetails]").filter(has_text="submitted")
    expect(log).to_be_visible()
    key(page, "run_about").get_by_role("button").first.click()
    notes = page.get_by_role("textbox", name="Notes")
    notes.fill("first line\nsecond line")

    training.train(2)  # it has not acted on the request yet
    drawn(page, 22)
    expect(confusion).to_contain_text("epoch 22.")
    expect(state).to_contain_text("epoch 22 of 400")
    expect(state).to_contain_text("Pausing")
    expect(notes).to_have_value("first line\nsecond line")
    expect(log).to_be_visible()
    page.get_by_role("button", name="Save").click()
    shown = page.locator("[data-testid=stMain] p").filter(has_text=re.compile("first line")).first
    expect(shown).to_contain_text("second line")
    assert results.get_run(training.engine, training.id).notes == "first line\nsecond line"

    training.train(2).finish("paused")
    expect(state).to_contain_text("Paused")
    drawn(page, 24)
    expect(confusion).to_contain_text("epoch 24.")
    expect(key(page, "run_resume")).to_have_count(1)
    expect(key(page, "run_pause")).to_have_count(0)
    settle(page)
    expect(page.get_by_text(re.compile("Metrics and charts after epoch"))).to_have_count(0)
    for name in ("run_state", "run_buttons", "run_loss", "run_confusion"):
        expect(key(page, name)).to_have_count(1)


def test_a_runs_page_and_home_follow_what_others_do(app, page):
    _, engine, _ = app
    run_id = seed.submit(engine, seed.config_of(seed=10), "MNIST-1D: none, seed 10")
    queue.ask(engine, run_id, "cancel")
    go(page, f"/run?id={run_id}")
    expect(key(page, "run_resume")).to_be_visible()
    queue.ask(engine, run_id, "run")
    expect(key(page, "run_resume")).to_have_count(0)
    expect(key(page, "run_stop")).to_be_visible()
    go(page, "/")
    row = key(page, f"home_run_{run_id}")
    expect(row).to_contain_text("Queued")
    queue.ask(engine, run_id, "cancel")
    expect(row).to_contain_text("Stopped")


def test_the_button_on_home_starts_one_pair_and_leads_to_its_comparison(app, page):
    address, engine, _ = app
    for run_id in results.list_runs(engine, status="queued")["id"]:
        queue.ask(engine, run_id, "cancel")  # the button waits for runs of its comparison
    before = stored(engine)
    go(page, "/")
    key(page, "home_start").get_by_role("button").dblclick()
    expect(key(page, "home_start").get_by_role("button")).to_be_disabled()
    settle(page)
    weighted, baseline = [run_id for run_id in stored(engine) if run_id not in before]
    Training(engine, baseline).train(3).finish("succeeded")
    Training(engine, weighted, even=0.4).train(3).finish("succeeded")
    page.wait_for_url(f"{address}/compare?a={baseline}&b={weighted}")
    settle(page)
    assert [len(values) for values in figure(page, "compare_signature", BARS)] == [10, 10]


# -- a phone -------------------------------------------------------------------------------------------------------

PAGES = (
    "/",
    "/new?dataset=mnist1d&model=cnn1d&method=tpr_ratio",
    "/new?dataset=cifar100&model=resnet20&method=cdb",
    "/runs",
    "/run?id={dynamic}",
    "/methods?row=ldam",
    "/methods?row=cdb",
)


def widths(page):
    """How wide what can be scrolled is."""
    scrolled = ("document.scrollingElement", "document.querySelector('[data-testid=stMain]')")
    return [page.evaluate(f"{element}.scrollWidth") for element in scrolled]


def test_a_phone_opens_a_comparison_by_its_address(link, visit):
    phone, _ = visit
    assert phone.url == link
    assert max(widths(phone)) <= PHONE["width"]
    assert [len(values) for values in figure(phone, "compare_signature", BARS)] == [10, 10]


def test_no_page_is_wider_than_a_phone(app, phone):
    _, _, ids = app
    for path in PAGES:
        go(phone, path.format(**ids))
        if "/methods" in path:  # a long formula wraps, and nothing scrolls that the keyboard cannot reach
            expect(phone.locator(".katex").first).to_be_visible()
            expect(phone.locator(".katex-display, .token.parameter")).to_have_count(0)
        if "/run?" in path:
            for name in ("posthoc_apply", "posthoc_step", "posthoc_equal_tpr_bias_strength"):
                box = key(phone, name).bounding_box()
                assert box["x"] >= 0, name
                assert box["x"] + box["width"] <= PHONE["width"], name
        assert max(widths(phone)) <= PHONE["width"], path


def test_the_keyboard_skips_a_collapsed_sidebar_on_a_phone(phone):
    go(phone, "/methods")
    expect(phone.locator("[data-testid=stSidebar]")).to_have_css("visibility", "hidden")
    for _ in range(4):
        phone.keyboard.press("Tab")
        assert phone.evaluate("document.activeElement.getBoundingClientRect().x") >= 0


@pytest.fixture
def finger(phone):
    """A tap on the phone at a point, as a finger makes it."""
    device = phone.context.new_cdp_session(phone)
    device.send("Emulation.setTouchEmulationEnabled", {"enabled": True})

    def tap(x, y):
        device.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        device.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    yield tap
    device.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    device.detach()


def test_on_a_phone_a_tap_on_a_name_selects_the_run_and_neither_a_header_nor_an_arrow_key_does(app, phone, finger):
    """All three make the grid select a cell."""
    address, engine, _ = app
    go(phone, "/runs")
    for i, name in enumerate(("State", "Name", "Acc.", "TPR var.")):
        expect(heads(phone).nth(i)).to_have_text(name)
    table = phone.locator("[data-testid=stDataFrame]")
    room = table.bounding_box()
    finger(room["x"] + 290, room["y"] + 18)
    settle(phone)
    phone.locator("[data-testid=data-grid-canvas]").focus()
    for pressed in ("ArrowDown", "ArrowDown", "ArrowRight"):
        phone.keyboard.press(pressed)
    settle(phone)
    assert phone.url == f"{address}/runs"
    top, newest = table.bounding_box()["y"], results.list_runs(engine)["id"].iloc[0]
    finger(*cell(phone, 0, 180, high=92))
    expect(phone.get_by_text("1 selected")).to_be_visible()
    settle(phone)
    assert table.bounding_box()["y"] == top  # otherwise a second tap would select another run
    key(phone, "runs_open").get_by_role("button", name="Open").click()
    phone.wait_for_url(f"{address}/run?id={newest}")


def test_a_window_that_becomes_wide_gets_the_columns_of_a_desk(phone):
    go(phone, "/runs")
    expect(heads(phone).nth(0)).to_have_text("State")
    phone.set_viewport_size(DESK)
    expect(heads(phone).nth(0)).to_have_text("Run")
    phone.set_viewport_size(PHONE)
