"""What is in force in an epoch: late starts of weights, logit terms and samplers, and the warning about two corrections."""

from itertools import product

import numpy as np
import pytest

from core.config import RunConfig, checked
from core.evidence import Evidence
from core.methods import METHODS, answer
from core.methods.row import CLASSIFIER, POSTHOC
from core.samplers import SAMPLERS
from core.schedule import double_correction, first_epoch, in_force

COUNTS = [1000, 300, 100, 30, 10]


def config(method="none", sampler="instance", **changes):
    return checked(RunConfig("mnist1d", "cnn1d", method, sampler=sampler, **changes))


def at(epoch, settings):
    return in_force(settings, Evidence(5, counts=COUNTS, tpr=[0.9, 0.7, 0.5, 0.3, 0.1], epoch=epoch, epochs=settings.epochs))


def same(a, b):
    assert a.set().keys() == b.set().keys()
    for name, v in a.set().items():
        np.testing.assert_array_equal(v, getattr(b, name))
    assert (a.objective, a.draw, dict(a.knobs)) == (b.objective, b.draw, dict(b.knobs))


def of(key, params=None, table=METHODS, **changes):
    return answer(key, Evidence(5, counts=COUNTS, tpr=[0.9, 0.7, 0.5, 0.3, 0.1], **changes), params, table=table)


@pytest.mark.parametrize(("start", "epochs", "first"), [
    (0.8, 200, 160),  # DRW: epochs 0 to 159 are plain
    (0.8, 10, 8), (0.8, 240, 192), (0, 20, 0), (0.5, 3, 2), (0.3, 10, 3), (0.99, 20, 19), (0.99, 1, 0), (0.01, 100, 1), (0.001, 100, 1)])
def test_first_epoch(start, epochs, first):
    assert first_epoch(config(start=start, epochs=epochs)) == first


@pytest.mark.parametrize("method", ["class_balanced", "tpr_ratio", "vs", "focal", "seql", "ghm", "group_dro"])
def test_everything_waits(method):
    """Deferred re-weighting: nothing of the method before the start, all of it from there on."""
    late = config(method, start=0.8, epochs=200)
    for epoch in (0, 159):
        same(at(epoch, late), of("none"))
        assert at(epoch, late).notes == ("Plain until epoch 160: the terms act from epoch 161 on.",)
    for epoch in (160, 199):
        same(at(epoch, late), of(method))


def test_only_the_weight_waits():
    """LDAM-DRW: margin and s from the first epoch, class-balanced weights from the 161st on."""
    drw = config("ldam", params={"reweight": 0.9999}, start=0.8, deferred="weight", epochs=200)
    before, after, plain = at(159, drw), at(160, drw), of("ldam")
    same(before, plain)
    assert before.notes == ("Weight and sampling act from epoch 161 on.",)
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


@pytest.mark.parametrize(("method", "counts", "expected"), [("crt", COUNTS, [0.2] * 5), ("lws", [3, 0, 9], [0.5, 0, 0.5]), ("oltr", [4, 4], [0.5, 0.5])])
def test_second_stages_sample_every_class_alike(method, counts, expected):
    assert answer(method, Evidence(len(counts), counts=counts)).sampling.tolist() == expected


# ---------------------------------------------------------------- two corrections of one imbalance


@pytest.mark.parametrize(("method", "sampler", "warning"), [
    ("inverse_frequency", "balanced", "Inverse frequency and the sampler class-balanced both make up for unequal counts: the correction is applied twice."),
    ("logit_adjusted", "share", "Logit adjustment and the sampler half and half, probabilistic both make up for unequal counts: the correction is applied twice."),
    ("cdb", "difficulty", "Class-wise difficulty (CDB) and the sampler difficulty (CDB-S) both make up for the difficulty of the classes: the correction is applied twice."),
    ("tpr_ratio", "difficulty", "TPR ratio and the sampler difficulty (CDB-S) both make up for the difficulty of the classes: the correction is applied twice."),
    ("ldam", "difficulty", "Label-distribution-aware margin (LDAM) and the sampler difficulty (CDB-S) both make up for unequal counts: the correction is applied twice."),
    ("inverse_frequency", "instance", None),
    ("none", "balanced", None),
    ("focal", "balanced", None),
    ("cdb", "balanced", None),  # difficulty and counts are two things
    ("crt", "square_root", None),  # the sampler takes the place of its own
])
def test_double_correction(method, sampler, warning):
    assert double_correction(config(method, sampler)) == warning


def test_double_correction_of_a_formula_depends_on_what_is_typed():
    assert double_correction(config("custom", "balanced", params={"formula": "1/n"})) is not None
    assert double_correction(config("custom", "balanced", params={"formula": "1/tpr"})) is None
    assert double_correction(config("custom", "difficulty", params={"formula": "1/tpr"})) is not None


def test_every_pair_warns_exactly_where_both_look_at_the_same():
    for method, sampler in product(METHODS, SAMPLERS):
        if sampler.stage == CLASSIFIER and method.stage != CLASSIFIER:
            continue  # refused by checked
        said = double_correction(config(method.key, sampler.key))
        needs = method.needs_with({})
        counts, difficulty = "counts" in needs & sampler.needs, bool(needs & {"tpr", "last_tpr"}) and "last_tpr" in sampler.needs
        assert (said is not None) == ((counts or difficulty) and method.stage not in (CLASSIFIER, POSTHOC)), (method.key, sampler.key)
        if said:
            assert said.startswith(f"{method.label} and the sampler ")
            assert (("unequal counts" in said), ("the difficulty of the classes" in said)) == (counts, difficulty)
            assert said.endswith(": the correction is applied twice.")
