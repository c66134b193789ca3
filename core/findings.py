"""What the science has to say, as codes with values: the class is the code, its fields are the values.

Verdicts, cautions, notes and warnings are findings. `reporting.text.of` has the sentence for each. The words of core are labels of
rows and the texts of errors.
"""

from __future__ import annotations


class Finding:
    """Base of every frozen dataclass that stands for one thing worth saying."""
