"""Figures and work that must not depend on how many samples or epochs there are."""

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import EvenlyError
from core.methods import answer
from core.methods import formula as formulas
from core.methods.types import Evidence
from core.metrics.scalar import ece
from core.training.device import choose
from core.training.device_data import Split
from core.training.evaluation import evaluate
from core.training.feature_smote import neighbors

CPU = choose("cpu")


def test_loss_and_calibration_of_many_samples_are_exact():
    """The logits are the inputs. Sums of 60,000 confidences in single precision are off in the fifth digit."""
    rng = np.random.default_rng(0)
    z, y = (rng.normal(size=(60_000, 3)) * [1, 2, 3]).astype(np.float32), rng.integers(0, 3, 60_000)
    found = evaluate(nn.Identity(), Split(z, y, np.zeros(3, np.float32), np.ones(3, np.float32), CPU), 3, CPU)
    log_p = torch.log_softmax(torch.from_numpy(z), dim=1)
    confidence, predicted = log_p.exp().max(dim=1)
    sure, hit = confidence.double().numpy(), predicted.numpy() == y
    at = np.clip(np.ceil(confidence.numpy() * np.float32(15)).astype(int), 1, 15) - 1
    bins = np.stack([np.bincount(at, weights=w, minlength=15) for w in (np.ones(len(y)), hit, sure)])
    np.testing.assert_allclose(found.calibration, bins, rtol=1e-12)
    assert ece(found.calibration) == pytest.approx(ece(bins), abs=1e-12)
    assert found.loss == pytest.approx(
        float(-log_p.double()[torch.arange(len(y)), torch.from_numpy(y)].mean()), rel=1e-6
    )


def test_smote_never_holds_more_distances_than_it_may(monkeypatch):
    """A large class is done in small pieces, with the same neighbors."""
    points, held = np.random.default_rng(1).normal(size=(120, 3)).astype(np.float32), []
    whole, real = neighbors(points, 4), np.argpartition
    monkeypatch.setattr("core.training.feature_smote.CHUNK_BYTES", 8 * 120 * 10)
    monkeypatch.setattr(np, "argpartition", lambda a, *more, **words: held.append(a.nbytes) or real(a, *more, **words))
    np.testing.assert_array_equal(neighbors(points, 4), whole)
    assert max(held) == 8 * 120 * 10
    assert len(held) == 12


def settled(monkeypatch, formula, epochs):
    """How many operations a run of so many epochs works out before its first one."""
    steps, real = [], formulas._finite
    monkeypatch.setattr(formulas, "_finite", lambda *given: steps.append(1) or real(*given))
    answer("custom", Evidence(4, counts=[9, 5, 3, 1], tpr=[0.9, 0.7, 0.5, 0.2], epochs=epochs), {"formula": formula})
    return len(steps)


def test_what_does_not_move_in_a_formula_is_worked_out_once(monkeypatch):
    """Before the first epoch a formula is tried in all of them; only `+ epoch` has to be worked out each time."""
    still = "sqrt(N / n) * log(1 + N / n) / tpr"
    operations = settled(monkeypatch, still, 1)
    assert settled(monkeypatch, f"{still} + epoch", 500) <= 2 * (operations + 1) + 500


@pytest.mark.parametrize("formula", ["sqrt(300.5 - epoch)", "1 / abs(epoch - 301)", "max(n) / (301 - epoch)"])
def test_every_epoch_is_still_tried(formula):
    with pytest.raises(EvenlyError, match="epoch 301 of 400"):
        answer("custom", Evidence(4, counts=[9, 5, 3, 1], epochs=400), {"formula": formula})
