"""What a run is called: enough to tell it from others, and no more."""

import pytest

from core.experiment.config import usual_epochs
from core.experiment.recipes import RECIPES
from core.methods import METHODS, POSTHOC
from services.submission import new_run
from tests.seed import config_of


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
    assert new_run(config_of(epochs=20, **settings), "MNIST-1D").name == name


@pytest.mark.parametrize("method", METHODS)
def test_the_usual_number_of_epochs_is_the_methods_own_else_the_recipes(method):
    wanted = 1 if method.stage == POSTHOC else method.epochs or RECIPES["sgd_cosine"].epochs
    assert usual_epochs(method.key, "sgd_cosine") == wanted
    settings = {"method": method.key, "recipe": "sgd_cosine", "params": method.tested(10)}
    assert "epoch" not in new_run(config_of(epochs=wanted, **settings), "MNIST-1D").name.partition(":")[2]
