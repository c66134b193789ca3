"""A run as a row for the queue."""

from __future__ import annotations

import pytest

from core.errors import EvenlyError
from core.experiment.config import RunConfig, checked
from services.queue_rows import new_run

CONFIG = RunConfig("mnist1d", "cnn1d", "tpr_ratio")


def test_a_row_has_the_checked_config_a_name_and_its_link():
    row = new_run(CONFIG, tags="first", baseline=3, baseline_group="their group")
    assert (row.config, row.tags) == (checked(CONFIG), "first")
    assert (row.baseline, row.baseline_index) == (3, None)
    assert row.name.startswith("MNIST-1D: TPR ratio")
    assert new_run(CONFIG, name="my run").name == "my run"


def test_runs_with_baselines_of_other_settings_are_no_replicates():
    groups = {new_run(CONFIG, baseline=3, baseline_group=group).group_sha for group in ("", "a", "b")}
    assert len(groups) == 3
    assert new_run(CONFIG, baseline=4, baseline_group="a").group_sha in groups, "whichever run it is"


def test_a_setting_that_is_not_allowed_makes_no_row():
    with pytest.raises(EvenlyError, match="epochs"):
        new_run(RunConfig("mnist1d", "cnn1d", epochs=0))
