"""Facts: the stored form stays as it is, and what an earlier version did not record has its default."""

import json

import pytest

from core.experiment.facts import NOT_STARTED, Facts, StartEvidence, origin_of_run

OLDEST = {  # as version 0.1.0 stored them
    "classes": ["ant", "bee"],
    "counts": {"train": [30, 20], "validation": [4, 3], "test": [9, 9]},
    "index_hash": "ab",
    "evidence": {"tpr": [0.5, None], "support": [4.0, 0.0], "from": "run 1, validation split, epoch 3"},
    "device": "cpu",
    "versions": {"torch": "2.13.0"},
    "parameters": 7,
    "skipped": ["ant/broken.png"],
}
TODAY = OLDEST | {
    "fingerprint": "cd",
    "evidence": {"tpr": None, "support": None, "from": "", "method": ""},
    "precision": "bfloat16",
    "heads": [["cosine", {"s": 30.0}], ["linear", {}]],
    "skipped": [],
}


@pytest.mark.parametrize(
    "stored", [{}, OLDEST, TODAY, TODAY | {"humidity": 0.4}], ids=["none", "0.1.0", "now", "newer"]
)
def test_facts_are_stored_and_exported_as_they_were_recorded(stored):
    facts = Facts.from_stored(stored)
    assert json.loads(json.dumps(facts.stored())) == stored
    assert Facts.from_stored(facts.stored()) == facts


def test_what_was_not_recorded_has_its_default():
    facts = Facts.from_stored(OLDEST)
    assert (facts.fingerprint, facts.precision, facts.trained_in, facts.heads) == ("", "", "float32", ())
    assert facts.evidence == StartEvidence([0.5, None], [4.0, 0.0], OLDEST["evidence"]["from"])
    assert (facts.training_counts.tolist(), facts.validation_counts) == ([30, 20], [4, 3])
    assert (NOT_STARTED.training_counts, NOT_STARTED.validation_counts, NOT_STARTED.classes) == (None, (), ())
    assert Facts.from_stored(TODAY).trained_in == "bfloat16"


@pytest.mark.parametrize(
    ("origin", "run"),
    [(origin_of_run(13, 20), 13), (OLDEST["evidence"]["from"], 1), ("run 7", 7), ("table.csv", None), ("", None)],
)
def test_the_run_that_the_tprs_come_from_is_read_back(origin, run):
    assert StartEvidence(origin=origin).run == run
