"""Compare: what the URL restores, what is refused, and seeds that are added to a comparison."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.diagnostics.weight_dominance import DominantClass
from core.methods.notes import ShiftsZero
from pages.components.common import navigation
from reporting import text
from services import submission
from services.queue_rows import new_run
from storage import results
from storage.jobs import queue
from tests.pages.kit import COMPARE, HOME, ROOT, visit
from tests.seed import config_of, mnist1d, submit, train, worker_of


def test_the_url_restores_the_comparison(full):
    _, ids = full
    at = visit(COMPARE, a=str(ids["baseline"]), b=str(ids["dynamic"]))
    assert at.selectbox(key="compare_a").value == ids["baseline"]
    assert at.selectbox(key="compare_b").value == ids["dynamic"]
    assert "ariance" in at.markdown[0].value
    assert len(at.metric) == 4


def test_swapping_reverses_the_change(full):
    _, ids = full
    at = visit(COMPARE, a=str(ids["baseline"]), b=str(ids["weighted"]))
    first = at.metric[0].delta
    at.button(key="compare_swap").click().run()
    assert at.selectbox(key="compare_a").value == ids["weighted"]
    assert at.metric[0].delta.lstrip("+−") == first.lstrip("+−")
    assert at.metric[0].delta != first


def test_runs_on_other_classes_are_refused_with_a_message(full):
    _, ids = full
    at = visit(COMPARE, a=str(ids["baseline"]), b=str(ids["hundred"]))
    assert "different classes" in at.warning[0].value


def test_more_than_sixty_classes_open_as_a_strip_that_can_be_searched(full):
    _, ids = full
    at = visit(COMPARE, a=str(ids["hundred"]), b=str(ids["hundred_weighted"]))
    assert not at.exception
    assert at.selectbox(key="compare_find")


def test_only_settings_that_differ_are_listed(full):
    _, ids = full
    at = visit(COMPARE, a=str(ids["baseline"]), b=str(ids["weighted"]))
    table = next(d.value for d in at.dataframe if "setting" in d.value)
    settings = table["setting"].str.lower().tolist()
    assert "method" in settings
    assert "epochs" not in settings


def test_on_a_phone_the_settings_that_differ_wrap(full):
    _, ids = full
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()
    at.session_state["narrow_window"] = True  # as the browser reports its window
    at.switch_page(COMPARE)
    at.query_params["a"], at.query_params["b"] = str(ids["baseline"]), str(ids["weighted"])
    at.run()
    table = next(t.value for t in at.table if "setting" in t.value)
    assert "TPRs from" in table["setting"].tolist()
    assert not any("setting" in d.value for d in at.dataframe)


# -- seeds that are added ----------------------------------------------------------------------------------------


def test_more_seeds_are_paired_replicates_and_queued_once(full):
    engine, ids = full
    results.delete(engine, [ids["queued"]])
    queue.ask(engine, ids["running"], "cancel")
    queue.rescue(engine, lambda worker: False)
    before = len(results.list_runs(engine))
    address = {"a": str(ids["baseline"]), "b": str(ids["weighted"])}
    at, other = visit(COMPARE, **address), visit(COMPARE, **address)
    at.button(key="compare_seeds").click().run()
    other.button(key="compare_seeds").click().run()
    new = results.list_runs(engine).sort_values("id").tail(4)
    assert len(results.list_runs(engine)) == before + 4
    assert new["seed"].tolist() == [1, 1, 2, 2]
    assert new["method"].tolist() == ["none", "tpr_ratio"] * 2
    assert new["baseline_id"].iloc[1] == new["id"].iloc[0]
    assert new["group_sha"].iloc[0] == results.get_run(engine, ids["baseline"]).group_sha


def finished_pair(engine, seed, end="succeeded"):
    """The two runs of the first comparison with this seed, trained; `end` is the final status of the weighted one."""
    from core.experiment.presets import FIRST
    from tests.work.kit import pair

    ids = queue.submit(engine, pair(replace(FIRST.baseline, seed=seed), replace(FIRST.weighted, seed=seed)))
    worker = worker_of(engine)
    train(engine, worker, mnist1d(0, seed), 20, seed=seed)
    train(engine, worker, mnist1d(0.4, seed), 20, seed=seed, end=end)
    return [str(i) for i in ids]


def after_a_click_on_add(engine, a, b):
    """Ids of the runs that "Add seeds" queued for this pair."""
    at = visit(COMPARE, a=a, b=b)
    had = set(results.list_runs(engine, archived=None)["id"])
    at.button(key="compare_seeds").click().run()
    assert not at.error
    frame = results.list_runs(engine, archived=None).sort_values("id")
    return frame[~frame["id"].isin(had)]


def test_added_seeds_are_those_that_no_run_of_the_group_has(empty):
    first = finished_pair(empty, 0)
    second = finished_pair(empty, 1)
    results.archive(empty, [int(i) for i in second])
    new = after_a_click_on_add(empty, *first)
    assert new["seed"].tolist() == [2, 2]
    assert new["baseline_id"].iloc[1] == new["id"].iloc[0]
    assert set(new["group_sha"]) == {results.get_run(empty, int(i)).group_sha for i in first}


def test_a_seed_that_one_side_has_is_trained_for_the_other_alone(empty):
    first = finished_pair(empty, 0)
    baseline = results.get_run(empty, int(first[0]))
    worker = worker_of(empty)
    for seed in (2, 1):
        submit(empty, replace(baseline.config, seed=seed), f"MNIST-1D: none, seed {seed}")
        train(empty, worker, mnist1d(0, seed), 20, seed=seed)
    trained = results.list_runs(empty)
    of_seed = dict(zip(trained["seed"], trained["id"], strict=False)) | {0: int(first[0])}
    button = visit(COMPARE, a=first[0], b=first[1]).button(key="compare_seeds")
    assert button.label == "Add 2 seeds"
    assert f"Trains run {first[1]} with seeds 1 and 2." in button.help
    new = after_a_click_on_add(empty, *first)
    assert new["seed"].tolist() == [1, 2]
    assert new["baseline_id"].tolist() == [of_seed[1], of_seed[2]]
    assert set(new["group_sha"]) == {results.get_run(empty, int(first[1])).group_sha}


def test_a_seed_that_failed_on_one_side_is_not_retried_forever(empty):
    first = finished_pair(empty, 0)
    finished_pair(empty, 1, end="failed")
    assert after_a_click_on_add(empty, *first)["seed"].tolist() == [2, 2, 3, 3]


def test_no_seed_waits_for_a_paused_baseline(empty):
    first = finished_pair(empty, 0)
    baseline = results.get_run(empty, int(first[0]))
    queue.ask(empty, submit(empty, replace(baseline.config, seed=1), "MNIST-1D: none, seed 1"), "pause")
    assert after_a_click_on_add(empty, *first)["seed"].tolist() == [2, 2, 3, 3]


def on_baseline(empty, baseline, config, seed):
    """A finished run of this seed on this baseline, whatever seed that has."""
    config = replace(config, seed=seed)
    (made,) = queue.submit(empty, [new_run(config, baseline=baseline.id, baseline_group=baseline.group_sha)])
    train(empty, worker_of(empty), mnist1d(0.4, seed), 20, seed=seed)
    return str(made)


def test_no_seed_is_trained_for_a_pair_that_is_impossible(empty):
    first = finished_pair(empty, 0)
    baseline, weighted = (results.get_run(empty, int(i)) for i in first)
    on_baseline(empty, baseline, weighted.config, 1)
    other = on_baseline(empty, baseline, replace(weighted.config, method="tpr_deficit", params={}), 0)
    for pair in (first, (first[1], other)):
        button = visit(COMPARE, a=pair[0], b=pair[1]).button(key="compare_seeds")
        assert (button.label, "both runs with seeds 2 and 3" in button.help) == ("Add 2 seeds to each", True)


def test_a_baseline_without_influence_on_weights_blocks_no_seed(empty):
    first = finished_pair(empty, 0)
    baseline = results.get_run(empty, int(first[0]))
    focal = replace(baseline.config, method="focal", params={})
    after, _ = (on_baseline(empty, baseline, focal, seed) for seed in (0, 1))
    new = after_a_click_on_add(empty, first[0], after)
    assert new[["method", "seed"]].values.tolist()[0] == ["none", 1]


def test_seeds_can_be_added_again_after_they_were_stopped(empty):
    first = finished_pair(empty, 0)
    new = after_a_click_on_add(empty, *first)
    assert new["seed"].tolist() == [1, 1, 2, 2]
    for run_id in new["id"]:
        queue.ask(empty, int(run_id), "cancel")
    again = after_a_click_on_add(empty, *first)
    assert again["seed"].tolist() == [1, 1, 2, 2]


def test_an_outdated_view_adds_no_seed_twice(empty):
    a, b = finished_pair(empty, 0)
    old = visit(COMPARE, a=a, b=b)
    submit(empty, config_of(epochs=3), "something else")
    after_a_click_on_add(empty, a, b)
    had = len(results.list_runs(empty))
    old.button(key="compare_seeds").click().run()
    assert len(results.list_runs(empty)) == had


def test_two_weighted_runs_get_new_seeds_from_the_baseline_of_the_same_seed(empty):
    """Neither side is the baseline: one replicate of it per seed serves both, and an existing one is reused."""
    base, one = finished_pair(empty, 0)
    finished_pair(empty, 1, end="cancelled")
    there = int(results.list_runs(empty, text="seed 1")["baseline_id"].max())
    row = results.get_run(empty, int(base))
    other = submit(
        empty,
        config_of(**{k: getattr(row.config, k) for k in ("recipe", "epochs")}, method="tpr_deficit"),
        "deficit",
        int(base),
    )
    train(empty, worker_of(empty), mnist1d(0.3), 20)
    new = after_a_click_on_add(empty, one, str(other))
    assert new["seed"].tolist() == [1, 1, 2, 2, 2]
    assert new["method"].tolist() == ["tpr_ratio", "tpr_deficit", "none", "tpr_ratio", "tpr_deficit"]
    assert new["baseline_id"].iloc[:2].tolist() == [there] * 2
    assert new["baseline_id"].iloc[3:].tolist() == [new["id"].iloc[2]] * 2


def test_seeds_of_a_run_with_a_deleted_baseline_are_refused_with_a_message(empty):
    base, weighted = finished_pair(empty, 0)
    other = finished_pair(empty, 1)[0]
    results.delete(empty, [int(base)])
    at = visit(COMPARE, a=other, b=weighted)
    had = len(results.list_runs(empty))
    at.button(key="compare_seeds").click().run()
    assert "baseline was deleted" in at.error[0].value
    assert len(results.list_runs(empty)) == had


CAUTION, NOTE = DominantClass("7", 0.99), ShiftsZero(1, 10)


def said(at):
    """Whether the page shows the caution, as a warning, and the note, as a caption."""
    warnings, captions = ([e.value.replace("\\", "") for e in kind] for kind in (at.main.warning, at.main.caption))
    return text.of(CAUTION) in warnings, f":material/info: {text.of(NOTE)}" in captions


def test_what_added_seeds_say_stays_until_the_next_action(empty, monkeypatch):
    a, b = finished_pair(empty, 0)
    other, _ = finished_pair(empty, 1)
    plans = submission.more_seeds

    def questionable(*about):
        return submission.Plan(plans(*about).rows, (CAUTION, NOTE))

    at = visit(COMPARE, a=a, b=b)
    assert said(at) == (False, False)
    with monkeypatch.context() as patched:
        patched.setattr(submission, "more_seeds", questionable)
        at.button(key="compare_seeds").click().run()
    assert said(at) == (True, True)
    assert said(at.run()) == (True, True), "the page reruns by itself while the runs are trained"
    for run_id in results.list_runs(empty, status="queued")["id"]:
        queue.ask(empty, int(run_id), "cancel")
    assert said(at.run()) == (True, True), "the runs have ended"
    at.button(key="compare_seeds").click().run()
    assert said(at) == (False, False), "this click said nothing"
    at.session_state[navigation.SEEDS_SAID] = ((int(a), int(b)), (CAUTION, NOTE))
    assert said(at.run()) == (True, True)
    at.selectbox(key="compare_a").set_value(int(other)).run()
    assert said(at) == (False, False)
    at.selectbox(key="compare_a").set_value(int(a)).run()
    assert said(at) == (False, False), "back at the pair"
    at.session_state[navigation.SEEDS_SAID] = ((int(a), int(b)), (CAUTION, NOTE))
    at.switch_page(HOME).run()
    assert navigation.SEEDS_SAID not in at.session_state


@pytest.mark.parametrize("query", [{"a": "1"}, {"a": "x", "b": "2"}, {"a": "1", "b": "77"}, {"a": "1", "b": "1"}])
def test_an_incomplete_comparison_asks_for_the_missing_side(full, query):
    at = visit(COMPARE, **query)
    assert not at.exception
    assert at.title[0].value == "Compare"


def test_a_choice_of_runs_is_in_the_address(full):
    _, ids = full
    at = visit(COMPARE, a=ids["baseline"], b=ids["weighted"])
    at.selectbox(key="compare_b").set_value(ids["dynamic"]).run()
    assert at.query_params["b"] == str(ids["dynamic"])
    assert not at.exception
