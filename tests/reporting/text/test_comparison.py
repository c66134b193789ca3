"""What makes a comparison unfair, and the notes beside its verdict, in words."""

import pytest

from core.comparison import compare, confounders, pairing
from reporting import text

SENTENCES = [
    (
        confounders.Unfinished("run 2", "running", 3, 20),
        "Run 2 is running at epoch 3 of 20. Let it finish before you judge.",
    ),
    (
        confounders.Unfinished("run 2", "failed", 3, 20),
        "Run 2 failed at epoch 3 of 20. Its error says what to fix. Try it again, or choose another run.",
    ),
    (
        confounders.OtherSeeds("run 1", 0, "run 6", 2),
        "Run 1 has seed 0 and run 6 has seed 2, so part of the difference may be seed noise. "
        "To judge a method, compare two runs with the same seed.",
    ),
    (
        confounders.DataChanged(tested=True),
        "The data changed between the two runs: they were tested on different samples, so part of the difference may come from the "
        "data. Retrain the older run on the current data, then compare.",
    ),
    (
        confounders.OtherSamples(("seed", "imbalance factor")),
        "The two runs were trained on different samples because the seed and imbalance factor differ, so part of the difference may "
        "come from the samples. To judge a method, compare two runs with the same seed and imbalance factor.",
    ),
    (
        confounders.OtherSettings("run 1", "run 2", (confounders.Difference("epochs", 20, 60),), same_weighting=False),
        "Run 1 and run 2 also differ in epochs (20 and 60), so the change is not due to the weights alone. "
        "To judge a weighting, compare two runs that differ in nothing else.",
    ),
    (
        confounders.OtherSettings("run 1", "run 2", (confounders.Difference("model"),), same_weighting=True),
        "Run 1 and run 2 differ in model but not in the weighting, so no change is due to the weights. "
        "To judge a weighting, compare two runs that differ in nothing else.",
    ),
    (confounders.Difference("epochs", 20, 60), "epochs (20 and 60)"),
    (confounders.Difference("model"), "model"),
    (
        confounders.ApartFromBaseline(3, (confounders.Difference("recipe"),)),
        "Run 3 differs from this run in recipe, so a comparison of the two will not isolate the effect of the weights. "
        "Use the same settings, or choose a baseline that has these.",
    ),
    (
        compare.ClassesBeyond(3, 10, averaged=True),
        "Over the seeds, 3 of 10 classes changed by more than seed noise (95 %); noise alone would move about 0.5 of them that far.",
    ),
    (
        pairing.Unpaired((4, 5), False, (pairing.Apart((21, 22), pairing.OTHER_BASELINE, 1, 3),)),
        "Both sides have seeds 4 and 5, but not as pairs, so the two sides are compared as independent groups (Welch): "
        "runs 21 and 22 take their weights from run 1 (seed 3).",
    ),
    (
        pairing.Unpaired((4,), True, (pairing.Apart((21,), pairing.BASELINE_DELETED),)),
        "Both sides have seed 4, but not as pairs, so they are left out: run 21 takes its weights from a deleted baseline.",
    ),
    (pairing.Apart((3, 45), pairing.OTHER_SAMPLES), "runs 3 and 45 were trained on different samples"),
    (
        pairing.LeftOut((21,), (21,)),
        "1 run is left out because another run has the same seed (run 21, of this comparison). "
        "Of several, the one that forms a pair is used, else the newest.",
    ),
]


@pytest.mark.parametrize(("finding", "sentence"), SENTENCES, ids=[type(f).__name__ for f, _ in SENTENCES])
def test_a_note_on_a_comparison_in_words(finding, sentence):
    assert text.of(finding) == sentence
