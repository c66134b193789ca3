"""Runs: the table of every run, its filters, and what can be done with the chosen ones."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.methods import METHODS
from models import MODELS
from pages.parts import narrow, nav, origin, reads, status, words, worker_state
from pages.parts.guard import told
from storage import queue, results
from storage.engine import sqlite_warning

STATES = ("all", *status.STATUS)
ALWAYS = ("id", "name", "state", "method", "model", "accuracy", "tpr_variance", "tpr_min")  # fit a window of 1440 px
PHONE = ("name", "state", "accuracy", "tpr_variance")  # fit 390 px
MORE = ("spread", "dataset", "seed", "tags", "notes", "created", "best_epoch", "best_accuracy", "best_spread", "best_tpr_min")
NAME = 288  # px, the widest column
CAN = {"queued": ("pause", "cancel"), "running": ("pause", "cancel"), "paused": ("run", "cancel"), "failed": ("run",), "cancelled": ("run",)}
WISHES = {  # what is asked -> label, icon, what it does
    "pause": ("Pause", ":material/pause:", "Holds"), "run": ("Resume", ":material/play_arrow:", "Goes on, from the last checkpoint, with"),
    "cancel": ("Stop", ":material/stop:", "Ends, with the figures so far kept,"),
}
TOLD = ["id", "status", "wanted", "last_epoch", "epochs", "seconds", "archived"]  # what the words for a state are made of
TO_OPEN = "A click on a name opens the run."
BY_KEYS = "With the keyboard: arrow keys to its row, Shift and Space to tick it, then this button."
MOST_NAMED = 8  # dependants that the question before deleting names
ROW, TALL_ROW = 35, 66  # px; Streamlit wraps text in rows above 64


def shape(frame: pd.DataFrame, states: list[str]) -> pd.DataFrame:
    """The stored columns as people read them: percent, points, words."""
    out = pd.DataFrame({
        "id": frame["id"], "name": frame["name"], "state": states,
        "dataset": frame["dataset"], "model": [MODELS[m].label if m in MODELS else m for m in frame["model"]],
        "method": [METHODS[m].label.partition(" (")[0] if m in METHODS else m for m in frame["method"]], "seed": frame["seed"],
        "tpr_variance": frame["tpr_variance"], "best_epoch": frame["best_epoch"], "tags": frame["tags"], "notes": frame["notes"],
        "created": frame["created_at"].dt.floor("s"),
    })
    for share in ("accuracy", "tpr_min", "best_accuracy", "best_tpr_min"):
        out[share] = 100 * frame[share].astype(float)
    out["spread"] = 100 * frame["tpr_variance"].astype(float) ** 0.5
    out["best_spread"] = 100 * frame["best_tpr_variance"].astype(float) ** 0.5
    return out[[*ALWAYS, *MORE]].reset_index(drop=True)


def columns(phone: bool, name: int = NAME, name_key: str | None = None) -> dict[str, Any]:
    """How each column is headed and written, that of the names `name` px wide; a press on a name is kept under `name_key`.

    A button's label does not wrap: on a phone names are text, and a tap on the cell says the same.
    """
    number, text, button = st.column_config.NumberColumn, st.column_config.TextColumn, st.column_config.ButtonColumn
    return {
        "id": number("Run", format="%d", pinned=not phone, width=46),
        "name": text("Name", width=116) if phone else button("Name", type="tertiary", alignment="left", width=name, key=name_key, help=TO_OPEN),
        "state": text("State", width=82 if phone else 170, help="State, share of the epochs trained, estimate."),
        "method": text("Method", width=138), "model": text("Model", width=80),
        "accuracy": number("Acc." if phone else "Accuracy", format="%.1f %%", width=60 if phone else 74, help="Accuracy on the test split, last epoch."),
        "tpr_variance": number("TPR var." if phone else "TPR variance", format="%.4f", width=64 if phone else 92,
                               help="Variance of the TPRs over classes, test split, last epoch."),
        "tpr_min": number("Lowest TPR", format="%.1f %%", width=88, help="TPR of the class with the lowest, test split, last epoch."),
        "spread": number("Spread", format="%.1f", width=66, help="Standard deviation of the TPRs over classes, in points, test split, last epoch."),
        "dataset": text("Dataset", width=90), "seed": number("Seed", format="%d", width=54), "tags": text("Tags", width=110), "notes": text("Notes", width=180),
        "created": st.column_config.DatetimeColumn("Created", format="distance", width=110),
        "best_epoch": number("Best epoch", format="%d", width=86, help="Highest balanced accuracy on the validation split."),
        "best_accuracy": number("Accuracy, best epoch", format="%.1f %%", width=140), "best_spread": number("Spread, best epoch", format="%.1f", width=130),
        "best_tpr_min": number("Lowest TPR, best epoch", format="%.1f %%", width=155),
    }


def order(phone: bool, more: list[str]) -> list[str]:
    """What fits the window first, further columns right after the state; on a phone the others of ALWAYS follow to the right."""
    fits = PHONE if phone else ALWAYS
    lead = fits[: fits.index("state") + 1]
    return list(dict.fromkeys([*lead, *more, *fits, *ALWAYS]))


def filters() -> tuple[str, str, bool, list[str]]:
    """Search, state, archived and the columns beside those that are always there; kept in the address."""
    phone = narrow.narrow()
    more: list[str] = []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input("Search", key="q", bind="query-params", placeholder="name, tag, note, dataset, method", icon=":material/search:", width=220 if phone else 320)
        if phone:  # where it fills the line
            more = more_columns()
        state = st.selectbox("State", STATES, key="status", bind="query-params", format_func=lambda s: "All" if s == "all" else status.STATUS[s][0], width=170)
        archived = st.toggle("Archived", key="archived", bind="query-params", help="Show archived runs too.")
        if not phone:
            more = more_columns()
    return text or "", state, archived, more


def more_columns() -> list[str]:
    """The choice of further columns."""
    with st.popover("Columns", icon=":material/view_column:"):
        heads = {key: config["label"] for key, config in columns(phone=False).items()}
        return st.multiselect("More columns", MORE, key="columns", bind="query-params", format_func=heads.get, placeholder="Choose columns")


def table(frame: pd.DataFrame, states: list[str], more: list[str]) -> list[int]:
    """The table; a press on a name opens that run. Returns the ids of the chosen rows."""
    shown, phone = shape(frame, states), narrow.narrow()
    # The keys hold the ids in order: when the rows change, the table is a new one and no choice or press can slide to another run.
    rows = hash(tuple(shown["id"]))
    key, name_key = f"runs_table_{rows}", f"runs_name_{rows}"
    others = columns(phone)
    config = columns(phone, max(NAME // 2, NAME - sum(others[c]["width"] for c in more)), name_key)  # the name gives way to further columns
    row = TALL_ROW if phone else ROW
    event = st.dataframe(
        shown, key=key, column_config=config, column_order=order(phone, more), hide_index=True, placeholder="", on_select="rerun",
        selection_mode=["multi-row", "single-cell"] if phone else "multi-row",
        row_height=row, height=min(38 + row * max(len(shown), 1), 600), alt="Runs with their state, method, model, accuracy and the variance of the true-positive rates")
    pressed = [r for r, column in event.selection.cells if column == "name"]
    if click := st.session_state.get(name_key):
        pressed.append(click["row"])
    if pressed:
        nav.open_run(int(shown.iloc[pressed[0]]["id"]))
    return [int(shown.iloc[i]["id"]) for i in event.selection.rows if i < len(shown)]


def states_of(frame: pd.DataFrame) -> list[str]:
    """The cells of the column State."""
    records = list(frame[TOLD].itertuples(index=False))  # of a thousand rows, all columns would take ten times as long
    where = status.places(*records)
    return [status.in_a_cell(r, where) for r in records]


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


def wishes(record: Any) -> tuple[str, ...]:
    """What can be asked of a run now."""
    return () if record.status == "running" and record.wanted != "run" else CAN.get(record.status, ())


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
        st.caption(f"{'Run' if len(moved) == 1 else 'Runs'} {some} {'archived' if flag else 'back in the list'}", width="content")
        st.button("Undo", key="runs_undo", icon=":material/undo:", on_click=undo, args=(moved, flag))


@st.dialog("Delete runs", icon=":material/delete:")
def confirm_delete(frame: pd.DataFrame) -> None:
    """Names every run that will go; the ids are fixed when the dialog opens."""
    st.markdown(f"{words.count(len(frame), 'run')} with all results and checkpoints will be gone for good:")
    st.markdown("\n".join(f"- {r.id}: {words.plain(r.name)}" for r in frame.itertuples()))
    if lines := dependants(frame["id"].tolist()):
        st.markdown("These stay, without a baseline to compare with; the TPRs they took stay with them:")
        st.markdown("\n".join(f"- {line}" for line in lines[:MOST_NAMED]) + (f"\n- and {len(lines) - MOST_NAMED} more" if len(lines) > MOST_NAMED else ""))
    with st.container(horizontal=True):
        if st.button("Delete", key="runs_delete_yes", type="primary", icon=":material/delete:"):
            with told():
                results.delete(reads.database(), [int(i) for i in frame["id"]])
                st.rerun()
        if st.button("Keep", key="runs_delete_no"):
            st.rerun()


def dependants(ids: list[int]) -> list[str]:
    """The runs that stay when these go and that name one of them as their baseline: "run 14 took its TPRs from run 13"."""
    every = reads.runs(archived=None)
    rest = every[every["baseline_id"].isin(ids) & ~every["id"].isin(ids)].sort_values("id")
    return [f"run {r.id} {'took its TPRs from' if origin.takes_tprs(r.method) else 'is compared with'} run {int(r.baseline_id)}" for r in rest.itertuples()]


@st.dialog("Tags and notes", icon=":material/edit:")
def edit(record: Any) -> None:
    """Name, tags and notes of one run."""
    name = st.text_input("Name", record.name, key=f"runs_name_{record.id}", max_chars=200)
    tags = st.text_input("Tags", record.tags or "", key=f"runs_tags_{record.id}", help="Words parted by commas.", max_chars=200)
    notes = st.text_area("Notes", record.notes or "", key=f"runs_notes_{record.id}", max_chars=4000)
    if st.button("Save", key="runs_edit_save", type="primary"):
        with told():
            engine = reads.database()
            results.rename(engine, record.id, name)
            results.set_tags(engine, record.id, tags)
            results.set_notes(engine, record.id, notes)
            st.rerun()


def actions(frame: pd.DataFrame, ids: list[int]) -> None:
    """What can be done with the chosen rows; each button says why it is off."""
    chosen = frame[frame["id"].isin(ids)]
    one, two, some = len(ids) == 1, len(ids) == 2, bool(ids)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Open", key="runs_open", icon=":material/open_in_new:", disabled=not one, help=f"Choose one run. {BY_KEYS}"):
            nav.open_run(ids[0])
        if st.button("Compare", key="runs_compare", icon=":material/compare_arrows:", disabled=not two, help="Choose two runs; the older one is before."):
            nav.open_compare(min(ids), max(ids))
        if st.button("Edit", key="runs_edit", icon=":material/edit:", disabled=not one, help="Name, tags and notes of one run."):
            edit(next(chosen.itertuples()))
        for wish, (label, icon, told_as) in WISHES.items():
            able = [int(r.id) for r in chosen.itertuples() if wish in wishes(r)]
            if able:  # as on a run's own page: only what makes sense now
                st.button(label, key=f"runs_{wish}", icon=icon, on_click=ask, args=(able, wish), help=f"{told_as} {words.count(len(able), 'run')} of those chosen.")
        put_back = some and bool(chosen["archived"].all())
        st.button("Unarchive" if put_back else "Archive", key="runs_archive", icon=":material/unarchive:" if put_back else ":material/archive:", disabled=not some, on_click=archive,
                  args=(ids, not put_back), help="Archived runs leave the list; nothing is lost.")
        if st.button("Delete", key="runs_delete", icon=":material/delete:", disabled=not some, help="Asks first, with the names."):
            confirm_delete(chosen)
        st.caption(f"{len(ids)} chosen" if some else f"{TO_OPEN} Tick rows on the left to compare or change them.", width="content")


def main() -> None:
    """The page."""
    st.title("Runs")
    *wanted, more = filters()
    frame, total = load(*wanted)
    if not total:
        st.markdown("No run yet. Start one under New run, or press the button on Home.")
        st.page_link(nav.NEW, label="New run", icon=":material/add_circle:")
        return
    if (frame["status"] == "queued").any():
        worker_state.live_notice()
    bar = st.container()
    states = states_of(frame)
    ids = table(frame, states, more) if len(frame) else []
    with bar:
        actions(frame, ids)
        archived_now(ids)
    if frame.empty:
        st.markdown("No run passes these filters.")
    st.caption(f"{len(frame):,} of {total:,} runs shown. Accuracy, TPR variance and lowest TPR: test split, last epoch.")
    narrow.watch()
    st.session_state["runs_seen"] = seen(frame, states)
    if not ids and frame["status"].isin(reads.LIVE).any():
        st.session_state["runs_fresh"] = True
        live(tuple(wanted))


def old_sqlite() -> None:
    """A word about the SQLite in use, where it is not current."""
    warning = sqlite_warning()
    if warning:
        st.caption(f":material/warning: {words.message(warning)}.")


with told():
    main()
    old_sqlite()
