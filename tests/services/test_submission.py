"""From settings to rows of the queue: every run is checked, whichever page or command plans it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from commands import demo
from commands.submit import source_of
from core.comparison.confounders import ApartFromBaseline
from core.datasets import describe, prepare
from core.diagnostics.double_correction import DoubleCorrection
from core.diagnostics.weight_dominance import DominantClass
from core.errors import EvenlyError
from pages.components.common.prefill import Prefill
from reporting import text
from services import submission, tpr_sources
from services.posthoc import plan_step
from services.queue_rows import new_run
from services.submission import more_seeds, plan
from services.tpr_sources import NOTHING, RUN, TRAIN_FIRST, TprSource, known_tprs
from storage import results
from storage.db.paths import data_root
from storage.jobs import queue
from tests.commands.kit import here
from tests.pages.components.new_run.kit import baselines, captions, images, visit
from tests.pages.kit import COMPARE, HOME
from tests.seed import config_of, mnist1d, submit, train, worker_of
from tests.work.kit import changed, drained

SPEC = describe("mnist1d", "")


def lowest(engine, run_id):
    """The lowest validation TPR of a run."""
    counts = results.class_counts(engine, run_id, "validation")
    return float((counts.tp / counts.support).min())


@pytest.fixture
def apart(empty):
    """A run that a formula takes and its replicate with the next seed that it rejects, and the run's config with that formula."""
    ids = baselines(empty, 0, 1, 2, 3, 4, 5)
    low = [lowest(empty, i) for i in ids]
    at = next(i for i in range(5) if low[i] > low[i + 1])
    formula = f"sqrt(tpr - {(low[at] + low[at + 1]) / 2:.6f})"
    config = config_of(epochs=20, seed=at, method="custom", params={"formula": formula})
    return [results.get_run(empty, i) for i in ids[at : at + 2]], config


def test_a_plan_checks_the_evidence_of_every_seed(empty, apart):
    (good, bad), config = apart
    source = TprSource(RUN, good, takes={good.seed: good.id, bad.seed: bad.id})
    assert [r.baseline for r in plan(empty, config, SPEC, [good.seed], source).rows] == [good.id]
    with pytest.raises(EvenlyError, match="formula"):
        plan(empty, config, SPEC, [good.seed, bad.seed], source)


def test_new_run_cannot_start_what_the_evidence_of_a_later_seed_forbids(empty, apart):
    (good, _), config = apart
    at = visit()
    at.session_state["new_prefill"] = Prefill(config, method=config.method, baseline=good.id)
    at.run()
    assert not at.button(key="new_start").disabled
    at.number_input(key="new_replicates").set_value(2).run()
    assert at.button(key="new_start").disabled
    assert "sqrt" in captions(at).replace("\\", "")


def test_more_seeds_are_checked_too(empty, apart):
    (good, bad), config = apart
    source = TprSource(RUN, good, takes={good.seed: good.id})
    (weighted,) = queue.submit(empty, list(plan(empty, config, SPEC, [good.seed], source).rows))
    after = results.get_run(empty, weighted)
    with pytest.raises(EvenlyError, match="formula"):
        more_seeds(empty, results.list_runs(empty), good, after, [bad.seed])
    rows = more_seeds(empty, results.list_runs(empty), good, after, [9]).rows
    assert [(r.config.method, r.config.seed, r.baseline_index) for r in rows] == [("none", 9, None), ("custom", 9, 0)]


def test_until_the_baseline_of_the_first_seed_has_finished_the_tprs_are_those_of_the_chosen_run(empty):
    """On the command line as on New run, where test_seeds.py holds it for a baseline that is trained first."""
    (base,) = baselines(empty, 0)
    coming = submit(empty, config_of(epochs=20, seed=1), "on its way")
    config = config_of(epochs=20, seed=1, method="tpr_ratio")
    source = source_of(empty, config, SPEC, [1], base, same=False, waits=False)
    assert (source.takes, source.name) == ({1: coming}, f"run {base}")
    assert source.tpr.tolist() == known_tprs(empty, config, base)[0].tolist()
    train(empty, worker_of(empty), mnist1d(0.3), 20, seed=1)
    source = source_of(empty, config, SPEC, [1], base, same=False, waits=False)
    assert source.name == f"run {coming}"
    assert source.tpr.tolist() == known_tprs(empty, config, coming)[0].tolist()


# -- what is refused ---------------------------------------------------------------------------------------------

LARGE = {"recipe_params": {"batch_size": 5000}}
TOO_LARGE = "^batch size 5000 is larger than the training split of 4000 samples; choose at most 4000$"


def test_a_batch_larger_than_the_data_is_refused_by_every_plan(empty):
    for method, kind in (("none", NOTHING), ("tpr_ratio", TRAIN_FIRST)):
        with pytest.raises(EvenlyError, match=TOO_LARGE):
            plan(empty, config_of(method=method, **LARGE), SPEC, [0], TprSource(kind))
    run = results.get_run(empty, submit(empty, config_of(**LARGE), "of a time when the data was larger"))
    with pytest.raises(EvenlyError, match=TOO_LARGE):
        more_seeds(empty, results.list_runs(empty), run, run, [1])
    error = here("run", "--dataset", "mnist1d", "--model", "mlp", "--recipe-param", "batch_size=5000").err
    assert error.startswith(f"error: {TOO_LARGE[1:40]}")


@pytest.mark.parametrize(
    ("method", "status", "message"),
    [
        ("tpr_ratio", "cancelled", "run 1 was stopped; resume it, or choose a run that has succeeded"),
        ("inverse_frequency", "cancelled", "run 1 was stopped; resume it"),
        ("tpr_ratio", "paused", ""),
        ("tpr_ratio", "queued", ""),
    ],
)
def test_a_plan_refuses_a_baseline_that_will_have_no_tprs(empty, method, status, message):
    run = submit(empty, config_of(), "a baseline")
    if status != "queued":
        queue.ask(empty, run, "cancel" if status == "cancelled" else "pause")
    row = results.get_run(empty, run)
    assert (run, row.status) == (1, status)
    source = TprSource(RUN, row, takes={0: run})
    if message:
        with pytest.raises(EvenlyError, match=message):
            plan(empty, config_of(method=method), SPEC, [0], source)
    else:
        assert [r.baseline for r in plan(empty, config_of(method=method), SPEC, [0], source).rows] == [run]


def test_a_plan_refuses_a_baseline_on_another_dataset(empty):
    run = submit(empty, config_of(dataset="digits", model="mlp"), "other data")
    source = TprSource(RUN, results.get_run(empty, run), takes={0: run})
    with pytest.raises(EvenlyError, match="run 1 was trained on digits, not on mnist1d"):
        plan(empty, config_of(method="tpr_ratio"), SPEC, [0], source)


# -- more seeds --------------------------------------------------------------------------------------------------


def test_runs_on_two_datasets_get_seeds_each_on_its_own(empty):
    """Both have the classes 0 to 9, so they can be compared."""
    rows = [
        results.get_run(empty, submit(empty, config, "a run"))
        for config in (config_of(), config_of(dataset="digits", model="mlp"))
    ]
    assert [new.name for new in more_seeds(empty, results.list_runs(empty), *rows, [1]).rows] == [
        "MNIST-1D: None, seed 1",
        "Digits (scikit-learn): None, seed 1",
    ]


@pytest.fixture
def of_images(worker):
    """Two finished runs on a folder of images whose array file is gone: the folder, and the runs' address on Compare."""
    root = data_root()
    images(root / "insects", {"ant": 30, "bee": 30})
    prepare("insects", root)
    config = changed(dataset="insects", model="cnn", epochs=1, recipe_params={"batch_size": 8})
    first = new_run(config)
    then = new_run(replace(config, method="focal"), baseline_index=0, baseline_group=first.group_sha)
    base, after = queue.submit(worker.engine, [first, then])
    assert [drained(worker, i).status for i in (base, after)] == ["succeeded"] * 2
    for file in (root / "cache").iterdir():
        file.unlink()
    return root / "insects", {"a": base, "b": after}


def test_seeds_are_added_though_the_array_file_of_the_images_is_missing(worker, of_images):
    _, address = of_images
    at = visit(COMPARE, **address)
    at.button(key="compare_seeds").click().run()
    assert [e.value for e in at.error] == []
    new = results.list_runs(worker.engine).sort_values("id").iloc[2:]
    assert new["method"].tolist() == ["none", "focal"] * 2
    assert new["name"].str.startswith("insects (your images): ").all(), "as on New run"
    assert drained(worker, int(new["id"].iloc[0])).status == "succeeded", "the file is made when the run starts"


def test_a_step_is_planned_though_the_array_file_of_the_images_is_missing(worker, of_images):
    base = results.get_run(worker.engine, of_images[1]["a"])
    (step,) = plan_step(worker.engine, base, "equal_tpr_bias", {}).rows
    assert (step.baseline, step.config.dataset) == (base.id, "insects")


def test_no_seed_is_added_where_the_images_are_gone(worker, of_images):
    folder, address = of_images
    folder.rename(folder.with_name("away"))
    at = visit(COMPARE, **address)
    at.button(key="compare_seeds").click().run()
    assert "insects" in at.error[0].value
    assert len(results.list_runs(worker.engine)) == 2


# -- cautions ----------------------------------------------------------------------------------------------------

UNEVEN = {"method": "manual", "params": {"weights": ", ".join(["1000"] + ["1"] * 9)}}
SAID = "Class 0 "
CAUTIONS = (DoubleCorrection, ApartFromBaseline)


def warnings(at):
    return [w.value for w in at.warning if w.value.startswith(SAID)]


def test_the_caution_of_the_command_line_is_shown_by_add_seeds_too(empty):
    done = here(
        *("run", "--dataset", "mnist1d", "--model", "cnn1d", "--method", "manual"),
        *("--param", f"weights={UNEVEN['params']['weights']}", "--seeds", 2, "--json"),
    )
    assert done.err.startswith(f"note: MNIST-1D: {SAID}")
    for run in done.data["ids"]:
        queue.ask(empty, run, "cancel")
    (base,) = baselines(empty, 0)
    after = submit(empty, config_of(epochs=20, **UNEVEN), "MNIST-1D: manual, seed 0", base)
    train(empty, worker_of(empty), mnist1d(0.2), 20)
    at = visit(COMPARE, a=base, b=after)
    before = len(warnings(at))
    at.button(key="compare_seeds").click().run()
    assert len(warnings(at)) == before + 1
    assert not at.error


def test_more_seeds_report_the_cautions_of_a_plan(empty):
    """A method and a sampler that correct the same imbalance, and a baseline with another number of epochs: once, whatever the seeds."""
    (base,) = baselines(empty, 0)
    twice = config_of(epochs=12, method="inverse_frequency", sampler="balanced", imbalance=100.0)
    after = results.get_run(empty, submit(empty, twice, "corrected twice", base))
    train(empty, worker_of(empty), mnist1d(), 12)
    before = results.get_run(empty, base)
    source = TprSource(RUN, before, takes={0: base})
    planned = [n for n in plan(empty, twice, SPEC, [0], source).findings if isinstance(n, CAUTIONS)]
    assert [type(n) for n in planned] == list(CAUTIONS)
    added = more_seeds(empty, results.list_runs(empty), before, after, [1, 2])
    assert len(added.rows) == 4
    assert [n for n in added.findings if isinstance(n, CAUTIONS)] == planned


def test_more_seeds_read_the_baseline_once(empty, monkeypatch):
    """However many seeds are added, the list of runs is read once for the run that has a baseline."""
    (base,) = baselines(empty, 0)
    after = results.get_run(empty, submit(empty, config_of(method="tpr_ratio"), "weighted", base))
    train(empty, worker_of(empty), mnist1d(), 20)
    before, frame, read = results.get_run(empty, base), results.list_runs(empty), []
    real = tpr_sources.list_runs
    monkeypatch.setattr(tpr_sources, "list_runs", lambda *a, **named: read.append(named) or real(*a, **named))
    assert len(more_seeds(empty, frame, before, after, [1, 2, 3]).rows) == 6
    assert len([named for named in read if "ids" not in named]) == 1


@pytest.fixture
def questionable(monkeypatch):
    """Every plan has a caution; returns the caution."""
    caution, plans = DominantClass("0", 0.99), submission.plan

    def made(*about, **more):
        return submission.Plan(plans(*about, **more).rows, (caution,))

    monkeypatch.setattr(submission, "plan", made)
    monkeypatch.setattr(demo, "plan", made)
    return caution


def test_home_shows_the_cautions_under_its_button(empty, questionable):
    at = visit(HOME)
    assert [w.value.replace("\\", "") for w in at.warning if "Class 0" in w.value] == [text.of(questionable)]
    at.button(key="home_start").click().run()
    assert len(results.list_runs(empty)) == 2


def test_the_demo_reports_the_cautions(empty, questionable, capsys):
    def wait_for(*_, **__):
        raise EvenlyError("enough")

    with pytest.raises(EvenlyError, match="enough"):
        demo.run(empty, 2, 1, wait_for)
    assert capsys.readouterr().err == f"note: MNIST-1D: {text.of(questionable)}\n"
