"""Charts and texts of the pages as pure functions: order, signs, sizes, colors, and what the preview sends."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.methods import METHODS, formula_with, grid, slider_param, what_if
from pages.components.preview import component, latex_text
from reporting import confusion_charts, epoch_charts, tpr_charts
from reporting.palette import DARK, LIGHT, inks

NAMES = ["cat", "dog", "car"]
BEFORE = tpr_charts.ChartSide(
    "before", np.array([0.9, 0.6, 0.75]), np.array([0.8, 0.5, 0.7]), np.array([0.95, 0.7, 0.8])
)
AFTER = tpr_charts.ChartSide(
    "after", np.array([0.85, 0.7, 0.75]), np.array([0.75, 0.6, 0.7]), np.array([0.9, 0.8, 0.8])
)


def test_classes_run_from_the_baselines_hardest_to_its_easiest():
    assert tpr_charts.ordering(BEFORE.tpr).tolist() == [1, 2, 0]
    assert tpr_charts.ordering(BEFORE.tpr, AFTER.tpr, "gain").tolist() == [1, 2, 0]
    assert tpr_charts.ordering(BEFORE.tpr, AFTER.tpr, "class").tolist() == [0, 1, 2]


def test_a_class_without_samples_comes_last():
    assert tpr_charts.ordering(np.array([np.nan, 0.9, 0.2])).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("classes", "kind"), [(10, "bars"), (15, "bars"), (16, "dumbbell"), (60, "dumbbell"), (61, "strip")]
)
def test_the_form_follows_the_number_of_classes(classes, kind):
    assert tpr_charts.default_kind(classes) == kind


@pytest.mark.parametrize("p", [LIGHT, DARK], ids=["light", "dark"])
def test_bars_differ_by_hatching_and_start_at_zero(p):
    figure = tpr_charts.tpr_figure("bars", NAMES, BEFORE, AFTER, p)
    first, second = figure["data"]
    assert first["marker"]["pattern"]["shape"] == "/"
    assert "pattern" not in second["marker"]
    assert (first["marker"]["color"], second["marker"]["color"]) == (p.before, p.after)
    assert figure["layout"]["yaxis"]["range"][0] == 0
    assert first["customdata"] == ["dog", "car", "cat"]
    assert first["error_y"]["array"] == pytest.approx([0.1, 0.05, 0.05])


def near(low, high, each=None):
    t = np.linspace(low, high, 3)
    return tpr_charts.ChartSide("before", t, t - 0.004, t + 0.004, each)


def test_nearly_perfect_classes_are_dots_and_the_axis_says_where_it_starts():
    """Bars always start at 0; dots need not, and the axis says so."""
    high = near(0.985, 0.995)
    assert tpr_charts.usual_kind(high, high) == "dumbbell"
    assert tpr_charts.usual_kind(high, AFTER) == "bars"
    for after in (high, None):
        figure = tpr_charts.tpr_figure("dumbbell", NAMES, high, after, LIGHT)
        axis = figure["layout"]["xaxis"]
        assert axis["title"]["text"] == f"TPR; the axis starts at {100 * axis['range'][0]:g} %"
        assert 0.97 < axis["range"][0] < 0.981
        assert axis["tickformat"] == ".3~%"
    assert tpr_charts.tpr_figure("bars", NAMES, high, high, LIGHT)["layout"]["yaxis"]["range"][0] == 0
    assert tpr_charts.tpr_figure("strip", NAMES, high, high, LIGHT)["layout"]["yaxis"]["title"]["text"].startswith(
        "TPR; the axis starts at 98"
    )


@pytest.mark.parametrize(
    ("low", "high", "start", "step"),
    [(0.62, 0.98, 0.6, 0.05), (0.0, 1.0, 0.0, 0.2), (0.971, 0.999, 0.97, 0.005), (0.9991, 0.9999, 0.999, 0.0002)],
)
def test_a_window_has_a_handful_of_round_ticks(low, high, start, step):
    found = tpr_charts.tpr_range(low, high)
    assert (found["range"][0], found["dtick"]) == pytest.approx((start, step))
    assert found["range"][1] >= min(high, 1)


def test_seeds_are_dots_over_the_bar_of_their_mean():
    each = np.array([[0.9, 0.6, 0.7], [0.8, 0.5, 0.9]])
    before, after = (
        tpr_charts.ChartSide(name, each.mean(0), each.min(0), each.max(0), each, 0.1)
        for name in ("before, 2 seeds", "after, 2 seeds")
    )
    traces = tpr_charts.tpr_figure("bars", NAMES, before, after, LIGHT)["data"]
    assert [t["type"] for t in traces] == ["bar", "bar", "scatter", "scatter"]
    assert not any("error_y" in t for t in traces)
    assert traces[2]["y"] == [0.6, 0.5, 0.7, 0.9, 0.9, 0.8]
    assert [traces[i]["x"][0] for i in (2, 3)] == pytest.approx([-0.19, 0.19])
    assert "spread 10.0 points" in traces[0]["name"], "each seed's own spread, then the mean"
    assert [
        len(t["x"])
        for t in tpr_charts.tpr_figure("dumbbell", NAMES, before, after, LIGHT)["data"]
        if t.get("marker", {}).get("size") == 5
    ] == [6, 6]


def test_accuracies_near_chance_have_ticks_that_differ():
    figure = epoch_charts.curves(LIGHT, [("test", [1, 2], [0.008, 0.021], "#000000", "solid")], share=True)
    assert figure["layout"]["yaxis"]["tickformat"] == ".3~%"
    assert figure["layout"]["yaxis"]["rangemode"] == "tozero"


def test_accuracies_near_one_are_not_drawn_from_zero():
    assert (
        epoch_charts.curves(LIGHT, [("test", [1, 2], [0.97, 0.99], "#000000", "solid")], share=True)["layout"]["yaxis"][
            "rangemode"
        ]
        == "normal"
    )


def test_blue_is_better_and_orange_worse_in_the_change_of_a_confusion():
    before, after = np.array([[8, 2, 0], [1, 9, 0], [0, 5, 5]]), np.array([[6, 4, 0], [0, 10, 0], [0, 5, 5]])
    figure = confusion_charts.confusion_change(NAMES, before, after, LIGHT, np.arange(3))
    trace, text = figure["data"]
    assert trace["z"][0] == [-20, -20, 0], "fewer correct, more errors"
    assert trace["z"][1] == [10, 10, 0], "fewer errors, more correct"
    assert list(zip(text["x"], text["y"], text["text"], strict=True)) == [
        (0, 0, "−20"),
        (1, 0, "+20"),
        (0, 1, "−10"),
        (1, 1, "+10"),
    ]
    assert trace["colorscale"][0][1] == LIGHT.loss
    assert trace["colorscale"][-1][1] == LIGHT.after


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("p", [LIGHT, DARK], ids=lambda p: p.name)
def test_numbers_in_a_matrix_are_readable_on_every_cell(p):
    scales = [(0, p.low), (1, p.high)], [(0, p.loss), (0.5, p.background), (1, p.after)]
    for scale in scales:
        for t in np.linspace(0, 1, 101):
            ground = "#" + "".join(
                f"{round(np.interp(t, [at for at, _ in scale], [int(c[i : i + 2], 16) for _, c in scale])):02x}"
                for i in (1, 3, 5)
            )
            light, dark = sorted([luminance(ground), luminance(inks(scale, [t])[0])], reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_the_largest_changes_come_first_and_are_explained():
    before, after = np.array([[8, 2, 0], [1, 9, 0], [0, 5, 5]]), np.array([[6, 4, 0], [0, 10, 0], [0, 5, 5]])
    top = confusion_charts.top_changes(NAMES, before, after)
    assert top[["change", "true class", "predicted as", "means"]].values.tolist() == [
        [pytest.approx(-20), "cat", "cat", "fewer correct"],
        [pytest.approx(20), "cat", "dog", "more errors"],
        [pytest.approx(-10), "dog", "cat", "fewer errors"],
        [pytest.approx(10), "dog", "dog", "more correct"],
    ]


def test_levels_are_the_mean_and_one_standard_deviation():
    shapes = tpr_charts.tpr_figure("bars", NAMES, BEFORE, AFTER, LIGHT)["layout"]["shapes"]
    bands, means = [s for s in shapes if s["type"] == "rect"], [s for s in shapes if s["type"] == "line"]
    assert [m["line"]["dash"] for m in means] == ["dot", "solid"]
    assert means[0]["y0"] == pytest.approx(0.75)
    assert bands[0]["y1"] - bands[0]["y0"] == pytest.approx(2 * np.std([0.9, 0.6, 0.75]))


def test_dumbbells_have_a_sign_as_well_as_a_color():
    figure = tpr_charts.tpr_figure("dumbbell", NAMES, BEFORE, AFTER, LIGHT)
    gain, loss = (next(t for t in figure["data"] if t.get("name") == n) for n in ("gain", "loss"))
    assert (gain["line"]["color"], loss["line"]["color"]) == (LIGHT.gain, LIGHT.loss)
    assert [t.strip() for t in figure["data"][-1]["text"]] == ["+10.0", "0.0", "−5.0"]


@pytest.mark.parametrize("p", [LIGHT, DARK], ids=["light", "dark"])
def test_numbers_of_dumbbells_lie_on_the_mean_lines_and_fade_them_out(p):
    figure = tpr_charts.tpr_figure("dumbbell", NAMES, BEFORE, AFTER, p)
    assert [s["layer"] for s in figure["layout"]["shapes"] if s["type"] == "line"] == ["between", "between"]
    assert f"0 0 3px {p.background}" in figure["data"][-1]["textfont"]["shadow"]
    bars = tpr_charts.tpr_figure("bars", NAMES, BEFORE, AFTER, p)["layout"]["shapes"]
    assert {s["layer"] for s in bars if s["type"] == "line"} == {"above"}, "or the bars would hide them"


def test_a_strip_of_a_thousand_classes_has_few_traces():
    t = np.random.default_rng(0).uniform(0.2, 1, 1000)
    side = tpr_charts.ChartSide("before", t, t - 0.01, np.minimum(t + 0.01, 1))
    figure = tpr_charts.tpr_figure("strip", [str(i) for i in range(1000)], side, side, LIGHT, marked=7)
    assert len(figure["data"]) <= 5
    json.dumps(figure, allow_nan=False)


def test_undefined_values_leave_gaps_and_stay_valid_json():
    hole = tpr_charts.ChartSide(
        "before", np.array([0.9, np.nan, 0.7]), np.array([0.8, np.nan, 0.6]), np.array([1, np.nan, 0.8])
    )
    for kind in ("bars", "dumbbell", "strip"):
        figure = tpr_charts.tpr_figure(kind, NAMES, hole, AFTER, LIGHT)
        traces = [t for t in figure["data"] if "error_y" not in t]
        json.dumps(traces, allow_nan=False)
    assert "cat" in tpr_charts.describe(NAMES, BEFORE, AFTER) or "dog" in tpr_charts.describe(NAMES, BEFORE, AFTER)


def test_many_classes_are_a_band_not_a_thousand_lines():
    w = np.random.default_rng(0).uniform(0.5, 2, (20, 300))
    assert len(epoch_charts.weight_curves([str(i) for i in range(300)], np.arange(1, 21), w, LIGHT)["data"]) <= 8
    assert len(epoch_charts.weight_curves(NAMES, np.arange(1, 21), w[:, :3], LIGHT)["data"]) == 3


def test_confusion_shares_and_top_pairs():
    matrix = np.array([[8, 2, 0], [0, 0, 0], [5, 0, 5]])
    assert confusion_charts.row_shares(matrix)[0].tolist() == [0.8, 0.2, 0.0]
    assert np.isnan(confusion_charts.row_shares(matrix)[1]).all()
    top = confusion_charts.top_confusions(NAMES, matrix)
    assert top[["true class", "predicted class", "count"]].values.tolist() == [["car", "cat", 5], ["cat", "dog", 2]]


@pytest.mark.parametrize("method", list(METHODS), ids=lambda m: m.key)
@pytest.mark.parametrize("classes", [2, 10, 300])
def test_the_preview_sends_one_frame_per_stop_for_every_method(method, classes):
    rng = np.random.default_rng(1)
    tpr, counts = rng.uniform(0, 1, classes), rng.integers(1, 500, classes).astype(float)
    params = {p.key: p.default for p in method.params} | method.tested(classes)
    answers = grid(
        method.key,
        what_if(classes, tpr=tpr, support=np.full(classes, 50.0), counts=counts),
        params,
        limit=component.most_stops(classes),
    )
    param = slider_param(method, params)
    data = component.payload(
        [str(i) for i in range(classes)],
        tpr_charts.ordering(tpr),
        tpr,
        answers,
        param,
        params[param.key] if param else 0.0,
        LIGHT,
    )
    text = json.dumps(data, allow_nan=False)
    assert len(data["grid"]) == len(data["values"]) == len(data["facts"]) == len(data["alt"])
    assert all(len(row) == len(data["names"]) for row in data["grid"])
    assert len(text) < 2_000_000


def test_the_preview_shows_hardest_first_and_shares_that_add_up():
    tpr = np.array([0.9, 0.6, 0.75])
    params = {"exponent": 2.0}
    answers = grid("tpr_ratio", what_if(3, tpr=tpr, counts=np.array([10.0, 20.0, 30.0])), params)
    data = component.payload(
        NAMES, tpr_charts.ordering(tpr), tpr, answers, slider_param(METHODS["tpr_ratio"], params), 2.0, LIGHT
    )
    stop = data["values"].index(2.0)
    assert data["names"] == ["dog", "car", "cat"]
    assert data["grid"][stop] == sorted(data["grid"][stop], reverse=True)
    assert sum(data["shares"][stop]) == pytest.approx(1, abs=1e-3)
    assert data["facts"][stop][0][0] == "2.25"  # (.9 / .6) ** 2


EVIL = ["<b>dog</b>", "a & b", "%{x}"]


def texts(value):
    """Every text in a figure."""
    if isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from texts(part)
    elif isinstance(value, str):
        yield value


def figures():
    order, matrix = np.arange(3), np.array([[8, 2, 0], [1, 9, 0], [5, 0, 5]])
    w = np.random.default_rng(0).uniform(0.5, 2, (5, 3))
    for kind in ("bars", "dumbbell", "strip"):
        yield kind, tpr_charts.tpr_figure(kind, EVIL, BEFORE, AFTER, LIGHT, marked=0)
    yield "alone", tpr_charts.tpr_figure("bars", EVIL, BEFORE, None, LIGHT)
    yield "heatmap", epoch_charts.heatmap(EVIL, np.arange(1, 6), np.full((5, 3), 0.5), LIGHT, order)
    yield "trajectory", epoch_charts.weight_curves(EVIL, np.arange(1, 6), w, LIGHT)
    yield "many", epoch_charts.weight_curves(EVIL * 5, np.arange(1, 6), np.tile(w, 5), LIGHT)
    yield "weights", epoch_charts.weight_bars(EVIL, w[0], LIGHT, order)
    yield "confusion", confusion_charts.confusion_matrix(EVIL, matrix, LIGHT, order)
    yield "change", confusion_charts.confusion_change(EVIL, matrix, matrix, LIGHT, order)


@pytest.mark.parametrize(("kind", "figure"), list(figures()), ids=lambda v: v if isinstance(v, str) else "")
def test_names_are_literal_in_every_figure(kind, figure):
    """Plotly reads tags, entities and, in templates, placeholders; its own line breaks and <extra> are ours."""
    shown = [re.sub(r"<br>|<extra></extra>", "", t) for t in texts(figure)]
    assert any("&lt;b&gt;dog" in t for t in shown)
    assert not any("<" in t for t in shown)
    assert not any(re.search(r"&(?!amp;|lt;|gt;)", t) for t in shown)
    templates = [t["hovertemplate"] for t in figure["data"] if "hovertemplate" in t]
    assert not any("dog" in t or "%{x} %{y" in t for t in templates)


@pytest.mark.parametrize(
    ("method", "params", "text"),
    [
        ("tpr_ratio", {"exponent": 2.05}, "w ∝ (mean TPR / TPR)^2.05"),
        ("tpr_ratio", {"exponent": 2.0, "normalize": "none"}, "w = (mean TPR / TPR)^2"),
        ("tpr_deficit", {"tau": 0.5}, "w ∝ (1 − TPR)^0.5"),
        ("class_balanced", {"beta": 0.9998741075}, "w ∝ (1 − 0.999874) / (1 − 0.999874^n)"),
        ("cdb", {"tau": 1.5}, "w ∝ (1 − last TPR)^1.5"),
    ],
)
def test_the_formula_in_the_preview_carries_the_value_of_its_stop(method, params, text):
    answers = grid(method, what_if(3, tpr=np.array([0.9, 0.6, 0.75]), counts=np.array([10.0, 20.0, 30.0])), params)
    param = slider_param(METHODS[method], params)
    data = component.payload(NAMES, np.arange(3), None, answers, param, params[param.key], LIGHT)
    assert data["formula"][data["values"].index(params[param.key])] == text
    assert len(data["formula"]) == len(data["values"])


ONLY_LATEX = {
    "vs",
    "seql",
    "eql",
    "label_aware_smoothing",
    "poly_tail",
    "ldam",
    "tau_norm",
    "equal_tpr_bias",
    "logit_adjusted_posthoc",
}


@pytest.mark.parametrize("method", [m for m in METHODS if m.slider], ids=lambda m: m.key)
def test_every_dragged_formula_reads_as_text(method):
    """With its value, or empty: what only LaTeX can show is left to the typeset formula."""
    text = latex_text.latex_in_text(formula_with(method, {method.slider: 0.25}))
    assert "0.25" in text or (text == "" and method.key in ONLY_LATEX)
    assert not re.search(r"[\\{}_]", text)


def test_what_only_latex_can_show_is_left_out():
    assert latex_text.latex_in_text(r"w_c = \sqrt{2}") == ""


def one_choice():
    """A page with one select box, for AppTest."""
    import streamlit as st

    from core.experiment.config import SETTINGS
    from pages.components.common import param_fields

    st.text(param_fields.field("run", SETTINGS["reduction"]))


def test_choices_are_shown_in_words_and_stored_unchanged():
    at = AppTest.from_function(one_choice, default_timeout=300).run()
    box = at.selectbox(key="new_run_reduction")
    assert box.options == ["weighted mean", "batch mean"]
    assert box.help.startswith("weighted mean divides by")
    box.set_value("batch_mean").run()
    assert at.text[0].value == "batch_mean"
