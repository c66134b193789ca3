"""The one loss against vectors computed elsewhere and against the written formula in float64."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from core.errors import EvenlyError
from core.experiment.config import SETTINGS
from core.methods.types import ClassTerms
from core.training.losses import REDUCTIONS, class_loss, sample_losses, tensor_terms

CPU = torch.device("cpu")
Z = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0], dtype=torch.float64)
ALL = Z.expand(5, 5)
Y = torch.arange(5)


def terms(**vectors):
    return tensor_terms(ClassTerms(**{k: np.asarray(v, dtype=float) for k, v in vectors.items()}), CPU, torch.float64)


def test_the_reductions_are_the_choices_of_the_setting():
    assert next(p for p in SETTINGS if p.key == "reduction").choices == REDUCTIONS


def test_plain_cross_entropy():
    """Vector from the reference sheet, 12 digits."""
    expected = [0.574437939628, 1.57443793963, 2.07443793963, 2.57443793963, 3.57443793963]
    assert sample_losses(ALL, Y, terms(weight=np.ones(5))).tolist() == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [
        (0.5, [0.379728578806, 1.40193603889, 1.93976362717, 2.47441304323, 3.52398400525]),
        (1.0, [0.251017183258, 1.24833415638, 1.81383248803, 2.37827442421, 3.47424223864]),
        (2.0, [0.109689179533, 0.989774272311, 1.58596612209, 2.19705790914, 3.37685514103]),
    ],
)
def test_focal(gamma, expected):
    assert sample_losses(ALL, Y, terms(focus=np.full(5, gamma))).tolist() == pytest.approx(expected, abs=1e-11)


def test_focal_zero_is_cross_entropy():
    assert torch.allclose(sample_losses(ALL, Y, terms(focus=np.zeros(5))), cross_entropy(ALL, Y, reduction="none"))


def test_both_reductions():
    """z = [2,1,.5,0,-1] four times, y = [0,0,0,4], weights 1/n of n = [1000,300,100,30,10] at mean 1."""
    w = 1 / np.array([1000, 300, 100, 30, 10])
    t = terms(weight=w / w.mean())
    labels = torch.tensor([0, 0, 0, 4])
    logits = Z.expand(4, 5)
    assert class_loss(logits, labels, t, "weighted_mean").item() == pytest.approx(3.487059298851, abs=1e-11)
    assert class_loss(logits, labels, t, "batch_mean").item() == pytest.approx(3.040353621177, abs=1e-11)


def test_weighted_mean_is_pytorchs():
    g = torch.Generator().manual_seed(3)
    logits, labels = torch.randn(64, 5, generator=g, dtype=torch.float64), torch.randint(0, 5, (64,), generator=g)
    w = torch.rand(5, generator=g, dtype=torch.float64)
    assert torch.allclose(
        class_loss(logits, labels, {"weight": w}, "weighted_mean"), cross_entropy(logits, labels, weight=w)
    )
    assert torch.allclose(
        class_loss(logits, labels, {"weight": 10 * w}, "weighted_mean"), cross_entropy(logits, labels, weight=w)
    )


def test_balanced_softmax_vs_and_ldam_vectors():
    n = np.array([1000, 300, 100, 30, 10])
    log_pi = np.log(n / n.sum())
    assert sample_losses(ALL, Y, terms(shift=log_pi)).tolist() == pytest.approx(
        [0.12859968206, 2.33257248639, 3.93118477505, 5.63515757938, 7.73376986805], abs=1e-10
    )
    assert sample_losses(ALL, Y, terms(scale=(n / 1000) ** 0.3, shift=log_pi)).tolist() == pytest.approx(
        [0.0989422388435, 2.60606974123, 4.15093371502, 5.60550013616, 6.95530106798], abs=1e-10
    )
    cosine = torch.tensor([0.8, 0.3, 0.1, -0.2, -0.5], dtype=torch.float64).expand(5, 5)
    margin = [0.158113883008, 0.213643503198, 0.281170662595, 0.379917842826, 0.5]
    assert sample_losses(30 * cosine, Y, terms(margin=30 * np.array(margin))).tolist() == pytest.approx(
        [3.5211947143e-05, 21.4093050972, 29.4351201838, 41.3975355914, 54.0000003067], abs=1e-8
    )


def test_smoothing_is_pytorchs():
    share = 0.3
    ours = sample_losses(ALL, Y, terms(smoothing=np.full(5, share)))
    assert torch.allclose(ours, cross_entropy(ALL, Y, reduction="none", label_smoothing=share))


def test_gradient_is_the_written_formulas():
    """Every term at once: autograd of the loss equals autograd of the formula typed out sample by sample."""
    rng = np.random.default_rng(0)
    t = terms(
        weight=rng.uniform(0.5, 2, 5),
        scale=rng.uniform(0.5, 2, 5),
        shift=rng.normal(size=5),
        margin=rng.uniform(0, 1, 5),
        smoothing=rng.uniform(0, 0.4, 5),
        focus=rng.uniform(0.5, 3, 5),
    )
    z1 = torch.tensor(rng.normal(size=(8, 5)), requires_grad=True)
    z2 = z1.detach().clone().requires_grad_()
    labels = torch.tensor(rng.integers(0, 5, 8))
    class_loss(z1, labels, t, "weighted_mean").backward()
    total, weights = 0, 0
    for row, y in zip(z2, labels.tolist(), strict=True):
        adjusted = torch.stack([t["scale"][c] * row[c] + t["shift"][c] - t["margin"][y] * (c == y) for c in range(5)])
        p = torch.exp(adjusted) / torch.exp(adjusted).sum()
        eps = t["smoothing"][y]
        ce = -(1 - eps) * torch.log(p[y]) - eps * torch.log(p).sum() / 5
        total = total + t["weight"][y] * (1 - p[y]) ** t["focus"][y] * ce
        weights = weights + t["weight"][y]
    (total / weights).backward()
    assert torch.allclose(z1.grad, z2.grad, atol=1e-12)


def test_certain_sample_has_a_finite_gradient_under_a_small_focus():
    z = torch.tensor([[40.0, -40.0]], requires_grad=True)
    class_loss(z, torch.tensor([0]), terms(focus=[0.5, 0.5]), "batch_mean").backward()
    assert torch.isfinite(z.grad).all()


def test_unknown_reduction():
    with pytest.raises(EvenlyError, match="unknown reduction 'sum'; known: weighted_mean, batch_mean"):
        class_loss(ALL, Y, {}, "sum")


# ---------------------------------------------------------------- mask, s, alpha, detached


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def wide(b=64, c=7, seed=1):
    g = seeded(seed)
    return torch.randn(b, c, generator=g, dtype=torch.float64, requires_grad=True), torch.randint(
        0, c, (b,), generator=g
    )


def test_s_is_inside_the_softmax():
    """LDAM's vector with the margin on the cosines and s outside it, as published; s = 1 changes nothing."""
    cosine = torch.tensor([0.8, 0.3, 0.1, -0.2, -0.5], dtype=torch.float64).expand(5, 5)
    margin = terms(margin=[0.158113883008, 0.213643503198, 0.281170662595, 0.379917842826, 0.5])
    assert sample_losses(cosine, Y, margin, {"s": 30.0}).tolist() == pytest.approx(
        [3.5211947143e-05, 21.4093050972, 29.4351201838, 41.3975355914, 54.0000003067], abs=1e-8
    )
    assert torch.equal(sample_losses(cosine, Y, margin, {"s": 1.0}), sample_losses(cosine, Y, margin))


def test_alpha_is_a_common_factor():
    t = terms(focus=np.full(5, 2.0))
    assert torch.equal(sample_losses(ALL, Y, t, {"alpha": 0.25}), 0.25 * sample_losses(ALL, Y, t))
    assert torch.equal(sample_losses(ALL, Y, t, {"alpha": 1.0}), sample_losses(ALL, Y, t))


def test_detached_focus_is_a_constant_of_the_step():
    """Same loss; its gradient is the factor times that of cross entropy."""
    z, labels = wide()
    t = terms(focus=np.full(7, 2.0))
    kept, cut = sample_losses(z, labels, t), sample_losses(z, labels, t, {"detached": 1.0})
    assert torch.equal(kept, cut)
    (found,) = torch.autograd.grad(cut.sum(), z)
    factor = ((1 - torch.softmax(z, 1).gather(1, labels[:, None])) ** 2).detach()
    (expected,) = torch.autograd.grad((factor.squeeze(1) * cross_entropy(z, labels, reduction="none")).sum(), z)
    assert torch.allclose(found, expected, atol=1e-12)
    assert not torch.allclose(found, torch.autograd.grad(kept.sum(), z)[0], atol=1e-3)


def test_mask_is_seql():
    """-log p_y with p_j = e^z_j / sum_k w_k e^z_k, w_k = 1 - beta_k (1 - y_k): loss and gradient of the written formula."""
    z, labels = wide()
    mask = torch.linspace(0, 1, 7, dtype=torch.float64)
    found = sample_losses(z, labels, {"mask": mask}, generator=seeded(5))
    beta = (torch.rand(64, 7, generator=seeded(5)) < mask).double()
    own = torch.nn.functional.one_hot(labels, 7)
    kept = 1 - beta * (1 - own)
    expected = -torch.log((own * z.exp()).sum(1) / (kept * z.exp()).sum(1))
    assert torch.allclose(found, expected, atol=1e-12)
    assert 0 < beta[:, 3].mean() < 1, "one draw per sample, not one per batch"
    a, b = (torch.autograd.grad(v.sum(), z)[0] for v in (found, expected))
    assert torch.allclose(a, b, atol=1e-12)


def test_mask_extremes():
    """0 is cross entropy; 1 leaves the sample's own class alone, whose loss is 0 with a gradient of 0."""
    z, labels = wide()
    none = sample_losses(z, labels, {"mask": torch.zeros(7, dtype=torch.float64)}, generator=seeded())
    assert torch.equal(none, sample_losses(z, labels, terms(weight=np.ones(7))))
    full = sample_losses(z, labels, {"mask": torch.ones(7, dtype=torch.float64)}, generator=seeded())
    (slope,) = torch.autograd.grad(full.sum(), z)
    assert full.abs().max() == 0
    assert slope.abs().max() == 0


def test_mask_never_exponentiates_raw_logits():
    z = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], requires_grad=True)
    losses = sample_losses(z, torch.tensor([0, 0]), {"mask": torch.tensor([0.0, 0.0, 1.0])}, generator=seeded())
    losses.sum().backward()
    assert losses.tolist() == [0.0, 2e4]
    assert torch.isfinite(z.grad).all()


def test_mask_and_smoothing_share_the_classes_that_are_left():
    """With every other class left out nothing is left to smooth over; with a mask of 0 it is torch's smoothing."""
    z, labels = wide()
    smooth = torch.full((7,), 0.3, dtype=torch.float64)
    some = sample_losses(
        z, labels, {"mask": torch.full((7,), 0.5, dtype=torch.float64), "smoothing": smooth}, generator=seeded()
    )
    assert torch.isfinite(some).all()
    assert torch.isfinite(torch.autograd.grad(some.sum(), z)[0]).all()
    none = sample_losses(
        z, labels, {"mask": torch.zeros(7, dtype=torch.float64), "smoothing": smooth}, generator=seeded()
    )
    assert torch.allclose(none, cross_entropy(z, labels, reduction="none", label_smoothing=0.3))


def test_mask_without_a_generator():
    with pytest.raises(EvenlyError, match="mask is drawn in every step and needs a generator"):
        class_loss(ALL, Y, terms(mask=np.full(5, 0.9)), "batch_mean")


@pytest.mark.parametrize("reduction", ["weighted_mean", "batch_mean"])
def test_nothing_set_is_torchs_cross_entropy_to_the_bit(reduction):
    g = seeded(2)
    z, labels = torch.randn(64, 10, generator=g), torch.randint(0, 10, (64,), generator=g)
    assert torch.equal(class_loss(z, labels, {}, reduction), cross_entropy(z, labels, reduction="none").mean())
    assert class_loss(z.bfloat16(), labels, {}, reduction).dtype == torch.float32


@pytest.mark.parametrize("classes", [2, 1000])
def test_few_and_many_classes_with_huge_logits(classes):
    """Every term at once, logits of 1e4 either way, one class in the batch."""
    z = torch.zeros(4, classes)
    z[0, 0], z[1, 0], z[2, 1], z[3, 1] = 1e4, -1e4, 1e4, -1e4
    z.requires_grad_()
    v = np.linspace(0.1, 0.9, classes)
    t = tensor_terms(ClassTerms(weight=v, scale=v, shift=np.log(v), margin=v, smoothing=v, focus=4 * v, mask=v), CPU)
    loss = class_loss(z, torch.zeros(4, dtype=torch.int64), t, "weighted_mean", {"s": 2.0, "alpha": 0.5}, seeded())
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(z.grad).all()
