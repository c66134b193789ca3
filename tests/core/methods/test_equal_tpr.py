"""The equal-TPR bias where it can go wrong: logits of any scale, few validation samples, and what it says of its cost."""

import numpy as np
import pytest

from core.methods.notes import BiasFewSamples
from core.methods.posthoc import FEW_FOR_BIAS, Outputs, apply, fitted_bias


def task(classes, each, seed, noise=1.0):
    """Logits [classes * each, classes] and labels: some classes are harder, some favoured; the same ones for every `each`."""
    rng = np.random.default_rng([classes, seed])
    tilt, hard = rng.permutation(np.linspace(0.8, -0.8, classes)), rng.uniform(1, 3.2, classes) + 1.2 * (classes > 50)
    rng = np.random.default_rng([classes, seed, each])
    y = np.repeat(np.arange(classes), each)
    z = noise * rng.normal(size=(len(y), classes)) + tilt
    z[np.arange(len(y)), y] += hard[y]
    return z, y


def tprs(z, y):
    there = np.unique(y)
    return (
        np.bincount(y[z.argmax(axis=1) == y], minlength=z.shape[1])
        / np.maximum(np.bincount(y, minlength=z.shape[1]), 1)
    )[there]


def outputs(validation, test):
    data = {"train": validation, "validation": validation, "test": test}
    logits, labels = {k: z for k, (z, _) in data.items()}, {k: y for k, (_, y) in data.items()}
    return Outputs(labels, logits, {}, None, None, np.bincount(validation[1]).astype(float))


def stepped(validation, test, strength=1.0):
    return apply("equal_tpr_bias", outputs(validation, test), {"strength": strength})


# ---------------------------------------------------------------- the scale of the logits


@pytest.mark.parametrize("factor", [2.0**-10, 0.125, 8.0, 1024.0])
def test_the_bias_scales_with_the_logits(factor):
    """argmax does not know the scale, so predictions must not either: exactly so for powers of two."""
    z, y = task(10, 100, 0)
    np.testing.assert_array_equal(fitted_bias(factor * z, y), factor * fitted_bias(z, y))


@pytest.mark.parametrize("factor", [1, 10, 30, 100])
def test_full_strength_equalizes_at_any_scale(factor):
    """Steps of a fixed size left .0253 and .0535 of the variance at 30 and 100 times the logits."""
    z, y = task(10, 400, 1)
    after = tprs(factor * z + fitted_bias(factor * z, y), y)
    assert after.var() < 0.001 * tprs(z, y).var()


def test_logits_that_are_all_equal_are_left_alone():
    assert (fitted_bias(np.zeros((6, 3)), np.array([0, 0, 1, 1, 2, 2])) == 0).all()


# ---------------------------------------------------------------- everything wrong is not equal


def test_all_wrong_is_no_answer():
    """The second class has one sample, which no bias gets right without losing all of the others. Equal TPRs of 0 are not wanted."""
    z = np.array([[0, 1.0, 0], [0, 1.0, 0], [0, 0, 1.0], [9.0, 8.0, 8.5]])
    y = np.array([0, 0, 2, 1])
    after = tprs(z + fitted_bias(z, y), y)
    assert after.mean() >= tprs(z, y).mean()
    assert after.max() > 0


@pytest.mark.parametrize("seed", range(4))
def test_the_worst_class_is_never_worse_on_validation(seed):
    for classes, each in ((2, 5), (10, 5), (10, 25)):
        z, y = task(classes, each, seed)
        before, after = tprs(z, y), tprs(z + fitted_bias(z, y), y)
        assert after.min() >= before.min()
        assert after.var() <= before.var()
        assert tuple(sorted(after)) >= tuple(sorted(before))


def test_a_class_that_stays_at_0_does_not_hold_the_others_back():
    """100 classes of 5 samples that overlap, most of them never found. The least variance got all 500 wrong; now some of those
    classes are found, and where none can be the logits are left alone."""
    better = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        y = np.repeat(np.arange(100), 5)
        z = rng.normal(size=(500, 100)) + np.linspace(0.8, -0.8, 100)
        z[np.arange(500), y] += rng.uniform(0, 2.5, 100)[y]
        before, after = tprs(z, y), tprs(z + fitted_bias(z, y), y)
        assert after.mean() > 0.6 * before.mean()
        assert after.var() <= before.var()
        better += (after == 0).sum() < (before == 0).sum()
    assert better >= 3


def least_variance(z, y):
    """What was done before: the bias of least variance, then of most hits, on the same way."""
    classes, unit = (
        z.shape[1],
        np.median(np.abs(z[np.arange(len(y)), y] - np.where(np.eye(z.shape[1])[y] > 0, -np.inf, z).max(axis=1))),
    )
    bias, best, key = np.zeros(classes), None, (np.inf, np.inf)
    for step in unit * np.geomspace(1, 0.01, 400):
        tpr = tprs(z + bias, y)
        if (found := (tpr.var(), -tpr.mean())) < key:
            best, key = bias.copy(), found
        bias = bias + step * (tpr.mean() - tpr)
        bias -= bias.mean()
    return best


@pytest.mark.parametrize("each", [5, 25, 100])
def test_on_new_samples_it_beats_the_least_variance_or_matches_it(each):
    """10 classes, mean of eight draws, 200 test samples each: no less equal, and better mean and worst TPR, most so with few samples."""
    figures = []
    for seed in range(8):
        (z, y), (zt, yt) = task(10, each, seed), task(10, 200, seed)
        figures.append(
            [
                [t.var(), t.mean(), t.min()]
                for t in (tprs(zt + b, yt) for b in (fitted_bias(z, y), least_variance(z, y)))
            ]
        )
    ours, theirs = np.mean(figures, axis=0)
    assert ours[0] <= 1.1 * theirs[0]
    assert ours[1] >= theirs[1] - 0.001
    assert ours[2] >= theirs[2] - 0.005
    if each == 5:
        assert ours[1] > theirs[1] + 0.01


# ---------------------------------------------------------------- strength


@pytest.mark.parametrize("classes", [2, 10])
def test_more_strength_equalizes_more(classes):
    validation, test = task(classes, 400, 0), task(classes, 401, 0)
    variance = [tprs(stepped(validation, test, s).scores["test"], test[1]).var() for s in (0, 0.25, 0.5, 0.75, 1)]
    assert variance == sorted(variance, reverse=True)
    assert variance[-1] < 0.05 * variance[0]


# ---------------------------------------------------------------- what it says


def test_a_loss_of_accuracy_is_told():
    """Long-tailed validation: the frequent class pays for the rare one."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [1000, 100])
    z = np.stack([1.0 - y, y], axis=1) + rng.normal(size=(1100, 2)) + [1.5, 0]
    (note,) = stepped((z, y), (z, y)).notes
    ((figure, before, after),) = note.lowered
    assert (figure, before) == ("accuracy", pytest.approx(0.899, abs=5e-4))
    assert 0.7 < after < 0.8
    assert stepped((z, y), (z, y), strength=0.0).notes == ()


def test_few_samples_are_told():
    z, y = task(4, FEW_FOR_BIAS - 1, 0)
    assert stepped((z, y), (z, y)).notes[-1] == BiasFewSamples(4, 4, FEW_FOR_BIAS, FEW_FOR_BIAS - 1)
    z, y = task(4, FEW_FOR_BIAS, 0)
    assert not any(isinstance(note, BiasFewSamples) for note in stepped((z, y), (z, y)).notes)
