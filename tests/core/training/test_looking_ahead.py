"""Objectives that take a virtual step: their weights and gradients against finite differences."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from core.errors import EvenlyError
from core.training.losses import REDUCTIONS
from tests.core.training.kit import LOOKS_AHEAD, B, C, batch, double, make, net, seeded


def virtual_meta_loss(model, given, weights, step):
    """L_meta(theta - step grad sum_i a_i l_i), on a copy of the model, without any graph."""
    moved = copy.deepcopy(model)
    losses = cross_entropy(moved(given.x), given.labels, reduction="none")
    grads = torch.autograd.grad((weights * losses).sum(), list(moved.parameters()))
    with torch.no_grad():
        for p, g in zip(moved.parameters(), grads, strict=True):
            p -= step * g
    x, labels = given.meta()
    return cross_entropy(moved(x), labels).item()


def expected_l2rw(model, given, h=1e-5):
    """The weights by central differences in every eps."""
    u = []
    for i in range(len(given.labels)):
        eps = torch.zeros(len(given.labels), dtype=torch.float64)
        eps[i] = h
        u.append((virtual_meta_loss(model, given, -eps, 1.0) - virtual_meta_loss(model, given, eps, 1.0)) / (2 * h))
    u = torch.tensor(u, dtype=torch.float64).clamp_min(0)
    return u / u.sum()


def test_l2rw_weights_are_those_of_finite_differences():
    for step in range(3):
        model = net()
        given = batch(model, step)
        weights = expected_l2rw(model, given)
        plain = copy.deepcopy(model)
        assert 0 < (weights > 0).sum() < B, "some samples help and some do not"
        loss, _ = make("l2rw")(given)
        expected = (weights * cross_entropy(plain(given.x), given.labels, reduction="none")).sum()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-7)
        for p, q in zip(
            torch.autograd.grad(loss, list(model.parameters())),
            torch.autograd.grad(expected, list(plain.parameters())),
            strict=True,
        ):
            assert torch.allclose(p, q, atol=1e-7)


def test_l2rw_weights_do_not_depend_on_the_rate():
    losses = [make("l2rw")(batch(net(), rate=rate))[0].item() for rate in (0.0, 1e-6, 10.0)]
    assert losses[0] == losses[1] == losses[2]


def test_l2rw_all_weights_zero():
    """A meta batch of one class and a training batch of another: every sample would raise the meta loss."""
    model = net()
    given = batch(model)
    given.x = given.x[:1].expand(B, 6) + torch.randn(B, 6, generator=seeded(1), dtype=torch.float64) / 100
    given.labels = torch.zeros(B, dtype=torch.int64)
    given.meta = lambda: (given.x, torch.ones(B, dtype=torch.int64))
    objective = make("l2rw")
    loss, _ = objective(given)
    loss.backward()
    assert loss.item() == 0
    assert all((p.grad == 0).all() for p in model.parameters())
    assert objective.class_weight().tolist() == [0.0] * C


def test_l2rw_records_what_each_class_was_weighed():
    model = net()
    given = batch(model)
    objective = make("l2rw")
    weights = expected_l2rw(model, given)
    objective(given)
    mean = torch.stack([weights[given.labels == c].mean() for c in range(C)])
    assert objective.class_weight().tolist() == pytest.approx((mean / mean.mean()).tolist(), rel=1e-5)
    assert objective.class_weight().mean().item() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("key", LOOKS_AHEAD)
def test_looking_ahead_without_meta_samples(key):
    given = batch(net(dtype=torch.float32), dtype=torch.float32)
    given.meta = None
    with pytest.raises(EvenlyError, match="learns from meta samples but was given none"):
        make(key)(given)


def hyper_gradient(objective, value, h=1e-5):
    """Central differences of `value()` in every parameter of the small network."""
    slopes = []
    for p in objective.network.parameters():
        flat, slope = p.data.view(-1), torch.zeros_like(p).view(-1)
        for i in range(len(flat)):
            was = flat[i].item()
            flat[i] = was + h
            up = value()
            flat[i] = was - h
            slope[i] = (up - value()) / (2 * h)
            flat[i] = was
        slopes.append(slope.view_as(p))
    return slopes


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("knobs", [{}, {"summed": 1.0, "sgd": 1.0}], ids=["noise_code", "imbalance_code"])
def test_meta_weight_net_learns_along_the_true_gradient(knobs, reduction):
    """Whatever the reduction: each public code has a divisor of its own."""
    model, objective = net(), double(make("meta_weight_net", **knobs))
    given = batch(model, reduction=reduction, rate=0.5)

    def weights(losses):
        v = objective.network(losses[:, None]).squeeze(1)
        return v / v.sum() if knobs else v / B

    def meta_loss():
        with torch.no_grad():
            a = weights(cross_entropy(copy.deepcopy(model)(given.x), given.labels, reduction="none"))
        return virtual_meta_loss(model, given, a, 0.5)

    expected = hyper_gradient(objective, meta_loss)
    plain = copy.deepcopy(model)
    loss, _ = objective(given)
    assert max(e.abs().max() for e in expected) > 1e-4
    for p, e in zip(objective.network.parameters(), expected, strict=True):
        assert torch.allclose(p.grad, e, atol=1e-9, rtol=1e-5)
    losses = cross_entropy(plain(given.x), given.labels, reduction="none")
    assert torch.allclose(loss, (weights(losses.detach()) * losses).sum()), (
        "the loss takes the improved network's weights"
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_difficulty_net_learns_along_the_true_gradient(reduction, monkeypatch):
    monkeypatch.setattr("core.training.objectives.difficulty_net.WIDTH", 5)
    model, objective = net(), double(make("difficulty_net", driver=0.3))
    tpr = torch.tensor([0.9, 0.5, 0.1, 0.0]).double()
    objective.new_epoch(torch.tensor([0.9, 0.5, 0.1, math.nan]).double())
    given = batch(model, reduction=reduction, rate=0.5)

    def weights():
        w = objective.network(tpr)
        return (C * w / w.sum())[given.labels] / B

    def meta_loss():
        with torch.no_grad():
            a, d = weights(), objective.network(tpr)
        return virtual_meta_loss(model, given, a, 0.5) + 0.3 * ((d - (1 - tpr / tpr.sum())) ** 2).mean().item()

    expected = hyper_gradient(objective, meta_loss)
    plain = copy.deepcopy(model)
    loss, _ = objective(given)
    for p, e in zip(objective.network.parameters(), expected, strict=True):
        assert torch.allclose(p.grad, e, atol=1e-9, rtol=1e-5)
    losses = cross_entropy(plain(given.x), given.labels, reduction="none")
    assert torch.allclose(loss, (weights().detach() * losses).sum())


def test_difficulty_net_starts_with_equal_weights():
    """C-128-128-C without biases: an input of zeros gives 0.5 for every class."""
    objective = make("difficulty_net")
    assert [tuple(p.shape) for p in objective.network.parameters()] == [(128, C), (128, 128), (C, 128)]
    assert objective.difficulties().tolist() == [0.5] * C
    model = net(dtype=torch.float32)
    plain = copy.deepcopy(model)
    given = batch(model, dtype=torch.float32)
    loss, _ = objective(given)
    assert loss.item() == pytest.approx(cross_entropy(plain(given.x), given.labels).item(), rel=1e-6)
    assert objective.class_weight().tolist() == pytest.approx([1.0] * C)


@pytest.mark.parametrize("key", ["meta_weight_net", "difficulty_net"])
def test_small_network_uses_adam_with_the_papers_decay(key):
    optimizer = make(key).optimizer
    assert isinstance(optimizer, torch.optim.Adam)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]) == (1e-2, 1e-4)


def test_small_network_of_the_code_for_imbalance_uses_sgd():
    optimizer = make("meta_weight_net", sgd=1.0).optimizer
    assert isinstance(optimizer, torch.optim.SGD)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["momentum"], group["nesterov"]) == (1e-2, 5e-4, 0.9, True)


def test_difficulty_net_of_the_released_code_learns_from_the_driver_alone():
    """Its virtual step copies the weights without a graph, so the meta samples change nothing, and no virtual step is taken."""
    tpr = torch.tensor([0.9, 0.5, 0.1, 0.3]).double()
    networks = []
    for seed in (1, 2):
        model, objective = net(), double(make("difficulty_net", copied=1.0))
        objective.new_epoch(tpr)
        given = batch(model)
        x, labels = (
            torch.randn(8, 6, generator=seeded(seed), dtype=torch.float64),
            torch.randint(0, C, (8,), generator=seeded(seed)),
        )
        given.meta = lambda x=x, labels=labels: (x, labels)
        start = copy.deepcopy(objective.network)
        objective(given)
        networks.append(objective)
    driver = 0.3 * ((start(tpr) - (1 - tpr / tpr.sum())) ** 2).mean()
    expected = torch.autograd.grad(driver, list(start.parameters()))
    for one, two, e in zip(networks[0].network.parameters(), networks[1].network.parameters(), expected, strict=True):
        assert torch.equal(one, two)
        assert torch.allclose(one.grad, e)


def test_meta_weight_net_guards_a_sum_of_zero():
    objective = make("meta_weight_net", summed=1.0)
    nn.init.constant_(objective.network[2].bias, -1e4)
    nn.init.zeros_(objective.network[2].weight)
    loss, _ = objective(batch(net(dtype=torch.float32), dtype=torch.float32, reduction="weighted_mean"))
    assert loss.item() == 0


def test_frozen_parameters_stay_out_of_the_virtual_step():
    model = net()
    model.body.requires_grad_(False)
    loss, _ = make("l2rw")(batch(model))
    loss.backward()
    assert model.head.weight.grad is not None
    assert model.body[0].weight.grad is None


def test_difficulty_net_follows_the_tprs_it_is_given():
    objective = make("difficulty_net", lr=0.05)
    model = net(dtype=torch.float32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    objective.new_epoch(torch.tensor([0.9, 0.7, 0.3, 0.1]))
    for step in range(60):
        loss, _ = objective(batch(model, step, dtype=torch.float32))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    w = np.asarray(objective.difficulties().detach())
    assert all(a < b for a, b in pairwise(w)), "the driver pulls harder classes up"
