"""What a plan says: which findings are cautions, which are notes, and how each is shown."""

from __future__ import annotations

from typing import get_args, get_type_hints

from streamlit.testing.v1 import AppTest

from core.comparison.confounders import ApartFromBaseline, Difference
from core.diagnostics.double_correction import IMBALANCE, METHOD, SAMPLER, Corrector, DoubleCorrection
from core.diagnostics.run_warnings import SeenInTraining
from core.diagnostics.weight_dominance import DominantClass
from core.methods.notes import EqualSmoothing
from pages.components.common import plan_findings
from reporting import text
from services import preflight

APART = ApartFromBaseline(3, (Difference("epochs", 20, 12),))
SEEN = SeenInTraining("this run", "weights", "Meta-Weight-Net")
TWICE = DoubleCorrection(Corrector(METHOD, "Inverse frequency"), Corrector(SAMPLER, "Balanced"), IMBALANCE)
MOST, NOTE = DominantClass("7", 0.99), EqualSmoothing()


def test_every_caution_of_a_plan_has_its_display():
    """Any other finding is shown as a note."""
    (cautions,) = get_args(get_type_hints(preflight.cautions)["return"])
    assert set(get_args(cautions)) <= set(plan_findings.DISPLAYS)
    assert len(get_args(cautions)) == 3


def shown(about=None):
    """(warnings, captions) that a plan with a finding of each kind shows, without escapes."""

    def script(findings, about):
        from pages.components.common import plan_findings

        plan_findings.draw(findings, about)

    at = AppTest.from_function(script, kwargs={"findings": (NOTE, MOST, TWICE, APART, SEEN), "about": about}).run()
    assert not at.exception
    return tuple([e.value.replace("\\", "") for e in kind] for kind in (at.warning, at.caption))


def test_a_finding_is_a_box_or_a_caption_as_its_row_says_and_a_note_is_a_caption():
    warnings, captions = shown()
    assert warnings == [text.of(f) for f in (MOST, TWICE, APART)]
    assert captions == [f":material/info: {text.of(NOTE)}", f":material/warning: {text.of(SEEN)}"]


def test_a_form_places_them_by_what_they_are_about():
    """New run: beside the choice of the baseline, or under the settings; its preview shows what is about the terms."""
    assert shown(plan_findings.BASELINE) == ([text.of(APART)], [f":material/warning: {text.of(SEEN)}"])
    assert shown(plan_findings.SETTINGS) == ([text.of(TWICE)], [])
