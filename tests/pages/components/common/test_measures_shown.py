"""The measures for imbalanced classes wherever they are shown: run page, Compare, command line, exports.

Values by scikit-learn from the confusion matrix.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk
from typer.testing import CliRunner

import cli
from core.errors import EvenlyError
from core.experiment.config import checked
from core.metrics.readings import MeasuredSplit, Score, changes, positive_class, readings
from reporting import csv_json, html_pages, readings_text, run_report
from services import comparison
from storage import results
from storage.db.connection import open_database
from tests import seed
from tests.core.metrics.kit import class_metrics
from tests.pages.kit import COMPARE, RUN, visit
from tests.storage.kit import database

RATIO = {"method": "tpr_ratio", "params": {"exponent": 2.0}}
TAIL = (400, 240, 144, 86, 52, 31, 18, 11, 6, 4)
GROUPED = {"many": range(3), "medium": range(3, 6), "few": range(6, 10), "majority": range(3), "minority": range(3, 10)}
TWO = ("sick", "<b>well</b>")


def trained(engine, worker, name, classes, tpr, counts, ece, baseline=None, draw=0, end="succeeded", **settings) -> int:
    """A run with these training counts and this calibration error of its test split."""
    made = seed.Made(tuple(classes), np.asarray(tpr, float), {"train": 400, "validation": 200, "test": 1000})
    facts, split_record = seed.facts, seed.split_record
    run_id = seed.submit(engine, checked(replace(seed.config_of(epochs=3), **settings)), name, baseline)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seed, "facts", lambda m: replace(facts(m), counts={**facts(m).counts, "train": list(counts)}))
        patch.setattr(seed, "split_record", lambda m, loss: replace(split_record(m, loss), ece=ece))
        seed.train(engine, worker, made, 3, seed=draw, until=None if end else 2, end=end)
    return run_id


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    root = tmp_path_factory.mktemp("measures")
    engine = database(root)
    w, ids = seed.worker_of(engine), {}
    for s in range(3):
        before = trained(engine, w, f"two, none {s}", TWO, (0.62, 0.97), (60, 640), 0.061 + s / 1000, None, s, seed=s)
        ids[f"two {s}"] = (
            before,
            trained(engine, w, f"two, ratio {s}", TWO, (0.81, 0.91), (60, 640), 0.034, before, s + 10, seed=s, **RATIO),
        )
    tail = {"imbalance": 100.0, "recipe": "sgd_cosine"}
    before = trained(engine, w, "tail, none", seed.ANIMALS, np.linspace(0.97, 0.31, 10), TAIL, 0.12, None, 5, **tail)
    ids["tail"] = (
        before,
        trained(
            engine, w, "tail, ratio", seed.ANIMALS, np.linspace(0.90, 0.55, 10), TAIL, 0.05, before, 6, **tail, **RATIO
        ),
    )
    ids["even"] = trained(
        engine, w, "even", seed.DIGITS, seed.mnist1d().tpr, [400] * 10, None, None, 7, recipe="sgd_steps"
    )
    ids["live"] = trained(engine, w, "live", TWO, (0.7, 0.9), (60, 640), 0.04, None, 9, end=None, seed=9)
    engine.dispose()
    return root, ids


def labels(run_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of every test sample of a run."""
    matrix = results.confusion(open_database(), run_id, "test")[1]
    truth, predicted = (axis.ravel() for axis in np.indices(matrix.shape))
    return np.repeat(truth, matrix.ravel()), np.repeat(predicted, matrix.ravel())


def expected(run_id: int) -> dict[str, float]:
    """Every measure of a run by scikit-learn; the G-mean by its formula."""
    truth, predicted = labels(run_id)
    tpr = sk.recall_score(truth, predicted, average=None)
    found = {
        "accuracy": sk.accuracy_score(truth, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
        "g_mean": math.prod(tpr) ** (1 / len(tpr)),
        "macro_precision": sk.precision_score(truth, predicted, average="macro"),
        "macro_f1": sk.f1_score(truth, predicted, average="macro"),
        "worst_class": tpr.min(),
        "tpr_variance": tpr.var(),
    }
    return found


def groups(run_id: int) -> dict[str, float]:
    tpr = sk.recall_score(*labels(run_id), average=None)
    return {key: float(tpr[list(which)].mean()) for key, which in GROUPED.items()}


def score(run_id: int, alpha: float, positive: int = 0) -> float:
    tpr = sk.recall_score(*labels(run_id), average=None)
    return float(alpha * tpr[positive] + (1 - alpha) * tpr[1 - positive])


def shown(at) -> dict[str, list[str]]:
    """The table of measures: label -> its cells, without Markdown escapes."""
    frame = next(t.value for t in at.table if "measure" in t.value)
    return {
        row[0].replace("\\", ""): [cell.replace("\\", "").replace("−", "-") for cell in row[1:]]
        for row in frame.to_numpy().tolist()
    }


def called(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(cli.app, [str(a) for a in arguments], terminal_width=100)
    assert done.exit_code == code, done.output
    return done.output


def points(value: float) -> str:
    return f"{100 * value:.1f}"


# ---------------------------------------------------------------- what is read


def test_readings_come_in_order_and_leave_out_what_does_not_apply():
    even = MeasuredSplit(class_metrics(np.diag([9, 8, 7]) + 1), ("a", "b", "c"), np.array([100, 110, 90]))
    assert [r.key for r in readings(even)] == [
        "accuracy",
        "balanced_accuracy",
        "g_mean",
        "macro_precision",
        "macro_f1",
        "worst_class",
        "tpr_variance",
    ]
    tail = replace(even, counts=np.array([500, 60, 10]), ece=0.1)
    assert [r.key for r in readings(tail)][7:] == ["many", "medium", "few", "majority", "minority", "ece"]
    small = {r.key: r.classes for r in readings(replace(even, counts=np.array([15, 5, 2])))}
    assert "few" not in small, "all classes are in it: its mean is balanced accuracy"
    assert (small["majority"], small["minority"]) == (1, 2)
    two = MeasuredSplit(class_metrics([[90, 10], [12, 28]]), ("no", "yes"), np.array([100, 40]))
    assert [r.key for r in readings(two)][7:] == ["weighted_score"]


def test_the_positive_class_is_the_smaller_one_unless_asked_for():
    two = MeasuredSplit(class_metrics([[90, 10], [12, 28]]), ("no", "yes"), np.array([100, 40]))
    found = {r.key: r for r in readings(two, Score(0.25))}["weighted_score"]
    assert (found.of, found.value) == ("yes", pytest.approx(0.25 * 0.7 + 0.75 * 0.9))
    other = {r.key: r for r in readings(two, Score(0.25, 0))}["weighted_score"]
    assert (other.of, other.value) == ("no", pytest.approx(0.25 * 0.9 + 0.75 * 0.7))
    assert positive_class(None) == 1


def test_a_weighted_score_of_more_classes_is_refused():
    three = MeasuredSplit(class_metrics(np.diag([9, 8, 7])), ("a", "b", "c"))
    with pytest.raises(EvenlyError, match="for 2 classes, this task has 3"):
        readings(three, Score())


def test_two_runs_are_grouped_by_one_sides_counts():
    m = class_metrics(np.diag([90, 80, 70]) + 5)
    even, tail = (
        MeasuredSplit(m, "abc", np.array([300, 300, 300])),
        MeasuredSplit(m, "abc", np.array([300, 50, 5]), 0.1),
    )
    for b, a in ((even, tail), (tail, even)):
        found = {c.key: c for c in changes(b, a)}
        assert found["few"].classes == 1
        assert found["few"].before == found["few"].after == m.tpr[2]
    assert math.isnan(found["ece"].after)
    assert readings_text.change_rows([found["ece"]]) == [("Calibration error (ECE), %", "10.0", "–", "–")]


# ---------------------------------------------------------------- run page


def test_a_long_tailed_run_next_to_its_baseline(ids):
    b, a = ids["tail"]
    at = visit(RUN, id=str(a))
    table = shown(at)
    before, after = ({**expected(i), **groups(i)} for i in (b, a))
    for label, key in (
        ("Accuracy, %", "accuracy"),
        ("Balanced accuracy, %", "balanced_accuracy"),
        ("G-mean, %", "g_mean"),
        ("Macro precision, %", "macro_precision"),
        ("Macro F1, %", "macro_f1"),
        ("Many-shot TPR (3 classes), %", "many"),
        ("Medium-shot TPR (3 classes), %", "medium"),
        ("Few-shot TPR (4 classes), %", "few"),
        ("Majority TPR (3 classes), %", "majority"),
        ("Minority TPR (7 classes), %", "minority"),
    ):
        assert table[label] == [points(before[key]), points(after[key]), f"{100 * (after[key] - before[key]):+.1f}"]
    assert table["Worst class, %"][:2] == [
        f"{points(before['worst_class'])} (truck)",
        f"{points(after['worst_class'])} (truck)",
    ]
    assert table["TPR variance"][:2] == [f"{before['tpr_variance']:.4f}", f"{after['tpr_variance']:.4f}"]
    assert table["Calibration error (ECE), %"] == ["12.0", "5.0", "-7.0"]
    assert not [s for s in at.slider if s.label.startswith("Alpha")], "more than two classes have no weighted score"
    assert any(f"Before: run {b} (baseline)" in c.value for c in at.caption)


def test_a_balanced_run_alone_has_no_groups(ids):
    table = shown(visit(RUN, id=str(ids["even"])))
    assert table["G-mean, %"] == [points(expected(ids["even"])["g_mean"])]
    assert not [label for label in table if "shot" in label or "Majority" in label or "ECE" in label]


def test_a_run_of_two_classes_has_its_weighted_score_to_move(ids):
    b, a = ids["two 0"]
    at = visit(RUN, id=str(a))
    assert (at.slider(key="alpha").value, at.selectbox(key="positive").options) == (0.5, list(TWO))
    assert shown(at)["Weighted score (alpha 0.5, positive sick), %"][1] == points(expected(a)["balanced_accuracy"])
    at.slider(key="alpha").set_value(0.8).run()
    assert shown(at)["Weighted score (alpha 0.8, positive sick), %"] == [
        points(score(b, 0.8)),
        points(score(a, 0.8)),
        f"{100 * (score(a, 0.8) - score(b, 0.8)):+.1f}",
    ]
    at.selectbox(key="positive").select_index(1).run()
    assert not at.exception
    assert shown(at)["Weighted score (alpha 0.8, positive <b>well</b>), %"][1] == points(score(a, 0.8, 1))


def test_an_active_run_shows_its_measures_without_an_input(ids):
    at = visit(RUN, id=str(ids["live"]))
    assert "Weighted score (alpha 0.5, positive sick), %" in shown(at)
    assert not [s for s in at.slider if s.key == "alpha"]


# ---------------------------------------------------------------- Compare


def test_compare_of_two_runs_and_of_seeds(ids):
    pairs = [ids[f"two {s}"] for s in range(3)]
    at = visit(COMPARE, a=str(pairs[0][0]), b=str(pairs[0][1]))
    table = shown(at)
    for label, key in (
        ("Balanced accuracy, %", "balanced_accuracy"),
        ("G-mean, %", "g_mean"),
        ("Macro F1, %", "macro_f1"),
    ):
        b, a = (np.array([expected(pair[side])[key] for pair in pairs]) for side in (0, 1))
        assert table[label][:3] == [f"{100 * v.mean():.1f} ± {100 * v.std(ddof=1):.1f}" for v in (b, a)] + [
            f"{100 * (a - b).mean():+.1f}"
        ]
    assert table["Calibration error (ECE), %"][:3] == ["6.20 ± 0.10", "3.40 ± 0.00", "-2.80"]
    at.radio(key="over").set_value("pair").run()
    b, a = (expected(i) for i in pairs[0])
    assert shown(at)["Macro F1, %"] == [
        points(b["macro_f1"]),
        points(a["macro_f1"]),
        f"{100 * (a['macro_f1'] - b['macro_f1']):+.1f}",
    ]


def test_alpha_is_kept_in_the_url(ids):
    b, a = ids["two 0"]
    at = visit(COMPARE, a=str(b), b=str(a), alpha="0.8", over="pair")
    assert at.slider(key="alpha").value == 0.8
    label = "Weighted score (alpha 0.8, positive sick), %"
    at.radio(key="over").set_value("pair").run()
    assert shown(at)[label][:2] == [points(score(b, 0.8)), points(score(a, 0.8))]
    at.slider(key="alpha").set_value(0.3).run()
    at.radio(key="over").set_value("seeds").run()
    values = np.array([score(ids[f"two {s}"][1], 0.3) for s in range(3)])
    assert (
        shown(at)["Weighted score (alpha 0.3, positive sick), %"][1]
        == f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}"
    )


@pytest.mark.parametrize("asked", [{"alpha": "7"}, {"alpha": "much"}, {"positive": "nobody"}])
def test_invalid_values_in_the_url_are_ignored(ids, asked):
    b, a = ids["two 0"]
    at = visit(COMPARE, a=str(b), b=str(a), **asked)
    assert not at.error
    assert (at.slider(key="alpha").value, at.selectbox(key="positive").value) == (0.5, 0)


def test_compare_of_many_classes_has_no_slider(ids):
    at = visit(COMPARE, a=str(ids["tail"][0]), b=str(ids["tail"][1]))
    assert [s for s in at.slider if s.key == "alpha"] == []
    assert shown(at)["Few-shot TPR (4 classes), %"][1] == points(groups(ids["tail"][1])["few"])


# ---------------------------------------------------------------- command line


def test_show_prints_and_gives_them(ids):
    _, a = ids["tail"]
    found = json.loads(called("show", a, "--json"))
    assert {key: m["value"] for key, m in found["measures"].items()} == pytest.approx(
        {**expected(a), **groups(a), "ece": 0.05}
    )
    assert found["measures"]["worst_class"]["class"] == "truck"
    assert found["measures"]["few"]["classes"] == 4
    assert {"summary", "classes", "config", "log"} <= set(found)
    text = called("show", a)
    for line in (
        f"G-mean, % {points(expected(a)['g_mean'])}",
        f"few-shot TPR (4 classes), % {points(groups(a)['few'])}",
        "calibration error (ECE), % 5.0",
    ):
        assert line in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100


def test_show_weighs_two_classes(ids):
    run_id = ids["two 0"][1]
    found = json.loads(called("show", run_id, "--alpha", 0.8, "--json"))["measures"]["weighted_score"]
    assert (found["value"], found["class"], found["alpha"]) == (pytest.approx(score(run_id, 0.8)), "sick", 0.8)
    other = json.loads(called("show", run_id, "--alpha", 0.8, "--positive", TWO[1], "--json"))["measures"][
        "weighted_score"
    ]
    assert other["value"] == pytest.approx(score(run_id, 0.8, 1))
    assert f"weighted score (alpha 0.8, positive sick), % {points(score(run_id, 0.8))}" in " ".join(
        called("show", run_id, "--alpha", 0.8).split()
    )


@pytest.mark.parametrize(
    ("command", "which", "options", "text"),
    [
        ("show", "tail", ("--alpha", 0.3), "the weighted score is for 2 classes, this task has 10"),
        ("compare", "tail", ("--alpha", 0.3), "the weighted score is for 2 classes, this task has 10"),
        ("show", "two 0", ("--alpha", 1.5), "alpha is 1.5, expected a number from 0 to 1"),
        ("compare", "two 0", ("--positive", "ill"), "the positive class is 'ill', expected 'sick' or '<b>well</b>'"),
    ],
)
def test_a_weighted_score_that_is_impossible_is_refused_with_a_message(ids, command, which, options, text):
    runs = ids[which] if command == "compare" else ids[which][:1]
    error = CliRunner().invoke(cli.app, [command, *map(str, runs), *map(str, options)]).exception
    assert text in str(error)


def test_compare_prints_and_gives_them(ids):
    b, a = ids["two 0"]
    found = json.loads(called("compare", b, a, "--alpha", 0.8, "--json"))
    for side, run_id in (("before", b), ("after", a)):
        values = {key: m[side] for key, m in found["measures"].items() if key not in ("ece", "weighted_score")}
        assert values == pytest.approx(expected(run_id))
        assert found["measures"]["weighted_score"][side] == pytest.approx(score(run_id, 0.8))
    assert found["measures"]["ece"]["change"] == pytest.approx(0.034 - 0.061)
    over = found["over_seeds"]["measures"]
    assert over["weighted_score"]["after"] == pytest.approx(np.mean([score(ids[f"two {s}"][1], 0.8) for s in range(3)]))
    assert over["g_mean"]["before"] == pytest.approx(
        np.mean([expected(ids[f"two {s}"][0])["g_mean"] for s in range(3)])
    )
    assert over["ece"]["before"] == pytest.approx(0.062)
    text = " ".join(called("compare", b, a, "--pair", "--alpha", 0.8).split())
    assert f"{points(score(b, 0.8))} {points(score(a, 0.8))} {100 * (score(a, 0.8) - score(b, 0.8)):+.1f}" in text
    assert "calibration error (ECE), % 6.1 3.4 -2.7" in text
    assert "6.20 ± 0.10 3.40 ± 0.00 -2.80" in " ".join(called("compare", b, a).split())


# ---------------------------------------------------------------- exports


def reported(run_id: int) -> run_report.RunReport:
    engine = open_database()
    return comparison.report(engine, results.get_run(engine, run_id))


def test_a_runs_files_have_them(ids):
    run_id = ids["tail"][1]
    run, wanted = reported(run_id), {**expected(run_id), **groups(run_id), "ece": 0.05}
    assert {key: m["value"] for key, m in json.loads(csv_json.run_json(run))["measures"].items()} == pytest.approx(
        wanted
    )
    rows = list(csv.DictReader(io.StringIO(csv_json.run_csv(run))))
    assert len(rows) == 10
    for row in rows:
        assert {key: float(row[f"split_{key}"]) for key in wanted} == pytest.approx(wanted)
    page = html_pages.run_page(run)
    assert f"<td>few-shot TPR (4 classes), %</td><td>{points(wanted['few'])}</td>" in page
    assert f"<td>worst class, %</td><td>{points(wanted['worst_class'])} (truck)</td>" in page


def test_a_comparisons_files_have_them(ids):
    b, a = (replace(reported(i), score=Score(0.8)) for i in ids["two 0"])
    data = json.loads(csv_json.comparison_json(b, a, "better"))
    assert data["measures"]["weighted_score"]["after"] == pytest.approx(score(a.id, 0.8))
    assert data["before"]["measures"]["g_mean"]["value"] == pytest.approx(expected(b.id)["g_mean"])
    row = next(csv.DictReader(io.StringIO(csv_json.comparison_csv(b, a))))
    assert float(row["split_ece_before"]) == pytest.approx(0.061)
    assert float(row["split_weighted_score_after"]) == pytest.approx(score(a.id, 0.8))
    page = html_pages.comparison_page(b, a, "better")
    assert (
        f"<td>weighted score (alpha 0.8, positive sick), %</td><td>{points(score(b.id, 0.8))}</td><td>{points(score(a.id, 0.8))}</td>"
        in page
    )
    assert "<b>well</b>" not in page.partition("<h2>")[0]


def figures_of(page: str) -> list[dict]:
    """The figures of an exported page, by color scheme."""
    decoder = json.JSONDecoder()
    return [decoder.raw_decode(part)[0] for piece in page.split("drawn('p")[1:] for part in [piece[piece.index("{") :]]]


def test_a_weighted_run_alone_is_drawn_in_the_style_of_after(ids):
    for run_id, colour in ((ids["two 0"][0], "#9AA3B2"), (ids["two 0"][1], "#0B65C2")):
        (figure,) = figures_of(html_pages.run_page(reported(run_id)))
        assert figure["light"]["data"][0]["marker"]["color"] == colour


def test_charts_of_a_file_come_in_both_schemes(ids):
    page = html_pages.comparison_page(*(reported(i) for i in ids["two 0"]), "better")
    for figure in figures_of(page):
        assert figure["light"]["layout"]["font"]["color"] == "#1C2430"
        assert figure["dark"]["layout"]["font"]["color"] == "#E8ECF2"
    assert ".picture{background" not in page


def test_a_file_follows_the_browsers_scheme(ids, tmp_path, chromium):
    """In a real browser: chart text is light on the dark page, and follows a change of the scheme."""
    pytest.importorskip("playwright.sync_api")
    from tests.browser.kit import chromium_at

    file = tmp_path / "run.html"
    Path(file).write_text(html_pages.run_page(reported(ids["two 0"][1])), encoding="utf-8")
    with chromium_at(chromium) as browser:
        page = browser.new_page(color_scheme="dark")
        page.goto(file.as_uri())
        ink = "() => getComputedStyle(document.querySelector('#p0 .xtick text')).fill"
        assert page.evaluate(ink) == "rgb(232, 236, 242)"
        page.emulate_media(color_scheme="light")
        page.wait_for_function(f"({ink})() === 'rgb(28, 36, 48)'")
