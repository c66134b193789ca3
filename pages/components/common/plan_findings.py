"""What a plan says about its runs: cautions and notes, each shown as its kind asks, the same wherever runs are planned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import streamlit as st

from core.comparison.confounders import ApartFromBaseline
from core.diagnostics.double_correction import DoubleCorrection
from core.diagnostics.run_warnings import SeenInTraining
from core.diagnostics.weight_dominance import DominantClass
from core.findings import Finding
from reporting import text

BASELINE, SETTINGS, TERMS = "baseline", "settings", "terms"  # what a finding is about


@dataclass(frozen=True)
class Display:
    """How a kind of finding is shown. `warns`: in a box of its own, else as a caption."""

    about: str
    icon: str
    warns: bool


DISPLAYS: dict[type[Finding], Display] = {
    ApartFromBaseline: Display(BASELINE, ":material/balance:", True),
    SeenInTraining: Display(BASELINE, ":material/warning:", False),
    DoubleCorrection: Display(SETTINGS, ":material/warning:", True),
    DominantClass: Display(TERMS, ":material/warning:", True),
}
NOTE = Display(TERMS, ":material/info:", False)  # of every other finding, a note of a method on its terms


def draw(findings: Iterable[Finding], about: str | None = None) -> None:
    """The findings of a plan of runs, each in a box or as a caption, as its row of DISPLAYS says, and notes as captions.

    With `about`, only those about the baseline, settings or terms.
    """
    for finding in findings:
        display = DISPLAYS.get(type(finding), NOTE)
        if about not in (None, display.about):
            continue
        if display.warns:
            st.warning(text.message(text.of(finding)), icon=display.icon)
        else:
            st.caption(f"{display.icon} {text.plain(text.of(finding))}")
