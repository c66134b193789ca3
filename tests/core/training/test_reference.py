"""The plain loop that a newcomer reads first, and the engine: two programs, one result."""

import runpy
import sys
from dataclasses import replace

import numpy as np
import pytest

from core.errors import EvenlyError
from core.experiment.config import RunConfig
from core.experiment.recipes import RECIPES
from core.training import reference
from storage import results
from storage.jobs import queue
from tests.work.kit import drained, pair, working

EPOCHS = 2  # of 40 steps; the learning rate rises and falls within them


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A worker whose data folder serves the whole file: drawing MNIST-1D takes longer than these runs."""
    with working(tmp_path_factory.mktemp("reference")) as worker:
        yield worker


@pytest.mark.parametrize(("method", "seed"), [("tpr_ratio", 0), ("tpr_deficit", 1)])
def test_the_engine_ends_with_the_counts_of_the_plain_loop(one, monkeypatch, method, seed):
    """On one CPU thread parameters, order, rates and rounding are the same, bit for bit: not one prediction may differ."""
    monkeypatch.setattr(reference, "EPOCHS", EPOCHS)
    weight, (plain, weighted) = reference.experiment(method, seed, str(one.root))
    config = RunConfig("mnist1d", "cnn1d", epochs=EPOCHS, seed=seed, device="cpu")
    ids = queue.submit(one.engine, pair(config, replace(config, method=method)))
    assert [drained(one, run).status for run in ids] == ["succeeded", "succeeded"]
    assert results.class_counts(one.engine, ids[1], "train").weight == pytest.approx(weight.numpy(), rel=1e-9)
    for run, (tp, n) in zip(ids, (plain, weighted), strict=True):
        counts = results.class_counts(one.engine, run, "test")
        assert counts.tp.tolist() == tp.tolist()
        assert counts.support.tolist() == n.tolist()
    assert not np.array_equal(plain[0], weighted[0]), "the weights changed nothing, so nothing was compared"


def test_its_numbers_are_those_of_the_recipe():
    """The epochs too, which the comparison above shortens."""
    recipe = RECIPES["adam_cycle"]
    given = {p.key: p.default for p in recipe.params}
    assert recipe.epochs == reference.EPOCHS
    assert given == {"batch_size": reference.BATCH, "lr": reference.RATE, "weight_decay": reference.DECAY}


@pytest.mark.parametrize("method", ["none", "cdb", "poly_tail", "balanced_softmax"])
def test_what_is_not_one_weight_per_class_is_refused(one, monkeypatch, method):
    monkeypatch.setattr(reference, "EPOCHS", 0)
    with pytest.raises(EvenlyError, match=f"{method} does not set one fixed weight per class; choose .* tpr_ratio"):
        reference.experiment(method, 0, str(one.root))


@pytest.mark.parametrize("words", [[], ["tpr_ratio"], ["tpr_ratios", "0"], ["tpr_ratio", "-1"]])
def test_a_wrong_call_says_what_is_expected(monkeypatch, words):
    monkeypatch.setattr(sys, "argv", [reference.__file__, *words])
    with pytest.raises(SystemExit, match=f"such as tpr_ratio 0, got: {' '.join(words)}$"):
        runpy.run_path(reference.__file__, run_name="__main__")


def test_it_stays_short():
    with open(reference.__file__, encoding="utf-8") as file:
        assert len(file.readlines()) <= 80
