"""Exports: numbers as they are, names made harmless, an HTML file that needs no network."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest

from core import report
from pages.parts import export


def run(run_id: int = 1, name: str = "baseline", tp=(90, 60, 75), classes=("cat", "dog", "car"), config=None) -> report.RunReport:
    support = np.array([100, 100, 100])
    return report.RunReport(run_id, name, "test", 20, list(classes), support, np.array(tp), np.array([110, 90, 100]), np.array([1.0, 1.5, 0.5]),
                            config or {"method": "none", "params": {}}, {"device": "cpu"})


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_a_line_per_class_with_its_wilson_interval():
    rows = read(report.run_csv(run()))
    assert [r["class"] for r in rows] == ["cat", "dog", "car"]
    assert float(rows[1]["tpr"]) == pytest.approx(0.6)
    assert (float(rows[1]["tpr_low"]), float(rows[1]["tpr_high"])) == pytest.approx((0.5020, 0.6906), abs=1e-4)


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(name):
    rows = read(report.run_csv(run(classes=(name, "b", "c"))))
    assert rows[0]["class"].startswith("'")


def test_negative_numbers_stay_numbers():
    rows = read(report.comparison_csv(run(), run(2, "weighted", (80, 70, 75))))
    assert float(rows[0]["change"]) == pytest.approx(-0.1)


def test_json_round_trips_and_has_no_nan():
    empty = report.RunReport(3, "hole", "test", 1, ["a", "b"], np.array([10, 0]), np.array([5, 0]), np.array([5, 5]))
    data = json.loads(report.run_json(empty), parse_constant=lambda c: pytest.fail(c))
    assert data["classes"][1]["tpr"] is None
    assert data["summary"] == {"n": 10, "accuracy": 0.5, "tpr_mean": 0.5, "tpr_variance": 0.0, "tpr_min": 0.5, "tpr_max": 0.5}


def test_comparison_json_holds_both_runs_and_the_verdict():
    data = json.loads(report.comparison_json(run(), run(2), "the same"))
    assert (data["before"]["id"], data["after"]["id"], data["verdict"]) == (1, 2, "the same")


def test_html_escapes_names_and_loads_nothing():
    evil = "<script>alert(1)</script>"
    page = export.comparison_page(run(name=evil), run(2, "b", (80, 70, 75), config={"method": "tpr_ratio", "params": {"exponent": 2.0}}), f"verdict {evil}")
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert evil not in own
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", own)
    assert "params.exponent" in page
    assert page.count("Plotly.newPlot(") >= 2


def test_html_without_pictures_is_small():
    assert len(report.run_html(run())) < 10_000


def test_class_names_cannot_end_the_script():
    page = export.run_page(run(classes=("</script><script>alert(1)//", "b", "c")))
    assert "</script><script>alert(1)" not in page
