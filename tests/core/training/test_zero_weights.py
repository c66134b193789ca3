"""Classes of weight 0: a batch of nothing else teaches nothing, and breaks nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.errors import TrainingError
from core.methods.types import ClassTerms
from core.training.device import choose
from core.training.losses import REDUCTIONS, reduced
from core.training.train_step import GraphStep
from core.training.trainer import Trainer
from tests.core.training.kit import C, loss_and_slope, make, of_logits, random_logits
from tests.core.training.test_trainer import CLASSES, make_config, make_model, make_splits, make_trainer

TERMS = (
    "terms",
    "sigmoid",
    "poly_tail",
)  # the objectives that take the terms' weight; oltr stands on the same function


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("key", TERMS)
def test_a_batch_of_classes_of_weight_0_has_loss_0_and_gradient_0(key, reduction):
    logits, _ = random_logits()
    labels = torch.zeros(len(logits), dtype=torch.int64)
    weight = torch.tensor([0.0] + [2.0] * (C - 1), dtype=torch.float64)
    loss, slope = loss_and_slope(make(key), of_logits(logits, labels, {"weight": weight}, reduction))
    assert loss.item() == 0
    assert torch.equal(slope, torch.zeros_like(slope))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_other_batch_is_divided_by_the_sum_of_its_weights_to_the_bit(dtype):
    g = torch.Generator().manual_seed(1)
    for scale in (1.0, 1e-20, 1e20):
        losses, labels = torch.rand(64, generator=g, dtype=dtype), torch.randint(0, C, (64,), generator=g)
        weight = torch.tensor([0.0, 1.0, 3.0, 0.2], dtype=dtype) * scale
        w = weight[labels]
        assert torch.equal(reduced(losses, labels, weight, "weighted_mean"), (w * losses).sum() / w.sum())


def with_weight(*weight):
    return lambda *_: ClassTerms(weight=np.array(weight))


def test_a_run_with_such_batches_ends_with_a_finite_loss_and_knows_the_other_classes():
    """Batches of 3: about one in eight holds only the two classes without weight."""
    trainer = make_trainer(with_weight(0.0, 0.0, 2.0, 2.0), recipe_params={"batch_size": 3, "lr": 0.003}, epochs=3)
    results = list(trainer.run())
    for result in results:
        assert math.isfinite(result.splits["train"].loss)
        assert result.splits["train"].confusion.sum() == 210
    tp, n = np.diag(results[-1].splits["test"].confusion), results[-1].splits["test"].confusion.sum(axis=1)
    assert (tp / n)[2:].min() > 0.8


@pytest.mark.gpu
def test_a_captured_step_takes_such_batches_too():
    device = choose("cuda")
    splits = {
        name: type(part)(
            part.x.cpu().numpy(),
            part.labels.cpu().numpy(),
            np.zeros(2, np.float32),
            np.ones(2, np.float32),
            device,
            "none",
        )
        for name, part in make_splits().items()
    }
    config = make_config(recipe_params={"batch_size": 3, "lr": 0.003}, epochs=2)
    trainer = Trainer(config, splits, make_model(), with_weight(0.0, 0.0, 2.0, 2.0), CLASSES, device)
    assert all(math.isfinite(result.splits["train"].loss) for result in trainer.run())
    assert isinstance(trainer._made, GraphStep)


@pytest.mark.parametrize(
    ("method", "params", "advice"),
    [
        ("none", {}, "train again with a lower learning rate"),
        ("manual", {"weights": "1,1,1,1"}, "train again with a lower learning rate"),
        ("tpr_ratio", {"exponent": 2.0}, "train again with a lower learning rate or another exponent of TPR ratio"),
    ],
)
def test_a_loss_that_is_not_finite_names_only_what_the_run_can_change(method, params, advice):
    trainer = make_trainer(
        with_weight(1.0, 1.0, 1.0, 1.0),
        method=method,
        params=params,
        recipe="sgd_constant",
        recipe_params={"batch_size": 32, "lr": 1e6},
    )
    with pytest.raises(TrainingError) as error:
        list(trainer.run())
    assert str(error.value).endswith(f"; {advice}")
