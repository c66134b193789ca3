"""The page of a running run in a real Chromium. The test acts as the worker: it records epochs and follows requests."""

import os
import re

import numpy as np
import pytest

from tests import seed

pytest.importorskip("playwright.sync_api")

from storage import results
from storage.jobs import queue
from tests.browser.kit import app_on, expect, key, settle, window_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
EPOCHS = 400
LAST = "g => Math.max(...g.data.map(t => t.x[t.x.length - 1]))"


class Training:
    """A running run and its worker."""

    def __init__(self, engine):
        self.engine, self.made, self.rng = engine, seed.mnist1d(), np.random.default_rng(1)
        self.worker = seed.worker_of(engine)
        self.id = seed.submit(engine, seed.config_of(epochs=EPOCHS), "MNIST-1D: none, seed 0")
        self.claim = queue.claim(engine, self.worker, "cpu")
        results.start_run(engine, self.claim, seed.facts(self.made))
        self.epoch = 0

    def train(self, epochs):
        for _ in range(epochs):
            self.epoch += 1
            results.record_epoch(
                self.engine, self.claim, seed.epoch_record(self.made, self.epoch, EPOCHS, None, self.rng)
            )
        queue.beat(self.engine, self.worker)

    def row(self):
        return results.get_run(self.engine, self.id)


@pytest.fixture
def training(empty):
    """Twenty epochs of a run that is still running."""
    training = Training(empty)
    training.train(20)
    return training


@pytest.fixture
def page(training, browser):
    """The run page, settled."""
    with (
        app_on(os.environ["EVENLY_DATA"]) as address,
        window_of(browser, viewport={"width": 1440, "height": 1200}) as page,
    ):
        page.goto(f"{address}/run?id={training.id}")
        drawn(page, 20)
        yield page


def drawn(page, epoch, name="run_loss"):
    """Wait until a chart shows this epoch."""
    page.wait_for_function(
        f"() => {{ const g = document.querySelector('.st-key-{name} .js-plotly-plot'); return g && g.data && ({LAST})(g) === {epoch} }}"
    )


def test_a_click_on_pause_is_acknowledged_while_the_charts_update(page, training):
    key(page, "run_pause").get_by_role("button").click()
    expect(key(page, "run_state")).to_contain_text("Pausing")
    assert training.row().wanted == "pause"
    expect(key(page, "run_stop").get_by_role("button")).to_be_disabled()
    training.train(3)  # it has not acted on the request yet
    drawn(page, 23)
    expect(key(page, "run_state")).to_contain_text("Pausing")
    assert queue.finish(training.engine, training.claim, "paused")
    expect(key(page, "run_state")).to_contain_text("Paused")
    expect(key(page, "run_resume")).to_have_count(1)
    settle(page)
    expect(key(page, "run_pause")).to_have_count(0)
    for name in ("run_state", "run_buttons", "run_loss", "run_confusion"):
        expect(key(page, name)).to_have_count(1)


def test_open_popovers_and_typed_text_survive_new_epochs(page, training):
    page.get_by_text("Log", exact=True).click()
    log = page.locator("[data-testid=stExpanderDetails]").filter(has_text="submitted")
    expect(log).to_be_visible()
    key(page, "run_about").get_by_role("button").first.click()
    notes = page.get_by_role("textbox", name="Notes")
    notes.fill("first line\nsecond line")
    for epochs in (2, 2):
        training.train(epochs)
        drawn(page, training.epoch)
        expect(key(page, "run_state")).to_contain_text(f"epoch {training.epoch} of {EPOCHS}")
    expect(notes).to_have_value("first line\nsecond line")
    expect(log).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[data-testid=stMain] p").filter(has_text=re.compile("first line")).first).to_contain_text(
        "second line"
    )
    assert training.row().notes == "first line\nsecond line"


def test_the_lower_part_follows_the_charts(page, training):
    confusion = page.get_by_text(re.compile(r"Test split after epoch \d+\. Each row"))
    expect(confusion).to_contain_text("epoch 20.")
    training.train(1)
    drawn(page, 21)
    expect(confusion).to_contain_text("epoch 21.")


def test_a_run_that_ends_is_redrawn_completely_at_once(page, training):
    confusion = page.get_by_text(re.compile(r"Test split after epoch \d+\. Each row"))
    training.train(2)
    assert queue.finish(training.engine, training.claim, "succeeded")
    expect(key(page, "run_state")).to_contain_text("Succeeded")
    settle(page)
    expect(confusion).to_contain_text("epoch 22.")
    drawn(page, 22)
    expect(page.get_by_text(re.compile("Metrics and charts after epoch"))).to_have_count(0)
