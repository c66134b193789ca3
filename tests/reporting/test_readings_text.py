"""The names and meanings of readings: every kind has both, for one run and for two."""

import pytest

from core.metrics.readings import ECE, WEIGHTED, Change, Reading
from core.metrics.scalar import MEASURES
from reporting.readings_text import reading_label, reading_meaning

SCORE = "0.3 TPR + 0.7 TNR: the TPR is that of class sick, the TNR that of class well. At alpha 0.5 it is balanced accuracy."


@pytest.mark.parametrize(
    ("reading", "name", "sentence"),
    [
        (
            Reading(WEIGHTED, 0.8, of="sick", alpha=0.3, negative="well"),
            "Weighted score (alpha 0.3, positive sick)",
            SCORE,
        ),
        (Reading("few", 0.2, 3), "Few-shot TPR", "Mean TPR of the 3 classes with fewer than 20 training samples."),
        (Reading("medium", 0.2, 1), "Medium-shot TPR", "Mean TPR of the 1 class with 20 to 100 training samples."),
        (Reading("accuracy", 0.9), "Accuracy", MEASURES["accuracy"].summary),
    ],
)
def test_a_reading_has_a_name_and_a_meaning_alone_and_beside_another(reading, name, sentence):
    r = reading
    change = Change(r.key, 0.1, r.value, r.classes, of_before=r.of, of_after=r.of, alpha=r.alpha, negative=r.negative)
    assert [(reading_label(found), reading_meaning(found)) for found in (reading, change)] == [(name, sentence)] * 2


def test_the_calibration_error_says_what_0_is():
    assert reading_label(Reading(ECE, 0.1)) == "Calibration error (ECE)"
    assert "0: perfectly calibrated." in reading_meaning(Reading(ECE, 0.1))
