r"""The formulas of core.methods as plain text, for the live preview: w_c \propto (1 - \mathrm{TPR}_c)^{2} -> w ∝ (1 − TPR)^2.

Handles only the LaTeX used in the methods' rows. A formula that cannot be converted completely becomes "".
"""

from __future__ import annotations

import re
from functools import lru_cache

# Order matters: names first, then class and epoch subscripts, powers, fractions from the inside out, signs.
_RULES = (
    (r"\\mathrm\{(\w+)\}", r"\1"),
    (r"\\pi_c", "share of n"),
    (r"n_\{?\\(min|max)\}?", r"\1 n"),
    (r"\\,", " "),
    (r"\\overline\{(\w+)\}", r"mean \1"),
    (r"(\w+)_\{c,t-1\}", r"last \1"),
    (r"(?<=\w)_(?:c|\{c,t\})", ""),
    (r"\^\{([^{}]*)\}", r"^\1"),
    (r"\\log\\frac\{([^{} ]*)\}\{([^{}]*)\}", r"log(\1 / \2)"),
    (r"\\left\(\\frac\{([^{}]* - [^{}]*)\}\{([^{}]*)\}\\right\)", r"((\1) / \2)"),
    (r"\\left\(\\frac\{([^{}]*)\}\{([^{}]*)\}\\right\)", r"(\1 / \2)"),
    (r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1) / (\2)"),
    (r"\((\w+)\)", r"\1"),
    (r"\\propto", "∝"),
    (r"\\(log|exp)", r"\1"),
    (r"\\(?:left|right)\b", ""),
    (r" - ", " − "),
)


@lru_cache(maxsize=4096)  # a slider has about eighty formulas, converted on every rerun
def latex_in_text(latex: str) -> str:
    """A formula in LaTeX as text in one line, numbers with at most six digits; "" where LaTeX remains."""
    text = latex
    for pattern, plain in _RULES:
        text = re.sub(pattern, plain, text)
    text = re.sub(r"\d+\.\d+", lambda m: f"{float(m[0]):.6g}", text)
    return "" if re.search(r"[\\{}_]", text) else text
