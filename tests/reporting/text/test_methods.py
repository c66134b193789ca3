"""The notes of methods, samplers and post-hoc steps in words."""

import pytest

from core.methods import notes
from reporting import text

SENTENCES = [
    (notes.TprsClipped((2,)), "The TPR of class 2 is clipped away from 0 and 1 by half a validation sample."),
    (
        notes.TprsClipped((0, 3), 0.001),
        "The TPR of classes 0 and 3 is clipped away from 0 and 1 by 0.001: the number of validation samples is unknown.",
    ),
    (notes.WeightsClipped((1,), 100.0), "The weight of class 1 is clipped at 100 times the smallest."),
    (
        notes.WeightsFilled((1, 2), ("tpr",)),
        "Classes 1 and 2: no TPR, so the weight is the mean of the others.",
    ),
    (
        notes.WeightsFilled((4,), ("counts", "tpr")),
        "Class 4: no training samples or TPR, so the weight is the mean of the others.",
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
]


@pytest.mark.parametrize(("finding", "sentence"), SENTENCES, ids=[type(f).__name__ for f, _ in SENTENCES])
def test_a_note_in_words(finding, sentence):
    assert text.of(finding) == sentence
