"""The results page says what results/methods.csv says, covers every row of the tables, and its script queues fair pairs once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks import methods_report as report
from benchmarks import methods_table as table
from core.methods import METHODS
from core.noise import mean_interval
from core.samplers import SAMPLERS
from storage import results
from storage.engine import open_database
from storage.migrate import upgrade

FULL = ("mnist1d", "mnist1d_tail")
ROWS = table.read()


def test_the_page_and_its_picture_are_current():
    assert report.PAGE.read_text(encoding="utf-8") == report.page(ROWS, table.read_machine()), (
        "run `python -m benchmarks.methods_table docs`"
    )
    assert report.PICTURE.read_text(encoding="utf-8") == report.panels(ROWS), (
        "run `python -m benchmarks.methods_table docs`"
    )


@pytest.mark.parametrize("key", FULL)
def test_every_method_and_every_sampler_was_measured(key):
    mine = [row for row in ROWS if row["table"] == key]
    assert {m.key for m in METHODS} - {row["method"] for row in mine} == set()
    assert {s.key for s in SAMPLERS} - {row["sampler"] for row in mine} == set()


@pytest.mark.parametrize("key", FULL)
def test_every_method_and_every_sampler_is_in_its_table_on_the_page(key):
    text = report.PAGE.read_text(encoding="utf-8").split(f"\n## {table.TABLES[key].label}\n")[1].split("\n## ")[0]
    named = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    assert [m.key for m in METHODS if not any(f"`{m.key}`" in line for line in named)] == []
    assert [
        s.key for s in SAMPLERS if s.key != "instance" and not any(f"sampler `{s.key}`" in line for line in named)
    ] == []


def test_every_row_names_its_cell_and_its_figures():
    keys = {tuple(row[k] for k in table.CELL) for row in ROWS}
    assert [key for key in keys if table.cell_of(table.TABLES[key[0]], key) is None and key[1] not in table.SINCE] == []
    for row in ROWS:
        assert row["error"] or (
            0 <= float(row["tpr_min"]) <= float(row["balanced_accuracy"]) <= 1
            and 0 <= float(row["tpr_variance"]) <= 0.25
        )


@pytest.mark.parametrize("setting", table.TABLES.values(), ids=table.TABLES)
def test_a_table_has_no_cell_twice(setting):
    keys = [table.cell_key(setting, cell) for cell in setting.cells]
    assert len(set(keys)) == len(keys)
    assert setting.cells[0] == table.Cell()


@pytest.mark.parametrize("setting", table.TABLES.values(), ids=table.TABLES)
def test_every_row_with_a_test_is_in_one_group(setting):
    found = report.results_of(setting, ROWS)
    groups = report.groups(found)
    for r in found:
        inside = [
            k
            for k in ("lower", "higher", "perhaps lower", "perhaps higher", "did nothing", "open", "same")
            if any(r is other for other in groups[k])
        ]
        assert len(inside) == bool(r.changes)


def test_holm_multiplies_by_the_tests_that_are_left():
    assert report.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert report.holm([0.9, 0.8]) == [1.0, 1.0]
    assert report.holm([]) == []


def test_a_change_is_the_paired_one():
    base, mine = np.array([0.1, 0.2, 0.4, 0.3]), np.array([0.2, 0.25, 0.55, 0.35])
    c = report.change(mine, base)
    assert (c.mean, c.low, c.high) == mean_interval(mine - base)
    assert c.p == pytest.approx(stats.ttest_rel(mine, base).pvalue)
    assert report.change(base, base).p == 1.0


def _row(seed: int, variance: float, **other: str) -> dict[str, str]:
    cell = dict(
        zip(
            table.CELL,
            table.cell_key(table.TABLES["mnist1d"], table.Cell("tpr_ratio" if other.pop("weighted", "") else "none")),
            strict=True,
        )
    )
    return (
        cell
        | {
            "seed": str(seed),
            "accuracy": "0.9",
            "balanced_accuracy": "0.9",
            "tpr_variance": str(variance),
            "tpr_min": "0.5",
            "error": "",
        }
        | other
    )


def test_only_seeds_with_a_baseline_count_and_failures_stay():
    rows = [
        *(_row(s, 0.01 + 0.01 * s) for s in (1, 2, 3)),
        *(_row(s, 0.01, weighted="yes") for s in (1, 2, 3, 4)),
        _row(5, 0, weighted="yes", error="out of memory"),
    ]
    base, mine = report.results_of(table.TABLES["mnist1d"], rows)
    assert (base.n, mine.n, mine.errors) == (3, 3, ("out of memory",))
    assert mine.variance.mean == pytest.approx(-0.02)
    assert "out of memory" in "\n".join(report.words([base, mine]))


def test_a_row_without_a_parameter_that_came_later_stands_for_the_default():
    setting = table.TABLES["mnist1d"]
    key = list(table.cell_key(setting, table.Cell("cdb")))
    assert table.cell_of(setting, key) == table.Cell("cdb")
    key[2] = "tau=dynamic; variant=paper"  # before `ema` was there
    assert table.cell_of(setting, key) == table.Cell("cdb")
    key[2] = "tau=3; variant=paper"
    assert table.cell_of(setting, key) is None


def test_two_replicates_have_no_interval():
    rows = [*(_row(s, 0.02) for s in (1, 2)), *(_row(s, 0.01, weighted="yes") for s in (1, 2))]
    assert [r.changes for r in report.results_of(table.TABLES["mnist1d"], rows)] == [{}, {}]


def test_rows_of_a_cell_and_seed_are_put_in_place_of_the_old_ones(tmp_path):
    path = tmp_path / "methods.csv"
    whole = dict.fromkeys(table.COLUMNS, "")
    assert table.merge(path, [whole | _row(2, 0.5), whole | _row(1, 0.4)]) == 2
    assert table.merge(path, [whole | _row(2, 0.1), whole | _row(1, 0.3, weighted="yes")]) == 3
    assert [(r["method"], r["seed"], r["tpr_variance"]) for r in table.read(path)] == [
        ("none", "1", "0.4"),
        ("none", "2", "0.1"),
        ("tpr_ratio", "1", "0.3"),
    ]


def test_a_second_call_queues_nothing_and_every_run_has_the_baseline_of_its_seed(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    engine, settings = open_database(), [table.TABLES["mnist_tail"]]
    upgrade(engine)
    cells = len(settings[0].cells)
    assert table.submit(engine, settings, [1]) == cells
    assert table.submit(engine, settings, [1, 2]) == cells
    assert table.submit(engine, settings, [1, 2]) == 0
    frame = results.list_runs(engine).set_index("id")
    for _, run in frame[frame["baseline_id"].notna()].iterrows():
        base = frame.loc[run["baseline_id"]]
        assert (base["seed"], base["method"]) == (run["seed"], "none")
    assert frame["baseline_id"].isna().sum() == 2
    engine.dispose()


def test_a_row_measured_anew_takes_the_place_of_one_from_before_a_parameter(tmp_path):
    row = next(r for r in table.read() if r["method"] == "label_aware_smoothing")
    older = {**row, "params": row["params"].rpartition(table.PARAMS)[0], "accuracy": "0.1"}
    path = tmp_path / "rows.csv"
    assert table.merge(path, [older]) == 1
    assert table.merge(path, [row]) == 1
    assert [r["accuracy"] for r in table.read(path)] == [row["accuracy"]]


def test_the_tables_of_the_readme_are_rows_of_the_page():
    def tables(text):
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
        ]
        return {row[0]: row for row in rows}

    readme, page = ((table.ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/results.md"))
    for label in ("MNIST-1D, balanced", "MNIST-1D, imbalance 100"):
        told = tables(readme.partition(f"\n{label}, ")[2].partition("\n\n| ")[2].partition("\n\n")[0])
        found = tables(page.partition(f"\n## {label}\n")[2].partition("\n## ")[0])
        assert len(told) > 8
        for name, row in told.items():
            if name.startswith(("`", "sampler")):
                assert row == [found[name][i] for i in (0, 2, 4, 5, 6)]
