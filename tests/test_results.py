"""The results page matches results/methods.csv and covers every row of the tables; its script queues each fair pair once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import methods_report as report
from benchmarks import methods_schema as schema
from benchmarks import methods_table as table
from core.methods import METHODS
from core.methods.samplers import SAMPLERS
from core.metrics.intervals import mean_interval
from storage import results
from storage.db.connection import open_database
from storage.db.migrate import upgrade

FULL = ("mnist1d", "mnist1d_tail")
MNIST1D = schema.TABLES["mnist1d"]
ROWS = schema.read()
TABLES = report.tables_of(ROWS)
RENEW = "run `python -m benchmarks.methods_table docs`"


def lines_of(text: str) -> dict[str, list[str]]:
    """The lines of a Markdown table by their first cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    return {row[0]: row for row in rows}


def on_the_page(key: str) -> dict[str, list[str]]:
    """The lines of a table of docs/results.md."""
    text = report.PAGE.read_text(encoding="utf-8")
    return lines_of(text.partition(f"\n## {schema.TABLES[key].label}\n")[2].partition("\n## ")[0])


# -- the page and the figures ------------------------------------------------------------------------------------


def test_the_page_and_its_picture_are_current():
    assert report.PAGE.read_text(encoding="utf-8") == report.page(TABLES, schema.read_machine()), RENEW
    assert report.PICTURE.read_text(encoding="utf-8") == report.panels(TABLES), RENEW


@pytest.mark.parametrize("key", FULL)
def test_every_method_and_every_sampler_is_in_its_table_on_the_page(key):
    named = "\n".join(on_the_page(key))
    assert [m.key for m in METHODS if f"`{m.key}`" not in named] == []
    assert [s.key for s in SAMPLERS if s.key != "instance" and f"sampler `{s.key}`" not in named] == []


def test_the_tables_of_the_readme_are_rows_of_the_page():
    readme = (schema.ROOT / "README.md").read_text(encoding="utf-8")
    for key in FULL:
        excerpt = lines_of(
            readme.partition(f"\n{schema.TABLES[key].label}, ")[2].partition("\n\n| ")[2].partition("\n\n")[0]
        )
        rows = {name: row for name, row in excerpt.items() if name.startswith(("`", "sampler"))}
        assert len(rows) > 8
        page = on_the_page(key)
        assert rows == {name: [page[name][i] for i in (0, 2, 4, 5, 6)] for name in rows}


def test_every_row_is_of_a_cell_and_has_its_figures():
    cells = {key: setting.names() for key, setting in schema.TABLES.items()}
    rows = ROWS.to_dict("records")
    assert [r for r in rows if schema.name_of(r) not in cells[r["table"]] and r["method"] not in schema.SINCE] == []
    figures = ROWS.loc[ROWS["error"] == "", schema.FIGURES].astype(float)
    assert figures["tpr_variance"].between(0, 0.25).all()
    assert (figures["tpr_min"].between(0, 1) & figures["balanced_accuracy"].between(figures["tpr_min"], 1)).all()


@pytest.mark.parametrize("setting", schema.TABLES.values(), ids=schema.TABLES)
def test_a_table_begins_with_the_baseline_and_has_no_cell_twice(setting):
    names = setting.names()
    assert names[0] == schema.BASELINE
    assert len(set(names)) == len(names)


# -- statistics --------------------------------------------------------------------------------------------------


def test_holm_multiplies_by_the_tests_that_are_left():
    assert list(report.holm(pd.Series([0.01, 0.04, 0.03, 0.005]))) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert list(report.holm(pd.Series([0.9, 0.8]))) == [1.0, 1.0]
    assert report.holm(pd.Series([], dtype=float)).empty


def test_a_change_is_the_paired_one_with_the_interval_of_compare():
    rows = {"a": [0.1, 0.05, 0.15, 0.05], "equal": [0.0] * 4, "constant": [0.25] * 4}
    change = report.changes(pd.DataFrame(rows).rename_axis(columns="name").unstack())
    assert list(change.loc["a"])[:3] == pytest.approx(mean_interval(np.array(rows["a"])), rel=1e-4)
    # t = 0.0875 / (0.04787 / 2) = 3.656; the distribution with 3 degrees of freedom has a closed form
    assert change["p"]["a"] == pytest.approx(0.03535, abs=1e-5)
    assert list(change.loc["equal"]) == [0, 0, 0, 1]
    assert list(change.loc["constant"]) == [0.25, 0.25, 0.25, 0]


def replicate(seed: int, variance: float, method: str = "none", **other: str) -> dict[str, str]:
    """A row of the CSV."""
    figures = {"accuracy": "0.9", "balanced_accuracy": "0.9", "tpr_variance": str(variance), "tpr_min": "0.5"}
    run = schema.row_of(MNIST1D, MNIST1D.config(method, seed))
    return run | figures | {"seconds": "1.0", "error": ""} | other


def test_only_seeds_with_a_baseline_count_and_failures_stay():
    rows = [
        *(replicate(s, 0.01 + 0.01 * s) for s in (1, 2, 3)),
        *(replicate(s, 0.01, "tpr_ratio") for s in (1, 2, 3, 4)),
        replicate(5, 0, "tpr_ratio", error="out of memory"),
        replicate(1, 0, "focal", error="no network"),
    ]
    found = report.results_of(pd.DataFrame(rows))
    assert list(found["n"]) == [3, 3, 0]
    assert found["v"][1] == pytest.approx(-0.02)
    page = report.page({"mnist1d": found}, {})
    assert "- Failed: `tpr_ratio` (out of memory); `focal` (no network)." in page
    assert lines_of(page)["`focal`"][1:] == ["0", *[""] * 7, "failed: no network"]


def test_a_table_without_rows_is_not_measured_yet(tmp_path):
    page = report.page(report.tables_of(schema.read(tmp_path / "none.csv")), {})
    assert page.count("Not measured yet: ") == len(schema.TABLES)


def test_a_row_that_was_not_measured_is_listed_as_such():
    page = report.page({"mnist1d": report.results_of(pd.DataFrame([replicate(1, 0.02)]))}, {})
    assert lines_of(page)["`tpr_ratio`"][1:] == ["0", *[""] * 7, "not measured"]


def test_two_replicates_have_no_interval():
    rows = [*(replicate(s, 0.02) for s in (1, 2)), *(replicate(s, 0.01, "tpr_ratio") for s in (1, 2))]
    page = report.page({"mnist1d": report.results_of(pd.DataFrame(rows))}, {})
    assert lines_of(page)["`tpr_ratio`"][6:] == ["", "", "", "fewer than 3 replicates: no interval"]


# -- the CSV and the queue ---------------------------------------------------------------------------------------


def test_a_name_lists_what_differs_from_the_defaults():
    row = replicate(1, 0.5, "cdb")
    assert schema.name_of(row) == "`cdb`"
    assert schema.name_of({**row, "params": "tau=dynamic; variant=paper"}) == "`cdb`"  # before `ema` existed
    assert schema.name_of({**row, "params": "tau=3; variant=paper", "start": "0.8"}) == "`cdb`, tau 3, from 80 %"
    late = {"sampler": "balanced", "start": "0.8 weight"}
    assert schema.name_of(replicate(1, 0.5, **late)) == "sampler `balanced`, weights from 80 %"


def test_rows_of_a_cell_and_seed_replace_the_old_ones(tmp_path):
    path = tmp_path / "methods.csv"
    assert table.merge(path, [replicate(10, 0.5), replicate(2, 0.5), replicate(1, 0.4)]) == 3
    older = replicate(1, 0.2, "cdb", params="tau=dynamic; variant=paper")  # before `ema` existed
    assert table.merge(path, [older, replicate(2, 0.1)]) == 4
    assert table.merge(path, [replicate(1, 0.3, "cdb")]) == 4
    assert [(r.method, r.seed, r.tpr_variance) for r in schema.read(path).itertuples()] == [
        ("none", "1", "0.4"),
        ("none", "2", "0.1"),
        ("none", "10", "0.5"),
        ("cdb", "1", "0.3"),
    ]


def test_a_merge_keeps_the_measured_rows(tmp_path):
    path = tmp_path / "methods.csv"
    table.merge(path, ROWS[::-1].to_dict("records"))
    assert path.read_bytes() == schema.CSV.read_bytes()


def test_a_second_call_queues_nothing_and_every_run_has_the_baseline_of_its_seed(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    engine, settings = open_database(), [schema.TABLES["mnist_tail"]]
    upgrade(engine)
    cells = len(settings[0].cells)
    assert table.submit(engine, settings, [1]) == cells
    assert table.submit(engine, settings, [1, 2]) == cells
    assert table.submit(engine, settings, [1, 2]) == 0
    assert list(table.measured(engine, settings, [1, 2])) == []  # no run has ended
    frame = results.list_runs(engine).set_index("id")
    weighted = frame[frame["baseline_id"].notna()]
    base = frame.loc[weighted["baseline_id"]]
    assert (base["seed"].to_numpy() == weighted["seed"].to_numpy()).all()
    assert set(base["method"]) == {"none"}
    assert len(frame) - len(weighted) == 2
    engine.dispose()
