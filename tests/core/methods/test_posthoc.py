"""Post-hoc steps against plain loops, and the fitted bias on a task whose answer is known."""

import math

import numpy as np
import pytest

from core.errors import EvenlyError
from core.methods import METHODS, POSTHOC, answer
from core.methods.posthoc import STEPS, Outputs, apply, fitted_bias
from core.methods.types import Evidence

SPLITS = {"train": 60, "validation": 20, "test": 25}
C, D = 4, 5


def outputs(drawn=(30, 15, 10, 5), seed=0, **changes):
    """A linear network's outputs on random features; class means differ."""
    rng = np.random.default_rng(seed)
    centre, weight, bias = rng.normal(size=(C, D)), rng.normal(size=(C, D)) * [[3], [2], [1], [0.5]], rng.normal(size=C)
    labels = {
        "train": np.repeat(np.arange(C), drawn),
        **{k: rng.integers(0, C, n) for k, n in SPLITS.items() if k != "train"},
    }
    features = {k: (centre[y] + rng.normal(size=(len(y), D))).astype(np.float32) for k, y in labels.items()}
    given = {
        "labels": labels,
        "features": features,
        "logits": {k: (f @ weight.T + bias).astype(np.float32) for k, f in features.items()},
        "weight": weight,
        "bias": bias,
        "counts": np.bincount(labels["train"], minlength=C).astype(float),
    }
    return Outputs(**{**given, **changes})


def stepped(key, out, params=None):
    """The step through its row, as a run takes it."""
    terms = answer(key, Evidence(len(out.counts), counts=out.counts), params)
    answered = apply(terms.objective, out, terms.knobs)
    return answered.scores, answered.summand


# ---------------------------------------------------------------- tau-normalized classifier


@pytest.mark.parametrize("bias", ["drop", "keep"])
@pytest.mark.parametrize("tau", [0, 0.7, 1, 2])
def test_tau_norm_is_the_written_formula(tau, bias):
    out = outputs()
    scores, summand = stepped("tau_norm", out, {"tau": tau, "bias": bias})
    assert summand is None
    for split, z in scores.items():
        for i, f in enumerate(out.features[split].astype(float)):
            for c in range(C):
                norm = math.sqrt(sum(w * w for w in out.weight[c]))
                expected = sum(w / norm**tau * x for w, x in zip(out.weight[c], f, strict=True)) + (
                    out.bias[c] if bias == "keep" else 0
                )
                assert z[i, c] == pytest.approx(expected, abs=1e-9)


def test_tau_0_with_the_bias_changes_nothing():
    out = outputs()
    scores, _ = stepped("tau_norm", out, {"tau": 0, "bias": "keep"})
    np.testing.assert_allclose(scores["test"], out.logits["test"], atol=1e-5)


def test_tau_norm_of_a_class_vector_of_zeros_is_finite():
    weight = np.vstack([np.zeros(D), np.ones((C - 1, D))])
    assert np.isfinite(stepped("tau_norm", outputs(weight=weight), {"tau": 2})[0]["test"]).all()


def test_tau_norm_wants_a_linear_last_layer():
    with pytest.raises(EvenlyError, match="tau_norm needs a linear last layer"):
        stepped("tau_norm", outputs(weight=None, bias=None))


# ---------------------------------------------------------------- nearest class mean


def ncm_by_loop(out, features, distance, split):
    """Scores [n, C]: minus the squared distance, or the cosine, to the mean training feature of each class."""
    centre = out.features["train"].astype(float).mean(axis=0) if features == "cl2n" else 0.0

    def seen(f):
        moved = f.astype(float) - centre
        return moved if features == "unc" else moved / math.sqrt((moved**2).sum())

    train = [seen(f) for f in out.features["train"]]
    scores = np.full((len(out.labels[split]), C), -math.inf)
    for c in range(C):
        own = [f for f, y in zip(train, out.labels["train"], strict=True) if y == c]
        if not own:
            continue
        mean = sum(own) / len(own)
        for i, f in enumerate(map(seen, out.features[split])):
            scores[i, c] = (
                f @ mean / math.sqrt((f @ f) * (mean @ mean)) if distance == "cosine" else -((f - mean) ** 2).sum()
            )
    return scores


@pytest.mark.parametrize("counts", [(30, 15, 10, 5), (40, 0, 19, 1)], ids=["all classes", "one without samples"])
@pytest.mark.parametrize("distance", ["l2", "cosine"])
@pytest.mark.parametrize("features", ["unc", "l2n", "cl2n"])
def test_ncm_is_the_nearest_mean_by_a_plain_loop(features, distance, counts):
    out = outputs(counts)
    scores, summand = stepped("ncm", out, {"features": features, "distance": distance})
    assert summand is None
    for split, z in scores.items():
        np.testing.assert_allclose(z, ncm_by_loop(out, features, distance, split), atol=1e-5)


# ---------------------------------------------------------------- logit adjustment


@pytest.mark.parametrize("tau", [-1, 0, 1, 1.5])
def test_posthoc_logit_adjustment(tau):
    out = outputs()
    scores, summand = stepped("logit_adjusted_posthoc", out, {"tau": tau})
    for c, n in enumerate(out.counts):
        assert summand[c] == pytest.approx(-tau * math.log(n / out.counts.sum()))
        for split, z in out.logits.items():
            np.testing.assert_allclose(scores[split][:, c], z[:, c] - tau * math.log(n / out.counts.sum()), atol=1e-5)
    assert scores["test"].dtype == np.float32


def test_posthoc_logit_adjustment_undoes_the_prior():
    """Bayes' rule: log posteriors of long-tailed training data become those of balanced data, up to a constant."""
    rng = np.random.default_rng(0)
    likelihood, prior = rng.normal(size=(50, C)), np.array([0.7, 0.2, 0.08, 0.02])
    out = outputs(logits={k: likelihood + np.log(prior) for k in SPLITS}, counts=1000 * prior)
    scores, _ = stepped("logit_adjusted_posthoc", out)
    np.testing.assert_allclose(scores["test"], likelihood, atol=1e-9)


def test_posthoc_logit_adjustment_of_a_class_without_samples():
    _, summand = stepped("logit_adjusted_posthoc", outputs(counts=np.array([9.0, 0, 5, 1])))
    assert np.isfinite(summand).all()
    assert summand[1] == summand[3]


# ---------------------------------------------------------------- equal-TPR bias


def task(n, seed, hardness=(3.0, 2.0, 1.2, 0.7), tilt=(1.0, 0.3, 0.0, -0.8)):
    """Logits and labels of a network that favours some classes and finds some harder than others."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, C, n)
    z = rng.normal(size=(n, C)) + np.array(tilt)
    z[np.arange(n), y] += np.array(hardness)[y]
    return z.astype(np.float32), y


def tprs(z, y):
    return np.array([(z[y == c].argmax(axis=1) == c).mean() for c in range(z.shape[1]) if (y == c).any()])


def run_of(validation, test):
    data = {"train": validation, "validation": validation, "test": test}
    return outputs(logits={k: z for k, (z, _) in data.items()}, labels={k: y for k, (_, y) in data.items()})


def test_equal_tpr_bias_equalizes_what_it_has_not_seen():
    """20,000 validation samples: the variance on the test split falls by more than 99 %."""
    validation, test = task(20_000, 1), task(20_000, 2)
    scores, bias = stepped("equal_tpr_bias", run_of(validation, test))
    before, after = tprs(*test), tprs(scores["test"], test[1])
    assert after.var() < 0.01 * before.var()
    assert tprs(scores["validation"], validation[1]).var() < 1e-5
    assert after.min() > before.min()
    assert bias.mean() == pytest.approx(0, abs=1e-9)


def test_half_the_strength_lies_between():
    run = run_of(task(20_000, 1), task(20_000, 2))
    variance, biases = [], []
    for strength in (0, 0.5, 1):
        scores, bias = stepped("equal_tpr_bias", run, {"strength": strength})
        variance.append(tprs(scores["test"], run.labels["test"]).var())
        biases.append(bias)
    assert variance[0] > variance[1] > variance[2]
    np.testing.assert_allclose(biases[1], biases[2] / 2)


def test_no_strength_changes_nothing():
    run = run_of(task(300, 1), task(300, 2))
    scores, bias = stepped("equal_tpr_bias", run, {"strength": 0})
    assert (bias == 0).all()
    for split, z in scores.items():
        assert (z == run.logits[split]).all()


@pytest.mark.parametrize("n", [1, 2, 7, 30, 400])
@pytest.mark.parametrize("seed", range(4))
def test_never_less_equal_on_validation_than_before(n, seed):
    """However few the samples, and in the precision the bias is applied in."""
    z, y = task(n, seed)
    z = z.round(1)  # ties
    scores, _ = stepped("equal_tpr_bias", run_of((z, y), (z, y)))
    assert tprs(scores["validation"], y).var() <= tprs(z, y).var()


@pytest.mark.parametrize("each", [2, 15])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_bias_on_the_way_is_kept(each, seed):
    """Not the last: by the highest smallest TPR, then the second smallest, and so on, with a variance of at most that of the
    start. The way: b <- b + step (mean TPR - TPR), 400 steps from 1 to .01 times the median distance to the best other logit."""
    z, y = task(400, seed)
    few = np.concatenate([np.flatnonzero(y == c)[:each] for c in range(C)])
    z, y = z[few].astype(float), y[few]
    unit = np.median([abs(row[c] - max(np.delete(row, c))) for row, c in zip(z, y, strict=True)])
    bias, seen = np.zeros(C), []
    for i in range(400):
        said = (z + bias).argmax(axis=1)
        tpr = np.array([(said[y == c] == c).mean() for c in range(C)])
        seen.append((tpr.var(), sorted(tpr)))
        bias = bias + unit * 0.01 ** (i / 399) * (tpr.mean() - tpr)
        bias = bias - bias.mean()
    assert sorted(tprs(z + fitted_bias(z, y), y)) == pytest.approx(
        max(s for variance, s in seen if variance <= seen[0][0]), abs=1e-12
    )


def test_a_network_that_is_already_even_is_left_alone():
    z = np.eye(C)[np.tile(np.arange(C), 5)]
    assert (fitted_bias(z, z.argmax(axis=1)) == 0).all()


def test_a_class_without_validation_samples_keeps_0():
    z, y = task(2000, 3)
    bias = fitted_bias(z[y != 2], y[y != 2])
    assert bias[2] == 0
    assert (np.delete(bias, 2) != 0).all()
    assert bias.sum() == pytest.approx(0, abs=1e-9)


def test_two_classes():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 4000)
    z = rng.normal(size=(4000, 2)) + np.array([1.5, 0])
    z[np.arange(4000), y] += 1
    bias = fitted_bias(z, y)
    assert np.ptp(tprs(z + bias, y)) < 0.005
    assert bias[0] == pytest.approx(-0.75, abs=0.1)  # takes the tilt back


def test_without_validation_samples_there_is_nothing_to_fit():
    with pytest.raises(EvenlyError, match="equal_tpr_bias is fitted on validation samples"):
        fitted_bias(np.zeros((0, C)), np.zeros(0, dtype=np.int64))


# ---------------------------------------------------------------- all steps


@pytest.mark.parametrize("key", STEPS)
def test_every_step_leaves_its_inputs_and_scores_every_split(key):
    out = outputs()
    before = {k: v.copy() for k, v in out.logits.items()} | {"f": out.features["test"].copy(), "w": out.weight.copy()}
    scores, _ = stepped(key, out)
    assert {k: v.shape for k, v in scores.items()} == {k: (n, C) for k, n in SPLITS.items()}
    for k in SPLITS:
        assert (out.logits[k] == before[k]).all()
    assert (out.features["test"] == before["f"]).all()
    assert (out.weight == before["w"]).all()


def test_the_steps_are_the_post_hoc_methods():
    assert set(STEPS) == {m.key for m in METHODS if m.stage == POSTHOC}
    with pytest.raises(EvenlyError, match="unknown post-hoc step 'magic'; known: tau_norm"):
        apply("magic", outputs(), {})
