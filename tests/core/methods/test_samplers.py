"""Samplers held to their formulas, and the draws behind them: what a batch holds, what comes again, what a seed decides."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from core.errors import EvenlyError
from core.methods import answer
from core.methods.notes import EpochShare, NoMinority
from core.methods.samplers import SAMPLERS
from core.methods.types import ClassTerms, Evidence
from core.training.index_samplers import DRAWS, EvenDraws, order

COUNTS = [1000, 300, 100, 30, 10]
PI = np.array(COUNTS) / 1440


def terms(key, params=None, *, counts=COUNTS, **changes):
    return answer(key, Evidence(len(counts), counts=counts, **changes), params, table=SAMPLERS)


def chances(key, params=None, **changes):
    return terms(key, params, **changes).sampling


def labels_of(counts, seed=0):
    """Labels with these counts, in a random order."""
    return torch.from_numpy(np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)))


# ---------------------------------------------------------------- the probabilities


@pytest.mark.parametrize(
    ("key", "params", "expected"),
    [
        ("power", {"q": 0.5}, [0.4679116914, 0.2562857883, 0.147966668864, 0.081044682296, 0.04679116914]),
        ("square_root", {}, [0.4679116914, 0.2562857883, 0.147966668864, 0.081044682296, 0.04679116914]),
        ("power", {"q": 0}, [0.2] * 5),
        ("balanced", {}, [0.2] * 5),
        ("class_aware", {}, [0.2] * 5),
        ("half_and_half", {}, [0.2] * 5),
        ("undersample", {}, [0.2] * 5),
        ("power", {"q": 1}, PI),
    ],
)
def test_powers_of_the_counts(key, params, expected):
    np.testing.assert_allclose(chances(key, params), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, PI), (5, [0.447222222222, 0.204166666667, 0.134722222222, 0.110416666667, 0.103472222222]), (10, [0.2] * 5)],
)
def test_progressive_goes_from_instance_to_balanced(epoch, expected):
    """t = epoch / (epochs - 1), as in the authors' linspace(0, 1, E)."""
    found = terms("progressive", epoch=epoch, epochs=11)
    np.testing.assert_allclose(found.sampling, expected, rtol=1e-9)
    assert found.info["t"] == epoch / 10


def test_progressive_with_a_single_epoch_is_instance():
    np.testing.assert_allclose(chances("progressive", epochs=1), PI)


def test_difficulty_follows_the_last_epoch_above_its_floor():
    tpr = np.array([0.9, 0.7, 0.5, 0.3, 0.1])
    even = terms("difficulty")
    assert even.sampling.tolist() == [0.2] * 5
    assert even.notes
    hard = (1 - tpr) ** 2 / ((1 - tpr) ** 2).sum()
    np.testing.assert_allclose(chances("difficulty", {"tau": 2, "floor": 0}, last_tpr=tpr), hard)
    np.testing.assert_allclose(chances("difficulty", {"tau": 2, "floor": 0.1}, last_tpr=tpr), 0.9 * hard + 0.1 / 5)
    np.testing.assert_allclose(chances("difficulty", {"floor": 1}, last_tpr=tpr), [0.2] * 5)
    assert chances("difficulty", {"tau": 8}, last_tpr=[1, 1, 1, 1, 0]).min() >= 0.1 / 5


def test_difficulty_of_a_class_without_a_value_is_the_mean():
    found = chances("difficulty", {"floor": 0}, last_tpr=[0.9, math.nan, 0.5, 0.3, 0.1])
    np.testing.assert_allclose(found, np.array([0.1, 0.55, 0.5, 0.7, 0.9]) / 2.75)
    np.testing.assert_allclose(chances("difficulty", last_tpr=[math.nan] * 5), [0.2] * 5)


def test_share_of_the_minority():
    """The mean of the counts is 288: classes of 100, 30 and 10 are the minority. Inside each side as the data are."""
    np.testing.assert_allclose(
        chances("share", {"rho": 0.3}),
        [0.7 * 1000 / 1300, 0.7 * 300 / 1300, 0.3 * 100 / 140, 0.3 * 30 / 140, 0.3 * 10 / 140],
    )
    np.testing.assert_allclose(chances("share", counts=[90, 10]), [0.5, 0.5])
    assert chances("share", {"rho": 0}, counts=[90, 10]).tolist() == [1, 0]


def test_share_without_a_minority_says_so():
    even = terms("share", counts=[7, 7, 7])
    np.testing.assert_allclose(even.sampling, [1 / 3] * 3)
    assert even.notes == (NoMinority(),)


def test_undersampling_says_how_short_an_epoch_is():
    assert terms("undersample", counts=[70, 0, 30, 10]).notes == (EpochShare(30 / 110),)


def test_instance_and_smote_draw_as_the_data_are():
    assert terms("instance") == ClassTerms()
    assert terms("smote", {"k": 3}) == ClassTerms(knobs={"smote": 3})


@pytest.mark.parametrize("key", [s.key for s in SAMPLERS if "counts" in s.needs and s.key != "smote"])
def test_no_sample_at_all_is_refused(key):
    with pytest.raises(EvenlyError, match="no class has training samples"):
        terms(key, counts=[0, 0, 0])


# ---------------------------------------------------------------- sampling is weighing


@pytest.mark.parametrize(
    ("key", "params"),
    [
        ("balanced", {}),
        ("square_root", {}),
        ("power", {"q": 0.3}),
        ("progressive", {}),
        ("difficulty", {}),
        ("share", {}),
    ],
)
def test_a_sampler_and_its_weights_have_the_same_expected_gradient(key, params):
    """The samples that are drawn give, on average, the gradient of all samples weighed by P(c) N / n_c: within five standard errors of
    the mean, from which the gradient of unweighed samples is far."""
    counts = [4000, 1200, 500]
    labels = labels_of(counts)
    found = terms(key, params, counts=counts, last_tpr=[0.9, 0.5, 0.2], epoch=3, epochs=7)
    g = torch.Generator().manual_seed(1)
    x, w = (
        torch.randn(len(labels), 4, generator=g, dtype=torch.float64) + labels[:, None],
        torch.randn(4, 3, generator=g, dtype=torch.float64),
    )
    each = (torch.softmax(x @ w, dim=1) - torch.eye(3, dtype=torch.float64)[labels])[:, None, :] * x[
        :, :, None
    ]  # gradient of every sample's cross entropy
    weight = torch.from_numpy(found.sampling) * len(labels) / torch.tensor(counts)
    weighed = (weight[labels][:, None, None] * each).mean(dim=0)
    drawn = each[torch.cat([order(labels, found, seed=1, epoch=e, batch_size=100) for e in range(8)])]
    error = drawn.std(dim=0) / len(drawn) ** 0.5
    assert ((drawn.mean(dim=0) - weighed).abs() / error).max() < 5
    assert ((drawn.mean(dim=0) - each.mean(dim=0)).abs() / error).max() > 15


@pytest.mark.parametrize(
    ("sampler", "params", "method", "its"),
    [
        ("balanced", {}, "inverse_frequency", {}),
        ("square_root", {}, "sqrt_inverse_frequency", {}),
        ("power", {"q": 0.75}, "smooth_inverse_frequency", {"gamma": 0.25}),
    ],
)
def test_the_weights_that_a_sampler_stands_for(sampler, params, method, its):
    ratio = chances(sampler, params) / PI / answer(method, Evidence(5, counts=COUNTS), its).weight
    assert np.ptp(ratio) < 1e-12 * ratio.max()


@pytest.mark.parametrize(
    ("key", "params"), [("balanced", {}), ("square_root", {}), ("difficulty", {}), ("share", {"rho": 0.7})]
)
def test_draws_with_replacement_have_the_probabilities_asked_for(key, params):
    """Of 40,000 draws, over classes and over the samples inside each: chi-square with a bound that fails once in 10^6."""
    counts = [25_000, 9_000, 5_000, 1_000]
    labels = labels_of(counts)
    found = terms(key, params, counts=counts, last_tpr=[0.95, 0.6, 0.8, 0.3])
    index = order(labels, found, seed=3, epoch=1, batch_size=100)
    assert len(index) == len(labels)
    seen = np.bincount(labels[index], minlength=4)
    assert chisquare(seen, found.sampling * len(labels)).pvalue > 1e-6
    inside = np.bincount(index[labels[index] == 3], minlength=len(labels))[labels == 3]
    assert chisquare(inside).pvalue > 1e-6


# ---------------------------------------------------------------- what a batch holds


def drawn(key, params=None, *, counts=COUNTS, batch=100, seed=0, epoch=0):
    """(labels of the samples, their indices) of an epoch in its order."""
    labels = labels_of(counts)
    index = order(labels, terms(key, params, counts=counts), seed, epoch, batch)
    return labels[index], index


@pytest.mark.parametrize("length", ["same", "whole"])
@pytest.mark.parametrize("batch", [2, 16, 128])
def test_half_and_half_is_half_and_half_in_every_batch(batch, length):
    counts = [900, 70]
    labels, index = drawn("half_and_half", {"length": length}, counts=counts, batch=batch)
    assert len(index) == (970 if length == "same" else 1800)
    for part in labels.split(batch):
        assert abs(2 * int(part.sum()) - len(part)) <= len(part) % 2
    assert len(index[labels == 0].unique()) == (485 if length == "same" else 900)  # no majority sample twice


def test_order_inside_a_half_and_half_batch_is_random():
    labels, _ = drawn("half_and_half", counts=[600, 60], batch=20)
    assert len({tuple(part.tolist()) for part in labels.split(20)}) > 25


def test_many_classes_take_turns_evenly():
    """Batch of 40 with 5 classes: 8 of each; where C does not divide the batch, numbers differ by at most 1."""
    for batch, spread in ((40, 0), (32, 1)):
        labels, _ = drawn("half_and_half", batch=batch)
        for part in labels.split(batch):
            assert np.ptp(np.bincount(part, minlength=5)) <= spread


def test_class_aware_takes_runs_in_a_shuffled_cycle():
    """A batch size of 1 shows the order itself: every round holds each class once, `run` samples at a time."""
    labels, _ = drawn("class_aware", {"run": 4}, batch=1)
    rounds = labels[: len(labels) // 20 * 20].reshape(-1, 5, 4)
    assert (rounds == rounds[:, :, :1]).all()
    assert (rounds[:, :, 0].sort(dim=1).values == torch.arange(5)).all()
    assert len(rounds[:, :, 0].unique(dim=0)) > 30, "the cycle is shuffled in every round"
    assert len(labels) == sum(COUNTS)


@pytest.mark.parametrize(
    ("key", "params"), [("class_aware", {"run": 4}), ("half_and_half", {}), ("half_and_half", {"length": "whole"})]
)
def test_a_class_is_used_up_before_a_sample_comes_again_in_a_new_order(key, params):
    labels, index = drawn(key, params, batch=1)
    for c, size in enumerate(COUNTS):
        own = index[labels == c]
        rounds = own[: len(own) // size * size].reshape(-1, size)
        assert (rounds.sort(dim=1).values == (labels_of(COUNTS) == c).nonzero().squeeze(1)).all()
        if len(rounds) > 2:
            assert len(rounds.unique(dim=0)) > 1, "shuffled anew"
        assert len(own[len(rounds) * size :].unique()) == len(own) - len(rounds) * size


def test_subset_holds_as_many_of_each_as_the_smallest_has():
    labels, index = drawn("undersample")
    assert np.bincount(labels).tolist() == [10] * 5
    assert len(index.unique()) == 50, "without replacement"
    others, again = drawn("undersample", epoch=1)
    assert np.bincount(others).tolist() == [10] * 5
    assert set(again[others == 4].tolist()) == set(index[labels == 4].tolist())
    assert set(again[others == 0].tolist()) != set(index[labels == 0].tolist())


@pytest.mark.parametrize("key", [s.key for s in SAMPLERS])
@pytest.mark.parametrize(
    "counts", [[6, 0, 1], [1, 1], [1] * 999 + [0]], ids=["a class without samples", "single samples", "1,000 classes"]
)
def test_a_class_without_samples_is_never_drawn(key, counts):
    labels = labels_of(counts)
    index = order(labels, terms(key, counts=counts), 0, 0, 4)
    assert index.min() >= 0
    assert index.max() < len(labels)
    assert set(labels[index].tolist()) <= set(labels.tolist())


@pytest.mark.parametrize("draw", DRAWS)
def test_a_probability_of_a_class_without_samples_harms_nothing(draw):
    labels = labels_of([20, 0, 30])
    index = order(labels, ClassTerms(sampling=np.array([0.2, 0.5, 0.3]), draw=draw), 0, 0, 10)
    assert set(labels[index].tolist()) == {0, 2}


@pytest.mark.parametrize("draw", DRAWS)
def test_a_class_with_a_probability_of_0_is_never_drawn(draw):
    labels = labels_of([20, 10, 30])
    index = order(labels, ClassTerms(sampling=np.array([0.5, 0, 0.5]), draw=draw), 0, 0, 10)
    assert set(labels[index].tolist()) == {0, 2}


# ---------------------------------------------------------------- what a seed decides


@pytest.mark.parametrize("key", [s.key for s in SAMPLERS])
def test_the_order_depends_on_seed_and_epoch_alone(key):
    """So an interrupted epoch goes on where it was: nothing else is remembered, and torch's own generator is not touched."""

    def at(seed, epoch):
        return drawn(key, seed=seed, epoch=epoch)[1].tolist()

    before = torch.get_rng_state()
    first = at(5, 2)
    torch.rand(3)
    assert at(5, 2) == first
    torch.set_rng_state(before)
    assert at(5, 2) == first
    assert torch.equal(torch.get_rng_state(), before)
    assert at(5, 3) != first
    assert at(6, 2) != first


def test_without_sampling_every_sample_comes_once():
    assert sorted(drawn("instance")[1].tolist()) == list(range(sum(COUNTS)))


def test_unknown_draw():
    with pytest.raises(EvenlyError, match="unknown draw 'urn'; known: replace, turns, subset"):
        order(labels_of([1, 1]), ClassTerms(sampling=np.array([0.5, 0.5]), draw="urn"), 0, 0, 1)


# ---------------------------------------------------------------- batches of meta samples


@pytest.mark.parametrize(
    ("counts", "size", "each"), [([50, 3, 8], 30, 10), ([50, 3, 8], 32, 10), ([5, 0, 8], 10, 5), ([1] * 40, 7, 1)]
)
def test_even_draws_hold_the_same_number_of_every_class(counts, size, each):
    labels = labels_of(counts)
    draws = EvenDraws(labels, size)
    for seed in range(5):
        found = np.bincount(labels[draws(torch.Generator().manual_seed(seed))], minlength=len(counts))
        assert found.tolist() == [each * (n > 0) for n in counts]


def test_even_draws_are_uniform_inside_a_class_and_decided_by_the_generator():
    labels = labels_of([40, 10])
    draws = EvenDraws(labels, 8000)
    index = draws(torch.Generator().manual_seed(1))
    for c in range(2):
        assert chisquare(np.bincount(index[labels[index] == c], minlength=50)[labels == c]).pvalue > 1e-6
    assert torch.equal(index, draws(torch.Generator().manual_seed(1)))
    assert not torch.equal(index, draws(torch.Generator().manual_seed(2)))
