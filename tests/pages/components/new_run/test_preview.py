"""New run: the slider and its formula."""

from __future__ import annotations

import numpy as np
import pytest

from core.datasets import describe
from core.diagnostics.weight_dominance import DominantClass
from pages.components.common.prefill import Prefill
from pages.components.preview import component
from reporting import text
from services import preflight, tpr_sources
from storage.db.paths import data_root
from tests.pages.components.new_run.kit import baselines, started, visit
from tests.seed import config_of


def test_with_a_baseline_trained_first_the_slider_is_there_and_counts(empty):
    at = visit()
    assert at.selectbox(key="new_baseline").value == tpr_sources.TRAIN_FIRST
    at.session_state["new_preview_tpr_ratio"] = {"released": {"value": 3.5, "count": 1}}
    at.run()
    assert started(at, empty)[1].config.params["exponent"] == 3.5


def test_the_slider_alone_has_every_stop_and_its_formula():
    from core.methods import METHODS, slider_param
    from reporting.palette import LIGHT

    param = slider_param(METHODS["tpr_ratio"])
    data = component.slider_alone([0.0, 2.5], ["w_c = 1", r"w_c \propto 2^{2.5}"], param, 2.5, LIGHT)
    assert (data["names"], data["shown"], data["formula"]) == ([], ["0.00", "2.50"], ["w = 1", "w ∝ 2^2.5"])
    assert all(len(data[k]) == 2 for k in ("grid", "level", "top", "clipped", "facts", "notes", "alt", "values"))


@pytest.mark.parametrize(
    ("method", "typeset"),
    [("tpr_ratio", False), ("class_balanced", False), ("cdb", True), ("inverse_frequency", True), ("focal", True)],
)
def test_there_is_one_formula_and_it_is_the_preview_s_where_that_has_a_slider(empty, method, typeset):
    baselines(empty, 0)
    at = visit()
    at.selectbox(key="method").set_value(method).run()
    assert any("displaystyle" in m.value for m in at.markdown) == typeset


def test_the_source_of_a_method_is_linked(empty):
    assert any("(https://stats.stackexchange.com/q/524331)" in m.value for m in visit().markdown)


def test_count_times_weight_is_called_a_share_of_the_weight(empty):
    from core.methods import METHODS, grid, slider_param, what_if
    from reporting.palette import LIGHT

    tpr = np.array([0.9, 0.6])
    answers = grid("tpr_ratio", what_if(2, tpr=tpr, counts=np.array([30.0, 10.0])), {"exponent": 1.0})
    data = component.payload(["a", "b"], np.arange(2), tpr, answers, slider_param(METHODS["tpr_ratio"]), 1.0, LIGHT)
    assert data["facts"][0][1][1].startswith("share of the weight")
    assert "share of the weight" in data["words"]["legend"]
    assert data["shares"][data["values"].index(1.0)] == pytest.approx(
        [2 / 3, 1 / 3], abs=1e-4
    )  # 30 / .9 against 10 / .6
    assert "of the loss" not in str(data)


@pytest.mark.parametrize("start", [0.0, 0.5])  # the weights as bars, and epoch by epoch
def test_the_preview_warns_of_a_class_that_weights_and_sampler_together_make_dominant(empty, monkeypatch, start):
    """The same sentence as the plan's; with the weights alone no class dominates."""
    sent, words = [], []
    monkeypatch.setattr(component, "mount", lambda data, key: sent.append(data))
    at = visit()
    for sampler in ("instance", "balanced"):
        params = {"formula": "1 / n ** 2"}
        config = config_of(epochs=20, method="custom", params=params, imbalance=100.0, sampler=sampler, start=start)
        at.session_state["new_prefill"] = Prefill(config, method=config.method)
        sent.clear()
        at.run()
        assert not at.exception
        words.append(next(data["warn"][-1] for data in sent if data.get("warn")))
        row = started(at, empty)[-1]
        found = preflight.notes_before_start(row.config, describe("mnist1d", data_root()), None, None)
        assert [text.of(f) for f in found if isinstance(f, DominantClass)] == list(filter(None, words[-1:]))
    assert (bool(words[0]), bool(words[1])) == (False, True)
