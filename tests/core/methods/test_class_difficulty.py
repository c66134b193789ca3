"""Class-wise difficulty-balanced weights (CDB): the values of the source, and along the epochs."""

import math

import numpy as np
import pytest

from core.methods import answer
from core.methods.class_difficulty import dynamic_tau, smoothed_tprs
from core.methods.types import Evidence
from tests.core.methods.kit import FIVE, MANY, SEED, terms

CDB = [  # TPRs, parameters, weights, tau
    (FIVE, {}, [0.0303432573982, 0.272886352295, 0.757755640716, 1.48486289992, 2.45415184967], 1.999323244),
    (
        FIVE,
        {"variant": "imagenet_code"},
        [0.0303934183948, 0.273084539569, 0.757979627231, 1.48488074427, 2.45366167053],
        1.998480587,
    ),
    (
        FIVE,
        {"variant": "cifar_code"},
        [0.200100101428, 0.600115927441, 1.00005036063, 1.39993878881, 1.79979482169],
        0.999720385,
    ),
    (FIVE, {"tau": 0.5}, [0.471081702971, 0.815937444062, 1.0533707108, 1.24636503325, 1.41324510891], 0.5),
    (FIVE, {"tau": 1}, [0.2, 0.6, 1, 1.4, 1.8], 1),
    (FIVE, {"tau": 1.5}, [0.0794953615527, 0.413070015526, 0.888785161639, 1.47227469936, 2.14637476192], 1.5),
    (FIVE, {"tau": 2}, [0.030303030303, 0.272727272727, 0.757575757576, 1.48484848485, 2.45454545455], 2),
    (FIVE, {"tau": 5}, [6.31113916062e-05, 0.0153360681603, 0.197223098769, 1.06071315873, 3.72666456295], 5),
    ([0.99, 0.98], {}, [0.665111702804, 1.3348882972], 1.00505046211),
    ([0.99, 0.98], {"variant": "cifar_code"}, [0.751920244714, 1.24807975529], 0.73105857863),
    (SEED, {}, [0.198002881733, 1.548315415941, 1.253681702326], 1.147861312217),
    (SEED, {"variant": "cifar_code"}, [0.349525039227, 1.420429576238, 1.230045384535], 0.782568000446),
    ([0.8, 0.8, 0.8], {}, [1, 1, 1], 0.999937507812),
    ([0, 0, 0], {}, [1, 1, 1], 0.53788284274),
    ([0, 0, 0], {"variant": "cifar_code"}, [1, 1, 1], 0.5),
    (
        [1, 0.5, 0],
        {},
        [0, 0.6, 2.4],
        2,
    ),  # the floors keep the 0 off 0; with enough validation samples they are out of sight
    ([1, 0.5, 0], {"variant": "cifar_code"}, [0, 1, 2], 1),
]


@pytest.mark.parametrize(("tpr", "params", "expected", "tau"), CDB)
def test_cdb(tpr, params, expected, tau):
    found = terms("cdb", params, tpr=tpr, support=np.full(len(tpr), MANY))
    np.testing.assert_allclose(found.weight, expected, rtol=1e-8, atol=1e-8)
    assert found.info["tau"] == pytest.approx(tau, abs=1e-9)


@pytest.mark.parametrize(
    ("tpr", "variant", "tau"),
    [
        ([0.99, 0.98], "imagenet_code", 1.0),
        ([0, 0, 0], "paper", 0.53788284274),
        ([1, 0.5, 0], "paper", 2.0),
        ([0.9, math.nan, 0.1], "paper", 1.999323244),
    ],
)
def test_dynamic_tau_looks_at_the_raw_tprs(tpr, variant, tau):
    """Also where TPRs are 0 or 1, and over the classes that have one."""
    assert dynamic_tau(np.array(tpr, float), variant) == pytest.approx(tau, abs=1e-9)


PAST = np.array([[0.2, 0.9, math.nan], [0.6, 0.7, 0.4], [0.4, 0.8, 0.5]])


def test_moving_average_by_hand():
    """A <- .75 A + .25 new; a class's average begins with its first value, and a missing value changes nothing."""
    assert smoothed_tprs(PAST, 0.75) == pytest.approx(
        [
            0.75 * (0.75 * 0.2 + 0.25 * 0.6) + 0.25 * 0.4,
            0.75 * (0.75 * 0.9 + 0.25 * 0.7) + 0.25 * 0.8,
            0.75 * 0.4 + 0.25 * 0.5,
        ]
    )
    assert smoothed_tprs(np.vstack([PAST, [math.nan] * 3]), 0.75) == pytest.approx(smoothed_tprs(PAST, 0.75))


def test_cdb_with_a_moving_average():
    def cdb(**params):
        return answer("cdb", Evidence(3, last_tpr=PAST[-1], past=PAST, epoch=3, epochs=9), params)

    published = answer("cdb", Evidence(3, last_tpr=PAST[-1]))
    assert cdb(ema=0).weight.tolist() == published.weight.tolist()
    assert (
        cdb(ema=0.75).weight.tolist() == answer("cdb", Evidence(3, last_tpr=smoothed_tprs(PAST, 0.75))).weight.tolist()
    )
    assert cdb(ema=0.75).info["tau"] == pytest.approx(dynamic_tau(smoothed_tprs(PAST, 0.75), "paper"))


def test_cdb_before_the_first_epoch():
    found = answer("cdb", Evidence(3, tpr=SEED))
    assert found.weight.tolist() == [1, 1, 1]
    assert found.notes
