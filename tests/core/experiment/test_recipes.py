"""Learning rates of the recipes, as their sources state them."""

from __future__ import annotations

import pytest

from core.experiment.recipes import RECIPES


@pytest.mark.parametrize(
    ("recipe", "factors"),
    [
        ("sgd_constant", {0: 1.0, 0.5: 1.0, 0.99: 1.0}),
        ("sgd_cosine", {0: 1.0, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25}),
        ("adam_cycle", {0: 0.04, 0.15: 0.52, 0.3: 1.0, 0.65: 0.5}),
        # Cao et al. (2019), 200 epochs: epoch / 5 in the first five, x .01 after 160, x .0001 after 180
        ("sgd_steps", {0: 0.02, 2 / 200: 0.4, 5 / 200: 1.0, 159 / 200: 1.0, 161 / 200: 0.01, 181 / 200: 0.0001}),
    ],
)
def test_the_learning_rate_is_that_of_the_source(recipe, factors):
    assert [RECIPES[recipe].factor(t) for t in factors] == pytest.approx(list(factors.values()))
