"""The sentence of every finding: each wording is asserted here and nowhere else."""

import pytest

from core.comparison import compare, confounders, pairing
from core.comparison.seed_statistics import SeedChange
from core.comparison.verdict import (
    BOTH_SIDES,
    ONE_SIDE,
    PAIRED,
    SAME,
    SAMPLING,
    UNFINISHED,
    Delta,
    Moves,
    Noise,
    Verdict,
)
from core.diagnostics import double_correction, run_warnings, sample_size, weight_dominance
from core.diagnostics.weight_oscillation import Oscillation
from core.experiment import baseline
from core.findings import Finding
from core.methods import notes
from reporting import text

FEW = sample_size.FewSamples(1, "cat", 2, 0.41)
OSCILLATION = Oscillation(0.9163, 0.75, (2, 0), 10)  # exp(.9163) = 2.5
METHOD, SAMPLER = (
    double_correction.Corrector(double_correction.METHOD, "Inverse frequency"),
    double_correction.Corrector(double_correction.SAMPLER, "Class-balanced"),
)
SENTENCES = [
    (notes.TprsClamped((2,)), "The TPR of class 2 is clamped away from 0 and 1 by half a validation sample."),
    (
        notes.TprsClamped((0, 3), 0.001),
        "The TPR of classes 0 and 3 is clamped away from 0 and 1 by 0.001: the number of validation samples is unknown.",
    ),
    (notes.WeightsCapped((1,), 100.0), "The weight of class 1 is capped at 100 times the smallest."),
    (
        notes.WeightsFilled((1, 2), ("tpr",)),
        "Classes 1 and 2: no validation samples, so the weight is the mean of the others.",
    ),
    (
        notes.WeightsFilled((4,), ("counts", "tpr")),
        "Class 4: no training samples or validation samples, so the weight is the mean of the others.",
    ),
    (
        notes.WeightsNegligible((0,), 1e-4),
        "The weight of class 0 is below 1/10000 of the largest: almost no gradient reaches it.",
    ),
    (notes.WeightsZero(2, 10), "Weight 0 for 2 of 10 classes: they are not learned."),
    (notes.WeightsOfEpoch(3, 20), "Weights of epoch 3 of 20: they are recomputed before every epoch."),
    (notes.EqualBeforeFirstEpoch("weight"), "Before the first epoch every weight is 1."),
    (notes.EqualBeforeFirstEpoch("sampling"), "Before the first epoch every class is drawn equally often."),
    (notes.ShiftsZero(1, 3), "1 of 3 classes have no validation samples, so their shift is 0."),
    (notes.CountsFilled((5,), False), "No training samples of class 5: one sample is assumed."),
    (
        notes.CountsFilled(tuple(range(10)), True),
        "No training samples of classes 0, 1, 2, 3, 4, 5, 6, 7 and 2 more: as many as in the smallest class are assumed.",
    ),
    (
        notes.ClassesMasked(3, 10, 0.05),
        "3 of 10 classes hold less than 0.05 of the training samples and are masked.",
    ),
    (notes.EqualSmoothing(), "All counts are equal: every class gets the mean of head and tail."),
    (
        notes.NoMinority(),
        "No class has fewer samples than the mean, so there is no minority: rho has no effect, and sampling follows the data.",
    ),
    (notes.NeverDrawn((0, 1)), "Never drawn, so not learned: classes 0 and 1. Choose a rho between 0 and 1."),
    (
        notes.CountsNearlyEqual(0.1, 0.5, (3,)),
        "The counts differ by less than 10 %, yet with rho 0.5 the minority is class 3.",
    ),
    (notes.EpochShare(0.25), "An epoch draws 25 % of the training samples."),
    (notes.TermsWait((), 17), "Unweighted until epoch 16: the terms act from epoch 17 on."),
    (notes.TermsWait(("weight",), 17), "The weight acts from epoch 17 on."),
    (notes.TermsWait(("weight", "sampling"), 17), "Weight and sampling act from epoch 17 on."),
    (
        notes.BiasCost((("accuracy", 0.91, 0.89), ("mean TPR", 0.9, 0.885))),
        "On the validation split, where it was fitted, the bias lowers accuracy from 91.0 to 89.0 % and mean TPR from 90.0 to 88.5 %.",
    ),
    (
        notes.BiasFewSamples(2, 10, 10, 3),
        "2 of 10 classes have fewer than 10 validation samples (fewest: 3). "
        "Their bias is mostly noise and equalizes the test split far less. A larger validation share helps.",
    ),
    (FEW, "Class cat has 2 validation samples: its TPR is known only to about ±41 points (95 %)."),
    (
        sample_size.FewSamples(3, "cat", 0, None, remedy="share"),
        "3 classes have fewer than 10 validation samples. Class cat has 0 validation samples: its TPR cannot be measured, "
        "and its weight is the mean of the others. Raise the validation share or add images.",
    ),
    (
        run_warnings.MadeOfFew("run 2", ("weights", "sampling"), FEW),
        "The weights and sampling of run 2 rest on TPRs of few validation samples. Class cat has 2 validation samples: its TPR is "
        "known only to about ±41 points (95 %). Part of the weights and sampling is noise. "
        "Raise the validation share, or compare several seeds.",
    ),
    (
        sample_size.BatchTooLarge(500, 210),
        "batch size 500 is larger than the training split of 210 samples; choose at most 210",
    ),
    (
        run_warnings.SeenInTraining("run 2", "weights", "L2RW"),
        "The weights of run 2 rest on validation samples that the network was trained on (L2RW takes its meta samples there): "
        "their TPRs are too high. Use a baseline of another method, or judge by the test split alone.",
    ),
    (
        run_warnings.Oscillating("run 2", OSCILLATION, True),
        "The weights of run 2 oscillate between classes. In the second half of its epochs a weight changes by a factor of 2.5 per "
        "epoch on average, 2 of 10 classes oscillate, and changes reverse in 75 % of the epochs. "
        "Such a run chases the errors of its last epoch and usually loses accuracy. Smooth the TPRs.",
    ),
    (
        weight_dominance.DominantClass("cat", 0.934),
        "Class cat holds 93.4 % of the weighted loss, more than all others together: the run would learn little else. "
        "Lower the exponent, the strength or the largest ratio of the method.",
    ),
    (
        double_correction.DoubleCorrection(METHOD, SAMPLER, double_correction.IMBALANCE),
        "Inverse frequency and the sampler class-balanced both correct for class imbalance: the correction is applied twice.",
    ),
    (
        double_correction.Corrector(double_correction.SAMPLING, "cRT", earlier=True),
        "the sampling of cRT of the run it continues from",
    ),
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
def test_a_finding_in_words(finding, sentence):
    assert text.of(finding) == sentence


def test_every_finding_has_words_and_a_test():
    kinds = {kind for kind in Finding.__subclasses__() if not kind.__module__.startswith("tests.")}
    assert {type(f) for f, _ in SENTENCES} | {Verdict} == kinds


def test_a_finding_without_words_is_an_error():
    class Unknown(Finding):
        pass

    with pytest.raises(TypeError, match=r"Unknown has no words; give reporting\.text a function for it"):
        text.of(Unknown())


# ---------------------------------------------------------------- verdicts


def delta(figure="tpr_variance", before=0.0128, after=0.0093, beyond=True, seeds=None):
    return Delta(figure, before, after, after - before, 0.0, 0.0, beyond, seeds)


def seeds(figure, before, after, low, high, beyond=True):
    return delta(figure, before, after, beyond, SeedChange(before, 0.0, after, 0.0, after - before, low, high))


def noise(kind, before=1, after=1, pairs=(), shown=(0, 0)):
    return Noise(kind, before, after, pairs, 2000, shown)


ACCURACY = delta("accuracy", 0.91, 0.906, beyond=False)
MOVED = Moves(2, 10, 0.1, 0.3)


@pytest.mark.parametrize(
    ("verdict", "sentences"),
    [
        (
            Verdict((delta(), ACCURACY), noise(SAMPLING), MOVED, False),
            [
                "Variance 0.0128 -> 0.0093, accuracy -0.4 points.",
                "The change in variance exceeds the sampling noise of the test split (95 %), the change in accuracy is within it.",
                "With one seed each, seed noise is unknown: add seeds before you judge.",
            ],
        ),
        (
            Verdict((delta(beyond=False), ACCURACY), noise(SAMPLING, 2, 1), MOVED, False),
            [
                "Variance 0.0128 -> 0.0093, accuracy -0.4 points.",
                "Both changes are within the sampling noise of the test split (95 %).",
                "With 2 seeds before and 1 seed after, seed noise is unknown: add seeds before you judge.",
            ],
        ),
        (
            Verdict((delta(), ACCURACY), noise(ONE_SIDE, 4, 1), MOVED, False),
            [
                "Variance 0.0128 -> 0.0093, accuracy -0.4 points.",
                "Judged by the spread over 4 seeds before, assuming the same spread after: "
                "the change in variance exceeds seed noise (95 %), the change in accuracy is within it.",
            ],
        ),
        (
            Verdict(
                (
                    seeds("tpr_variance", 0.0128, 0.0093, -0.005, -0.002),
                    seeds("accuracy", 0.91, 0.90, -0.015, -0.005),
                ),
                noise(PAIRED, 5, 5, (0, 1, 2, 3, 4), (0, 1)),
                MOVED,
                False,
            ),
            [
                "Mean change over 5 paired seeds: variance -0.0035 (95 % interval -0.0050 to -0.0020), "
                "accuracy -1.0 points (95 % interval -1.5 to -0.5).",
                "Both changes exceed seed noise (95 %).",
                "These two runs (seed 0 before, 1 after): variance 0.0128 -> 0.0093, accuracy -1.0 points.",
            ],
        ),
        (
            Verdict(
                (seeds("accuracy", 0.69, 0.02, -0.7, -0.6), seeds("tpr_variance", 0.02, 0.0001, -0.03, -0.01)),
                noise(BOTH_SIDES, 2, 3),
                Moves(10, 10, 6.0, 0.0),
                True,
            ),
            [
                "More equal because all 10 classes got worse: accuracy 69.0 % -> 2.0 %.",
                "Mean change over 2 seeds before and 3 after: accuracy -67.0 points (95 % interval -70.0 to -60.0), "
                "variance -0.0199 (95 % interval -0.0300 to -0.0100).",
                "Both changes exceed seed noise (95 %).",
                "Two seeds show only very large effects: add seeds before you judge.",
                "These two runs: accuracy -67.0 points, variance 0.0200 -> 0.00010.",
            ],
        ),
        (
            Verdict((delta(), ACCURACY), noise(UNFINISHED), MOVED, False),
            ["Variance 0.0128 -> 0.0093, accuracy -0.4 points.", "No verdict: not both runs have finished."],
        ),
        (
            Verdict((delta(), ACCURACY), noise(SAME), MOVED, False),
            [
                "Variance 0.0128 -> 0.0093, accuracy -0.4 points.",
                "No verdict on a method: only the seed or the device differs, so this difference is noise.",
            ],
        ),
    ],
)
def test_a_verdict_in_words(verdict, sentences):
    assert text.verdict(verdict) == sentences
    assert text.of(verdict) == " ".join(sentences)


def test_a_verdict_as_pages_show_it():
    assert (
        text.typographic("Variance 0.0128 -> 0.0093, accuracy -0.4 points.")
        == "Variance 0.0128 → 0.0093, accuracy −0.4 points."
    )


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
