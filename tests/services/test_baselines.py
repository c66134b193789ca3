"""Which runs may provide the TPRs for which seed, as New run offers them: those of another version of the data never do."""

from __future__ import annotations

import numpy as np

from core.datasets import describe
from pages.components.new_run import evidence
from tests.pages.components.new_run.kit import baselines, captions, started, visit
from tests.seed import record_fingerprint


def test_a_run_on_older_data_is_among_the_others_and_cannot_feed_weights(empty):
    old, now, _ = baselines(empty, 0, 1, 2)
    record_fingerprint(empty, old, "mnist1d-0")
    record_fingerprint(empty, now, describe("mnist1d", "").fingerprint)
    at = visit()
    at.selectbox(key="method").set_value("tpr_ratio").run()
    box = at.selectbox(key="new_baseline")
    assert box.value != str(old)
    box.set_value("others").run()
    other = at.selectbox(key="new_baseline_other")
    assert [o for o in other.options if "older data" in o] == other.options
    assert len(other.options) == 1, "a run from before fingerprints were kept is still offered as a baseline"
    assert f"Run {old} was trained on another version of mnist1d" in at.error[0].value.replace("\\", "")
    assert at.button(key="new_start").disabled
    at.selectbox(key="new_baseline").set_value(str(now)).run()
    assert not at.error


def test_a_seed_whose_baseline_is_of_older_data_gets_a_new_one(empty):
    first, old = baselines(empty, 0, 1)
    record_fingerprint(empty, old, "mnist1d-0")
    at = visit()
    at.selectbox(key="method").set_value("tpr_ratio").run()
    assert at.selectbox(key="new_baseline").value == str(first)
    at.number_input(key="new_replicates").set_value(2).run()
    assert "for seed 1 a baseline is trained first" in captions(at)
    base, *weighted = started(at, empty)
    assert (base.method, base.seed) == ("none", 1)
    assert [r.baseline_id for r in weighted] == [first, base.id]


def test_a_run_that_takes_no_tprs_may_be_compared_with_one_on_older_data(empty):
    (old,) = baselines(empty, 0)
    record_fingerprint(empty, old, "mnist1d-0")
    at = visit()
    at.selectbox(key="method").set_value("inverse_frequency").run()
    at.selectbox(key="new_baseline").set_value("others").run()
    assert not at.error
    (row,) = started(at, empty)
    assert row.baseline_id == old
    assert np.isfinite(row.seed)


def test_a_run_that_finishes_on_other_data_is_sorted_while_the_page_is_open(empty):
    """What New run keeps of how runs draw their data is read anew when a run has come."""
    baselines(empty, 0)
    at = visit()
    at.selectbox(key="method").set_value("tpr_ratio").run()
    assert evidence.TEXTS[evidence.OTHERS] not in at.selectbox(key="new_baseline").options
    (other,) = baselines(empty, 0, imbalance=10.0)
    at.run()
    at.selectbox(key="new_baseline").set_value("others").run()
    (label,) = at.selectbox(key="new_baseline_other").options
    assert label.startswith(f"Run {other}: ")
    assert label.endswith("(tail 10)")
