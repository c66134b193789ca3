"""Which run cannot be the baseline of a config, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from core.experiment import baseline
from core.experiment.baseline import BaselineDiffers, refusal, same_data
from core.experiment.config import RunConfig
from core.experiment.facts import NOT_STARTED, Facts
from core.methods import METHODS

CONFIG = RunConfig("insects", "cnn")
NOW = SimpleNamespace(classes=("ant", "bee"), own_validation=False, fingerprint="new")
STARTED = Facts(classes=("ant", "bee"), fingerprint="new")


@dataclass(frozen=True)
class Stored:
    """A stored run."""

    id: int = 3
    status: str = "succeeded"
    baseline_id: int | None = None
    config: RunConfig = CONFIG
    facts: Facts = STARTED


def refused(run, method, **statuses):
    config = replace(CONFIG, method=method, seed=7)
    return refusal(run, config, NOW, METHODS[method].needs_with({}), **statuses)


@pytest.mark.parametrize("method", ["none", "tpr_ratio", "crt", "tau_norm", "equal_tpr_bias"])
def test_a_run_on_the_same_data_and_model_can_be_a_baseline(method):
    assert refused(Stored(), method) is None
    assert refused(Stored(facts=NOT_STARTED), method) is None, "what was not recorded says nothing against it"


@pytest.mark.parametrize("method", ["none", "tpr_ratio", "crt"])
@pytest.mark.parametrize(
    ("run", "finding"),
    [
        (Stored(status="running"), baseline.NotSucceeded(3, "running")),
        (Stored(config=replace(CONFIG, dataset="digits")), baseline.OtherDataset(3, "digits", "insects")),
        (Stored(facts=Facts(classes=("ant",))), baseline.OtherClasses(3, "insects")),
    ],
)
def test_no_method_takes_an_unfinished_run_or_one_on_other_data(run, finding, method):
    assert refused(run, method) == finding


def test_the_caller_says_which_statuses_will_do():
    assert refused(Stored(status="queued"), "tpr_ratio", statuses=("succeeded", "queued")) is None


def test_tprs_of_older_data_make_no_weights():
    old = Stored(facts=replace(STARTED, fingerprint="old"))
    assert refused(old, "tpr_ratio") == baseline.OlderData(3, "insects", "old", "new")
    assert refused(old, "none") is None, "it is only compared"
    assert refused(old, "crt") == baseline.OtherNetwork(3, "crt", BaselineDiffers(older=True))


def test_a_network_must_be_there_and_fit():
    tailed = Stored(config=replace(CONFIG, imbalance=10.0))
    assert refused(tailed, "tpr_ratio") is None, "the command line reports it, and goes on"
    assert refused(tailed, "crt") == baseline.OtherNetwork(3, "crt", BaselineDiffers(tail=(10.0, "exponential")))
    step = Stored(id=4, baseline_id=3, config=replace(CONFIG, method="tau_norm"))
    assert refused(step, "crt") == baseline.NoNetwork(4, 3)
    assert refused(step, "tpr_ratio") is None
    cosine = Stored(facts=replace(STARTED, heads=(("cosine", {}),)))
    assert refused(cosine, "tau_norm") == baseline.OtherHead(3, "tau_norm", "cosine")
    assert refused(cosine, "crt") is None


def test_an_unknown_fingerprint_says_nothing_against_a_run():
    assert same_data(None, "a")
    assert same_data("a", "")
    assert same_data("a", "a")
    assert not same_data("a", "b")
