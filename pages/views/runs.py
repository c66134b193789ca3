"""Runs: the table of every run, its filters, and what can be done with the chosen ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import streamlit as st

from core.datasets import DATASETS
from core.datasets.uploads import known_as
from core.experiment.baseline import takes_tprs
from core.methods import METHODS
from models import MODELS
from pages.parts import about, follow, narrow, nav, reads, status, worker_state
from pages.parts.guard import told
from reporting import provenance
from reporting.text import count, message, plain
from storage import results
from storage.db.connection import sqlite_warning
from storage.jobs import queue

STATES = ("all", *status.STATUS)
FIT = ("id", "name", "state", "method", "accuracy", "tpr_variance", "tpr_min", "tags")  # a window of 1440 px
ALWAYS = (
    *FIT,
    "dataset",
    "model",
    "epochs",
    "best_epoch",
    "notes",
)  # the rest to the right; a run's own name tells most
PHONE = ("state", "name", "accuracy", "tpr_variance")  # fit 390 px; a tap on a head selects a cell of the first
MORE = ("spread", "seed", "baseline", "created", "best_accuracy", "best_spread", "best_tpr_min")
NAME, WIDEST_NAME = 332, 412  # px: beside all of FIT; where long names take the room of the tags
LEAST_NAME = 144  # px, what further columns leave of it
LETTER, AROUND_NAME = 6.1, 34  # px: a letter of a name on average, what a button keeps free around it
CAN = {
    "queued": ("pause", "cancel"),
    "running": ("pause", "cancel"),
    "paused": ("run", "cancel"),
    "failed": ("run",),
    "cancelled": ("run",),
}
WISHES = {  # what is asked -> label, icon, what it does
    "pause": ("Pause", ":material/pause:", "Holds"),
    "run": ("Resume", ":material/play_arrow:", "Goes on, from the last checkpoint, with"),
    "cancel": ("Stop", ":material/stop:", "Ends, with the figures so far kept,"),
}
TOLD = [
    "id",
    "status",
    "wanted",
    "last_epoch",
    "epochs",
    "seconds",
    "archived",
    "baseline_id",
]  # what the words for a state are made of
TO_OPEN = "A click on a name opens the run."
TO_CHOOSE = "A tap on a name chooses the run, ticks choose several; the buttons are below."
BY_KEYS = "With the keyboard: arrow keys to its row, Shift and Space to tick it, then this button."
TO_TICK = "Tick rows on the left to compare or change them."
HINT = 220  # px: on a phone the grid's own buttons lie to the right of it
MOST_NAMED = 8  # dependants that the question before deleting names
HIGH, PHONE_HIGH = 600, 410  # px at most
ROW, TALL_ROW = 35, 92  # px; Streamlit wraps text in rows above 64, and a name may take four lines


def shape(frame: pd.DataFrame, states: list[str]) -> pd.DataFrame:
    """The stored columns as people read them: percent, points, words."""
    out = pd.DataFrame(
        {
            "id": frame["id"],
            "name": frame["name"],
            "state": states,
            "epochs": frame["epochs"],
            "baseline": frame["baseline_id"],
            "dataset": [DATASETS[d].label if d in DATASETS else known_as(d) for d in frame["dataset"]],
            "model": [MODELS[m].label if m in MODELS else m for m in frame["model"]],
            "method": [METHODS[m].label.partition(" (")[0] if m in METHODS else m for m in frame["method"]],
            "seed": frame["seed"],
            "tpr_variance": frame["tpr_variance"],
            "best_epoch": frame["best_epoch"],
            "tags": frame["tags"],
            "notes": frame["notes"],
            "created": frame["created_at"].dt.floor("s"),
        }
    )
    for share in ("accuracy", "tpr_min", "best_accuracy", "best_tpr_min"):
        out[share] = 100 * frame[share].astype(float)
    out["spread"] = 100 * frame["tpr_variance"].astype(float) ** 0.5
    out["best_spread"] = 100 * frame["best_tpr_variance"].astype(float) ** 0.5
    return out[[*ALWAYS, *MORE]].reset_index(drop=True)


def columns(phone: bool, name: int = NAME, name_key: str | None = None) -> dict[str, Any]:
    """How each column is headed and written, that of the names `name` px wide; a press on a name is kept under `name_key`.

    A button's label does not wrap: on a phone names are text, and a tap on one chooses its run. Every head has room for the
    arrow of a sorted column.
    """
    number, text, button = st.column_config.NumberColumn, st.column_config.TextColumn, st.column_config.ButtonColumn
    return {
        "id": number("Run", format="%d", pinned=not phone, width=54),
        "name": text("Name", width=116)
        if phone
        else button("Name", type="tertiary", alignment="left", width=name, key=name_key, help=TO_OPEN),
        "state": text("State", width=82 if phone else 150, help="State, share of the epochs trained, estimate."),
        "method": text("Method", width=108),
        "model": text("Model", width=96),
        "epochs": number("Epochs", format="%d", width=74, help="Passes over the training split, as set."),
        "baseline": number(
            "Baseline", format="%d", width=82, help="The run whose TPRs make the weights, or that it is compared with."
        ),
        "accuracy": number(
            "Acc." if phone else "Accuracy",
            format="%.1f %%",
            width=60 if phone else 82,
            help="Accuracy on the test split, last epoch.",
        ),
        "tpr_variance": number(
            "TPR var.",
            format="%.4f",
            width=64 if phone else 76,
            help="Variance of the TPRs over classes, test split, last epoch.",
        ),
        "tpr_min": number(
            "Lowest TPR", format="%.1f %%", width=98, help="TPR of the class with the lowest, test split, last epoch."
        ),
        "spread": number(
            "Spread",
            format="%.1f",
            width=74,
            help="Standard deviation of the TPRs over classes, in points, test split, last epoch.",
        ),
        "dataset": text("Dataset", width=140),
        "seed": number("Seed", format="%d", width=60),
        "tags": text("Tags", width=80),
        "notes": text("Notes", width=180),
        "created": st.column_config.DatetimeColumn("Created", format="distance", width=110),
        "best_epoch": number(
            "Best epoch", format="%d", width=96, help="Highest balanced accuracy on the validation split."
        ),
        "best_accuracy": number("Accuracy, best epoch", format="%.1f %%", width=152),
        "best_spread": number("Spread, best epoch", format="%.1f", width=142),
        "best_tpr_min": number("Lowest TPR, best epoch", format="%.1f %%", width=168),
    }


def name_width(names: Iterable[str], beside: int) -> int:
    """Room for the longest of the names, as far as there is any; `beside` px of further columns are taken from it."""
    wanted = round(LETTER * max(map(len, names), default=0)) + AROUND_NAME
    return max(LEAST_NAME, min(max(wanted, NAME), WIDEST_NAME) - beside)


def order(phone: bool, more: list[str]) -> list[str]:
    """What fits the window first, further columns right after the state; on a phone the others of ALWAYS follow to the right."""
    fits = PHONE if phone else ALWAYS
    lead = fits[: fits.index("state") + 1]
    return list(dict.fromkeys([*lead, *more, *fits, *ALWAYS]))


def state_word(state: str) -> str:
    """A state of the filter as people read it; the address holds this word."""
    return "All" if state == "all" else status.STATUS[state][0]


def filters() -> tuple[str, str, bool, list[str]]:
    """Search, state, archived and the columns beside those that are always there; kept in the address."""
    phone = narrow.narrow()
    more: list[str] = []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            key="q",
            bind="query-params",
            placeholder="name, tag, note, dataset, method",
            icon=":material/search:",
            width=220 if phone else 320,
        )
        if phone:  # where it fills the line
            more = more_columns()
        state = st.selectbox(
            "State",
            STATES,
            key="status",
            bind="query-params",
            format_func=state_word,
            width=170,
            on_change=st.session_state.pop,
            args=(REFUSED, None),
        )
        archived = st.toggle("Archived", key="archived", bind="query-params", help="Show archived runs too.")
        if not phone:
            more = more_columns()
    return text or "", state, archived, more


def more_columns() -> list[str]:
    """The choice of further columns."""
    with st.popover("Columns", icon=":material/view_column:"):
        heads = {key: config["label"] for key, config in columns(phone=False).items()}
        return st.multiselect(
            "More columns",
            MORE,
            key="columns",
            bind="query-params",
            format_func=heads.get,
            placeholder="Choose columns",
        )


def table(frame: pd.DataFrame, states: list[str], more: list[str]) -> list[int]:
    """The table; a press on a name opens that run, on a phone it chooses it. Returns the ids of the chosen rows.

    A text cell is chosen by the arrow keys, too, so that it must not open anything.
    """
    shown, phone = shape(frame, states), narrow.narrow()
    # The keys hold the ids in order: when the rows change, the table is a new one and no choice or press can slide to another run.
    key, name_key = table_key(shown["id"]), f"runs_name_{hash(tuple(shown['id']))}"
    others = columns(phone)
    beside = sum(others[c]["width"] for c in more)
    config = columns(phone, name_width(shown["name"], beside), name_key)
    row = TALL_ROW if phone else ROW
    event = st.dataframe(
        shown,
        key=key,
        column_config=config,
        column_order=order(phone, more),
        hide_index=True,
        placeholder="",
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"] if phone else "multi-row",
        row_height=row,
        height=min(38 + row * max(len(shown), 1), PHONE_HIGH if phone else HIGH),
        alt="Runs with their state, method, model, accuracy and the variance of the true-positive rates",
    )
    if click := st.session_state.get(name_key):
        nav.open_run(int(shown.iloc[click["row"]]["id"]))
    tapped = [r for r, column in event.selection.cells if column == "name"]
    return [int(shown.iloc[i]["id"]) for i in event.selection.rows or tapped if i < len(shown)]


def table_key(ids: Iterable[int]) -> str:
    return f"runs_table_{hash(tuple(ids))}"


def while_chosen(frame: pd.DataFrame, wanted: list) -> pd.DataFrame:
    """The rows as they were while some of them are chosen: one that comes in would make another table and drop the choice, and with it
    the press of a button. `wanted` are the filters; other ones show what they find."""
    before, ids = st.session_state.get("runs_rows", (None, ()))
    chosen = st.session_state.get(table_key(ids), {}).get("selection", {})
    if before == wanted and any(chosen.values()) and set(ids) <= set(frame["id"]):
        frame = frame[frame["id"].isin(ids)]
    st.session_state["runs_rows"] = (wanted, tuple(frame["id"]))
    return frame


def states_of(frame: pd.DataFrame) -> list[str]:
    """The cells of the column State."""
    records = list(frame[TOLD].itertuples(index=False))  # of a thousand rows, all columns would take ten times as long
    where, held = status.places(*records), status.held_by(*records)
    return [status.in_a_cell(r, where, held) for r in records]


@st.fragment(run_every=2.0)
@told()
def live(filters_now: tuple[str, str, bool]) -> None:
    """While runs are on and nothing is chosen: read again; redraw the page only when something has moved."""
    if st.session_state.pop("runs_fresh", False):  # the page has read this very moment
        return
    frame = load(*filters_now)[0]
    if seen(frame, states_of(frame)) != st.session_state.get("runs_seen"):
        st.rerun()


def load(text: str, state: str, archived: bool) -> tuple[pd.DataFrame, int]:
    """The runs that pass the filters, newest first, and how many there are in all. One read; a second one only for a search."""
    every = reads.runs(archived=None)
    found = reads.runs(archived=None, text=text) if text.strip() else every
    keep = (found["archived"] <= archived) & ((found["status"] == state) | (state == "all"))
    return found[keep], len(every)


def seen(frame: pd.DataFrame, states: list[str]) -> tuple:
    """What the table shows of runs that may move."""
    return tuple(zip(frame["id"], states, frame["last_epoch"], strict=True))


def archive(ids: list[int], flag: bool) -> None:
    """Put runs aside or back, and remember it for Undo."""
    with told():
        results.archive(reads.database(), ids, flag)
        st.session_state["runs_archived"] = (ids, flag)


def wishes(record: Any, held: dict[int, str]) -> tuple[str, ...]:
    """What can be asked of a run now; `held` as `status.held_by` gives it."""
    if record.status == "running" and record.wanted != "run":
        return ()
    return (
        *(["run"] if record.status == "queued" and status.resume(record, held) else []),
        *CAN.get(record.status, ()),
    )


def ask(ids: list[int], wish: str) -> None:
    """Write a person's wish for each run; one that has ended meanwhile says so and keeps none of the others from it."""
    for run_id in ids:
        with told():
            queue.ask(reads.database(), run_id, wish)


def undo(ids: list[int], flag: bool) -> None:
    """Take the last archiving back."""
    archive(ids, not flag)
    st.session_state.pop("runs_archived", None)


def archived_now(ids: list[int]) -> None:
    """What was just archived, with a way back, until other rows are chosen."""
    if ids:
        st.session_state.pop("runs_archived", None)
    if "runs_archived" not in st.session_state:
        return
    moved, flag = st.session_state["runs_archived"]
    some = ", ".join(str(i) for i in sorted(moved)[:5]) + (f" and {len(moved) - 5} more" if len(moved) > 5 else "")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{'Run' if len(moved) == 1 else 'Runs'} {some} {'archived' if flag else 'back in the list'}",
            width="content",
        )
        st.button("Undo", key="runs_undo", icon=":material/undo:", on_click=undo, args=(moved, flag))


@st.dialog("Delete runs", icon=":material/delete:", on_dismiss="rerun")
def confirm_delete(frame: pd.DataFrame) -> None:
    """Names every run that will go; the ids are fixed when the dialog opens."""
    st.markdown(f"{count(len(frame), 'run')} with all results and checkpoints will be gone for good:")
    st.markdown("\n".join(f"- {r.id}: {plain(r.name)}" for r in frame.itertuples()))
    ids = frame["id"].tolist()
    named("These cannot be resumed any more, because they go on from a network that goes:", stranded(ids))
    named("These stay, without a baseline to compare with; the TPRs they took stay with them:", dependants(ids))
    with st.container(horizontal=True):
        if st.button("Delete", key="runs_delete_yes", type="primary", icon=":material/delete:"):
            with told():
                results.delete(reads.database(), [int(i) for i in frame["id"]])
                st.rerun()
        if st.button("Keep", key="runs_delete_no"):
            st.rerun()


def named(why: str, lines: list[str]) -> None:
    """A list under its reason; nothing where it is empty."""
    if lines:
        st.markdown(why)
        st.markdown(
            "\n".join(f"- {line}" for line in lines[:MOST_NAMED])
            + (f"\n- and {len(lines) - MOST_NAMED} more" if len(lines) > MOST_NAMED else "")
        )


def followers(ids: list[int]) -> list[Any]:
    """The runs that stay when these go and that name one of them as their baseline."""
    every = reads.runs(archived=None)
    return list(every[every["baseline_id"].isin(ids) & ~every["id"].isin(ids)].sort_values("id").itertuples())


def unfinished_stage(record: Any) -> bool:
    """Whether a run is a second stage or a post-hoc step that has not succeeded: without its baseline's network it cannot go on."""
    return record.status != "succeeded" and provenance.goes_on_from(record.method)


def stranded(ids: list[int]) -> list[str]:
    """Of the followers those that could not go on: "run 14 (Stopped) goes on from run 13"."""
    return [
        f"run {r.id} ({status.label(r)}) goes on from run {int(r.baseline_id)}"
        for r in followers(ids)
        if unfinished_stage(r)
    ]


def dependants(ids: list[int]) -> list[str]:
    """The other followers: "run 14 took its TPRs from run 13"."""
    return [
        f"run {r.id} {'took its TPRs from' if takes_tprs(reads.run(int(r.id)).config) else 'is compared with'} run {int(r.baseline_id)}"
        for r in followers(ids)
        if not unfinished_stage(r)
    ]


@st.dialog("Tags and notes", icon=":material/edit:", on_dismiss="rerun")
def edit(record: Any) -> None:
    """Name, tags and notes of one run."""
    about.fields(record, "runs")
    if st.button("Save", key="runs_edit_save", type="primary") and about.save(int(record.id), "runs"):
        st.rerun()


@st.dialog("Tags of several runs", icon=":material/edit:", on_dismiss="rerun")
def edit_tags(frame: pd.DataFrame) -> None:
    """Tags added to each of the runs, and taken from those that have them; names and notes are edited run by run."""
    st.markdown(
        f"{count(len(frame), 'run')}: {plain(', '.join(str(i) for i in sorted(frame['id'])[:12]))}"
        f"{' and more' if len(frame) > 12 else ''}"
    )
    new = st.text_input("Add tags", key="runs_tags_new", help="Words parted by commas.", max_chars=200)
    gone = st.multiselect(
        "Take tags away",
        sorted({tag for text in frame["tags"] for tag in results.tags_in(text)}),
        key="runs_tags_gone",
        placeholder="Choose tags",
    )
    if st.button("Save", key="runs_tags_save", type="primary"):
        with told():
            results.retag(reads.database(), frame["id"].tolist(), new, gone)
            st.rerun()


def actions(frame: pd.DataFrame, ids: list[int]) -> None:
    """What can be done with the chosen rows; each button says why it is off."""
    chosen = frame[frame["id"].isin(ids)]
    one, two, some = len(ids) == 1, len(ids) == 2, bool(ids)
    held = status.held_by(*chosen.itertuples())
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Open", key="runs_open", icon=":material/open_in_new:", disabled=not one, help=f"Choose one run. {BY_KEYS}"
        ):
            nav.open_run(ids[0])
        if st.button(
            "Compare",
            key="runs_compare",
            icon=":material/compare_arrows:",
            disabled=not two,
            help="Choose two runs; the older one is before.",
        ):
            nav.open_compare(min(ids), max(ids))
        if st.button(
            "Edit",
            key="runs_edit",
            icon=":material/edit:",
            disabled=not some,
            help="Name, tags and notes of one run; the tags of several together. Choose runs first.",
        ):
            follow.hold()
            edit(next(chosen.itertuples())) if one else edit_tags(chosen)
        for wish, (label, icon, told_as) in WISHES.items():
            able = [int(r.id) for r in chosen.itertuples() if wish in wishes(r, held)]
            if able:  # as on a run's own page: only what makes sense now
                st.button(
                    label,
                    key=f"runs_{wish}",
                    icon=icon,
                    on_click=ask,
                    args=(able, wish),
                    help=f"{told_as} {count(len(able), 'run')} of those chosen.",
                )
        put_back = some and bool(chosen["archived"].all())
        st.button(
            "Unarchive" if put_back else "Archive",
            key="runs_archive",
            icon=":material/unarchive:" if put_back else ":material/archive:",
            disabled=not some,
            on_click=archive,
            args=(ids, not put_back),
            help="Archived runs leave the list; nothing is lost.",
        )
        if st.button(
            "Delete", key="runs_delete", icon=":material/delete:", disabled=not some, help="Asks first, with the names."
        ):
            follow.hold()
            confirm_delete(chosen)
        if ids or not narrow.narrow():
            st.caption(f"{len(ids)} chosen" if ids else f"{TO_OPEN} {TO_TICK}", width="content")


def main() -> None:
    """The page."""
    st.title("Runs")
    refused_state()
    *wanted, more = filters()
    frame, total = load(*wanted)
    if not total:
        st.markdown("No run yet. Start one under New run, or press the button on Home.")
        st.page_link(nav.NEW, label="New run", icon=":material/add_circle:")
        return
    if (frame["status"] == "queued").any():
        worker_state.live_notice()
    above, phone = st.container(), narrow.narrow()
    found = len(frame)
    frame = while_chosen(frame, wanted)
    if phone and len(frame):
        st.caption(TO_CHOOSE, width=HINT)
    states = states_of(frame)
    ids = table(frame, states, more) if len(frame) else []
    with st.container() if phone else above:  # a table that moves down by a choice gets the next tap on another row
        actions(frame, ids)
        archived_now(ids)
    if frame.empty:
        nothing_passes(*wanted)
    if ids:  # another order of rows would lose the choice
        follow.hold()
    st.caption(
        f"{len(frame):,} of {total:,} runs shown. Accuracy, TPR variance and lowest TPR: test split, last epoch."
        + (" New runs join them once none is chosen." if found > len(frame) else "")
    )
    narrow.watch()
    st.session_state["runs_seen"] = seen(frame, states)
    if not ids and frame["status"].isin(reads.LIVE).any():
        st.session_state["runs_fresh"] = True
        live(tuple(wanted))


def nothing_passes(text: str, state: str, archived: bool) -> None:
    """Which filters leave nothing over, and the way out."""
    asked = [f'search "{plain(text)}"'] if text.strip() else []
    asked += [] if state == "all" else [f"state {state_word(state)}"]
    hidden = "" if archived else " Archived runs are not shown."
    st.markdown(
        f"No run passes {'this filter' if len(asked) == 1 else 'these filters'}: {', '.join(asked)}.{hidden}"
        if asked
        else f"No run to show.{hidden}"
    )
    with st.container(horizontal=True):
        if asked:
            st.button("Clear filters", key="runs_clear", icon=":material/filter_alt_off:", on_click=clear)
        if not archived:
            st.button(
                "Show archived",
                key="runs_show_archived",
                icon=":material/unarchive:",
                on_click=st.session_state.update,
                args=({"archived": True},),
            )


def clear() -> None:
    """No search and every state."""
    st.session_state.update({"q": "", "status": "all"})


REFUSED = "runs_refused"  # what the address asked for and is no state


def refused_state() -> None:
    """Take a state in the address by its word or its key, and name one that there is not, before the list of states drops it.

    It is named until one is chosen.
    """
    asked = st.query_params.get("status", "All")
    known = {name.lower(): state for state in STATES for name in (state, state_word(state))}
    if asked.lower() not in known:
        st.session_state[REFUSED] = asked
    elif asked != state_word(
        known[asked.lower()]
    ):  # as scripts and the command line call it; the list of states takes its own words alone
        st.query_params["status"] = state_word(known[asked.lower()])
        st.rerun()  # so that the list of states finds its own word, which then stays in the address
    if REFUSED in st.session_state:
        listed = ", ".join(map(state_word, STATES))
        st.warning(
            f"The address asks for runs of the state {plain(repr(st.session_state[REFUSED][:40]))}, "
            f"which there is not; all states are shown. Known: {listed}.",
            icon=":material/filter_alt_off:",
        )


def old_sqlite() -> None:
    """A word about the SQLite in use, where it is not current."""
    warning = sqlite_warning()
    if warning:
        st.caption(f":material/warning: {message(warning)}.")


with told():
    main()
    old_sqlite()
