"""Objectives without a memory of classes against their written formulas in float64."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from core.training.losses import REDUCTIONS, class_loss
from tests.core.training.kit import (
    B,
    C,
    batch,
    double,
    loss_and_slope,
    make,
    net,
    of_logits,
    random_logits,
    seeded,
)

# ---------------------------------------------------------------- terms, oltr


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_terms_is_the_one_loss(reduction):
    z, labels = random_logits()
    terms = {
        "weight": torch.tensor([0.5, 1, 2, 3.0]).double(),
        "mask": torch.full((C,), 0.5).double(),
        "focus": torch.ones(C).double(),
    }
    knobs = {"s": 2.0, "alpha": 0.5, "detached": 1.0}
    loss, _ = make("terms", **knobs)(of_logits(z, labels, terms, reduction))
    assert torch.equal(loss, class_loss(z, labels, terms, reduction, knobs, seeded()))


def test_oltr_adds_the_heads_memory_loss():
    model = net()
    given = batch(model)
    loss, logits = make("oltr", memory=0.5, repel=0.25)(given)
    expected = cross_entropy(logits, given.labels) + 0.5 * (model.head.weight[given.labels].pow(2).sum() + 0.25)
    assert torch.allclose(loss, expected)


# ---------------------------------------------------------------- sigmoid


def torchvisions(z, labels, alpha, gamma):
    """sigmoid_focal_loss as torchvision writes it."""
    y = one_hot(labels, z.shape[1]).to(z)
    p = torch.sigmoid(z)
    p_t = p * y + (1 - p) * (1 - y)
    loss = binary_cross_entropy_with_logits(z, y, reduction="none") * (1 - p_t) ** gamma
    return loss if alpha is None else (alpha * y + (1 - alpha) * (1 - y)) * loss


@pytest.mark.parametrize(("alpha", "gamma"), [(None, 0.0), (None, 2.0), (0.25, 2.0), (0.1, 0.5), (0.9, 1.0)])
def test_sigmoid_is_torchvisions_focal_loss(alpha, gamma):
    z, labels = random_logits()
    knobs = {} if alpha is None else {"alpha": alpha}
    found = loss_and_slope(make("sigmoid", **knobs), of_logits(z, labels, {"focus": torch.full((C,), gamma).double()}))
    z = z.clone().requires_grad_()
    loss = torchvisions(z, labels, alpha, gamma).sum() / B
    assert torch.allclose(found[0], loss, atol=1e-13)
    assert torch.allclose(found[1], torch.autograd.grad(loss, z)[0], atol=1e-13)


def test_sigmoid_alone_is_the_sum_of_binary_cross_entropies():
    z, labels = random_logits()
    loss, _ = make("sigmoid")(of_logits(z, labels))
    assert torch.allclose(loss, binary_cross_entropy_with_logits(z, one_hot(labels, C).double(), reduction="sum") / B)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_sigmoid_weight_multiplies_all_outputs_of_a_sample(reduction):
    z, labels = random_logits()
    w = torch.tensor([0.5, 1, 2, 3.0]).double()
    loss, _ = make("sigmoid")(of_logits(z, labels, {"weight": w}, reduction))
    total = (w[labels][:, None] * torchvisions(z, labels, None, 0)).sum()
    assert torch.allclose(loss, total / (w[labels].sum() if reduction == "weighted_mean" else B))


def test_sigmoid_mask_is_eql():
    """w_j = 1 - beta_j (1 - y_j)."""
    z, labels = random_logits()
    mask = torch.tensor([0.0, 0.3, 0.6, 1.0]).double()
    loss, slope = loss_and_slope(make("sigmoid"), of_logits(z, labels, {"mask": mask}, seed=7))
    y = one_hot(labels, C)
    keep = 1 - (torch.rand(B, C, generator=seeded(7)) < mask).double() * (1 - y)
    assert torch.allclose(loss, (keep * torchvisions(z, labels, None, 0)).sum() / B)
    assert torch.allclose(slope, keep * (torch.sigmoid(z) - y) / B)
    zero, _ = make("sigmoid")(of_logits(z, labels, {"mask": torch.zeros(C).double()}))
    assert torch.equal(zero, make("sigmoid")(of_logits(z, labels))[0])


def test_sigmoid_detached_focus():
    z, labels = random_logits()
    focus = {"focus": torch.full((C,), 2.0).double()}
    loss, slope = loss_and_slope(make("sigmoid", detached=1.0), of_logits(z, labels, focus))
    assert torch.equal(loss, make("sigmoid")(of_logits(z, labels, focus))[0])
    y = one_hot(labels, C).double()
    p = torch.sigmoid(z)
    assert torch.allclose(slope, (p - y) * ((1 - p) * y + p * (1 - y)) ** 2 / B)


# ---------------------------------------------------------------- ghm


def ghm_by_hand(z, labels, bins, memory, momentum):
    """Bin by bin, as methods are written; `memory` is changed."""
    y = one_hot(labels, z.shape[1]).double()
    g = (torch.sigmoid(z) - y).abs().detach()
    edges = [float(e) for e in torch.arange(bins + 1).float() / bins]
    edges[-1] += 1e-6
    beta, full = torch.zeros_like(z), 0
    for k in range(bins):
        inside = (g >= edges[k]) & (g < edges[k + 1])
        if inside.any():
            full += 1
            memory[k] = momentum * memory[k] + (1 - momentum) * int(inside.sum())
            beta[inside] = z.numel() / memory[k]
    return (beta / full * binary_cross_entropy_with_logits(z, y, reduction="none")).sum() / z.numel()


@pytest.mark.parametrize(("bins", "momentum"), [(10, 0.0), (30, 0.75), (1, 0.0)])
def test_ghm_is_the_written_formula_step_after_step(bins, momentum):
    objective, memory = double(make("ghm", bins=bins, momentum=momentum)), [0.0] * bins
    for step in range(4):
        z, labels = random_logits(seed=step)
        loss, slope = loss_and_slope(objective, of_logits(z, labels))
        leaf = z.clone().requires_grad_()
        expected = ghm_by_hand(leaf, labels, bins, memory, momentum)
        assert torch.allclose(loss, expected, rtol=1e-12)
        assert torch.allclose(slope, torch.autograd.grad(expected, leaf)[0], rtol=1e-10)


def test_ghm_with_one_bin_is_the_mean_binary_cross_entropy():
    z, labels = random_logits()
    loss, _ = make("ghm", bins=1)(of_logits(z, labels))
    assert torch.allclose(loss, binary_cross_entropy_with_logits(z, one_hot(labels, C).double()))


def test_ghm_momentum_starts_at_nothing():
    """The first weights are 1 / (1 - m) times those without momentum."""
    z, labels = random_logits()
    with_memory, without = (make("ghm", momentum=m)(of_logits(z, labels))[0] for m in (0.75, 0.0))
    assert torch.allclose(with_memory, 4 * without, rtol=1e-6)


# ---------------------------------------------------------------- poly_tail


def tail_by_hand(z, y, alpha, beta):
    m = z[y] - math.log(sum(math.exp(v) for j, v in enumerate(z) if j != y))
    return math.log(1 + math.exp(-m)) / math.log(1 + math.exp(-beta)) if m < beta else 1 / (m - (beta - 1)) ** alpha


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (2.0, -1.0), (0.5, 3.0)])
def test_poly_tail_is_the_written_formula(alpha, beta, reduction):
    z, labels = random_logits(n=40, scale=4)
    w = torch.tensor([0.5, 1, 2, 3.0]).double()
    loss, slope = loss_and_slope(
        make("poly_tail", alpha=alpha, beta=beta), of_logits(z, labels, {"weight": w}, reduction)
    )

    def value(rows):
        total = sum(
            w[y] * tail_by_hand(row, y, alpha, beta) for row, y in zip(rows.tolist(), labels.tolist(), strict=True)
        )
        return float(total / (w[labels].sum() if reduction == "weighted_mean" else len(labels)))

    assert loss.item() == pytest.approx(value(z), rel=1e-12)
    for i, c in [(0, 0), (3, 1), (7, 2), (11, 3), (20, int(labels[20]))]:
        up, down = z.clone(), z.clone()
        up[i, c] += 1e-6
        down[i, c] -= 1e-6
        assert slope[i, c].item() == pytest.approx((value(up) - value(down)) / 2e-6, abs=1e-7)


def test_poly_tail_is_cross_entropy_up_to_a_factor_below_beta():
    z, labels = random_logits()
    loss, _ = make("poly_tail", beta=50.0)(of_logits(z, labels))
    assert torch.allclose(loss, cross_entropy(z, labels) / math.log1p(math.exp(-50.0)))


def test_poly_tail_is_1_where_head_and_tail_meet():
    for beta in (-1.0, 0.0, 1.0, 4.0):
        below, above = (
            make("poly_tail", beta=beta)(of_logits(torch.tensor([[m, 0.0]]).double(), torch.tensor([0])))[0]
            for m in (beta - 1e-9, beta)
        )
        assert below.item() == pytest.approx(1.0, abs=1e-8)
        assert above.item() == 1.0
