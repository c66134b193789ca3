"""What the command line says of settings that are possible but questionable: on stderr, beside JSON too."""

from __future__ import annotations

from tests.commands.kit import QUICK

TAILED = (*QUICK, "--imbalance", 20)


def test_a_post_hoc_step_on_a_corrected_run(call):
    trained = {
        method: call(*TAILED, "--method", method, "--wait", "--json").data["id"]
        for method in ("none", "balanced_softmax")
    }
    plain, twice = (call("posthoc", run, "--method", "logit_adjusted_posthoc", "--json") for run in trained.values())
    assert plain.err == ""
    assert twice.err.startswith(
        "note: Post-hoc logit adjustment and Balanced softmax of the run it continues from both "
    )
    assert twice.data["status"] == "succeeded", "it is said, not refused"


def test_two_corrections_in_one_run(call):
    done = call(*TAILED, "--method", "class_balanced", "--sampler", "balanced", "--seeds", 2, "--json")
    assert done.err.startswith(
        "note: Digits (scikit-learn): Class-balanced and the sampler class-balanced both correct for class imbalance"
    )
    assert done.err.count("\n") == 1
    assert (done.data["status"], len(done.data["ids"])) == ("queued", 2)
    assert call(*TAILED, "--method", "class_balanced", "--json").err == ""


def test_a_late_weight_that_is_none(refused):
    said = refused(*TAILED, "--method", "focal", "--start", 0.5, "--deferred", "weight")
    assert said.startswith(
        "error: deferred weight: focal sets no weight and the sampler instance no sampling, "
        "so nothing would start late; set deferred to everything"
    )
