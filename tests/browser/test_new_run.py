"""New run and Methods in a real Chromium: a method chosen by keyboard, epochs dragged along an earlier run, an overlay, a search."""

import re

import pytest

pytest.importorskip("playwright.sync_api")

from tests.browser.kit import app_on, expect, key, next_picture, settle, window_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
LINES = (
    "() => { const out = []; const walk = root => { for (const e of root.querySelectorAll('*')) {\n"
    "    if (e.tagName === 'polyline') out.push(e.getAttribute('points')); "
    "if (e.shadowRoot) walk(e.shadowRoot) } }; walk(document); return out }"
)
BARS = """() => { const out = []; const walk = root => { for (const e of root.querySelectorAll('*')) {
    if (e.classList.contains('bar')) out.push(e.style.width); if (e.shadowRoot) walk(e.shadowRoot) } }; walk(document); return out }"""


@pytest.fixture(scope="module")
def address(seeded, chromium):
    """The app on a data folder with finished runs; no worker."""
    with app_on(seeded[0]) as address:
        yield address


@pytest.fixture
def page(browser):
    with window_of(browser, viewport={"width": 1440, "height": 1200}) as page:
        yield page


def choose(page, box, text):
    """Choose in a list box with the keyboard alone: type a part of the name, Enter."""
    field = key(page, box).locator("input")
    field.focus()
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    settle(page)


def drag(page, slider, start, end, during):
    """Drag a slider from one share of its width to another; what `during` sees on the way."""
    room = slider.bounding_box()
    y, at = room["y"] + room["height"] / 2, lambda share: room["x"] + room["width"] * share
    page.mouse.move(at(start), y)
    page.mouse.down()
    seen = [during()]
    for step in range(1, 9):
        page.mouse.move(at(start + (end - start) * step / 8), y, steps=2)
        next_picture(page)
        seen.append(during())
    page.mouse.up()
    return seen


def test_a_method_of_another_group_is_chosen_by_keyboard(address, page):
    page.goto(f"{address}/new")
    settle(page)
    choose(page, "method", "Logits: Balanced")
    page.wait_for_url(re.compile("method=balanced_softmax"))
    expect(page.get_by_role("heading", name="What the method changes")).to_be_visible()
    page.reload()
    settle(page)
    expect(key(page, "method").locator("input")).to_have_value("Logits: Balanced softmax")


def test_the_epoch_is_dragged_along_an_earlier_run_without_a_word_to_the_server(address, page):
    page.goto(f"{address}/new?method=cdb")
    settle(page)
    expect(key(page, "new_along").locator("input")).to_have_value(re.compile("Run "))
    epoch, said = page.locator("#epoch"), len(page.said)
    seen = drag(
        page, epoch, 0.97, 0.1, lambda: (page.locator(".along output").inner_text(), tuple(page.evaluate(BARS)))
    )
    assert len({bars for _, bars in seen}) >= 6, "the bars follow the epoch"
    assert [int(n) for n, _ in seen] == sorted((int(n) for n, _ in seen), reverse=True)
    assert not [frame for frame in page.said[said:] if b'"value":' in frame]
    epoch.press("Home")
    expect(page.locator(".along output")).to_have_text("1")
    assert len(set(page.evaluate(BARS))) == 1, "before the first epoch every weight is 1"


def test_the_whole_picture_follows_tau_while_it_is_dragged(address, page):
    page.goto(f"{address}/new?method=cdb")
    settle(page)
    choose(page, "new_cdb_tau_mode", "fixed")
    page.locator("#epoch").press("ArrowLeft")
    at, said = page.locator(".along output").inner_text(), len(page.said)
    seen = drag(page, page.locator("#level"), 0.15, 0.7, lambda: tuple(page.evaluate(LINES)))
    assert len({len(lines) for lines in seen}) == 1
    assert len(set(seen)) >= 6, "every line of the picture moves with tau"
    assert not [frame for frame in page.said[said:-5] if b'"value":' in frame], "and nobody is asked"
    settle(page)
    assert page.evaluate(LINES) == list(seen[-1]), "at release the picture stays"
    assert page.locator(".along output").inner_text() == at, "and so does the epoch"


def cap(page):
    """Type a largest ratio of 1.5; what takes the focus away sends it."""
    key(page, "new_more").locator("summary").click()
    field = key(page, "new_tpr_ratio_max_ratio").locator("input")
    field.scroll_into_view_if_needed()
    field.fill("1.5")


def middle(page, slider):
    """The middle of a slider on the screen."""
    slider.scroll_into_view_if_needed()
    room = slider.bounding_box()
    return room["x"] + room["width"] / 2, room["y"] + room["height"] / 2


def test_a_thumb_dragged_back_to_its_start_leaves_the_preview_alive(address, page):
    page.goto(f"{address}/new?method=tpr_ratio")
    settle(page)
    slider = page.locator("#level")
    x, y = middle(page, slider)
    page.mouse.click(x, y)
    settle(page)
    before = slider.input_value()
    page.mouse.move(x, y)
    page.mouse.down()
    for to in (x + 90, x + 40, x):  # Chromium fires no `change` for this
        page.mouse.move(to, y, steps=4)
    assert slider.input_value() == before
    page.mouse.up()
    cap(page)
    page.keyboard.press("Enter")
    settle(page)
    expect(page.locator(".facts")).to_contain_text("1.50 largest / smallest")


def test_new_weights_wait_while_the_thumb_is_held_and_are_drawn_when_it_is_let_go(address, page):
    page.goto(f"{address}/new?method=tpr_ratio")
    settle(page)
    cap(page)
    before = page.locator(".facts").inner_text()
    page.mouse.move(*middle(page, page.locator("#level")))
    page.mouse.down()
    held, seen = page.locator("#level").input_value(), page.locator(".facts").inner_text()
    settle(page)
    assert "1.50 largest" not in before
    assert page.locator(".facts").inner_text() == seen
    assert page.locator("#level").input_value() == held
    page.mouse.up()
    expect(page.locator(".facts")).to_contain_text("1.50 largest / smallest")
    settle(page)
    assert page.locator("#level").input_value() == held


def test_the_epoch_s_thumb_is_not_taken_from_under_the_finger(address, page):
    page.goto(f"{address}/new?method=cdb")
    settle(page)
    epoch, field = page.locator("#epoch"), key(page, "new_run_epochs").locator("input")
    most = epoch.get_attribute("max")
    field.fill("5")
    x, y = middle(page, epoch)
    page.mouse.move(x, y)
    page.mouse.down()
    settle(page)
    assert epoch.get_attribute("max") == most
    page.mouse.move(x + 120, y, steps=4)
    page.mouse.move(x, y, steps=4)
    page.mouse.up()
    expect(epoch).to_have_attribute("max", "4")


def test_a_click_into_the_picture_goes_to_that_epoch(address, page):
    page.goto(f"{address}/new?method=cdb")
    settle(page)
    room = page.locator(".along .plot").bounding_box()
    page.mouse.click(room["x"] + room["width"] * 0.5, room["y"] + 40)
    assert page.locator(".along output").inner_text() in ("10", "11")


def test_further_methods_are_laid_over_the_chosen_one(address, page):
    page.goto(f"{address}/new?method=tpr_ratio")
    settle(page)
    choose(page, "new_overlay", "Inverse TPR")
    chart = key(page, "new_overlay_weight").locator(".js-plotly-plot")
    expect(chart).to_be_visible()
    names = page.evaluate(
        "() => document.querySelector('.st-key-new_overlay_weight .js-plotly-plot').data.map(t => t.name)"
    )
    assert names == ["TPR ratio", "Inverse TPR"]


def test_the_methods_page_is_searched_and_leads_to_new_run(address, page):
    page.goto(f"{address}/methods")
    settle(page)
    key(page, "methods_words").locator("input").fill("effective number")
    page.keyboard.press("Enter")
    settle(page)
    expect(page.get_by_role("heading", name="Class-balanced", exact=True)).to_be_visible()
    expect(page.locator(".katex").first).to_be_visible()
    key(page, "methods_use").get_by_role("button").press("Enter")
    page.wait_for_url(re.compile(r"/new\?.*method=class_balanced"))
    settle(page)
    expect(key(page, "method").locator("input")).to_have_value("From counts: Class-balanced")


@pytest.mark.parametrize(
    ("where", "name", "first", "then"),
    [
        ("/new", "method", "From TPRs: TPR ratio", "Loss shape: Focal"),
        ("/methods", "methods_chosen", "None (plain cross entropy)", "Focal"),
    ],
)
def test_back_takes_a_choice_back(address, page, where, name, first, then):
    """From an address that names the choice, and from the one of the page as it was opened."""
    page.goto(address + where)
    settle(page)
    box = key(page, name).locator("input")
    expect(box).to_have_value(re.compile(re.escape(first)))
    for choice in (then, "LDAM"):
        choose(page, name, choice)
        settle(page)
    page.go_back()
    expect(box).to_have_value(re.compile(re.escape(then)))
    settle(page)
    page.go_back()
    expect(box).to_have_value(re.compile(re.escape(first)))
    settle(page)
    expect(box).to_have_value(re.compile(re.escape(first)))


def test_methods_without_what_they_need_are_grey_in_the_list(address, page):
    page.goto(f"{address}/new?dataset=digits&model=mlp")
    settle(page)
    key(page, "method").locator("input").click()
    page.keyboard.type("logit")
    grey = page.get_by_role("option").filter(has_text="needs a finished run").first
    usable = page.get_by_role("option").filter(has_not_text="needs a finished run").first
    expect(grey).to_contain_text("Post-hoc logit adjustment")
    colour = "e => getComputedStyle(e.firstElementChild).color"
    assert grey.evaluate(colour) != usable.evaluate(colour)


@pytest.mark.parametrize(
    "path", ["/new?method=cdb", "/new?dataset=cifar100&model=resnet20&method=cdb", "/methods?row=cdb"]
)
def test_moving_terms_fit_a_phone(address, browser, path):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(address + path)
    settle(page)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    context.close()


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


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_bars_numbers_and_the_line_of_equal_weights_keep_apart(address, browser, width):
    context = browser.new_context(viewport={"width": width, "height": 1200})
    page = context.new_page()
    page.goto(f"{address}/new?method=tpr_ratio")
    settle(page)
    page.get_by_role("combobox", name="TPRs from").focus()
    page.keyboard.type("Run ")
    page.keyboard.press("Enter")
    settle(page)
    expect(page.get_by_text("all equal", exact=True)).to_be_visible()
    assert page.evaluate(PREVIEW) == {"lines": 10, "outside": 0, "crossed": 0}
    context.close()


def test_the_keyboard_skips_a_collapsed_sidebar_on_a_phone(address, browser):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{address}/methods")
    settle(page)
    expect(page.locator("[data-testid=stSidebar]")).to_have_css("visibility", "hidden")
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getBoundingClientRect().x") >= 0
    context.close()


@pytest.mark.parametrize("row", ["ldam", "cdb"])
def test_a_long_formula_wraps_on_a_phone_and_nothing_scrolls_that_the_keyboard_cannot_reach(address, browser, row):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{address}/methods?row={row}")
    settle(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    expect(page.locator(".katex").first).to_be_visible()
    expect(page.locator(".katex-display, .token.parameter")).to_have_count(0)
    context.close()
