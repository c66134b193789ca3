"""Objectives at the edges: one class in a batch, huge logits, half precision, a record that grows over an epoch."""

import pytest
import torch

from core.training.losses import REDUCTIONS
from tests.core.training.kit import (
    LOOKS_AHEAD,
    OBJECTIVES,
    B,
    C,
    batch,
    loss_and_slope,
    make,
    net,
    of_logits,
    started,
    trained,
)


@pytest.mark.parametrize("classes", [2, 1000])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("key", OBJECTIVES)
def test_one_class_in_the_batch(key, reduction, classes):
    model, objective = net(classes, torch.float32), make(key, classes=classes)
    given = batch(model, classes=classes, dtype=torch.float32, reduction=reduction)
    given.labels = torch.full((B,), classes - 1)
    loss, logits = objective(given)
    loss.backward()
    assert logits.shape == (B, classes)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    weight = objective.class_weight()
    assert weight is None or (weight.shape == (classes,) and torch.isfinite(weight).all())


@pytest.mark.parametrize("key", [k for k in OBJECTIVES if k not in (*LOOKS_AHEAD, "oltr")])
def test_huge_logits(key):
    """1e4 either way, right and wrong, in float32."""
    z = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4]])
    labels = torch.zeros(4, dtype=torch.int64)
    terms = {"focus": torch.full((3,), 0.5), "mask": torch.full((3,), 0.5)}
    terms = {k: v for k, v in terms.items() if k in OBJECTIVES[key].takes}
    loss, slope = loss_and_slope(make(key, classes=3), of_logits(z, labels, terms))
    assert torch.isfinite(loss)
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize("key", LOOKS_AHEAD)
def test_huge_logits_ahead(key):
    model = net(dtype=torch.float32)
    with torch.no_grad():
        model.head.weight *= 1e4
    loss, _ = make(key)(batch(model, dtype=torch.float32))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("key", OBJECTIVES)
def test_half_precision_forward_gives_a_full_precision_loss(key):
    given = batch(net(dtype=torch.float32), dtype=torch.float32, autocast=lambda: torch.autocast("cpu", torch.bfloat16))
    loss, logits = make(key)(given)
    loss.backward()
    assert logits.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


@pytest.mark.parametrize("key", ["group_dro", *LOOKS_AHEAD])
def test_the_record_grows_over_an_epoch_and_starts_anew(key):
    model, objective, optimizer = started(key)
    trained(model, objective, optimizer, range(4, 6))
    first = objective.class_weight()
    assert first.mean().item() == pytest.approx(1, abs=1e-5)
    trained(model, objective, optimizer, range(6, 7))
    assert not torch.equal(objective.class_weight(), first)
    objective.new_epoch(None)
    assert objective.class_weight().tolist() == [1.0] * C
