"""What is wrong with a baseline, and which one each seed takes, in words."""

import pytest

from core.experiment import baseline
from reporting import text

SENTENCES = [
    (
        baseline.BaselineDiffers(True, (1.0, "exp"), 0.2, "cnn"),
        "older data, no long tail, validation share 0.2, model cnn",
    ),
    (baseline.BaselineDiffers(tail=(100.0, "step")), "step tail 100"),
    (baseline.BaselineDiffers(), ""),
    (baseline.NotSucceeded(3, "cancelled"), "run 3 was stopped; resume it, or choose a run that has succeeded"),
    (
        baseline.OtherDataset(3, "digits", "mnist1d"),
        "run 3 was trained on digits, not on mnist1d; choose a baseline on the same dataset",
    ),
    (
        baseline.OtherClasses(3, "insects"),
        "run 3 was trained on different classes than insects has now; choose another run",
    ),
    (
        baseline.OlderData(3, "insects", "a" * 64, "b" * 64),
        "run 3 was trained on another version of insects (data aaaaaaaaaaaaaaaa, now bbbbbbbbbbbbbbbb), so the samples behind its "
        "TPRs may be test samples of this run; train the baseline again, or give the TPRs as a file",
    ),
    (
        baseline.NoNetwork(4, 3),
        "run 4 is itself a post-hoc step and has no network; choose the run it was applied to, run 3",
    ),
    (
        baseline.NoNetwork(4, None),
        "run 4 is itself a post-hoc step and has no network; choose the run it was applied to",
    ),
    (
        baseline.OtherHead(3, "tau_norm", "cosine"),
        "tau_norm uses the weight vectors of a linear last layer, and run 3 has a head of kind 'cosine'; choose another step",
    ),
    (
        baseline.OtherNetwork(3, "crt", baseline.BaselineDiffers(model="mlp")),
        "crt continues from the network of run 3, which differs from this run (model mlp); choose a run on the same data and model",
    ),
    (
        baseline.OtherSeedsBaseline(3, 0, (1, 2), True),
        "Run 3 has seed 0, so the weights of seeds 1 and 2 come from another network than their own baseline's.",
    ),
    (
        baseline.OtherSeedsBaseline(3, 0, (1,), False),
        "Run 3 has seed 0, so the weights of seed 1 come from another network than their own baseline's and from another "
        "validation split: most of the samples behind its TPRs are training samples here.",
    ),
]


@pytest.mark.parametrize(("finding", "sentence"), SENTENCES, ids=[type(f).__name__ for f, _ in SENTENCES])
def test_a_finding_on_a_baseline_in_words(finding, sentence):
    assert text.of(finding) == sentence


@pytest.mark.parametrize(
    ("takes", "sentence"),
    [
        ({0: 3}, "Baseline: run 3 for seed 0."),
        ({0: 3, 1: 3}, "Baseline: run 3 for every seed."),
        ({0: 3, 1: 4}, "Baselines: run 3 for seed 0 and run 4 for seed 1."),
        ({0: 3, 1: None}, "Baseline: run 3 for seed 0; for seed 1 a baseline is trained first."),
        ({0: None, 1: None}, "For seeds 0 and 1 a baseline is trained first."),
    ],
)
def test_which_baseline_each_seed_takes(takes, sentence):
    assert text.baselines(takes) == sentence
