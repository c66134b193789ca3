"""Cautions about one run in words."""

import pytest

from core.diagnostics import double_correction, run_warnings, sample_size, weight_dominance
from core.diagnostics.weight_oscillation import Oscillation
from reporting import text

FEW = sample_size.FewSamples(1, "cat", 2, 0.41)
OSCILLATION = Oscillation(0.9163, 0.75, (2, 0), 10)  # exp(.9163) = 2.5
METHOD, SAMPLER = (
    double_correction.Corrector(double_correction.METHOD, "Inverse frequency"),
    double_correction.Corrector(double_correction.SAMPLER, "Class-balanced"),
)
SENTENCES = [
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
]


@pytest.mark.parametrize(("finding", "sentence"), SENTENCES, ids=[type(f).__name__ for f, _ in SENTENCES])
def test_a_caution_in_words(finding, sentence):
    assert text.of(finding) == sentence


def test_weights_that_do_not_oscillate_in_words():
    assert text.no_oscillation(OSCILLATION, "the second half of the run") == (
        "From epoch to epoch a weight changes by a factor of 2.50 on average and turns back at 75 % of the epochs "
        "(the second half of the run)."
    )
