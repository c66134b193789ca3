"""What is in force in an epoch: late starts of weights, logit terms and samplers, and what is kept of the past."""

import numpy as np
import pytest

from core.errors import EvenlyError
from core.experiment.config import RunConfig, checked
from core.experiment.term_schedule import first_epoch, in_epoch, in_force, kept
from core.methods import METHODS, TRAIN, answer
from core.methods.notes import TermsWait
from core.methods.samplers import SAMPLERS
from core.methods.types import Evidence
from core.training.objectives import addresses, objective_class
from core.training.objectives.base import Objective

COUNTS = [1000, 300, 100, 30, 10]


def config(method="none", sampler="instance", **changes):
    return checked(RunConfig("mnist1d", "cnn1d", method, sampler=sampler, **changes))


def evidence(**changes):
    return Evidence(5, counts=COUNTS, tpr=[0.9, 0.7, 0.5, 0.3, 0.1], **changes)


def at(epoch, settings):
    return in_force(settings, evidence(epoch=epoch, epochs=settings.epochs))


def same(a, b):
    assert a.set().keys() == b.set().keys()
    for name, v in a.set().items():
        np.testing.assert_array_equal(v, getattr(b, name))
    assert (a.objective, a.draw, dict(a.knobs)) == (b.objective, b.draw, dict(b.knobs))


def of(key, params=None, table=METHODS, **changes):
    return answer(key, Evidence(5, counts=COUNTS, tpr=[0.9, 0.7, 0.5, 0.3, 0.1], **changes), params, table=table)


@pytest.mark.parametrize(
    ("start", "epochs", "first"),
    [
        (0.8, 200, 160),  # DRW: epochs 0 to 159 are plain
        (0.8, 10, 8),
        (0.8, 240, 192),
        (0, 20, 0),
        (0.5, 3, 2),
        (0.3, 10, 3),
        (0.99, 20, 19),
        (0.99, 1, 0),
        (0.01, 100, 1),
        (0.001, 100, 1),
    ],
)
def test_first_epoch(start, epochs, first):
    assert first_epoch(config(start=start, epochs=epochs)) == first


@pytest.mark.parametrize("method", ["class_balanced", "tpr_ratio", "vs", "focal", "seql", "ghm", "group_dro"])
def test_everything_waits(method):
    """Deferred re-weighting: nothing of the method before the start, all of it from there on."""
    late = config(method, start=0.8, epochs=200)
    for epoch in (0, 159):
        same(at(epoch, late), of("none"))
        assert at(epoch, late).notes == (TermsWait((), 161),)
    for epoch in (160, 199):
        same(at(epoch, late), of(method))


def test_only_the_weight_waits():
    """LDAM-DRW: margin and s from the first epoch, class-balanced weights from the 161st on."""
    drw = config("ldam", params={"reweight": 0.9999}, start=0.8, deferred="weight", epochs=200)
    before, after, plain = at(159, drw), at(160, drw), of("ldam")
    same(before, plain)
    assert before.notes == (TermsWait(("weight",), 161),)
    np.testing.assert_array_equal(after.margin, plain.margin)
    np.testing.assert_array_equal(after.weight, of("class_balanced").weight)
    assert before.knobs == after.knobs == {"s": 30}


def test_the_scale_of_a_cosine_layer_never_waits():
    """Cosines alone are too small to learn from."""
    before = at(0, config("ldam", params={"reweight": 0.99}, start=0.5, epochs=10))
    assert before.set() == {}
    assert before.knobs == {"s": 30}


def test_a_sampler_joins_the_method():
    both = at(0, config("focal", "class_aware", sampler_params={"run": 2}))
    assert both.focus.tolist() == [2] * 5
    assert both.sampling.tolist() == [0.2] * 5
    assert (both.draw, both.knobs) == ("turns", {"run": 2, "cycle": 1})


@pytest.mark.parametrize("deferred", ["everything", "weight"])
def test_a_late_sampler(deferred):
    """Deferred re-sampling: an ordinary order before the start."""
    late = config("focal", "half_and_half", start=0.5, deferred=deferred, epochs=10)
    before, after = at(4, late), at(5, late)
    assert (before.sampling, before.draw) == (None, "replace")
    assert (before.focus is None) == (deferred == "everything")
    same(after, at(0, config("focal", "half_and_half")))


def test_the_sampler_sees_the_epoch():
    progressive = config(sampler="progressive", epochs=11)
    np.testing.assert_allclose(at(10, progressive).sampling, [0.2] * 5)
    assert at(5, progressive).info == {"t": 0.5}
    assert at(0, config("cdb", "balanced")).notes == of("cdb").notes


def test_a_second_stage_draws_evenly_unless_told_otherwise():
    np.testing.assert_allclose(at(0, config("crt")).sampling, [0.2] * 5)
    np.testing.assert_allclose(at(0, config("crt", "square_root")).sampling, of("square_root", table=SAMPLERS).sampling)
    made = at(0, config("crt", "smote"))  # every class is as large as the largest: an ordinary order
    assert (made.sampling, made.knobs) == (None, {"fresh": 1, "smote": 5})


@pytest.mark.parametrize(
    ("method", "counts", "expected"),
    [("crt", COUNTS, [0.2] * 5), ("lws", [3, 0, 9], [0.5, 0, 0.5]), ("oltr", [4, 4], [0.5, 0.5])],
)
def test_second_stages_sample_every_class_alike(method, counts, expected):
    assert answer(method, Evidence(len(counts), counts=counts)).sampling.tolist() == expected


# ---------------------------------------------------------------- weights that live in an objective


@pytest.mark.parametrize("method", ["group_dro", "l2rw", "meta_weight_net", "difficulty_net"])
@pytest.mark.parametrize("sampler", ["instance", "balanced"])
def test_a_weight_inside_an_objective_waits(method, sampler):
    """Before the start the run is trained by plain cross entropy, from it on by the method."""
    late = config(method, sampler, start=0.8, deferred="weight", epochs=200)
    before = at(159, late)
    same(before, of("none"))
    assert before.notes == (TermsWait(("weight",) if sampler == "instance" else ("weight", "sampling"), 161),)
    same(at(160, late), at(0, config(method, sampler)))


def test_every_method_with_a_weight_in_its_objective_says_so():
    """What reports a weight of its own while training carries it: no row may forget the flag."""
    carries = {key for key in addresses() if objective_class(key).class_weight is not Objective.class_weight}
    for method in METHODS:
        if method.stage == TRAIN:
            assert method.weighs == (answer(method.key, evidence(), method.tested(5)).objective in carries), method.key


@pytest.mark.parametrize(
    "method", ["none", "focal", "ghm", "vs", "balanced_softmax", "seql", "label_aware_smoothing", "ldam"]
)
def test_a_late_weight_that_is_none_is_refused(method):
    late = config(method, start=0.8, deferred="weight", epochs=200)
    for epoch in (0, 159, 160, 199):
        with pytest.raises(
            EvenlyError, match=f"deferred weight: {method} sets no weight .* set deferred to everything, or start to 0"
        ):
            at(epoch, late)
    assert at(0, config(method, deferred="weight")).notes == at(0, config(method)).notes


@pytest.mark.parametrize("deferred", ["everything", "weight"])
def test_smote_cannot_start_late(deferred):
    """Its samples are made before the first epoch."""
    with pytest.raises(EvenlyError, match=r"sampler smote creates its samples once.*set start to 0"):
        at(0, config("crt", "smote", start=0.5, deferred=deferred))


# ---------------------------------------------------------------- what is kept of the past


def past(epochs=9, classes=5):
    drawn = np.random.default_rng(3).random((epochs, classes))
    drawn[:3, 1] = np.nan
    drawn[5, 2] = np.nan
    return drawn


def test_the_moving_average_is_carried_instead_of_the_past():
    """One row however many epochs there were, and the weights of every epoch bit for bit those of the whole history."""
    settings, whole, carried = config("cdb", params={"ema": 0.7, "tau": 1.5}, epochs=10), past(), None
    for e in range(1, 10):
        new = whole[e - 1 : e]
        carried = kept(settings, new if carried is None else np.concatenate([carried, new]))
        assert carried.shape == (1, 5)
        seen = evidence(), e, whole[e - 1], np.full(5, 40.0)
        np.testing.assert_array_equal(
            in_epoch(settings, *seen, carried).weight, in_epoch(settings, *seen, whole[:e]).weight
        )


@pytest.mark.parametrize(
    "settings", [config("cdb"), config("none"), config(sampler="difficulty"), config("difficulty_net")]
)
def test_without_a_moving_average_nothing_of_the_past_is_kept(settings):
    assert kept(settings, past()) is None
