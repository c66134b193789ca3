"""Settings other than the weighting that differ between two runs are a caution before the verdict.

On Home, Compare, New run, the command line and the report.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tests.pages.kit import COMPARE, HOME, NEW, visit
from tests.seed import config_of, mnist1d, submit, train, weights_for, worker_of

CAUTION = "Run 1 and run 2 also differ in epochs (20 and 60)"


@pytest.fixture(params=[60, 20])
def pair(empty, request):
    """A baseline of 20 epochs and a much better weighted run of 60 or of 20; returns whether they are apart."""
    worker, epochs = worker_of(empty), request.param
    first = submit(empty, config_of(epochs=20), "MNIST-1D: none, seed 0")
    train(empty, worker, mnist1d(), 20)
    submit(
        empty,
        replace(config_of(epochs=epochs), method="tpr_ratio", params={"exponent": 2.0, "normalise": "mean_one"}),
        "MNIST-1D: TPR ratio, seed 0",
        first,
    )
    better = replace(mnist1d(0.6), tpr=mnist1d(0.6).tpr + 0.08)
    train(empty, worker, better, epochs, weight=weights_for(mnist1d(), 2.0))
    return epochs != 20


def text_of(at):
    return "\n".join(w.value for w in at.warning).replace("\\", "")


def test_home_shows_it_before_the_verdict(pair):
    at = visit(HOME)
    assert (CAUTION in text_of(at)) is pair
    order = [e.type for e in at.main if e.type in ("warning", "markdown")]
    shown = [str(e.value).replace("\\", "") for e in at.main if e.type in ("warning", "markdown")]
    verdict = next(i for i, text in enumerate(shown) if "ariance" in text)
    assert ("warning" in order[:verdict]) is pair
    assert "**Variance" not in shown[verdict]


def test_compare_shows_it_and_nothing_bold_or_green(pair):
    at = visit(COMPARE, a="1", b="2")
    assert (CAUTION in text_of(at)) is pair
    (verdict,) = [m.value for m in at.markdown if "ariance" in m.value and "seed noise" in m.value]
    assert verdict.startswith("**") is not pair
    kinds = at.metric[0].proto.DESCRIPTOR.enum_types_by_name["MetricColor"].values_by_number
    assert ("GREEN" in {kinds[m.proto.color].name for m in at.metric}) is not pair


def test_the_command_line_prints_it_before_the_verdict(pair):
    from cli import app

    text = " ".join(CliRunner().invoke(app, ["compare", "1", "2"]).output.split())
    assert (CAUTION in text) is pair
    if pair:
        assert text.index(CAUTION) < text.index("seed noise is unknown")
    data = json.loads(CliRunner().invoke(app, ["compare", "1", "2", "--json"]).output)
    assert bool(data["cautions"]) is pair
    assert bool(data["mixed"]) is pair


def report():
    """The HTML report of the comparison of runs 1 and 2, as Compare makes it."""
    from pages.components.common import cached_comparison, cached_reads
    from pages.components.compare import report as compare_report
    from services import comparison

    rows = [cached_reads.run(i) for i in (1, 2)]
    return compare_report.comparison_report(
        *rows,
        cached_comparison.comparison(*rows),
        cached_reads.class_names(rows[0]),
        tuple(comparison.report(cached_reads.database(), r) for r in rows),
    )


def test_the_report_shows_it_before_the_verdict_and_what_was_trained(pair):
    page = report()
    assert (CAUTION in page) is pair
    if pair:
        assert page.index(CAUTION) < page.index("seed noise is unknown")
    assert ('class="gain"' in page) is not pair
    for cell in (
        "Dataset</td><td>MNIST-1D",
        "Model</td><td>",
        "Recipe</td><td>AdamW, one cycle",
        "Seed</td><td>0",
        "test split, 10,000 samples, after epoch",
    ):
        assert cell in page
    assert re.search(r"Page created</td><td>20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", page)
    for heading in ("Spread over epochs, test split", "Change of the confusion matrix"):
        assert f"<h2>{heading}</h2>" in page
    assert "Band: mean and one standard deviation, the spread." in page
    assert "95 %" in page[page.index("Band: mean") :][:300]
    assert "Blue: better" in page


def test_new_run_lists_differences_to_the_baseline(pair):
    at = visit(NEW)
    at.selectbox(key="method").set_value("tpr_ratio").run()
    assert "differs from this run" not in text_of(at)
    from pages.components.new_run.settings import EPOCHS  # it imports Streamlit's widgets

    at.number_input(key=EPOCHS).set_value(35).run()
    assert re.search(r"Run \d+ differs from this run in epochs \(\d+ and 35\)", text_of(at))
