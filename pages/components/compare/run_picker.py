"""Selection of the two runs: two select boxes, kept in the URL, and warnings for ids that cannot be used."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.experiment.states import RESUMABLE
from pages.components.common import cached_reads, navigation, run_status
from reporting import text


def choose(every: pd.DataFrame, frame: pd.DataFrame) -> tuple[int | None, int | None]:
    """Ids of before and after; the URL is the source of truth. `frame` holds the runs of `every` that have metrics."""
    labels = {i: f"{i}: {name}" for i, name in zip(frame["id"].tolist(), frame["name"].tolist(), strict=True)}
    start_with(frame)
    left, swap, right = st.columns([10, 1, 10], vertical_alignment="bottom")
    with left:
        before = select("Before", "a", labels)
    with swap:
        st.button(
            "Swap",
            key="compare_swap",
            icon=":material/swap_horiz:",
            help="Swap before and after",
            on_click=swap_sides,
            width="stretch",
        )
    with right:
        after = select("After", "b", labels)
    for asked in dict.fromkeys(st.query_params.get(side, "") for side in ("a", "b")):
        not_a_run(asked)
    for wanted in dict.fromkeys((navigation.id_from_url("a"), navigation.id_from_url("b"))):
        if wanted is not None and wanted not in labels:
            without_figures(wanted, every)
    return before, after


def start_with(frame: pd.DataFrame) -> None:
    """Without ids in the URL: the newest finished pair."""
    if "a" in st.query_params or "b" in st.query_params:
        return
    pair = cached_reads.latest_pair(frame)
    if pair is not None:
        st.query_params.update({"a": str(pair.before.id), "b": str(pair.after.id)})


def select(label: str, side: str, labels: dict[int, str]) -> int | None:
    """One select box; it follows the URL, and a selection changes the URL."""
    key, wanted = f"compare_{side}", navigation.id_from_url(side)
    st.session_state[key] = wanted if wanted in labels else None
    return st.selectbox(
        label,
        list(labels),
        format_func=lambda i: labels[i],
        key=key,
        placeholder="Choose a run",
        on_change=chosen,
        args=(side,),
    )


def chosen(side: str) -> None:
    """Write the selection to the URL."""
    value = st.session_state[f"compare_{side}"]
    if value is None:
        st.query_params.pop(side, None)
    else:
        st.query_params[side] = str(value)


def swap_sides() -> None:
    """Swap before and after, in one step of the browser's history."""
    st.query_params.update({"a": st.query_params.get("b", ""), "b": st.query_params.get("a", "")})


def not_a_run(asked: str) -> None:
    """Warn of a value in the URL that cannot be the number of a run; an empty one is ignored."""
    if asked and not (asked.isdecimal() and len(asked) < navigation.LONGEST_ID):
        st.warning(
            f"{text.plain(repr(asked[:40]))} in the URL is not the number of a run. "
            "Use one number per side, as in /compare?a=1&b=2, or choose the run here.",
            icon=":material/search_off:",
        )


def without_figures(wanted: int, every: pd.DataFrame) -> None:
    """Why a run in the URL cannot be compared, and what to do."""
    found = every[every["id"] == wanted]
    if found.empty:
        st.warning(
            f"Run {wanted} not found; it was deleted, or no run has this number. Choose another run.",
            icon=":material/search_off:",
        )
        return
    row = next(found.itertuples())
    step = "Resume it on its page" if row.status in RESUMABLE else "Wait for its first epoch"
    st.warning(
        f"Run {wanted} ({run_status.word(row)}) has no finished epoch, so it has no metrics. {step}, or choose another run.",
        icon=":material/hourglass_empty:",
    )
    navigation.link_run(wanted, f"Open run {wanted}", icon=":material/monitoring:")
