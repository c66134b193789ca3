"""Where a run's TPRs come from, as Compare and the exports say it: only where they make its weights."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from core.experiment.config import RunConfig
from core.experiment.facts import Facts, StartEvidence
from core.methods import METHODS
from reporting import settings_text


def row(method, **params):
    config = RunConfig("mnist1d", "cnn1d", method, {p.key: p.default for p in METHODS[method].params} | params)
    facts = Facts(evidence=StartEvidence(origin="run 1, validation split, epoch 20"))
    return SimpleNamespace(config=config, baseline_id=1, facts=facts)


@pytest.mark.parametrize("method", METHODS.keys)
def test_only_a_method_that_needs_tprs_takes_them_from_its_baseline(method):
    run = row(method)
    takes = "tpr" in METHODS[method].needs_with(run.config.params)
    assert settings_text.weights_from(run) == ("run 1, validation split, epoch 20" if takes else "")


def test_cdb_has_a_baseline_only_to_compare_with():
    assert settings_text.weights_from(row("cdb")) == ""
    assert settings_text.weights_from(row("tpr_ratio")) == "run 1, validation split, epoch 20"
