"""The table of all runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import streamlit as st

from core.datasets import known_as
from core.experiment.states import STATES
from core.methods import METHODS
from models import MODELS
from pages.components.common import navigation, run_status, viewport
from pages.components.runs.actions import TO_OPEN

STATE_FILTERS = ("all", *STATES.keys)
FIT = ("id", "name", "state", "method", "accuracy", "tpr_variance", "tpr_min", "tags")  # a window of 1440 px
ALWAYS = (
    *FIT,
    "dataset",
    "model",
    "epochs",
    "best_epoch",
    "notes",
)  # those beyond FIT lie further to the right
PHONE = ("state", "name", "accuracy", "tpr_variance")  # fit 390 px; a tap on a header selects a cell of the first
MORE = ("spread", "seed", "baseline", "created", "best_accuracy", "best_spread", "best_tpr_min")
NAME, WIDEST_NAME = 332, 412  # px: next to all of FIT; over the room of the tags, for long names
LEAST_NAME = 144  # px: next to further columns
LETTER, AROUND_NAME = 6.1, 34  # px: average width of a letter, padding of a button
STATE_COLUMNS = [
    "id",
    "status",
    "wanted",
    "last_epoch",
    "epochs",
    "seconds",
    "archived",
    "baseline_id",
]  # read for the cells of the column State
HIGH, PHONE_HIGH = 600, 410  # px at most
ROW, TALL_ROW = 35, 92  # px; Streamlit wraps text in rows above 64, and a name may take four lines


def table_rows(frame: pd.DataFrame, states: list[str]) -> pd.DataFrame:
    """The rows of the table of all runs: the stored columns in display form, as percent, points, labels."""
    out = pd.DataFrame(
        {
            "id": frame["id"],
            "name": frame["name"],
            "state": states,
            "epochs": frame["epochs"],
            "baseline": frame["baseline_id"],
            "dataset": [known_as(d) for d in frame["dataset"]],
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


def table_columns(phone: bool, name: int = NAME, name_key: str | None = None) -> dict[str, Any]:
    """Header and format of each column of the table of all runs; names are `name` px wide, a click on one is kept under `name_key`.

    A button's label does not wrap, so on a phone names are text, and a tap on one selects its run. Every header has room
    for the sort arrow.
    """
    number, text, button = st.column_config.NumberColumn, st.column_config.TextColumn, st.column_config.ButtonColumn
    return {
        "id": number("Run", format="%d", pinned=not phone, width=54),
        "name": text("Name", width=116)
        if phone
        else button("Name", type="tertiary", alignment="left", width=name, key=name_key, help=TO_OPEN),
        "state": text("State", width=82 if phone else 150, help="State, share of epochs trained, time left."),
        "method": text("Method", width=108),
        "model": text("Model", width=96),
        "epochs": number("Epochs", format="%d", width=74, help="Passes over the training split."),
        "baseline": number(
            "Baseline",
            format="%d",
            width=82,
            help="The run whose TPRs provide the weights, or that this run is compared with.",
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
            "Lowest TPR", format="%.1f %%", width=98, help="Lowest TPR of any class, test split, last epoch."
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


def name_width(names: Iterable[str], reserved: int) -> int:
    """Width in px of the names in the table of all runs, for the longest within limits; further columns take `reserved`
    px of it."""
    wanted = round(LETTER * max(map(len, names), default=0)) + AROUND_NAME
    return max(LEAST_NAME, min(max(wanted, NAME), WIDEST_NAME) - reserved)


def column_order(phone: bool, more: list[str]) -> list[str]:
    """Column order of the table of all runs: what fits the window, with further columns right after the state; on a
    phone the rest of ALWAYS follows."""
    fits = PHONE if phone else ALWAYS
    lead = fits[: fits.index("state") + 1]
    return list(dict.fromkeys([*lead, *more, *fits, *ALWAYS]))


def state_word(state: str) -> str:
    """The label of a state in the filter of the table of all runs; the URL holds it."""
    return "All" if state == "all" else STATES[state].label


def more_columns() -> list[str]:
    """Lets the user select further columns of the table of all runs."""
    with st.popover("Columns", icon=":material/view_column:"):
        heads = {key: config["label"] for key, config in table_columns(phone=False).items()}
        return st.multiselect(
            "More columns",
            MORE,
            key="columns",
            bind="query-params",
            format_func=heads.get,
            placeholder="Choose columns",
        )


def table(frame: pd.DataFrame, states: list[str], more: list[str]) -> list[int]:
    """The table of all runs; a click on a name opens that run, on a phone it selects it. Returns the ids of the selected rows.

    Arrow keys select text cells too, so selecting one must not open anything.
    """
    shown, phone = table_rows(frame, states), viewport.narrow_window()
    # The keys hold the ids in order: changed rows make a new table, so no selection or click can move to another run.
    key, name_key = table_key(shown["id"]), f"runs_name_{hash(tuple(shown['id']))}"
    others = table_columns(phone)
    reserved = sum(others[c]["width"] for c in more)
    config = table_columns(phone, name_width(shown["name"], reserved), name_key)
    row = TALL_ROW if phone else ROW
    event = st.dataframe(
        shown,
        key=key,
        column_config=config,
        column_order=column_order(phone, more),
        hide_index=True,
        placeholder="",
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"] if phone else "multi-row",
        row_height=row,
        height=min(38 + row * max(len(shown), 1), PHONE_HIGH if phone else HIGH),
        alt="Runs with their state, method, model, accuracy and the variance of the true-positive rates",
    )
    if click := st.session_state.get(name_key):
        navigation.open_run(int(shown.iloc[click["row"]]["id"]))
    tapped = [r for r, column in event.selection.cells if column == "name"]
    return [int(shown.iloc[i]["id"]) for i in event.selection.rows or tapped if i < len(shown)]


def table_key(ids: Iterable[int]) -> str:
    """The key of the table of all runs, which holds their ids in order."""
    return f"runs_table_{hash(tuple(ids))}"


def keep_selected_rows(frame: pd.DataFrame, wanted: list[str | bool]) -> pd.DataFrame:
    """Keep the rows of the table of all runs while some are selected: a new row would make a new table and drop the
    selection, and with it the click on a button. `wanted`: search, state and whether archived; changed filters show all
    they match."""
    before, ids = st.session_state.get("runs_rows", (None, ()))
    chosen = st.session_state.get(table_key(ids), {}).get("selection", {})
    if before == wanted and any(chosen.values()) and set(ids) <= set(frame["id"]):
        frame = frame[frame["id"].isin(ids)]
    st.session_state["runs_rows"] = (wanted, tuple(frame["id"]))
    return frame


def state_cells(frame: pd.DataFrame) -> list[str]:
    """The cells of the column State in the table of all runs: state, progress and estimate."""
    records = list(
        frame[STATE_COLUMNS].itertuples(index=False)
    )  # with all columns, 1,000 rows would take ten times as long
    where, held = run_status.places(*records), run_status.held_by(*records)
    return [run_status.in_a_cell(r, where, held) for r in records]
