"""Exports: numbers unchanged, names made safe, an HTML file that needs no network."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from core.comparison.pairing import replicate
from core.comparison.seed_statistics import OverSeeds
from core.comparison.seed_statistics import over_seeds as means_of
from core.experiment.config import RunConfig, checked
from core.experiment.facts import Facts
from core.metrics.classification import rows_of
from core.metrics.intervals import Z95
from reporting import csv_json, html, html_pages, run_report, settings_text


def run(
    run_id: int = 1, name: str = "baseline", tp=(90, 60, 75), classes=("cat", "dog", "car"), config=None
) -> run_report.RunReport:
    support = np.array([100, 100, 100])
    return run_report.RunReport(
        run_id,
        name,
        "test",
        20,
        list(classes),
        support,
        np.array(tp),
        np.array([110, 90, 100]),
        np.array([1.0, 1.5, 0.5]),
        config or RunConfig("mnist1d", "cnn1d"),
        Facts.from_stored({"device": "cpu"}),
    )


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_a_line_per_class_with_its_wilson_interval():
    rows = read(csv_json.run_csv(run()))
    assert [r["class"] for r in rows] == ["cat", "dog", "car"]
    assert float(rows[1]["tpr"]) == pytest.approx(0.6)
    expected = stats.binomtest(60, 100).proportion_ci(method="wilson")
    assert (float(rows[1]["tpr_low"]), float(rows[1]["tpr_high"])) == pytest.approx(
        (expected.low, expected.high), abs=1e-12
    )


def predicted_run(classes: int = 8, n: int = 600) -> tuple[run_report.RunReport, np.ndarray, np.ndarray, np.ndarray]:
    """A run as a worker counts it, with its labels, predictions and scores."""
    draw = np.random.default_rng(classes)
    truth = draw.integers(0, classes, n)
    scores = draw.random((n, classes)) + np.eye(classes)[truth] * draw.random((n, 1))
    guess, names = scores.argmax(1), [f"c{i}" for i in range(classes)]
    support, tp, predicted = rows_of(metrics.confusion_matrix(truth, guess, labels=range(classes)))
    hits = int((np.argsort(-scores, axis=1)[:, :5] == truth[:, None]).sum())
    return (
        run_report.RunReport(1, "run", "test", 3, names, support, tp, predicted, top5=hits if classes > 5 else None),
        truth,
        guess,
        scores,
    )


def test_exported_metrics_against_sklearn():
    """CSV, JSON and HTML of a run."""
    made, truth, guess, scores = predicted_run()
    wanted = {"tpr": metrics.recall_score, "precision": metrics.precision_score, "f1": metrics.f1_score}
    rows, data = read(csv_json.run_csv(made)), json.loads(csv_json.run_json(made))
    for name, score in wanted.items():
        expected = score(truth, guess, average=None).tolist()
        assert [float(r[name]) for r in rows] == pytest.approx(expected, abs=1e-12)
        assert [r[name] for r in data["classes"]] == pytest.approx(expected, abs=1e-12)
    recall = metrics.recall_score(truth, guess, average=None)
    assert data["summary"] == pytest.approx(
        {
            "n": len(truth),
            "accuracy": metrics.accuracy_score(truth, guess),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, guess),
            "tpr_mean": recall.mean(),
            "tpr_variance": recall.var(),
            "tpr_min": recall.min(),
            "tpr_max": recall.max(),
            "macro_f1": metrics.f1_score(truth, guess, average="macro"),
            "top5": metrics.top_k_accuracy_score(truth, scores, k=5),
        }
    )
    page = html.run_html(made)
    for label, value in (
        ("macro F1, %", metrics.f1_score(truth, guess, average="macro")),
        ("top-5 accuracy, %", metrics.top_k_accuracy_score(truth, scores, k=5)),
        ("balanced accuracy, %", recall.mean()),
    ):
        assert f"<td>{label}</td><td>{100 * value:.1f}</td>" in page
    assert f"{100 * metrics.precision_score(truth, guess, average=None)[0]:.1f}\N{NO-BREAK SPACE}%" in page


def test_a_comparison_exports_precision_and_f1_of_both_runs():
    b, a = predicted_run()[0], replace(predicted_run(8, 500)[0], id=2, name="other")
    rows, data = read(csv_json.comparison_csv(b, a)), json.loads(csv_json.comparison_json(b, a, "better"))
    for name, run_, column in (("before", b, "precision"), ("after", a, "f1")):
        assert [float(r[f"{column}_{name}"]) for r in rows] == pytest.approx(getattr(run_.metrics, column).tolist())
        assert [r[f"{column}_{name}"] for r in data["classes"]] == pytest.approx(getattr(run_.metrics, column).tolist())
    assert data["after"]["summary"]["macro_f1"] == a.summary.macro_f1
    page = html.comparison_html(b, a, "better")
    assert f"<td>macro F1, %</td><td>{100 * b.summary.macro_f1:.1f}</td><td>{100 * a.summary.macro_f1:.1f}</td>" in page


def test_five_classes_have_no_top5_accuracy():
    assert "top-5" not in html.run_html(predicted_run(5)[0])


def test_the_charts_have_the_limits_of_the_tables():
    side, row = html_pages.report_side(run(), "run 1"), run_report.class_rows(run())[1]
    assert (side.low[1], side.high[1]) == (row["tpr_low"], row["tpr_high"])
    assert pytest.approx(stats.norm.ppf(0.975), abs=1e-12) == Z95


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_safe(name):
    rows = read(csv_json.run_csv(run(classes=(name, "b", "c"))))
    assert rows[0]["class"].startswith("'")


def test_negative_numbers_stay_numbers():
    rows = read(csv_json.comparison_csv(run(), run(2, "weighted", (80, 70, 75))))
    assert float(rows[0]["change"]) == pytest.approx(-0.1)


def test_json_round_trips_and_has_no_nan():
    empty = run_report.RunReport(
        3, "hole", "test", 1, ["a", "b"], np.array([10, 0]), np.array([5, 0]), np.array([5, 5])
    )
    data = json.loads(csv_json.run_json(empty), parse_constant=pytest.fail)
    assert data["classes"][1]["tpr"] is None
    assert data["classes"][1]["precision"] == 0
    assert data["summary"] == {
        "n": 10,
        "accuracy": 0.5,
        "balanced_accuracy": 0.5,
        "tpr_mean": 0.5,
        "tpr_variance": 0.0,
        "tpr_min": 0.5,
        "tpr_max": 0.5,
        "macro_f1": pytest.approx(1 / 3),
        "top5": None,
    }


def test_comparison_json_holds_both_runs_and_the_verdict():
    data = json.loads(csv_json.comparison_json(run(), run(2), "the same", ("Run 2 failed.",)))
    assert (data["before"]["id"], data["after"]["id"], data["verdict"]) == (1, 2, "the same")
    assert data["cautions"] == ["Run 2 failed."]
    assert data["before"]["config"] == RunConfig("mnist1d", "cnn1d").stored()
    assert data["before"]["facts"] == {"device": "cpu"}, "as they were recorded"


def over_seeds() -> OverSeeds:
    support = np.array([100, 100, 100])
    before, after = (
        {s: replicate(s, np.array(tp) + s, support, support) for s in (0, 1)} for tp in ((90, 60, 75), (80, 70, 75))
    )
    after[1] = replicate(1, np.array([82, 70, 77]), support, support)
    return means_of(["cat", "dog", "car"], support, before, after, paired=True)


def test_exports_hold_the_means_over_seeds_if_the_verdict_uses_them():
    over, b, a = over_seeds(), run(), run(2, "weighted", (80, 70, 75))
    rows = read(csv_json.comparison_csv(b, a, over))
    assert float(rows[0]["mean_change"]) == pytest.approx(-0.095)
    assert float(rows[0]["change"]) == pytest.approx(-0.1)
    data = json.loads(csv_json.comparison_json(b, a, "better", (), over))
    assert data["over_seeds"]["figures"]["accuracy"]["change"] == pytest.approx(over.figures["accuracy"].change)
    page = html_pages.comparison_page(b, a, "better", (), over)
    assert "<h2>Over seeds</h2><p>Mean ± standard deviation over 2 seeds on both sides" in page
    assert "before, 2 seeds: mean" in page
    assert "mean_change" not in read(csv_json.comparison_csv(b, a))[0]
    assert json.loads(csv_json.comparison_json(b, a, "better"))["over_seeds"] is None


def test_a_small_variance_keeps_its_digits_in_a_report():
    nearly = replace(
        run(), support=np.array([10000] * 3), tp=np.array([9950, 9930, 9940]), predicted=np.array([10000] * 3)
    )
    page = html.run_html(nearly)
    assert "<td>0.00000067</td>" in page or "<td>6.7e-7</td>" in page
    assert "<td>0.0000</td>" not in page


def test_html_escapes_names_and_loads_nothing():
    evil = "<script>alert(1)</script>"
    page = html_pages.comparison_page(
        run(name=evil),
        run(2, "b", (80, 70, 75), config=RunConfig("mnist1d", "cnn1d", "tpr_ratio", {"exponent": 2.0})),
        f"verdict {evil}",
        (f"caution {evil}",),
    )
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert evil not in own
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", own)
    assert "<tr><td>Exponent</td><td>–</td><td>2</td></tr>" in page
    assert "params" not in own
    assert page.count("<script>drawn(") >= 2


def test_html_without_charts_is_small():
    assert len(html.run_html(run())) < 10_000


def test_class_names_cannot_end_the_script():
    page = html_pages.run_page(run(classes=("</script><script>alert(1)//", "b", "c")))
    assert "</script><script>alert(1)" not in page


# ---------------------------------------------------------------- settings as text


def stored(config: RunConfig, **facts) -> SimpleNamespace:
    """A run as the database returns it."""
    return SimpleNamespace(config=checked(config), facts=Facts.from_stored(facts), baseline_id=None)


PLAIN = RunConfig(dataset="mnist1d", model="cnn1d")
WEIGHTED = replace(PLAIN, method="tpr_ratio", params={"exponent": 2.5})


def test_settings_that_differ_have_the_labels_of_the_registries():
    found = settings_text.differing(
        stored(PLAIN), stored(WEIGHTED, evidence={"from": "run 1, validation split, epoch 20"})
    )
    assert found == [
        ("Method", "None (plain cross entropy)", "TPR ratio"),
        ("Exponent", "–", "2.5"),
        ("Largest ratio", "–", "10,000"),
        ("Normalize", "–", "mean one"),
        ("TPRs from", "–", "run 1, validation split, epoch 20"),
    ]


def test_equal_runs_differ_in_nothing():
    assert settings_text.differing(stored(WEIGHTED), stored(WEIGHTED)) == []


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"dataset": "digits"}, ("Dataset", "MNIST-1D", "Digits (scikit-learn)")),
        ({"dataset": "uploads/cats.zip"}, ("Dataset", "MNIST-1D", "uploads/cats.zip")),
        ({"model": "mlp"}, ("Model", "CNN-1D", "MLP")),
        ({"reduction": "batch_mean"}, ("Reduction", "weighted mean", "batch mean")),
        ({"imbalance": 100.0}, ("Imbalance factor", "1", "100")),
        ({"epochs": 1200}, ("Epochs", "20", "1,200")),
        ({"recipe_params": {"lr": 0.001}}, ("Learning rate", "0.01", "0.001")),
        ({"recipe_params": {"lr": 0.01000000001}}, ("Learning rate", "0.01", "0.01000000001")),
        ({"method": "class_balanced", "params": {"beta": 0.9998741075}}, ("Beta", "–", "0.999874")),
        ({"method": "cdb"}, ("Tau", "–", "dynamic")),
        ({"sampler": "balanced"}, ("Sampler", "–", "Class-balanced")),
        ({"sampler": "power", "sampler_params": {"q": 0.25}}, ("Power q", "–", "0.25")),
    ],
)
def test_a_setting_in_words(change, row):
    assert row in settings_text.differing(stored(PLAIN), stored(replace(PLAIN, **change)))


def test_given_tprs_are_summarized():
    given = replace(WEIGHTED, tpr=(0.5, None, 0.981), tpr_support=(100.0, 0.0, 1000.0), tpr_source="tprs.csv")
    rows = dict(settings_text.listed_settings(stored(given)))
    assert (rows["Given TPRs"], rows["Samples behind the given TPRs"], rows["Given TPRs from"]) == (
        "3, 50.0 % to 98.1 %",
        "3, 0 to 1,000",
        "tprs.csv",
    )


def test_every_setting_of_every_row_has_a_label():
    """No raw key and no Python value is shown."""
    from core.experiment.recipes import RECIPES
    from core.methods import METHODS
    from core.methods.method import CLASSIFIER
    from core.methods.samplers import SAMPLERS

    runs = [{"method": m.key, "recipe": r.key, "epochs": r.epochs} for m in METHODS for r in RECIPES]
    runs += [{"method": "crt" if s.stage == CLASSIFIER else "none", "sampler": s.key} for s in SAMPLERS]
    for run in runs:
        rows = settings_text.listed_settings(stored(replace(PLAIN, **run)))
        assert all(
            label[0].isupper() and "." not in label and "_" not in label + value and "{" not in value
            for label, value in rows
        ), rows


def test_what_this_version_does_not_know_is_kept():
    old = SimpleNamespace(
        config=RunConfig("d", "m", "gone", {"strength": 2.0}, others={"colour": "red"}), facts=Facts(), baseline_id=None
    )
    assert {("Method", "gone"), ("params.strength", "2"), ("colour", "red")} <= set(settings_text.listed_settings(old))
