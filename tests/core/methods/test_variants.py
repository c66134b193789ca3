"""Where a paper and its code differ, both can be chosen: what each choice does, and what the shown formula says of it."""

import copy
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from core.errors import EvenlyError
from core.experiment.config import RunConfig, checked
from core.experiment.term_schedule import in_force
from core.methods import METHODS, answer, formula_with, what_if
from core.methods.types import Evidence
from core.training.losses import class_loss, left_out
from core.training.objectives import objective_class

FIVE = [0.9, 0.7, 0.5, 0.3, 0.1]


def generator(seed):
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------- equalization loss: one draw a batch


def test_one_draw_shields_from_the_whole_batch_or_from_nothing():
    labels, mask = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0.0, 0.6, 0.6])
    own = torch.nn.functional.one_hot(labels, 3).bool()
    seen = [left_out(labels, mask, generator(s), {"together": 1.0}) for s in range(300)]
    for out in seen:
        assert torch.equal(out, (mask > 0) & ~own) or not out.any()
    assert np.mean([out.any().item() for out in seen]) == pytest.approx(0.6, abs=0.08)
    apart = left_out(labels.repeat(50), mask, generator(0))
    assert apart.any()
    assert not torch.equal(apart, (mask > 0) & ~own.repeat(50, 1))


@pytest.mark.parametrize("key", ["eql", "seql"])
def test_the_variant_reaches_the_loss(key):
    answered = [
        answer(key, what_if(3, counts=[100, 5, 5]), {"threshold": 0.1, "gamma": 0.5, "variant": v})
        for v in ("paper", "cdb_code")
    ]
    assert [bool(a.knobs.get("together")) for a in answered] == [False, True]
    z, labels = torch.randn(40, 3, generator=generator(1)), torch.arange(40) % 3
    terms = {"mask": torch.tensor(answered[1].mask, dtype=torch.float32)}
    values = {
        round(class_loss(z, labels, terms, "batch_mean", answered[1].knobs, generator(s)).item(), 6) for s in range(30)
    }
    assert len(values) == 2, "all shielded, or none"


# ---------------------------------------------------------------- CDB without rescaling


def test_cdb_as_the_paper_states_it_is_not_rescaled():
    """Eq. 1 and 2 of the paper; its raw vector in the reference sheet."""
    seen = what_if(5, tpr=FIVE, support=np.full(5, 1e9))
    raw = answer("cdb", seen, {"normalize": "none"}).weight
    np.testing.assert_allclose(
        raw, [0.0100155950229, 0.0900733614716, 0.250117300332, 0.490118291354, 0.810057757754], rtol=1e-8
    )
    scaled = answer("cdb", seen).weight
    np.testing.assert_allclose(raw / raw.mean(), scaled)
    z, labels = torch.randn(50, 5, generator=generator(0), dtype=torch.float64), torch.arange(50) % 5
    mean, batch = (
        [class_loss(z, labels, {"weight": torch.tensor(w)}, r).item() for w in (raw, scaled)]
        for r in ("weighted_mean", "batch_mean")
    )
    assert mean[0] == pytest.approx(mean[1])
    assert batch[0] == pytest.approx(batch[1] * raw.mean())
    assert "none" in {p.key: p for p in METHODS["cdb"].params}["normalize"].choices


# ---------------------------------------------------------------- Meta-Weight-Net, Difficulty-Net


def test_published_rates_of_the_weight_network():
    rate = {
        v: answer("meta_weight_net", Evidence(3), {"variant": v}).knobs["lr"] for v in ("noise_code", "imbalance_code")
    }
    assert rate == {"noise_code": 1e-3, "imbalance_code": 1e-5}
    assert answer("meta_weight_net", Evidence(3), {"variant": "imbalance_code", "lr": 0.1}).knobs["lr"] == 0.1


def test_variants_of_the_small_networks():
    made = {}
    for key, variant in (
        ("meta_weight_net", "noise_code"),
        ("meta_weight_net", "imbalance_code"),
        ("difficulty_net", "paper"),
        ("difficulty_net", "cifar_code"),
    ):
        made[variant] = objective_class(key)(
            3, answer(key, Evidence(3), {"variant": variant}).knobs, None, generator(0)
        )
    assert [type(made[v].optimizer).__name__ for v in ("noise_code", "imbalance_code")] == ["Adam", "SGD"]
    assert [made[v].looks_ahead() for v in ("paper", "cifar_code")] == [True, False]


def test_replicates_start_with_small_networks_of_their_own(monkeypatch):
    """Through the trainer: another seed draws another network, the same seed the same one."""
    from core.methods.types import ClassTerms
    from core.training.trainer import Trainer

    def first(seed):
        trainer = object.__new__(Trainer)
        trainer.config, trainer.classes, trainer.counts, trainer.objectives, trainer._waiting = (
            RunConfig("d", "m", seed=seed),
            3,
            None,
            {},
            {},
        )
        trainer.device = type("On", (), {"device": torch.device("cpu")})
        trainer.progress = type("At", (), {"step": 1})
        terms = ClassTerms(objective="meta_weight_net", knobs={"hidden": 4, "lr": 0.1})
        return copy.deepcopy(next(trainer._objective(terms).network.parameters()))

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


# ---------------------------------------------------------------- formulas say what is chosen


@pytest.mark.parametrize(
    ("key", "params", "has", "lacks"),
    [
        ("focal", {}, ["(1 - p_y)^{2}"], ["q_y", "0.25"]),
        ("focal", {"alpha": 0.25}, ["-0.25(1 - p_y)"], ["q_y"]),
        ("focal", {"form": "sigmoid"}, ["(1 - q_y)^{2}", r"\sum_{c \ne y}"], ["p_y", "off"]),
        ("focal", {"form": "sigmoid", "alpha": 0.25}, ["0.25(1 - q_y)", "(1 - 0.25)q_c"], ["p_y"]),
        ("tau_norm", {}, [], ["b_c"]),
        ("tau_norm", {"bias": "keep"}, ["+ b_c"], []),
        ("label_aware_smoothing", {}, [r"\sin\left(\tfrac{\pi}{2} x_c\right)"], ["f\\left"]),
        ("label_aware_smoothing", {"shape": "linear"}, [r"\,x_c,"], ["sin"]),
        ("label_aware_smoothing", {"shape": "convex"}, [r"1 + \sin"], []),
        ("label_aware_smoothing", {"shape": "exp", "power": 3}, ["x_c^{3}"], ["sin"]),
        ("meta_weight_net", {}, [r"\tfrac{1}{B}"], [r"\sum_j"]),
        ("meta_weight_net", {"variant": "imbalance_code"}, [r"\sum_j"], []),
        ("cdb", {}, [r"\propto"], []),
        ("cdb", {"normalize": "none"}, ["w_{c,t} ="], [r"\propto"]),
    ],
)
def test_the_formula_is_of_what_is_chosen(key, params, has, lacks):
    shown = formula_with(METHODS[key], params)
    assert all(piece in shown for piece in has), shown
    assert not any(piece in shown for piece in lacks), shown
    assert "<" not in shown


def test_shapes_of_label_smoothing_meet_at_the_ends():
    counts = [500, 120, 40, 7]
    for shape in ("concave", "linear", "convex", "exp"):
        found = answer(
            "label_aware_smoothing", what_if(4, counts=counts), {"head": 0.4, "tail": 0.1, "shape": shape, "power": 3.0}
        ).smoothing
        assert (found[0], found[-1]) == (pytest.approx(0.4), pytest.approx(0.1))
        assert all(a > b for a, b in pairwise(found))


# ---------------------------------------------------------------- a formula that acts late


LATE = checked(
    RunConfig(
        "mnist1d",
        "mlp",
        method="custom",
        params={"formula": "1 + sqrt(epoch - 160) * (1 - tpr)"},
        epochs=200,
        start=0.8,
    )
)
SEEN = Evidence(3, tpr=[0.9, 0.5, 0.2], epochs=200)


def test_a_formula_is_not_tried_where_it_never_acts():
    assert in_force(LATE, SEEN).weight is None
    assert in_force(LATE, replace(SEEN, epoch=100)).weight is None
    late = in_force(LATE, replace(SEEN, epoch=168)).weight
    assert late[2] / late[0] == pytest.approx((1 + 3 * 0.8) / (1 + 3 * 0.1), rel=1e-3)


def test_a_formula_that_fails_where_it_acts_is_refused_before_the_first_epoch():
    with pytest.raises(EvenlyError, match="in epoch 1 of 200"):
        in_force(replace(LATE, start=0.0), SEEN)
    with pytest.raises(EvenlyError, match="in epoch 161 of 200"):
        in_force(replace(LATE, params={"formula": "sqrt(epoch - 170)"}), SEEN)
    assert math.isfinite(in_force(replace(LATE, start=1.0), SEEN).knobs.get("s", 0.0))


# ---------------------------------------------------------------- sources and claims that were wrong


def test_what_no_source_says_is_called_our_own():
    from core.metrics.scalar import MEASURES

    assert MEASURES["tpr_variance"].source.authors == "Evenly"
    assert METHODS["manual"].source.authors == "Evenly"


def test_claims_of_mildness_hold():
    """At imbalance 100 the logarithm reaches 5.6; others are milder with their parameters, so it is not called the mildest."""
    counts = np.geomspace(5000, 50, 10).round()
    ratio = {
        key: np.ptp(np.log(answer(key, what_if(10, counts=counts), params).weight))
        for key, params in (
            ("log_frequency", {}),
            ("class_balanced", {"beta": 0.9}),
            ("smooth_inverse_frequency", {"gamma": 0.25}),
            ("inverse_frequency", {}),
            ("sqrt_inverse_frequency", {}),
        )
    }
    assert math.exp(ratio["log_frequency"]) == pytest.approx(5.6, abs=0.05)
    assert math.exp(ratio["inverse_frequency"]) == pytest.approx(100)
    assert math.exp(ratio["sqrt_inverse_frequency"]) == pytest.approx(10)
    assert ratio["class_balanced"] < ratio["smooth_inverse_frequency"] < ratio["log_frequency"]
    assert "mildest" not in METHODS["log_frequency"].caveat


def test_a_shift_is_not_said_to_last():
    """Kini et al. (2021): additive terms fade once the data are separated, as weights do; only factors last."""
    caveat = METHODS["tpr_logit_adjusted"].caveat
    assert "does not fade" not in caveat
    assert "less and less" in caveat


@pytest.mark.parametrize("key", ["crt", "lws", "oltr"])
def test_second_stages_say_how_they_draw(key):
    assert "with replacement" in METHODS[key].caveat
    assert "class_aware" in METHODS[key].caveat
