"""New run as a person uses it: which baseline a seed takes, a long tail in sight, what is kept, what is refused and what is said."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seed import config_of, mnist1d, submit, train, worker_of
from streamlit.testing.v1 import AppTest

from core.datasets import DATASETS, describe, prepare
from core.enough import few_validation, half_width, no_validation
from core.errors import EvenlyError
from core.metrics import wilson
from core.tprs import parse
from pages.parts import new_evidence, preview, words
from storage import results
from storage.engine import open_database
from storage.launch import by_seed, data_words, other_data, pairing
from storage.migrate import upgrade

ROOT = Path(__file__).resolve().parents[1]
NEW, RUNS = "pages/views/new_run.py", "pages/views/runs.py"


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """A migrated database without a run, in a data folder of its own."""
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
    engine = open_database(role="worker")
    upgrade(engine)
    return engine


def baselines(engine, *seeds, **settings):
    """Finished unweighted runs, one per seed; their ids."""
    worker, ids = worker_of(engine), []
    for seed in seeds:
        config = config_of(epochs=20, seed=seed, **settings)
        ids.append(submit(engine, config, f"{data_words(config, 'MNIST-1D')}: none, seed {seed}"))
        train(engine, worker, mnist1d(0, seed), 20, seed=seed, matrices=False)
    return ids


def visit(page=NEW):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).run()
    at.switch_page(page).run()
    assert not at.exception, at.exception
    return at


def captions(at):
    return "\n".join(c.value for c in at.caption)


def started(at, engine):
    """The rows that Start queued, oldest first."""
    had = set(results.list_runs(engine, archived=None)["id"])
    assert not at.button(key="new_start").disabled, captions(at)
    at.button(key="new_start").click().run()
    assert not at.exception, at.exception
    frame = results.list_runs(engine, archived=None).sort_values("id")
    return [results.get_run(engine, int(i)) for i in frame["id"] if i not in had]


def images(folder, counts, spoilt=()):
    """An image folder with so many pictures per class; the classes in `spoilt` get a file that is none as well."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (16, 16), (i, 90, 9)).save(folder / name / f"{i:03d}.png")
        if name in spoilt:
            (folder / name / "broken.png").write_bytes(b"no image")


# -- seeds -------------------------------------------------------------------------------------------------------


def test_the_preset_baseline_has_the_seed_of_the_run(engine):
    ids = baselines(engine, 0, 1, 2)
    at = visit()
    assert at.selectbox(key="new_baseline").value == str(ids[0])
    at.number_input(key="new_run_seed").set_value(2).run()
    assert at.selectbox(key="new_baseline").value == str(ids[2])


def test_each_replicate_takes_the_baseline_of_its_own_seed_and_the_missing_one_is_trained_first(engine):
    ids = baselines(engine, 0, 1)
    at = visit()
    at.number_input(key="new_replicates").set_value(3).run()
    assert f"Baselines: run {ids[0]} for seed 0 and run {ids[1]} for seed 1; for seed 2 a baseline is trained first." in captions(at)
    assert at.button(key="new_start").label == "Start 4 runs"
    first, *weighted = started(at, engine)
    assert (first.method, first.seed, first.group_sha) == ("none", 2, results.get_run(engine, ids[0]).group_sha)
    assert [(r.seed, r.baseline_id) for r in weighted] == [(0, ids[0]), (1, ids[1]), (2, first.id)]
    assert len({r.group_sha for r in weighted}) == 1


def test_a_replicate_that_is_still_on_its_way_is_not_trained_twice(engine):
    (base,) = baselines(engine, 0)
    coming = submit(engine, config_of(epochs=20, seed=1), "on its way")
    at = visit()
    at.number_input(key="new_replicates").set_value(2).run()
    assert [(r.seed, r.baseline_id) for r in started(at, engine)] == [(0, base), (1, coming)]


def test_a_baseline_of_another_seed_is_taken_only_where_a_person_says_so_and_told(engine):
    ids = baselines(engine, 2)
    at = visit()
    assert "For seed 0 a baseline is trained first" in captions(at)
    at.checkbox(key="new_one_baseline").check().run()
    assert f"Run {ids[0]} has seed 2, so the weights of seed 0 come from another network" in captions(at)
    assert "--same-baseline" in at.code[0].value
    (row,) = started(at, engine)
    assert row.baseline_id == ids[0]


def test_the_preview_shows_the_baseline_of_the_first_seed(engine):
    ids = baselines(engine, 0, 1)
    at = visit()
    at.selectbox(key="new_baseline").set_value(str(ids[1])).run()
    assert at.subheader[0].value.endswith(f"from run {ids[0]}")


def test_the_commands_train_the_missing_baselines_too(engine):
    (base,) = baselines(engine, 0)
    at = visit()
    at.number_input(key="new_replicates").set_value(2).run()
    first, then = at.code[0].value.split("\n# then:\n")
    assert "--method none" in first
    assert first.endswith("--seed 1")
    assert then.endswith(f"--baseline {base} --seeds 2")


def test_seed_and_run_of_a_group():
    import pandas as pd

    frame = pd.DataFrame({"id": [1, 2, 3, 4, 5, 6], "seed": [0, 0, 1, 1, 2, 3], "group_sha": list("aaaaab"),
                          "status": ["succeeded", "queued", "succeeded", "succeeded", "failed", "succeeded"]})
    assert by_seed(frame, "a") == {0: 1, 1: 4}
    assert pairing({0: 1, 1: 1}) == "Baseline: run 1 for every seed."
    assert pairing({0: 1, 1: None, 2: None}) == "Baseline: run 1 for seed 0; for seeds 1 and 2 a baseline is trained first."


def test_what_another_page_asks_for_is_taken_though_it_is_no_newest_baseline(engine):
    old = baselines(engine, 0)
    visit()
    baselines(engine, 0, recipe="sgd_cosine")
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).run()
    at.switch_page("pages/views/run.py")
    at.query_params["id"] = str(old[0])
    at.run()
    at.button(key="run_use").click().run()
    assert at.selectbox(key="new_baseline").value == str(old[0])


# -- a long tail -------------------------------------------------------------------------------------------------


def test_a_long_tail_shows_in_counts_names_and_the_choice_of_baselines(engine):
    balanced = baselines(engine, 0)
    at = visit()
    at.number_input(key="new_run_imbalance").set_value(100.0).run()
    assert "1,003 samples to train (tail 100: 398 to 4 a class)" in captions(at)
    assert at.selectbox(key="new_baseline").value == new_evidence.TRAIN_FIRST, "a balanced baseline is no baseline of this run"
    assert [r.name for r in started(at, engine)] == [
        "MNIST-1D, tail 100: None (plain cross entropy), seed 0", "MNIST-1D, tail 100: TPR ratio, exponent 2, seed 0"]
    at = visit()
    at.number_input(key="new_run_imbalance").set_value(100.0).run()
    at.selectbox(key="new_baseline").set_value(new_evidence.OTHERS).run()
    assert at.selectbox(key="new_baseline_other").options == [f"Run {balanced[0]}: MNIST-1D: none, seed 0 (no long tail)"]
    assert "differs from this run" in captions(at)
    assert started(at, engine)[0].baseline_id == balanced[0]


def test_back_without_the_tail_the_baseline_is_back(engine):
    balanced, tailed = baselines(engine, 0), baselines(engine, 0, imbalance=100.0)
    at = visit()
    assert at.selectbox(key="new_baseline").value == str(balanced[0])
    at.number_input(key="new_run_imbalance").set_value(100.0).run()
    assert at.selectbox(key="new_baseline").value == str(tailed[0])
    at.number_input(key="new_run_imbalance").set_value(1.0).run()
    assert at.selectbox(key="new_baseline").value == str(balanced[0])


@pytest.mark.parametrize(("theirs", "own", "text"), [
    ({}, False, ""), ({"imbalance": 100.0}, False, "tail 100"), ({"imbalance": 10.0, "profile": "step"}, True, "step tail 10"),
    ({"validation": 0.2}, False, "validation share 0.2"), ({"validation": 0.2}, True, ""), ({"profile": "step"}, False, ""),
])
def test_what_is_other_data(theirs, own, text):
    assert other_data(config_of(), {"imbalance": 1.0, "profile": "exponential", "validation": 0.1} | theirs, own) == text


def test_a_baseline_of_another_network_is_one_of_the_others(engine):
    baselines(engine, 0, model="mlp")
    at = visit()
    assert at.selectbox(key="model").value == "cnn1d"
    assert at.selectbox(key="new_baseline").value == new_evidence.TRAIN_FIRST
    at.selectbox(key="model").set_value("mlp").run()
    assert at.selectbox(key="new_baseline").value == "1"


# -- the slider and the formula ----------------------------------------------------------------------------------


def test_with_a_baseline_trained_first_the_slider_is_there_and_counts(engine):
    at = visit()
    assert at.selectbox(key="new_baseline").value == new_evidence.TRAIN_FIRST
    at.session_state["new_preview_tpr_ratio"] = {"value": 3.5}
    at.run()
    assert started(at, engine)[1].config["params"]["exponent"] == 3.5


def test_the_slider_alone_has_every_stop_and_its_formula():
    from core.methods import METHODS, slider_param
    from pages.parts.palette import LIGHT

    param = slider_param(METHODS["tpr_ratio"])
    data = preview.slider_alone([0.0, 2.5], ["w_c = 1", r"w_c \propto 2^{2.5}"], param, 2.5, LIGHT)
    assert (data["names"], data["shown"], data["formula"]) == ([], ["0.00", "2.50"], ["w = 1", "w ∝ 2^2.5"])
    assert all(len(data[k]) == 2 for k in ("grid", "level", "top", "clipped", "facts", "notes", "alt", "values"))


@pytest.mark.parametrize(("method", "typeset"), [("tpr_ratio", False), ("class_balanced", False), ("cdb", True), ("inverse_frequency", True), ("focal", True)])
def test_there_is_one_formula_and_it_is_the_preview_s_where_that_has_a_slider(engine, method, typeset):
    baselines(engine, 0)
    at = visit()
    at.selectbox(key="method").set_value(method).run()
    assert any("displaystyle" in m.value for m in at.markdown) == typeset


def test_the_source_of_a_method_is_linked(engine):
    assert any("(https://stats.stackexchange.com/q/524331)" in m.value for m in visit().markdown)


def test_count_times_weight_is_called_a_share_of_the_weight(engine):
    from core.methods import METHODS, grid, slider_param, what_if
    from pages.parts.palette import LIGHT

    tpr = np.array([0.9, 0.6])
    answers = grid("tpr_ratio", what_if(2, tpr=tpr, counts=np.array([30.0, 10.0])), {"exponent": 1.0})
    data = preview.payload(["a", "b"], np.arange(2), tpr, answers, slider_param(METHODS["tpr_ratio"]), 1.0, LIGHT)
    assert data["facts"][0][1][1].startswith("share of the weight")
    assert "share of the weight" in data["words"]["legend"]
    assert data["shares"][data["values"].index(1.0)] == pytest.approx([2 / 3, 1 / 3], abs=1e-4)  # 30 / .9 against 10 / .6
    assert "of the loss" not in str(data)


# -- what is kept ------------------------------------------------------------------------------------------------


def test_settings_outlive_a_visit_to_another_page(engine):
    baselines(engine, 0, 5)
    at = visit()
    at.selectbox(key="method").set_value("tpr_deficit").run()
    at.number_input(key="new_run_seed").set_value(5)
    at.number_input(key="new_replicates").set_value(2)
    at.number_input(key="new_run_imbalance").set_value(3.0)
    at.session_state["new_preview_tpr_deficit"] = {"value": 1.5}
    at.run()
    at.switch_page(RUNS).run()
    at.switch_page(NEW).run()
    assert at.selectbox(key="method").value == "tpr_deficit"
    assert [at.number_input(key=k).value for k in ("new_run_seed", "new_replicates", "new_run_imbalance")] == [5, 2, 3.0]
    assert "--param tau=1.5" in at.code[0].value


def test_the_batch_size_comes_back_after_a_small_dataset(engine, tmp_path):
    images(tmp_path / "tiny", {"ant": 6, "bee": 6})
    tiny = prepare("tiny", tmp_path)
    samples = int(tiny.train_counts.sum())
    at = visit()
    for dataset, batch in ((tiny.key, samples), ("mnist1d", 100)):
        at.selectbox(key="dataset").set_value(dataset).run()
        assert at.number_input(key="new_adam_cycle_batch_size").value == batch
    at.number_input(key="new_adam_cycle_batch_size").set_value(7).run()
    at.selectbox(key="dataset").set_value("digits").run()
    assert at.number_input(key="new_adam_cycle_batch_size").value == 7, "typed by a person"


# -- the data ----------------------------------------------------------------------------------------------------


def test_without_a_validation_sample_nothing_can_start(engine, tmp_path):
    images(tmp_path / "single", {"ant": 1, "bee": 1})
    prepare("single", tmp_path)
    at = visit()
    at.selectbox(key="dataset").set_value("single").run()
    assert at.button(key="new_start").disabled
    assert "There are 2 samples to train and 0 to validate" in captions(at)
    assert "give every class at least 3 images" in captions(at)


def test_three_images_a_class_are_enough_to_start(engine, tmp_path):
    images(tmp_path / "three", {"ant": 3, "bee": 3})
    assert no_validation(prepare("three", tmp_path), 2) == ""


def test_few_validation_samples_are_said_with_what_they_are_worth(engine, tmp_path):
    images(tmp_path / "uneven", {"ant": 60, "bee": 300})
    prepare("uneven", tmp_path)
    spec = describe("uneven", tmp_path)
    low, high = wilson(2.5, 5)
    assert spec.val_counts.tolist() == [5, 24]
    assert half_width(5) == pytest.approx((high - low) / 2)
    assert few_validation(spec) == "Class ant has 5 validation samples: its TPR is known only to about ±33 points (95 %). Raise the validation share or add images."
    assert few_validation(describe("uneven", tmp_path, 0.3)) == ""
    at = visit()
    at.selectbox(key="dataset").set_value("uneven").run()
    assert "±33 points" in captions(at)
    at.number_input(key="new_run_validation").set_value(0.3).run()
    assert "±33 points" not in captions(at)
    assert "72 to validate" not in captions(at)
    assert f"{int(describe('uneven', tmp_path, 0.3).val_counts.sum())} to validate" in captions(at), "the counts follow the share"


def test_a_validation_share_without_a_say_is_off_with_the_reason(engine):
    at = visit()
    share = next(n for n in at.number_input if n.label == "Validation share")
    assert share.disabled
    assert "brings its own validation split" in captions(at)
    at.selectbox(key="dataset").set_value("digits").run()
    assert not at.number_input(key="new_run_validation").disabled


def test_images_that_were_left_out_and_an_upload_that_was_added_are_said(engine, tmp_path):
    images(tmp_path / "spoilt", {"ant": 80, "bee": 80}, spoilt=("ant",))
    prepare("spoilt", tmp_path)
    at = visit()
    at.session_state["new_prefill"] = {"config": {"dataset": "spoilt"}}  # as a press of "Add to the datasets" leaves them
    at.session_state["new_added"] = "spoilt"
    at.run()
    assert "1 image could not be read and was left out: 'ant/broken.png'" in captions(at).replace("\\", "")
    assert "Added to the datasets and chosen: spoilt" in at.success[0].value
    at.selectbox(key="dataset").set_value("mnist1d").run()
    assert not at.success
    assert "left out" not in captions(at)


@pytest.mark.parametrize("dataset", [d.key for d in DATASETS])
def test_data_that_must_be_fetched_is_said_in_plain_sight(engine, dataset):
    at = visit()
    at.selectbox(key="dataset").set_value(dataset).run()
    assert ("Not prepared on this machine yet" in captions(at)) == (not DATASETS[dataset].embedded)
    assert "170 MB" in captions(at) or dataset != "cifar10"


# -- TPRs of one's own -------------------------------------------------------------------------------------------


def test_pasted_tprs_and_a_file_together_are_refused(monkeypatch):
    said = []
    monkeypatch.setattr(new_evidence.st, "error", lambda text, **_: said.append(text))
    spec = describe("digits", Path())
    text, data = "\n".join(["0.5"] * 10), b"0.9\n" * 10
    assert new_evidence.read_given(spec, text, "mine.csv", data).tpr is None
    assert "There are pasted TPRs and the file mine.csv" in said[0]
    assert new_evidence.read_given(spec, text, None, b"").name == "pasted TPRs"
    assert new_evidence.read_given(spec, "", "mine.csv", data).tpr.tolist() == [0.9] * 10


def test_a_printed_array_is_read(engine):
    at = visit()
    at.selectbox(key="new_baseline").set_value("given").run()
    at.text_area(key="new_tpr_text").set_value(str(np.linspace(0.5, 0.95, 10))).run()
    assert not at.error
    assert started(at, engine)[0].config["tpr"] == pytest.approx(np.linspace(0.5, 0.95, 10).tolist())


@pytest.mark.parametrize(("text", "shown"), [
    ("notzip.zip is not a zip archive", "notzip.zip is not a zip archive"), ("tpr_ratio needs counts", "tpr\\_ratio needs counts"),
    ("insects: no images found", "insects\\: no images found"), ("no images found", "No images found"), ("line 3: 'x' is", "Line 3\\: 'x' is"),
])
def test_a_name_at_the_head_of_a_message_keeps_its_letters(text, shown):
    assert words.message(text) == shown


@pytest.mark.parametrize("text", [
    "0.6 0.7 0.95", "[0.6  0.7  0.95]", "[0.6 0.7\n 0.95]", "array([0.6 , 0.7 , 0.95])", "array([0.6, 0.7, 0.95], dtype=float32)", "60% 70% 95%",
    "[0.6, 0.7, 0.95]", "0.6   0.7\n0.95\n",
])
def test_numbers_with_blanks_between_them(text):
    assert parse(text, ("cat", "dog", "car"))[0].tolist() == [0.6, 0.7, 0.95]


@pytest.mark.parametrize(("text", "classes"), [("0.9 " * 500 + "x", 3), ("y" * 500 + ",0.5\nb,0.5", ("a", "b")), ("a,0.5\nb,0.5", ("n" * 500, "m" * 500))])
def test_an_error_repeats_forty_characters_at_most(text, classes):
    with pytest.raises(EvenlyError) as caught:
        parse(text, classes)
    assert max(map(len, re.findall(r"'([^']*)'", str(caught.value)))) <= 40
