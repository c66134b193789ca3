"""What methods add to the run page: oscillating weights, post-hoc steps, second stages with a deleted baseline."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from commands.runs import settings_line
from core.errors import EvenlyError
from core.experiment.recipes import RECIPES
from core.methods import METHODS, POSTHOC
from core.methods.posthoc import STORED_BIAS
from pages.components.common import helper_process
from pages.components.compare import report
from pages.components.compare.charts import LEVEL, SPREAD, mean_curve
from pages.components.run.posthoc import USUAL
from reporting import epoch_charts, html_pages, settings_text
from reporting.palette import LIGHT
from services import comparison, posthoc
from storage import results
from storage.db.errors import StorageError
from storage.jobs import queue
from tests import seed
from tests.pages.kit import COMPARE, RUN, RUNS, visit, words_on
from tests.seed import config_of, epoch_record, facts, mnist1d, submit, train, worker_of

EPOCHS = 12


class Begun(list):
    """The requested helpers as (run, arguments); none is started."""

    def __call__(self, run_id, *arguments):
        self.append((run_id, arguments))


@pytest.fixture
def begun(monkeypatch):
    found = Begun()
    monkeypatch.setattr(helper_process, "begin", found)
    return found


@pytest.fixture
def trained(empty):
    """A database with a worker and one finished run; returns (engine, worker, run)."""
    worker = worker_of(empty)
    run = submit(empty, config_of(epochs=EPOCHS), "MNIST-1D: none, seed 0")
    train(empty, worker, mnist1d(), EPOCHS)
    return empty, worker, run


def page_of(run: int) -> AppTest:
    return visit(RUN, id=str(run))


def keys(at: AppTest, kind: str = "button") -> list[str]:
    return [b.key for b in getattr(at, kind)]


def step(engine, run, method=USUAL, **params):
    return posthoc.plan_step(engine, results.get_run(engine, run), method, params).rows[0]


def applied(engine, worker, run, even=0.8, **params):
    """A finished post-hoc step on a run; returns its id."""
    new = step(engine, run, **params)
    (made,) = queue.submit(engine, [new], posthoc.key_of(new))
    train(engine, worker, mnist1d(even), 1)
    return made


def stepped(engine, worker, run, summand=None, end="succeeded"):
    """The newest post-hoc step on a run, with its added bias; `end` None leaves it running. Returns its id."""
    new = step(engine, run)
    (made,) = queue.submit(engine, [new], posthoc.key_of(new))
    claim = queue.claim(engine, worker, "cpu")
    results.start_run(engine, claim, facts(mnist1d(0.8)))
    if end is not None:
        record = epoch_record(mnist1d(0.8), 1, 1, None, np.random.default_rng(0))
        kept = {} if summand is None else {STORED_BIAS: list(summand)}
        results.record_epoch(engine, claim, replace(record, info=kept))
        queue.finish(engine, claim, end)
    return made


def charts(at):
    return {c.proto.id.rsplit("-", 1)[-1]: json.loads(c.proto.spec) for c in at.get("plotly_chart")}


# -- a post-hoc step's own page ----------------------------------------------------------------------------------


def text_of(at):
    """All text of the main part except the collapsed log, including the help of the tiles."""
    helps = [m.help or "" for m in at.metric]
    return "\n".join(
        [e.value for kind in ("title", "subheader", "markdown", "caption") for e in getattr(at.main, kind)] + helps
    )


def test_the_page_of_a_step_mentions_no_epochs_and_shows_the_bias(trained):
    engine, worker, run = trained
    summand = np.linspace(-2, 1, 10)
    at = page_of(stepped(engine, worker, run, summand))
    assert "epoch" not in text_of(at).lower()
    assert RECIPES[results.get_run(engine, run).config.recipe].label not in text_of(at)
    assert "No class weights" not in text_of(at)
    assert set(charts(at)) == {"run_signature", "run_summand", "run_confusion"}
    (bars,) = charts(at)["run_summand"]["data"]
    classes = list(facts(mnist1d()).classes)
    assert dict(zip(bars["customdata"], bars["x"], strict=True)) == pytest.approx(
        dict(zip(classes, summand, strict=True))
    )
    before = text_of(page_of(run))
    assert "12 epochs" in before
    assert "epoch 12 of 12" in before
    assert RECIPES[results.get_run(engine, run).config.recipe].label in before


def test_a_step_of_an_earlier_version_shows_no_bias(trained):
    engine, worker, run = trained
    at = page_of(stepped(engine, worker, run))
    assert "Added to the logits" not in text_of(at)
    assert set(charts(at)) == {"run_signature", "run_confusion"}


@pytest.mark.parametrize(("asked", "end"), [(None, None), ("pause", "paused"), (None, "failed")])
def test_an_unfinished_step_mentions_no_epochs_either(trained, asked, end):
    engine, worker, run = trained
    made = stepped(engine, worker, run, end=None)
    if asked:
        queue.ask(engine, made, asked)
    if end:
        queue.finish(engine, queue.Claim(made, 1, 1, {}, None), end, None if asked else "the disk is full")
    at = page_of(made)
    assert "epoch" not in text_of(at).lower()
    assert not at.main.get("progress")
    assert not any("epoch" in c.value for c in at.sidebar.caption)
    assert ("once the step has finished" if end in (None, "paused") else "before it finished") in text_of(at)


def test_bias_bars_have_a_sign_and_their_axis_includes_zero():
    names = [f"class {i}" for i in range(4)]
    figure = epoch_charts.bias_bars(names, np.array([-0.5, 0.25, 0.0, 1.0]), LIGHT, np.arange(4))
    (bars,) = figure["data"]
    assert bars["text"] == ["−0.50", "+0.25", "0.00", "+1.00"]
    assert figure["layout"]["yaxis"]["ticktext"] == names
    turned = epoch_charts.bias_bars(names, np.array([-0.5, 0.25, 0.0, 1.0]), LIGHT, np.array([3, 2, 1, 0]))
    assert (turned["data"][0]["text"][0], turned["layout"]["yaxis"]["ticktext"][0]) == ("+1.00", "class 3")
    for values in (np.zeros(4), np.full(4, 2.0), np.full(4, -2.0)):
        low, high = epoch_charts.bias_bars(names, values, LIGHT, np.arange(4))["layout"]["xaxis"]["range"]
        assert low < min(values.min(), 0.0)
        assert max(values.max(), 0.0) < high
    assert epoch_charts.alt_bias(names, np.array([-0.5, 0.25, 0.0, 1.0])).endswith(
        "from −0.50 for class 0 to +1.00 for class 3"
    )


# -- oscillating weights -----------------------------------------------------------------------------------------


def moving(engine, worker, factor, still=0, done=EPOCHS, **settings):
    """A run whose weights go up and down by `factor`, in the last epochs no more where they are `still`; stopped after `done`."""
    config = config_of(epochs=EPOCHS, method="cdb", params={"tau": 2.0}, **settings)
    run = submit(engine, config, "MNIST-1D: CDB, seed 0")
    claim = queue.claim(engine, worker, "cpu")
    results.start_run(engine, claim, facts(mnist1d()))
    rng = np.random.default_rng(0)
    for epoch in range(1, done + 1):
        up = factor ** np.where((np.arange(10) + min(epoch, EPOCHS - still)) % 2, 0.5, -0.5)
        results.record_epoch(
            engine, claim, epoch_record(mnist1d(), epoch, EPOCHS, np.ones(10) if epoch == 1 else up, rng)
        )
    queue.finish(engine, claim, "succeeded" if done == EPOCHS else "cancelled")
    return run


def test_an_unfinished_run_is_judged_by_its_epochs_so_far(trained):
    engine, worker, _ = trained
    for done, half in ((EPOCHS, "the second half of the run"), (EPOCHS - 1, "the second half of the epochs so far")):
        (warning,) = page_of(moving(engine, worker, 4.0, done=done)).warning
        assert f"In {half} a weight changes" in warning.value


def test_oscillating_weights_are_reported_with_a_link_to_smoothing(trained):
    engine, worker, _ = trained
    at = page_of(moving(engine, worker, 4.0, recipe="sgd_constant"))
    (warning,) = [w.value for w in at.warning if "oscillate between classes" in w.value]
    assert "factor of 4.0" in warning
    assert "10 of 10 classes" in warning
    (link,) = [e.proto for e in at.get("page_link") if e.proto.label == "Smoothing of its TPRs: ema"]
    assert (link.page, link.query_string) == ("methods", "row=cdb")


def test_weights_that_change_a_little_have_a_sentence_and_no_warning(trained):
    engine, worker, _ = trained
    at = page_of(moving(engine, worker, 1.2))
    assert not at.warning
    assert "changes by a factor of 1.20 on average" in words_on(at)


def test_compare_reports_oscillating_weights(trained):
    engine, worker, run = trained
    swings, calm = (
        moving(engine, worker, 4.0, recipe="sgd_constant"),
        moving(engine, worker, 1.2, recipe="sgd_constant"),
    )
    at = visit(COMPARE, a=calm, b=swings)
    (warning,) = [w.value for w in at.warning if "oscillate between classes" in w.value]
    assert f"weights of run {swings} oscillate" in warning
    assert "factor of 4.0" in warning
    assert not [w for w in visit(COMPARE, a=run, b=calm).warning if "oscillate" in w.value]


def test_compare_reports_them_even_if_the_last_epochs_were_stable(trained):
    engine, worker, run = trained
    swings = moving(engine, worker, 16.0, still=2)
    for at in (page_of(swings), visit(COMPARE, a=run, b=swings)):
        assert [w for w in at.warning if "oscillate between classes" in w.value]


def test_constant_weights_are_not_reported(trained):
    assert "From epoch to epoch" not in words_on(page_of(trained[2]))


# -- post-hoc steps ----------------------------------------------------------------------------------------------


def test_a_finished_run_offers_every_posthoc_row_with_its_own_sliders(trained, begun):
    at = page_of(trained[2])
    assert set(at.selectbox(key="posthoc_step").options) == {m.label for m in METHODS if m.stage == POSTHOC}
    for method in (m for m in METHODS if m.stage == POSTHOC):
        at.selectbox(key="posthoc_step").select(method.key).run()
        assert not at.exception
        for param in (p for p in method.params if not p.choices):
            slider = at.slider(key=f"posthoc_{method.key}_{param.key}")
            assert (slider.min, slider.max, slider.value) == (param.low, param.high, param.default)


def test_a_step_that_makes_a_double_correction_is_a_caution(trained, begun, monkeypatch):
    engine, worker, run = trained
    weighted = submit(
        engine,
        config_of(epochs=EPOCHS, method="inverse_frequency", imbalance=100.0),
        "MNIST-1D, tail 100: inverse frequency, seed 0",
    )
    tail = np.geomspace(400, 4, 10).astype(int).tolist()
    monkeypatch.setattr(seed, "facts", lambda made: replace(facts(made), counts=facts(made).counts | {"train": tail}))
    train(engine, worker, mnist1d(0.2), EPOCHS)
    for number, twice in ((run, []), (weighted, ["Post-hoc logit adjustment"])):
        at = page_of(number)
        assert not [
            w for w in at.warning if "applied twice" in w.value
        ]  # the equal-TPR bias is fitted to the unmodified network
        at.selectbox(key="posthoc_step").select("logit_adjusted_posthoc").run()
        assert [w.value.partition(" and ")[0] for w in at.warning if "applied twice" in w.value] == twice


def test_a_paused_step_is_not_shown_as_applied(trained, begun):
    engine, _, run = trained
    new = step(engine, run)
    (made,) = queue.submit(engine, [new], posthoc.key_of(new))
    queue.ask(engine, made, "pause")
    text = words_on(page_of(run)).replace("\\", "")
    assert f"as run {made} is paused" in text
    assert "Applying" not in text


def test_apply_queues_the_step_and_starts_a_helper(trained, begun):
    engine, _, run = trained
    at = page_of(run)
    at.slider(key="posthoc_equal_tpr_bias_strength").set_value(0.4).run()
    at.button(key="posthoc_apply").click().run()
    made = results.get_run(engine, run + 1)
    assert (made.method, made.config.params, made.baseline_id, made.seed) == (
        "equal_tpr_bias",
        {"strength": 0.4},
        run,
        0,
    )
    key = posthoc.key_of(step(engine, run, strength=0.4))
    assert list(begun) == [
        (
            made.id,
            ("posthoc", str(run), "--method", "equal_tpr_bias", "--param", "strength=0.4", "--key", key, "--json"),
        )
    ]
    assert "Applying Equal-TPR bias, strength 0.4" in words_on(at)
    assert at.button(key="posthoc_apply").disabled


def test_two_tabs_and_a_double_click_make_one_run(trained, begun):
    engine, _, run = trained
    one, two = page_of(run), page_of(run)
    one.button(key="posthoc_apply").click().run()
    two.button(key="posthoc_apply").click().run()
    assert len(results.list_runs(engine)) == 2


def test_another_strength_is_another_run(trained, begun):
    engine, _, run = trained
    at = page_of(run)
    at.button(key="posthoc_apply").click().run()
    at.slider(key="posthoc_equal_tpr_bias_strength").set_value(0.5).run()
    at.button(key="posthoc_apply").click().run()
    assert len(results.list_runs(engine)) == 3
    assert [run_id for run_id, _ in begun] == [run + 1, run + 2]


def test_existing_steps_are_listed_with_the_run_as_trained(trained, begun):
    engine, worker, run = trained
    half, full = (applied(engine, worker, run, even, strength=s) for even, s in ((0.4, 0.5), (0.9, 1.0)))
    at = page_of(run)
    table = at.dataframe(key=f"posthoc_table_{run}_2").value
    assert [s.partition(" (run")[0] for s in table["step"]] == [
        "As trained",
        "Equal-TPR bias, strength 0.5",
        "Equal-TPR bias, strength 1",
    ]
    rows = [results.get_run(engine, i) for i in (run, half, full)]
    assert table["accuracy"].tolist() == pytest.approx([100 * r.accuracy for r in rows])
    assert table["variance"].tolist() == pytest.approx([r.tpr_variance for r in rows])
    change = [100 * (r.accuracy - rows[0].accuracy) for r in rows[1:]]
    less = [100 * (r.tpr_variance / rows[0].tpr_variance - 1) for r in rows[1:]]
    assert max(less) < -1
    assert table["change"].tolist() == pytest.approx(
        [np.nan, *change], nan_ok=True
    )  # numbers, so that they sort as such
    assert table["less"].tolist() == pytest.approx([np.nan, *less], nan_ok=True)
    assert at.button(key="posthoc_apply").disabled  # full strength exists already
    assert f"Already applied as run {full}." in words_on(at)
    at.button(key="posthoc_open").click().run()
    assert at.query_params["id"] in (str(full), [str(full)])


def test_the_newest_step_may_be_compared(trained, begun):
    engine, worker, run = trained
    made = applied(engine, worker, run, strength=1.0)
    at = page_of(run)
    at.button(key="posthoc_compare").click().run()
    assert at.title[0].value == "Compare"
    assert at.query_params["b"] in (str(made), [str(made)])


def test_a_step_has_a_constant_line_in_the_spread_over_epochs_on_the_page_and_in_the_report(trained):
    engine, worker, run = trained
    made = stepped(engine, worker, run, np.zeros(10))
    at = visit(COMPARE, a=str(run), b=str(made))
    before, after = charts(at)["compare_epochs"]["data"]
    assert len(before["x"]) == EPOCHS
    spread = 100 * results.get_run(engine, made).tpr_variance ** 0.5
    assert (after["x"], after["y"]) == ([1, EPOCHS], pytest.approx([spread, spread]))
    assert LEVEL in words_on(at)
    rows = [results.get_run(engine, i) for i in (run, made)]
    names = list(facts(mnist1d()).classes)
    pictures, _ = report.charts_and_tables([rows[0]], [rows[1]], names, np.arange(10))
    assert pictures[0][3].endswith(LEVEL)


def test_the_settings_of_a_step_name_no_epochs_but_the_run_it_is_applied_to(trained):
    engine, worker, run = trained
    before, after = (results.get_run(engine, i) for i in (run, stepped(engine, worker, run, np.zeros(10))))
    differing = {label: values for label, *values in settings_text.differing(before, after)}
    assert differing["Epochs"] == [str(EPOCHS), "–"]
    assert differing["Applied to"] == ["–", f"run {run}"]
    listed = dict(settings_text.listed_settings(after))
    assert "Epochs" not in listed
    assert listed["Applied to"] == f"run {run}"
    line = settings_line(after)
    assert "epochs" not in line
    assert line.endswith(f", applied to run {run}")
    assert f"epochs {EPOCHS}" in settings_line(before)


def test_the_exports_of_a_step_name_the_run_it_is_applied_to_as_compare_does(trained):
    engine, worker, run = trained
    rows = [results.get_run(engine, i) for i in (run, stepped(engine, worker, run, np.zeros(10)))]
    reports = [comparison.report(engine, row) for row in rows]
    assert settings_text.differing(*reports) == settings_text.differing(*rows)
    for row, reported in zip(rows, reports, strict=True):
        assert settings_text.listed_settings(reported) == settings_text.listed_settings(row)
    assert f"Applied to</td><td>run {run}<" in html_pages.run_page(reports[1])


def test_a_mean_over_seeds_is_over_those_that_have_a_value():
    epochs, mean = mean_curve(
        [(np.array([1, 2, 3, 4]), np.array([1, np.nan, 3, np.nan])), (np.array([1, 2]), np.array([2, 4]))]
    )
    assert epochs.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(mean, [1.5, 4, 3, np.nan])


def test_two_steps_have_no_spread_over_epochs(trained):
    engine, worker, run = trained
    made = [applied(engine, worker, run, strength=s) for s in (0.5, 1.0)]
    assert "compare_epochs" not in charts(visit(COMPARE, a=str(made[0]), b=str(made[1])))
    rows = [results.get_run(engine, i) for i in made]
    pictures, _ = report.charts_and_tables(rows[:1], rows[1:], list(facts(mnist1d()).classes), np.arange(10))
    assert SPREAD not in [picture[0] for picture in pictures]


def test_a_failed_step_shows_its_error_and_can_be_tried_again(trained, begun):
    engine, worker, run = trained
    made = applied(engine, worker, run, strength=0.5)
    page_of(run).button(key="posthoc_apply").click().run()
    claim = queue.claim(engine, worker, "cpu")
    queue.finish(engine, claim, "failed", "run 1 no longer has a checkpoint; train it again")
    at = page_of(run)
    assert any("no longer has a checkpoint" in e.value for e in at.error)
    assert at.button(key="posthoc_apply").label == "Try again"
    at.button(key="posthoc_apply").click().run()
    assert results.get_run(engine, made + 1).status == "queued"
    assert len(results.list_runs(engine)) == 3
    assert [run_id for run_id, _ in begun] == [made + 1, made + 1]


def test_no_section_without_a_run_to_apply_to(trained, begun):
    engine, worker, run = trained
    made = applied(engine, worker, run, strength=1.0)
    assert "posthoc_apply" not in keys(page_of(made))
    stopped = submit(engine, config_of(epochs=EPOCHS, seed=3), "MNIST-1D: none, seed 3")
    train(engine, worker, mnist1d(), EPOCHS, until=3, end="cancelled")
    assert "posthoc_apply" not in keys(page_of(stopped))


def test_without_a_helper_process_the_step_is_queued_for_a_worker(trained, monkeypatch):
    def no_process(run_id, *arguments):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(helper_process, "begin", no_process)
    at = page_of(trained[2])
    at.button(key="posthoc_apply").click().run()
    assert not at.exception
    assert results.get_run(trained[0], trained[2] + 1).status == "queued"


def test_a_tail_is_named_once(empty):
    run = submit(empty, config_of(epochs=EPOCHS, imbalance=20.0), "MNIST-1D, tail 20: none, seed 0")
    train(empty, worker_of(empty), mnist1d(), EPOCHS)
    assert step(empty, run, strength=1.0).name == "MNIST-1D, tail 20: Equal-TPR bias, strength 1, seed 0"


def test_a_step_on_a_step_and_on_an_unfinished_run_is_refused(trained):
    engine, worker, run = trained
    made = applied(engine, worker, run, strength=1.0)
    with pytest.raises(
        EvenlyError,
        match=f"run {made} is itself a post-hoc step and has no network; choose the run it was applied to, run {run}",
    ):
        step(engine, made, "ncm")
    waiting = submit(engine, config_of(epochs=EPOCHS, seed=1), "x")
    with pytest.raises(
        EvenlyError, match=f"run {waiting} is queued; let it finish, or choose a run that has succeeded"
    ):
        step(engine, waiting)


# -- helpers -----------------------------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Helpers run this instead of cli.py: it prints its arguments on stderr and exits with the first one as its code."""
    monkeypatch.setattr(helper_process, "ROOT", tmp_path)
    monkeypatch.setattr(helper_process, "_helpers", {})
    (tmp_path / "cli.py").write_text(
        "import sys\nprint('note', file=sys.stderr)\nprint('error: ' + ' '.join(sys.argv[2:]), file=sys.stderr)\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    return tmp_path


def ended(run_id):
    helper_process._helpers[run_id].waiting.join()


def test_a_failed_helper_reports_its_last_line(script):
    assert helper_process.failure(5) == ""
    helper_process.begin(5, "1", "no space left")
    ended(5)
    assert helper_process.failure(5) == "no space left"
    helper_process.begin(5, "0", "all is well")
    ended(5)
    assert helper_process.failure(5) == ""


def test_one_helper_per_run(script):
    (script / "cli.py").write_text("import sys\nsys.stdin.read()\nimport time\ntime.sleep(600)\n")
    helper_process.begin(5, "x")
    first = helper_process._helpers[5].process
    helper_process.begin(5, "x")
    assert helper_process._helpers[5].process is first
    first.kill()
    ended(5)
    assert helper_process.failure(5) == "the helper process ended with code -9"


# -- a second stage and its baseline -----------------------------------------------------------------------------


def second_stage(engine, worker, run, status):
    """A second stage on a run: queued, or left as `status` after one epoch."""
    made = submit(engine, replace(config_of(epochs=3), method="lws"), "MNIST-1D: LWS, seed 0", run)
    if status != "queued":
        train(engine, worker, mnist1d(), 3, until=1, end=status)
    return made


@pytest.mark.parametrize("status", ["queued", "paused"])
def test_a_baseline_stays_while_an_unfinished_second_stage_needs_its_network(trained, status):
    engine, worker, run = trained
    made = second_stage(engine, worker, run, status)
    with pytest.raises(
        StorageError,
        match=f"run {made} is {status} and continues from the network of run {run}: let it finish, or delete it too",
    ):
        results.delete(engine, [run])
    results.delete(engine, [run, made])
    assert results.list_runs(engine, archived=None).empty


def question(monkeypatch, run):
    """The text of the delete dialog for this run. AppTest cannot tick a row, so the selection is patched in."""
    real = streamlit.dataframe

    def dataframe(frame, *args, **options):
        real(frame, *args, **options)
        return SimpleNamespace(
            selection=SimpleNamespace(rows=[i for i, number in enumerate(frame["id"]) if number == run], cells=[])
        )

    with monkeypatch.context() as patch:
        patch.setattr(streamlit, "dataframe", dataframe)
        at = visit(RUNS)
        at.button(key="runs_delete").click().run()
    return words_on(at)


def test_the_delete_dialog_names_a_stopped_second_stage_that_could_not_resume(trained, monkeypatch):
    engine, worker, run = trained
    made = second_stage(engine, worker, run, "cancelled")
    done = submit(engine, replace(config_of(epochs=3), method="crt"), "MNIST-1D: cRT, seed 0", run)
    train(engine, worker, mnist1d(), 3)
    text = question(monkeypatch, run)
    assert "can no longer be resumed" in text
    assert f"run {made} (Stopped) continues from run {run}" in text
    assert f"run {done} is compared with run {run}" in text
    assert "can no longer be resumed" not in question(monkeypatch, made)


def test_a_second_stage_without_its_baseline_offers_no_resume_and_explains_why(trained):
    engine, worker, run = trained
    made = second_stage(engine, worker, run, "cancelled")
    assert "run_resume" in keys(page_of(made))
    results.delete(engine, [run])
    at = page_of(made)
    assert "run_resume" not in keys(at)
    assert "the run whose network it continues from was deleted" in words_on(at)
    assert "continues from the last checkpoint" not in words_on(at)
    assert "run_duplicate" in keys(at)
