"""The verdict of a comparison, its tiles, and which runs the numbers are of."""

from __future__ import annotations

import streamlit as st

from core.comparison.compare import Comparison
from core.formatting import count
from pages.components.compare import tiles
from reporting import text
from reporting.text import plain


def draw(c: Comparison) -> bool:
    """The top of Compare: the verdict, in bold if only the weighting differs, then four tiles with the changes.

    Returns whether means over seeds are shown.
    """
    change, *judged = map(plain, map(text.typographic, text.verdict(c.verdict)))
    st.markdown(" ".join([change if c.mixed else f"**{change}**", *judged]), width=980)
    averaged = choose_all_seeds(c)
    tiles.draw(c, averaged)
    n = int(sum(r.support_after for r in c.rows))
    st.caption(plain(" ".join([f"Test split, {count(n, 'sample')}.", *which_runs(c, averaged), *text.lines(c.notes)])))
    return averaged


def choose_all_seeds(c: Comparison) -> bool:
    """Whether Compare shows means over seeds; a choice is offered under the verdict only if there are means."""
    if c.over_seeds is None:
        return False
    options = {"seeds": "All seeds", "pair": "These two runs"}  # fixed labels: changed ones would reset the choice
    return (
        st.radio(
            "Metrics and charts of",
            list(options),
            format_func=options.get,
            key="over",
            bind="query-params",
            horizontal=True,
        )
        == "seeds"
    )


def which_runs(c: Comparison, averaged: bool) -> list[str]:
    """Which runs the numbers below the verdict are of, if there are means over seeds."""
    if c.over_seeds is None:
        return []
    if not averaged:
        return [f"Numbers and charts show only {c.before} and {c.after}; the verdict uses the means over seeds."]
    b, a = (text.numbered("seed", seeds) for seeds in (c.over_seeds.before, c.over_seeds.after))
    which = f"{b} on both sides" if c.over_seeds.paired else f"{b} before and {a} after"
    return [f"Numbers and charts are means over {which}. Below each number: the 95 % interval of its change."]
