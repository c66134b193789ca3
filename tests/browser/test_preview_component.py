"""The preview's component.js alone in a real Chromium, played against answers of Python in the order that a busy server gives them."""

import base64
from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api")

from core.methods import METHODS, grid, slider_param, what_if
from pages.components.preview import component
from reporting.palette import LIGHT
from tests.browser.kit import window_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
EXPONENT = slider_param(METHODS["tpr_ratio"])
STEP = EXPONENT.step


@dataclass(frozen=True)
class Slider:
    """The component on a page of its own; `answer` is what Python hands to it, `sent` what it hands to Python."""

    page: object

    def answer(self, value, answered, name="new_preview_tpr_ratio"):
        """Data of Python around a value, which answer the release of that number."""
        tpr = np.array([0.9, 0.6])
        answers = grid("tpr_ratio", what_if(2, tpr=tpr), {"exponent": value})
        data = component.payload(["car", "cat"], np.arange(2), tpr, answers, EXPONENT, value, LIGHT)
        self.page.evaluate("data => answer(data)", {**data, "key": name, "answered": answered})

    def press(self, times=1):
        self.page.locator("#level").focus()
        for _ in range(times):
            self.page.keyboard.press("ArrowRight")

    @property
    def at(self):
        return pytest.approx(float(self.page.locator("#level").get_attribute("aria-valuetext")))

    @property
    def sent(self):
        return [(pytest.approx(s["value"]), s["count"]) for s in self.page.evaluate("() => sent")]


@pytest.fixture
def slider(browser):
    module = base64.b64encode(component.SCRIPT.encode()).decode()
    with window_of(browser) as page:
        page.set_content(f"<div id=place>{component.HTML}</div>")
        page.evaluate(
            """async module => {
            const { default: component } = await import("data:text/javascript;base64," + module)
            window.sent = [] // what reaches Python
            const parentElement = document.querySelector("#place")
            const setStateValue = (name, value) => sent.push(value)
            window.answer = data => component({ parentElement, data, setStateValue }) }""",
            module,
        )
        yield Slider(page)


def test_an_answer_to_an_earlier_release_does_not_move_the_slider_back(slider):
    slider.answer(1.0, answered=0)
    slider.press(2)
    assert slider.sent == [(1 + STEP, 1), (1 + 2 * STEP, 2)]
    slider.answer(1 + STEP, answered=1)
    assert slider.at == 1 + 2 * STEP
    slider.press()
    assert slider.sent[2:] == [(1 + 3 * STEP, 3)], "the next press goes on from where the person sees the thumb"
    slider.answer(1 + 2 * STEP, answered=2)
    slider.answer(1 + 3 * STEP, answered=3)
    assert slider.at == 1 + 3 * STEP


def test_a_value_that_python_sets_after_the_last_release_is_shown(slider):
    slider.answer(1.0, answered=0)
    slider.press()
    slider.answer(4.0, answered=1)
    assert slider.at == 4.0
    slider.press()
    assert slider.sent[1:] == [(4.0 + STEP, 2)]


def test_a_slider_in_the_same_place_starts_anew(slider):
    slider.answer(1.0, answered=0)
    slider.press(3)
    slider.answer(2.0, answered=0, name="new_preview_inverse_tpr")
    assert slider.at == 2.0
