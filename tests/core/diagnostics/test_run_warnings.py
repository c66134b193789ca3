"""Cautions about one run: TPRs of few validation samples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.diagnostics.run_warnings import few_samples
from core.experiment.config import RunConfig
from core.experiment.facts import Facts, StartEvidence

COUNTS_ONLY = {"method": "custom", "params": {"formula": "1/n"}}
BY_TPR = {"method": "custom", "params": {"formula": "1/tpr"}}
FEW = Facts(("ant", "bee"), {"validation": [3, 400]}, evidence=StartEvidence(support=[3, 400]))
MANY = replace(FEW, evidence=StartEvidence(support=[300, 400]))


@pytest.mark.parametrize(
    ("settings", "facts", "made"),
    [
        (BY_TPR, FEW, ("weights",)),
        (COUNTS_ONLY, FEW, ()),
        (COUNTS_ONLY | {"sampler": "difficulty"}, FEW, ("sampling",)),
        ({"method": "none", "sampler": "difficulty"}, FEW, ("sampling",)),
        (BY_TPR | {"sampler": "difficulty"}, MANY, ("sampling",)),
        (BY_TPR | {"sampler": "difficulty"}, FEW, ("weights", "sampling")),
        ({"method": "none", "sampler": "balanced"}, FEW, ()),
    ],
)
def test_weights_and_sampling_from_few_validation_samples_are_reported(settings, facts, made):
    found = few_samples("run 2", RunConfig("mnist1d", "cnn1d", **settings), facts)
    assert (found.made if found else ()) == made
