"""What the rows of methods and samplers say of a run: whether it takes TPRs."""

from __future__ import annotations

import pytest

from core.experiment.config import RunConfig
from core.methods import takes_tprs

COUNTS_ONLY = {"method": "custom", "params": {"formula": "1/n"}}
BY_TPR = {"method": "custom", "params": {"formula": "1/tpr"}}


@pytest.mark.parametrize(
    ("config", "takes"),
    [
        (COUNTS_ONLY, False),
        (BY_TPR, True),
        ({"method": "custom", "params": {"formula": "mean_tpr / n"}}, True),
        ({"method": "custom"}, True),
        ({"method": "tpr_ratio", "params": {}}, True),
        ({"method": "none"}, False),
        ({"method": "of another version"}, False),
        ({}, False),
    ],
)
def test_the_parameters_decide_whether_a_method_takes_tprs(config, takes):
    settings = RunConfig("mnist1d", "cnn1d", **config)
    assert takes_tprs(settings.method, settings.params) is takes
