"""What the science has to say, as codes with values: the class is the code, its fields are the values.

Verdicts, cautions, notes and warnings are findings. `reporting.text.of` has the sentence for each; nothing here or below has words.
"""

from __future__ import annotations


class Finding:
    """Base of every frozen dataclass that stands for one thing worth saying."""
