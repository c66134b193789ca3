"""The overlay of several methods: each method has one color and one symbol in every chart."""

from __future__ import annotations

import numpy as np

from pages.components.new_run import overlay
from reporting.palette import LIGHT

ALL = ["TPR ratio", "TPR deficit", "Logit adjustment"]


def looks(name, labels):
    drawn = overlay.overlay_figure(
        name, {k: np.ones(3) for k in labels}, np.arange(3), ["a", "b", "c"], LIGHT, methods=ALL, hard=False
    )
    return {t["name"]: (t["marker"]["color"], t["marker"]["symbol"]) for t in drawn["data"]}


def test_a_method_looks_the_same_in_every_picture_and_unlike_the_others():
    weight, shift = looks("weight", ALL[:2]), looks("shift", ALL[1:])
    assert weight["TPR deficit"] == shift["TPR deficit"]
    assert len({*weight.values(), *shift.values()}) == 3
    assert looks("shift", ALL[2:]) == {"Logit adjustment": shift["Logit adjustment"]}
