"""What a run is called: enough to tell it from others, and no more."""

import pytest

from core.experiment.config import usual_epochs
from core.experiment.recipes import RECIPES
from core.methods import METHODS, POSTHOC
from services.posthoc import plan_step
from services.queue_rows import new_run
from services.run_names import dataset_label, dataset_labels
from services.submission import more_seeds
from storage import results
from storage.db.paths import data_root
from tests.pages.components.new_run.kit import baselines
from tests.seed import config_of, submit


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "MNIST-1D: None, seed 0"),
        ({"sampler": "balanced", "start": 0.8}, "MNIST-1D: None, sampler balanced, from 80 %, seed 0"),
        ({"method": "tau_norm"}, "MNIST-1D: Tau-normalized classifier, tau 0.7, seed 0"),
        (
            {"method": "tau_norm", "params": {"bias": "keep"}},
            "MNIST-1D: Tau-normalized classifier, tau 0.7, bias of the layer keep, seed 0",
        ),
        ({"method": "focal", "params": {"form": "sigmoid"}}, "MNIST-1D: Focal, form sigmoid, seed 0"),
    ],
)
def test_runs_that_differ_have_names_that_differ(settings, name):
    assert new_run(config_of(epochs=20, **settings)).name == name


@pytest.mark.parametrize("method", METHODS)
def test_the_usual_number_of_epochs_is_the_methods_own_else_the_recipes(method):
    wanted = 1 if method.stage == POSTHOC else method.epochs or RECIPES["sgd_cosine"].epochs
    assert usual_epochs(method.key, "sgd_cosine") == wanted
    settings = {"method": method.key, "recipe": "sgd_cosine", "params": method.tested(10)}
    assert "epoch" not in new_run(config_of(epochs=wanted, **settings)).name.partition(":")[2]


# -- the dataset -------------------------------------------------------------------------------------------------

CATS, MORE_CATS, DOGS = (f"uploads/{n * 12}-{name}.zip" for n, name in (("0", "cats"), ("1", "cats"), ("2", "dogs")))


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    """A data folder with two uploads of one name and one of another."""
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    (tmp_path / "uploads").mkdir()
    for key in (CATS, MORE_CATS, DOGS):
        (tmp_path / key).touch()


def test_your_own_images_are_called_what_new_run_calls_them(uploads):
    assert {key: label for key, label in dataset_labels().items() if key in (CATS, MORE_CATS, DOGS)} == {
        CATS: f"cats (your images), {CATS}",
        MORE_CATS: f"cats (your images), {MORE_CATS}",
        DOGS: "dogs (your images)",
    }
    assert new_run(config_of(dataset=DOGS, epochs=20)).name == "dogs (your images): None, seed 0"


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("mnist1d", "MNIST-1D"),
        (CATS, f"cats (your images), {CATS}"),
        (f"{DOGS}@64", "dogs@64 (your images)"),
        ("/elsewhere/birds", "birds (your images)"),
        ("gone.zip", "gone (your images)"),
    ],
)
def test_images_elsewhere_at_a_size_or_gone_have_a_label(uploads, key, label):
    assert dataset_label(key) == label


def test_seeds_added_to_runs_on_an_upload_have_the_name_of_the_first(empty):
    """Its images are not prepared."""
    root = data_root()
    (root / "uploads").mkdir(parents=True, exist_ok=True)
    (root / DOGS).touch()
    first = new_run(config_of(dataset=DOGS, model="cnn", epochs=20))
    row = results.get_run(empty, submit(empty, first.config, first.name))
    (second,) = more_seeds(empty, results.list_runs(empty), row, row, [1]).rows
    assert second.name == first.name.replace("seed 0", "seed 1")


def test_the_name_of_a_step_does_not_depend_on_what_a_person_called_the_run(empty):
    (run,) = baselines(empty, 0)
    results.rename(empty, run, "my best: so far")
    (step,) = plan_step(empty, results.get_run(empty, run), "equal_tpr_bias", {}).rows
    assert step.name.startswith("MNIST-1D: Equal-TPR bias")
