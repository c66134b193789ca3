"""Verdicts in words."""

import pytest

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
from reporting import text


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
