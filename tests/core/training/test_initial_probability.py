"""The biases that a sigmoid loss starts from: what they spare the first steps, that weight decay leaves them alone, and where they go."""

import math

import pytest
import torch
from torch import nn

from core.experiment.config import RunConfig, checked
from core.methods import answer
from core.methods.types import Evidence
from core.training.device import choose
from core.training.objectives import Batch, objective_class
from core.training.optimizer import build_optimizer
from models import MODELS
from models.networks.heads import Prior, attach

CPU = choose("cpu")


def network(classes, **knobs):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = MODELS["mlp"].build((1, 8), classes)
        return attach(made, "linear", knobs) if knobs else made


def knobs_of(key, classes, **params):
    return dict(answer(key, Evidence(classes, counts=[10] * classes), params).knobs)


def first_loss(classes, knobs):
    """Loss of a fresh network under the sigmoid loss without focus, and the norm of its bias's gradient."""
    model = network(classes, **({"prior": knobs["prior"]} if "prior" in knobs else {}))
    x, labels = torch.randn(200, 1, 8, generator=torch.Generator().manual_seed(1)), torch.arange(200) % classes
    loss, _ = objective_class("sigmoid")(classes, {}, None)(Batch(model, x, labels, {}, "batch_mean"))
    loss.backward()
    return loss.item(), model.head.bias.grad.norm().item()


@pytest.mark.parametrize("classes", [100, 1000])
def test_the_first_loss_is_no_longer_a_sum_of_false_halves(classes):
    before, slope = first_loss(classes, {})
    after, gentle = first_loss(classes, knobs_of("focal", classes, form="sigmoid"))
    assert before == pytest.approx(classes * math.log(2), rel=0.1)
    assert after < math.log(classes) + 2
    assert gentle < slope / 20


@pytest.mark.parametrize(
    ("key", "params", "bias"),
    [
        ("focal", {"form": "sigmoid"}, -math.log(99)),
        ("focal", {"form": "sigmoid", "prior": 0.01}, -math.log(99)),
        ("focal", {"form": "sigmoid", "prior": "off"}, None),
        ("focal", {}, None),
        ("eql", {}, -math.log(999)),
        ("eql", {"prior": "1/C"}, -math.log(99)),
        ("seql", {}, None),
        ("ghm", {}, None),
        ("ghm", {"prior": "1/C"}, -math.log(99)),
    ],
)
def test_which_rows_ask_for_it(key, params, bias):
    """-ln(C - 1) in the class-balanced code, .001 in the equalization loss's, nothing where a softmax makes it meaningless."""
    knobs = knobs_of(key, 100, **params)
    assert ("prior" in knobs) == (bias is not None)
    if bias is not None:
        torch.testing.assert_close(network(100, prior=knobs["prior"]).head.bias.detach(), torch.full((100,), bias))


def test_the_rest_of_the_network_starts_as_without_it():
    plain, with_it = network(10), network(10, prior=0.1)
    for (name, a), (_, b) in zip(plain.state_dict().items(), with_it.state_dict().items(), strict=True):
        assert torch.equal(a, b) == (name != "head.bias"), name
    assert isinstance(with_it.head, nn.Linear)
    assert with_it.load_state_dict(plain.state_dict())


@pytest.mark.parametrize("recipe", ["adam_cycle", "sgd_step"])
def test_weight_decay_leaves_the_biases_alone(recipe):
    from core.experiment.recipes import RECIPES

    key = recipe if recipe in RECIPES else next(r.key for r in RECIPES if r.optimizer == "sgd")
    config = checked(RunConfig("mnist1d", "mlp", recipe=key, recipe_params={"weight_decay": 0.1}))
    model = network(10, prior=0.1)
    optimizer = build_optimizer(config, model, CPU)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert torch.equal(model.head.bias, before["head.bias"])
    assert not torch.equal(model.head.weight, before["head.weight"])
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(model.parameters()))


def test_a_run_without_it_has_the_parameter_groups_it_always_had():
    config = checked(RunConfig("mnist1d", "mlp"))
    assert len(build_optimizer(config, network(10), CPU).param_groups) == 1
    assert len(build_optimizer(config, network(10), CPU, 0.1).param_groups) == 2
    assert len(build_optimizer(config, network(10, prior=0.1), CPU, 0.1).param_groups) == 3


def test_a_frozen_head_is_in_no_group():
    made = attach(network(10, prior=0.1), "scaled", {})
    assert isinstance(made.head.head, Prior)
    (group,) = build_optimizer(checked(RunConfig("mnist1d", "mlp")), made, CPU).param_groups
    assert all(p is not made.head.head.bias for p in group["params"])
