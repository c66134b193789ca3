"""RunConfig: what is stored of it, so that runs of earlier versions resume."""

from dataclasses import fields, replace
from typing import get_args

import numpy as np
import pytest

from core.experiment.config import (
    LATER,
    SETTINGS,
    Role,
    RunConfig,
    checked,
    defaults,
    from_dict,
    given_tprs,
    having,
    with_given_tprs,
)

OLDEST = RunConfig(
    "digits",
    "mlp",
    method="tpr_ratio",
    params={"exponent": 2.0},
    epochs=3,
    seed=7,
    imbalance=20.0,
    profile="step",
    validation=0.2,
    reduction="batch_mean",
    device="cpu",
    tpr=(0.5, None, *(0.75,) * 8),
    tpr_source="t.csv",
)


@pytest.mark.parametrize(
    ("config", "stored", "filled"),
    [
        (
            RunConfig("mnist1d", "cnn1d"),
            "593efafcf9ea038b6726da84257d99921af123c59e8bdd2880f7ec33d73e28a3",
            "7c232a05da2dac7af153bfa6e6bf574f9121e5af1180a03de631d1127f716b94",
        ),
        (
            OLDEST,
            "5ae073fe6d8f18d58389ce77c5d9d9e9601c61a276b893c0e07c8ebcaf95f233",
            "6eb8972ecf3a68faeabfcc757a14dee933e25ddcb67c3bf21d3e366bf783b3fd",
        ),
    ],
    ids=["defaults", "every setting"],
)
def test_settings_of_the_first_release_keep_their_sha(config, stored, filled):
    """The hashes were computed by version 0.1.0, before and after filling in defaults: its checkpoints carry them."""
    assert (config.sha(), checked(config).sha()) == (stored, filled)
    assert replace(config, **LATER).sha() == stored


def test_a_setting_added_later_is_stored_only_where_it_is_not_at_its_default():
    first = {"epochs", "seed", "imbalance", "profile", "validation", "reduction", "device"}
    assert set(LATER) == {*SETTINGS.keys} - first | {"sampler", "sampler_params"}
    assert not set(LATER) & set(OLDEST.stored())
    late = replace(OLDEST, start=0.8, sampler="power", sampler_params={"q": 0.5})
    assert set(late.stored()) - set(OLDEST.stored()) == {"start", "sampler", "sampler_params"}
    assert from_dict(late.stored()) == late


def test_a_setting_bears_the_name_and_the_default_of_its_field():
    rows = {
        f.name: (f.metadata["param"].key, f.metadata["param"].default)
        for f in fields(RunConfig)
        if "param" in f.metadata
    }
    assert rows == {key: (key, getattr(RunConfig, key)) for key in SETTINGS.keys}


@pytest.mark.parametrize("support", [None, [10.0, 1000.0, 0.0]])
def test_given_tprs_come_back_with_every_digit(support):
    config = with_given_tprs(RunConfig("digits", "mlp"), [1.0, 1 / 3, float("nan")], support, "mine")
    tpr, behind = given_tprs(from_dict(config.stored()))
    assert np.array_equal(tpr, [1.0, 1 / 3, np.nan], equal_nan=True)
    assert behind is None if support is None else behind.tolist() == support
    assert given_tprs(RunConfig("digits", "mlp")) == (None, None)


def test_every_field_that_has_a_role_has_this_one():
    """A comparison, a baseline and a post-hoc step leave settings out by role."""
    assert {role: set(having(role)) for role in get_args(Role)} == {
        "splits": {"seed", "validation", "imbalance", "profile"},
        "method": {"method", "params", "reduction"},
        "sampling": {"sampler", "sampler_params", "start", "deferred"},
        "evidence": {"tpr", "tpr_support", "tpr_source"},
        "training": {"epochs", "recipe", "recipe_params"},
        "where": {"dataset", "device"},
    }
    assert defaults("sampling") == {"sampler": "instance", "sampler_params": {}, "start": 0.0, "deferred": "everything"}
    assert defaults("evidence") == {"tpr": None, "tpr_support": None, "tpr_source": ""}
