"""Every finding has a sentence; each wording is asserted in the other files of this folder and nowhere else."""

import pytest

from core.comparison.verdict import Verdict
from core.findings import Finding
from reporting import text
from tests.reporting.text import test_baseline, test_comparison, test_diagnostics, test_methods

SENTENCES = [s for file in (test_methods, test_diagnostics, test_comparison, test_baseline) for s in file.SENTENCES]


def test_every_finding_has_words_and_a_test():
    kinds = {kind for kind in Finding.__subclasses__() if not kind.__module__.startswith("tests.")}
    assert {type(f) for f, _ in SENTENCES} | {Verdict} == kinds


def test_a_finding_without_words_is_an_error():
    class Unknown(Finding):
        pass

    with pytest.raises(TypeError, match=r"Unknown has no words; give reporting\.text a function for it"):
        text.of(Unknown())
