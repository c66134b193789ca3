"""SMOTE: new points lie between neighbors of one class, as many as the largest class wants."""

import numpy as np
import pytest

from core.training.feature_smote import neighbors, oversampled


def features(counts, d=3, seed=0):
    """Features [n, d] in a random order, the classes far apart."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return (rng.normal(size=(len(labels), d)) + 100 * labels[:, None]).astype(np.float32), labels


def distances(points, i):
    """Squared, to every point; infinite to itself."""
    return np.array(
        [np.inf if j == i else float(((points[i].astype(float) - points[j]) ** 2).sum()) for j in range(len(points))]
    )


def nearest_by_loop(points, i, k):
    return np.argsort(distances(points, i), kind="stable")[:k]


def made(counts, k=5, seed=1, **changes):
    x, y = features(counts, **changes)
    return x, y, *oversampled(x, y, k, np.random.default_rng(seed))


def test_every_class_becomes_as_large_as_the_largest():
    x, y, xs, ys = made([40, 7, 0, 40, 13])
    assert np.bincount(ys, minlength=5).tolist() == [40, 40, 0, 40, 40]
    np.testing.assert_array_equal(xs[: len(x)], x)
    np.testing.assert_array_equal(ys[: len(y)], y)
    assert (xs.dtype, ys.dtype) == (x.dtype, y.dtype)


@pytest.mark.parametrize("k", [1, 3, 50])
def test_new_points_lie_between_a_sample_and_one_of_its_k_nearest(k):
    """x = x_i + u (x_nn - x_i), 0 <= u < 1, with one u for all dimensions; k falls to n - 1 in a small class."""
    x, y, xs, ys = made([60, 9], k=k)
    own = x[y == 1].astype(float)
    pairs = [(own[i], own[j]) for i in range(9) for j in nearest_by_loop(own, i, min(k, 8))]
    shares = []
    for point in xs[len(x) :]:
        u = [float((point - a) @ (b - a) / ((b - a) @ (b - a))) for a, b in pairs]
        off = [float(np.abs(a + t * (b - a) - point).max()) for t, (a, b) in zip(u, pairs, strict=True)]
        on = [t for t, distance in zip(u, off, strict=True) if distance < 1e-4 and -1e-4 <= t <= 1 + 1e-4]
        assert on, "on a segment"
        shares.append(on[0])
    assert (ys[len(y) :] == 1).all()
    assert np.std(shares) > 0.15, "u is drawn anew for every point"


def test_a_class_of_two_fills_the_segment_between_them():
    x, y, xs, _ = made([30, 2])
    a, b = x[y == 1].astype(float)
    new = xs[len(x) :]
    u = (new - a) @ (b - a) / ((b - a) @ (b - a))
    np.testing.assert_allclose(new, a + u[:, None] * (b - a), atol=1e-4)
    assert u.min() >= -1e-4
    assert u.max() <= 1 + 1e-4


def test_a_class_of_one_is_repeated():
    x, y, xs, _ = made([12, 1])
    assert (xs[len(x) :] == x[y == 1]).all()


def test_equal_classes_stay_as_they_are():
    x, _, xs, ys = made([8, 8])
    assert len(x) == len(xs) == len(ys)


def test_the_seed_decides():
    _, _, a, _ = made([20, 5], seed=4)
    _, _, b, _ = made([20, 5], seed=4)
    _, _, c, _ = made([20, 5], seed=5)
    assert (a == b).all()
    assert (a != c).any()


@pytest.mark.parametrize("k", [1, 4, 29])
def test_neighbours_are_those_of_a_plain_loop(k, monkeypatch):
    """In pieces, and with two points that are equal: each is the other's nearest, never its own."""
    monkeypatch.setattr("core.training.feature_smote.CHUNK_BYTES", 7 * 30 * 8)
    points = np.random.default_rng(2).normal(size=(30, 4)).astype(np.float32)
    points[11] = points[3]
    found = neighbors(points, k)
    assert (found[3, 0], found[11, 0]) == (11, 3)
    for i in range(30):
        assert len({i, *found[i].tolist()}) == k + 1
        np.testing.assert_allclose(
            distances(points, i)[found[i]], distances(points, i)[nearest_by_loop(points, i, k)], rtol=1e-9, atol=1e-12
        )
