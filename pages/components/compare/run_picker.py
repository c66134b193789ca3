"""Selection of the two runs: two select boxes, kept in the URL, and warnings for ids that cannot be used."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.experiment.states import RESUMABLE
from pages.components.common import cached_reads, navigation, run_status
from reporting import text
from storage.results.runs import RunRow


def choose_runs(every: pd.DataFrame, frame: pd.DataFrame) -> tuple[int | None, int | None]:
    """The selection of the two runs on Compare: ids of before and after; the URL is the source of truth. `frame` holds
    the runs of `every` that have metrics."""
    labels = {i: f"{i}: {name}" for i, name in zip(frame["id"].tolist(), frame["name"].tolist(), strict=True)}
    newest_pair(frame)
    left, swap, right = st.columns([10, 1, 10], vertical_alignment="bottom")
    with left:
        before = select_run("Before", "a", labels)
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
        after = select_run("After", "b", labels)
    for asked in dict.fromkeys(st.query_params.get(side, "") for side in ("a", "b")):
        not_a_run(asked)
    for wanted in dict.fromkeys((navigation.id_from_url("a"), navigation.id_from_url("b"))):
        if wanted is not None and wanted not in labels:
            without_figures(wanted, every)
    return before, after


def newest_pair(frame: pd.DataFrame) -> None:
    """The two runs that Compare selects without ids in the URL: the newest finished pair."""
    if "a" in st.query_params or "b" in st.query_params:
        return
    pair = cached_reads.latest_pair(frame)
    if pair is not None:
        st.query_params.update({"a": str(pair.before.id), "b": str(pair.after.id)})


def select_run(label: str, side: str, labels: dict[int, str]) -> int | None:
    """The select box of one run on Compare; it follows the URL, and a selection changes the URL."""
    key, wanted = f"compare_{side}", navigation.id_from_url(side)
    st.session_state[key] = wanted if wanted in labels else None
    return st.selectbox(
        label,
        list(labels),
        format_func=lambda i: labels[i],
        key=key,
        placeholder="Choose a run",
        on_change=write_selection,
        args=(side,),
    )


def write_selection(side: str) -> None:
    """Write the run selected on Compare to the URL."""
    value = st.session_state[f"compare_{side}"]
    if value is None:
        st.query_params.pop(side, None)
    else:
        st.query_params[side] = str(value)


def swap_sides() -> None:
    """Swap the two runs selected on Compare, in one step of the browser's history."""
    st.query_params.update({"a": st.query_params.get("b", ""), "b": st.query_params.get("a", "")})


def not_a_run(asked: str) -> None:
    """Warn of a value in Compare's URL that cannot be the number of a run; an empty one is ignored."""
    if asked and not (asked.isdecimal() and len(asked) < navigation.LONGEST_ID):
        st.warning(
            f"{text.plain(repr(asked[:40]))} in the URL is not the number of a run. "
            "Use one number per side, as in /compare?a=1&b=2, or choose the run here.",
            icon=":material/search_off:",
        )


def without_figures(wanted: int, every: pd.DataFrame) -> None:
    """Why a run selected by Compare's URL cannot be compared, and what to do."""
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


def same_seed_pair(every: pd.DataFrame, before: RunRow, after: RunRow) -> tuple[int, int, int] | None:
    """The two runs that Compare offers instead of two of different seeds: (before, after, seed) of the newest succeeded
    ones with the settings of these two and a common seed.

    None if these two have the same seed or the same settings, or if there is no such pair.
    """
    if before.seed == after.seed or before.group_sha == after.group_sha:
        return None
    done = every[every["status"] == "succeeded"]
    for seed in (after.seed, before.seed):
        found = [done[(done["group_sha"] == row.group_sha) & (done["seed"] == seed)]["id"] for row in (before, after)]
        if all(len(ids) for ids in found):
            return int(found[0].max()), int(found[1].max()), int(seed)
    return None
