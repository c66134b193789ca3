"""Compare in the less simple cases.

Several seeds, nearly perfect classifiers, a collapse, few samples, many classes.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

import cli
from core.comparison.pairing import OTHER_BASELINE, Apart, LeftOut, Unpaired
from core.experiment.config import checked
from core.experiment.facts import StartEvidence
from reporting import numbers, text
from reporting.csv_json import comparison_dict
from services import comparison
from storage import results
from storage.db.connection import open_database, write
from storage.db.schema import detail
from tests import seed
from tests.core.datasets.kit import own_copy
from tests.pages.kit import COMPARE, HOME, RUN, visit
from tests.storage.kit import database

APP = Path(__file__).resolve().parents[4] / "app.py"

EPOCHS = 3
RATIO = {"method": "tpr_ratio", "params": {"exponent": 2.0}}


def trained(engine, worker, name, made, baseline=None, draw=0, **settings) -> int:
    """A finished run; one with a baseline records the evidence of its weights, as a worker does."""
    run_id = seed.submit(engine, checked(replace(seed.config_of(epochs=EPOCHS), **settings)), name, baseline)
    seed.train(engine, worker, made, EPOCHS, seed=draw)
    if baseline is not None:
        counts = results.class_counts(engine, baseline, "validation")
        tpr, support = (counts.tp / counts.support).tolist(), counts.support.tolist()
        facts = replace(
            results.get_run(engine, run_id).facts, evidence=StartEvidence(tpr, support, origin=f"run {baseline}")
        )
        write(
            engine,
            lambda c: c.execute(update(detail).where(detail.c.run_id == run_id).values(facts=facts.stored())),
        )
    return run_id


def made(tpr, validation=200, test=1000) -> seed.Made:
    classes = tuple(str(c) for c in range(len(tpr)))
    return seed.Made(classes, np.asarray(tpr, dtype=float), {"train": 400, "validation": validation, "test": test})


def pair(engine, worker, name, before, after, draw=0, **settings) -> tuple[int, int]:
    """A baseline and a run weighted by it."""
    first = trained(engine, worker, f"{name}: none", before, draw=draw, **settings)
    return first, trained(engine, worker, f"{name}: ratio", after, first, draw + 1, **{**settings, **RATIO})


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    root = tmp_path_factory.mktemp("seeds")
    engine = database(root)
    w, high = seed.worker_of(engine), np.linspace(0.985, 0.995, 10)
    hundred = np.random.default_rng(0).beta(7, 3, 120)
    ids = {
        f"seed {s}": pair(engine, w, f"seed {s}", seed.mnist1d(0, s), seed.mnist1d(0.45, s + 5), 10 * s, seed=s)
        for s in range(3)
    }
    ids["high"] = pair(engine, w, "high", made(high), made(high[::-1]), recipe="sgd_cosine")
    ids["collapse"] = pair(
        engine, w, "collapse", made(hundred, 2, 50), made(np.full(120, 0.02), 2, 50), recipe="sgd_constant"
    )
    ids["many"] = pair(
        engine,
        w,
        "many",
        made(hundred, 40, 50),
        made(hundred + 0.3 * (hundred.mean() - hundred), 40, 50),
        recipe="sgd_steps",
    )
    base = trained(engine, w, "alone", seed.mnist1d(), validation=0.2)
    ids["apart"] = base, trained(engine, w, "apart", seed.mnist1d(0.4), base, 3, validation=0.2, seed=2, **RATIO)
    engine.dispose()
    return root, ids


def compared(two: tuple[int, int], **query: object) -> AppTest:
    return visit(COMPARE, a=two[0], b=two[1], **query)


def figure(at: AppTest, name: str) -> dict:
    """A chart's figure by the key of its element."""
    return json.loads(next(c.proto.spec for c in at.get("plotly_chart") if c.proto.id.endswith(name)))


def captions(at: AppTest) -> str:
    return "\n".join(c.value for c in at.caption).replace("\\", "")


def warned(at: AppTest) -> str:
    return "\n".join(w.value for w in at.warning).replace("\\", "")


def colors(at: AppTest) -> dict[str, str]:
    """Label of every tile and the name of its color."""
    kinds = at.metric[0].proto.DESCRIPTOR.enum_types_by_name["MetricColor"].values_by_number
    return {m.label: kinds[m.proto.color].name.lower() for m in at.metric}


def means(two_of: list[int], name: str) -> float:
    engine = open_database()
    return float(np.mean([getattr(results.get_run(engine, i), name) for i in two_of]))


# ---------------------------------------------------------------- seeds


def test_with_seeds_tiles_bars_and_verdict_are_means(ids):
    at = compared(ids["seed 0"])
    before, after = ([ids[f"seed {s}"][side] for s in range(3)] for side in (0, 1))
    assert at.radio(key="over").options == ["All seeds", "These two runs"]
    tiles = {m.label: m for m in at.metric}
    assert tiles["Accuracy"].value == numbers.percent(means(after, "accuracy"))
    change = 100 * (means(after, "accuracy") - means(before, "accuracy"))
    assert float(tiles["Accuracy"].delta.replace("−", "-")) == pytest.approx(change, abs=0.051)
    assert f"accuracy {tiles['Accuracy'].delta} points" in at.markdown[0].value.replace("\\", "")
    bars = [t for t in figure(at, "compare_signature")["data"] if t["type"] == "bar"]
    engine = open_database()
    tprs = np.array([results.class_counts(engine, i, "test").tp / 1000 for i in after])
    order = np.argsort(
        np.mean([results.class_counts(engine, i, "test").tp / 1000 for i in before], axis=0), kind="stable"
    )
    assert bars[1]["y"] == pytest.approx(tprs.mean(0)[order].tolist(), abs=1e-5)
    assert "means over seeds 0, 1 and 2 on both sides" in captions(at)
    assert captions(at).count("n = 3") == 4
    assert "Small dots: each seed." in captions(at)


def test_a_switch_shows_the_two_runs(ids):
    at = compared(ids["seed 0"])
    at.radio(key="over").set_value("pair").run()
    engine = open_database()
    after = results.get_run(engine, ids["seed 0"][1])
    assert at.metric[0].value.startswith(f"{100 * after.accuracy:.1f}")
    assert (
        f"show only run {ids['seed 0'][0]} and run {ids['seed 0'][1]}; the verdict uses the means over seeds"
        in captions(at)
    )
    assert set(colors(at).values()) == {"gray"}, "the verdict uses the means"
    assert "Thin lines: 95 % Wilson intervals." in captions(at)


def test_every_chart_follows_the_switch(ids):
    at = compared(ids["seed 0"])
    assert len(figure(at, "compare_epochs")["data"]) == 2 + 6
    wide = figure(at, "compare_confusion")["data"][0]["hovertext"]
    at.radio(key="over").set_value("pair").run()
    assert len(figure(at, "compare_epochs")["data"]) == 2
    assert figure(at, "compare_confusion")["data"][0]["hovertext"] != wide


def test_seeds_can_always_be_added(ids):
    assert compared(ids["seed 0"]).button(key="compare_seeds").label == "Add 2 seeds to each"


def test_one_pair_has_no_switch(ids):
    assert "over" not in [r.key for r in compared(ids["high"]).radio]


def test_home_shows_the_means_too(ids, monkeypatch):
    from pages.components.common import cached_reads

    engine = open_database()
    newest = cached_reads.Pair(*(results.get_run(engine, i) for i in ids["seed 0"]))
    monkeypatch.setattr(cached_reads, "latest_pair", lambda _: newest)
    at = visit(HOME)
    assert "paired seeds" in "\n".join(m.value for m in at.markdown)
    assert "Bars: means over the seeds." in captions(at)


def test_the_table_of_classes_marks_changes_beyond_noise(ids):
    at = compared(ids["seed 0"])
    table = next(d.value for d in at.dataframe if "beyond" in d.value)
    assert set(table["beyond"]) <= {"yes", "no"}
    assert "t intervals over the seeds" in captions(at)


def test_the_interval_of_a_pair_is_explained(ids):
    text = captions(compared(ids["high"]))
    assert "Newcombe" in text
    assert "the same samples" in text
    assert "McNemar" in text


def test_different_seeds_of_a_run_and_its_baseline_are_a_caution(ids):
    at = visit(RUN, id=ids["apart"][1])
    at.button(key="run_compare").click().run()
    assert f"Run {ids['apart'][0]} has seed 0 and run {ids['apart'][1]} has seed 2" in warned(at)
    assert "one seed each (seed 0 before, 2 after)" in at.markdown[0].value.replace("\\", "")


def test_different_seeds_offer_a_pair_with_one_seed(ids):
    """With one run on a side there are no means to judge; the fair pair is offered as a link."""
    engine = open_database()
    results.delete(engine, [ids["seed 1"][1], ids["seed 0"][1]])
    at = compared((ids["seed 0"][0], ids["seed 2"][1]))
    fair = f"Compare run {ids['seed 2'][0]} with run {ids['seed 2'][1]}, both with seed 2"
    assert fair in [link.label for link in at.get("page_link")]


# ---------------------------------------------------------------- pairs


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    """Baselines of seeds 3, 4 and 5, and weighted runs, each with the TPRs of its own baseline.

    Further weighted runs of the same settings use the TPRs of the baseline of seed 3.
    """
    root = tmp_path_factory.mktemp("fed")
    engine = database(root)
    w = seed.worker_of(engine)
    base = {s: trained(engine, w, f"none, seed {s}", seed.mnist1d(0, s), draw=s, seed=s) for s in (3, 4, 5)}
    own = {
        s: trained(engine, w, f"own, seed {s}", seed.mnist1d(0.45, s), base[s], 10 + s, seed=s, **RATIO) for s in base
    }
    shared = {
        s: trained(engine, w, f"shared, seed {s}", seed.mnist1d(-0.5, s), base[3], 20 + s, seed=s, **RATIO)
        for s in base
    }
    engine.dispose()
    return root, base, own, shared


@pytest.fixture
def feeding(fed, tmp_path, monkeypatch):
    root, *found = fed
    own_copy(root, tmp_path, monkeypatch)
    return found


def test_pairs_are_runs_whose_baseline_is_the_run_before(feeding):
    base, own, shared = feeding
    data = json.loads(called("compare", base[4], own[4], "--json"))
    assert (data["noise"]["kind"], data["noise"]["pairs"]) == ("paired seeds", [3, 4, 5])
    assert data["over_seeds"]["runs_before"] == list(base.values())
    assert data["over_seeds"]["runs_after"] == [shared[3], own[4], own[5]], (
        "both of seed 3 were fed by its baseline: the newest"
    )
    assert data["notes"][-1] == text.of(LeftOut((own[3], shared[4], shared[5])))
    at = compared((base[5], shared[5]))
    assert at.radio(key="over").options == ["All seeds", "These two runs"]
    assert f"run {shared[5]} of this comparison" in captions(at)
    assert "on both sides" in captions(at)


def test_runs_with_the_tprs_of_one_baseline_are_two_groups(feeding):
    base, own, shared = feeding
    results.delete(open_database(), list(own.values()))
    found = called("compare", base[3], shared[3])
    assert "Means over seeds 3, 4, 5 before and 3, 4, 5 after" in " ".join(found.split())
    apart = Apart((shared[4], shared[5]), OTHER_BASELINE, base[3], 3)
    note = text.of(Unpaired((4, 5), False, (apart,)))
    assert note in " ".join(found.split())
    assert note in captions(compared((base[3], shared[3])))


def test_the_page_and_the_command_line_have_the_same_metrics(ids):
    from pages.components.common import cached_comparison as parts

    engine = open_database()
    a, b = ids["high"]
    with_page = comparison_dict(parts.comparison(*(results.get_run(engine, i) for i in (a, b))))
    data = json.loads(called("compare", a, b, "--json"))
    assert (data["deltas"], data["verdict"]) == (with_page["deltas"], with_page["verdict"])


# ---------------------------------------------------------------- precision, F1, top-5


def table(at: AppTest, *columns: str):
    """The table with these columns."""
    return next(d.value for d in at.dataframe if set(columns) <= set(d.value))


def test_compare_has_precision_and_f1_of_every_class_and_all_of_the_split(ids):
    at, engine = compared(ids["high"]), open_database()
    b, a = (comparison.report(engine, results.get_run(engine, i)) for i in ids["high"])
    found = table(at, "precision before", "F1 after")
    assert found["precision before"].tolist() == pytest.approx((100 * b.metrics.precision).tolist())
    assert found["F1 after"].tolist() == pytest.approx((100 * a.metrics.f1).tolist())
    whole = table(at, "metric", "before", "after").set_index("metric")
    assert whole.loc["macro F1, %"].tolist() == [f"{100 * r.summary.macro_f1:.1f}" for r in (b, a)]
    assert {"balanced accuracy, %", "highest TPR, %"} <= set(whole.index)


def test_over_seeds_they_are_means(ids):
    engine = open_database()
    reports = [
        [comparison.report(engine, results.get_run(engine, ids[f"seed {s}"][side])) for s in range(3)]
        for side in (0, 1)
    ]
    at = compared(ids["seed 0"])
    for runs, name in zip(reports, ("F1 before", "F1 after"), strict=True):
        assert table(at, name)[name].tolist() == pytest.approx(
            (100 * np.mean([r.metrics.f1 for r in runs], axis=0)).tolist()
        )
    data = json.loads(called("compare", *ids["seed 0"], "--json"))
    assert data["over_seeds"]["figures"]["macro_f1"]["after"] == pytest.approx(
        np.mean([r.summary.macro_f1 for r in reports[1]])
    )
    assert data["summary"]["after"]["macro_f1"] == pytest.approx(reports[1][0].summary.macro_f1)
    assert "macro F1" in called("compare", *ids["seed 0"])


def test_the_table_of_a_run(ids):
    at = AppTest.from_string(
        f"""
        from pages.components.run import class_table
        from pages.components.common import cached_reads as reads
        class_table.draw(reads.run({ids["high"][1]}))
    """,
        default_timeout=300,
    ).run()
    assert not at.exception
    engine = open_database()
    run = comparison.report(engine, results.get_run(engine, ids["high"][1]))
    found = table(at, "TPR", "precision", "F1")
    assert found["TPR"].tolist() == pytest.approx((100 * run.metrics.tpr).tolist())
    assert found["precision"].tolist() == pytest.approx((100 * run.metrics.precision).tolist())
    assert (
        table(at, "metric", "value").set_index("metric").loc["macro F1, %", "value"]
        == f"{100 * run.summary.macro_f1:.1f}"
    )


# ---------------------------------------------------------------- hard-to-see cases


def test_a_nearly_perfect_classifier_shows_its_digits_and_zoomed_dots(ids):
    at = compared(ids["high"])
    headline = at.markdown[0].value.replace("\\", "")
    assert not re.search(r"0\.0000\b", headline)
    assert re.search(r"ariance 0\.0000\d\d → 0\.0000\d\d", headline)
    assert re.fullmatch(r"0\.0000\d\d", {m.label: m.value for m in at.metric}["TPR variance"])
    assert at.radio(key="kind").value == "dumbbell"
    assert figure(at, "compare_signature")["layout"]["xaxis"]["title"]["text"].startswith("TPR; the axis starts at 9")
    assert "an axis that does not start at 0" in captions(at)
    at.radio(key="kind").set_value("bars").run()
    assert figure(at, "compare_signature")["layout"]["yaxis"]["range"][0] == 0


def test_a_nearly_perfect_run_alone_has_zoomed_dots_too(ids):
    found = figure(visit(RUN, id=ids["high"][0]), "run_signature")
    assert not [t for t in found["data"] if t["type"] == "bar"]
    assert found["layout"]["xaxis"]["range"][0] > 0.9


def test_a_collapse_is_not_colored_as_a_gain(ids):
    at = compared(ids["collapse"])
    assert (
        at.markdown[0].value.replace("\\", "").startswith("**More equal because all 120 classes got worse: accuracy ")
    )
    assert colors(at) == {
        "Accuracy": "red",
        "Spread of TPRs, points": "gray",
        "TPR variance": "gray",
        "Lowest TPR": "red",
    }


def test_a_gain_of_all_classes_is_colored(ids):
    assert "green" in colors(compared(ids["many"])).values()


@pytest.mark.parametrize("page", [COMPARE, RUN])
def test_weights_from_few_validation_samples_are_a_caution(ids, page):
    a, b = ids["collapse"]
    at = visit(page, a=a, b=b, id=b)
    assert (
        f"The weights of run {b} rest on TPRs of few validation samples. 120 classes have fewer than 10 validation "
        "samples. Class 0 has 2 validation samples: its TPR is known only to about ±41 points (95 %)" in warned(at)
    )
    enough = ids["many"]
    assert "few validation samples" not in warned(visit(page, a=enough[0], b=enough[1], id=enough[1]))


def test_changes_of_many_classes_are_sorted_and_explained(ids):
    at = compared(ids["many"])
    table = next(d.value for d in at.dataframe if "means" in d.value)
    assert table.columns[0] == "change"
    assert table["change"].abs().is_monotonic_decreasing
    right = table["true class"] == table["predicted as"]
    assert set(table[right]["means"]) <= {"more correct", "fewer correct"}
    assert set(table[~right]["means"]) <= {"more errors", "fewer errors"}
    assert "Change in points: per 100 samples of the true class. Largest changes first." in captions(at)
    narrow = AppTest.from_file(str(APP), default_timeout=300).run()
    narrow.switch_page(COMPARE)
    narrow.session_state["narrow_window"] = True
    narrow.query_params.update({"a": str(ids["many"][0]), "b": str(ids["many"][1])})
    narrow.run()
    assert list(next(d for d in narrow.dataframe if "means" in d.value).proto.column_order) == [
        "change",
        "true class",
        "predicted as",
    ]


def test_charts_name_their_split(ids):
    at = compared(ids["high"])
    assert "Spread over epochs, test split" in [s.value for s in at.subheader]
    assert "Blue: better (more correct on the diagonal, fewer errors off it)." in captions(at)


# ---------------------------------------------------------------- files and the command line


def test_a_run_offers_the_files_of_the_command_line(ids, monkeypatch):
    from pages.components.run import downloads
    from reporting import csv_json, html_pages

    engine, offered = open_database(), []
    row = results.get_run(engine, ids["high"][1])
    monkeypatch.setattr(downloads, "buttons", lambda prefix, name, files: offered.append((prefix, name, files)))
    downloads.draw(row)
    downloads.draw(replace(row, last_epoch=0))
    ((prefix, name, files),) = offered
    assert (prefix, name, [f[0] for f in files]) == (
        "run",
        f"evenly-run-{row.id}",
        ["CSV", "TPRs", "JSON", "HTML report"],
    )
    run = comparison.report(engine, row)
    assert [f[3]() for f in files] == [
        csv_json.run_csv(run),
        csv_json.run_csv(comparison.report(engine, row, "validation")),
        csv_json.run_json(run),
        html_pages.run_page(run),
    ]


def test_the_buttons_can_be_drawn(ids):
    at = AppTest.from_string(
        f"""
        from pages.components.common import cached_reads as reads
        from pages.components.run import downloads
        downloads.draw(reads.run({ids["high"][1]}))
    """,
        default_timeout=300,
    ).run()
    assert not at.exception
    assert [b.label for b in at.get("download_button")] == ["CSV", "TPRs", "JSON", "HTML report"]


def called(*typed: object) -> str:
    done = CliRunner().invoke(cli.app, [str(t) for t in typed])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_line_shows_the_means_or_the_two_runs(ids):
    a, b = ids["seed 0"]
    text = " ".join(called("compare", a, b).split())
    assert "Means over paired seeds 0, 1, 2" in text
    assert "95 % interval" in text
    assert f"run {a}" not in text.partition("Method:")[0]
    assert f"run {a} run {b} change, points" in " ".join(called("compare", a, b, "--pair").split())
    data = json.loads(called("compare", a, b, "--json"))
    assert data["over_seeds"]["before"] == [0, 1, 2]
    assert data["deltas"]["accuracy"]["seeds"]["change"] == pytest.approx(
        means([ids[f"seed {s}"][1] for s in range(3)], "accuracy")
        - means([ids[f"seed {s}"][0] for s in range(3)], "accuracy")
    )


def test_the_command_line_keeps_the_digits_of_small_variances(ids):
    a, b = ids["high"]
    assert re.search(r"TPR variance +0\.0000\d\d +0\.0000\d\d +[+-]?0\.0000\d\d", called("compare", a, b))
    assert not re.search(r" 0\.0000 ", called("runs"))
