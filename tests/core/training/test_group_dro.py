"""Group DRO against its written formula, and what it does with an absent class or a huge loss."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from core.errors import EvenlyError
from tests.core.training.kit import C, double, loss_and_slope, make, of_logits, random_logits


def test_group_dro_worked_example():
    """q = 1/3, l = (.2, .5, 2), eta .01: vector of the reference sheet."""
    objective = double(make("group_dro", classes=3))
    margins = torch.log(
        torch.expm1(torch.tensor([0.2, 0.5, 2.0]).double()) / 2
    )  # cross entropy of (0, v, v) is log(1 + 2 e^v)
    z = margins[:, None].repeat(1, 3)
    z[range(3), range(3)] = 0.0
    loss, slope = loss_and_slope(objective, of_logits(z, torch.arange(3)))
    q = [0.33099786964, 0.33199235423, 0.337009776131]
    assert objective.q.tolist() == pytest.approx(q, abs=1e-7)  # log q starts in float32
    assert loss.item() == pytest.approx(0.906215303304, abs=1e-7)
    leaf = z.clone().requires_grad_()
    expected = (torch.tensor(q).double() * cross_entropy(leaf, torch.arange(3), reduction="none")).sum()
    assert torch.allclose(slope, torch.autograd.grad(expected, leaf)[0], atol=1e-7)


def test_group_dro_eta_0_weighs_the_classes_alike():
    z, labels = random_logits()
    loss, _ = make("group_dro", eta=0.0)(of_logits(z, labels))
    per_class = [cross_entropy(z[labels == c], labels[labels == c]) for c in range(C)]
    assert loss.item() == pytest.approx(sum(v.item() for v in per_class) / C, rel=1e-6)


def test_group_dro_a_class_absent_from_the_batch_falls_behind():
    z, labels = random_logits()
    objective = make("group_dro", eta=1.0)
    loss, _ = objective(of_logits(z, labels.clamp_max(2)))
    assert objective.q[3] < 1 / C
    assert objective.q[3] == objective.q.min()
    assert objective.q.sum().item() == pytest.approx(1, abs=1e-6)
    assert torch.isfinite(loss)


def test_group_dro_adjustment_is_part_of_the_loss_and_of_q():
    z, labels = random_logits()
    counts = torch.tensor([100, 25, 4, 0])
    labels = labels.clamp_max(2)
    objective = double(make("group_dro", eta=0.1, adjustment=2.0, counts=counts))
    loss, _ = objective(of_logits(z, labels))
    added = torch.tensor([0.2, 0.4, 1.0, 0.0]).double()
    losses = added + torch.stack(
        [cross_entropy(z[labels == c], labels[labels == c]) if c < 3 else torch.zeros(()).double() for c in range(C)]
    )
    q = torch.softmax(0.1 * losses, 0)
    assert torch.allclose(objective.q, q, atol=1e-6)
    assert torch.allclose(loss, (q * losses).sum(), atol=1e-6)


def test_group_dro_adjustment_needs_counts():
    with pytest.raises(EvenlyError, match="adjustment 2 needs the training counts"):
        make("group_dro", adjustment=2.0)


def test_group_dro_comes_back_from_a_very_small_q():
    """Thousands of steps with one class far better than the others: in plain float32 its q would be 0 for good."""
    objective = make("group_dro", classes=2, eta=1.0)
    easy, hard = torch.tensor([[5.0, 0.0], [5.0, 0.0]]).double(), torch.tensor([[0.0, 5.0], [0.0, 5.0]]).double()
    for _ in range(100):
        objective(of_logits(easy, torch.arange(2)))
    assert objective.q[0] == 0  # e^-500
    for _ in range(150):
        objective(of_logits(hard, torch.arange(2)))
    assert objective.q[0] == 1


def test_group_dro_survives_huge_losses():
    z = torch.tensor([[-1e4, 1e4], [0.0, 1.0]])
    objective = make("group_dro", classes=2, eta=1.0)
    loss, slope = loss_and_slope(objective, of_logits(z, torch.arange(2)))
    assert torch.isfinite(loss)
    assert torch.isfinite(slope).all()
    assert objective.q.tolist() == [1.0, 0.0]


def test_group_dro_records_the_mean_weight_of_a_sample():
    """eta 0, two classes, three samples of one and one of the other: q alike, so the lone sample weighs three times as much."""
    objective = make("group_dro", classes=2, eta=0.0)
    objective(of_logits(random_logits(4, 2)[0], torch.tensor([0, 0, 0, 1])))
    assert objective.class_weight().tolist() == pytest.approx([0.5, 1.5], rel=1e-6)
    objective.new_epoch(None)
    assert objective.class_weight().tolist() == [1.0, 1.0]
