"""User-facing text, in one place to import from: names escaped for Markdown and Plotly, and a sentence for every finding.

`of(finding)` is the text of a finding. Its sentence is in the file named after the part of core that makes the finding:
methods, diagnostics, comparison, verdicts or baseline. Pure functions.
"""

from reporting.text import comparison  # noqa: F401  # registers its sentences
from reporting.text.baseline import baselines, tail
from reporting.text.diagnostics import no_oscillation, oscillation
from reporting.text.escaping import drawn, message, plain, sentence, shortened
from reporting.text.finding import lines, of
from reporting.text.methods import NEEDS, STAGES, TRAINED
from reporting.text.phrases import capitalized, choice, numbered, typographic
from reporting.text.progress import epoch_step, no_step
from reporting.text.verdicts import verdict

__all__ = [
    "NEEDS",
    "STAGES",
    "TRAINED",
    "baselines",
    "capitalized",
    "choice",
    "drawn",
    "epoch_step",
    "lines",
    "message",
    "no_oscillation",
    "no_step",
    "numbered",
    "of",
    "oscillation",
    "plain",
    "sentence",
    "shortened",
    "tail",
    "typographic",
    "verdict",
]
