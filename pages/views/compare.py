"""Compare: two runs side by side. The address /compare?a=1&b=2 restores it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core import report
from core.compare import Comparison
from core.datasets import DATASETS
from core.errors import EvenlyError
from core.verdict import ENOUGH_SEEDS, NO_VERDICT, SAME
from pages.parts import choice, compared, curves, export, launch, matrices, nav, reads, show, signature, words
from pages.parts import settings as run_settings
from pages.parts.guard import told
from storage import sides

KINDS = {"bars": "Bars", "dumbbell": "Dumbbell", "strip": "Strip"}


def headline(c: Comparison, before: Any, after: Any) -> None:
    """What makes the comparison unfair, the verdict, then four numbers with what changed."""
    unfair(c, before, after)
    change, _, judged = compared.pretty(c.verdict).partition("; ")
    st.markdown(f"**{words.plain(change)}**" + (f"; {words.plain(judged)}" if judged else ""), width=980)
    d = c.deltas
    with st.grid(4, min_column_width=160):
        metric("Accuracy", d["accuracy"], words.percent, up=True)
        metric("Spread of TPRs, points", d["tpr_spread"], lambda v: f"{100 * v:.1f}", up=False)
        st.metric("TPR variance", words.small(d["tpr_variance"].after), f"{words.small(d['tpr_variance'].before)} before", delta_color="off", delta_arrow="off")
        metric("Lowest TPR", d["tpr_min"], words.percent, up=True)
    n = int(sum(r.support_after for r in c.rows))
    said = [f"Test split, {words.count(n, 'sample')}"]
    if c.noise.kind not in NO_VERDICT:
        said.append(f"{_seeds(c.noise.seeds_before)} before, {_seeds(c.noise.seeds_after)} after")
    more = "Numbers and pictures show the two runs chosen." if max(c.noise.seeds_before, c.noise.seeds_after) > 1 else ""
    st.caption(words.plain(" ".join(filter(None, (f"{'; '.join(said)}.", more, *c.notes)))))


def unfair(c: Comparison, before: Any, after: Any) -> None:
    """Each caution with the way to what it asks for."""
    for text in c.cautions:
        st.warning(words.message(text), icon=":material/balance:")
    unfinished = [r for r in (before, after) if r.status != "succeeded"]
    with st.container(horizontal=True):
        for r in unfinished:
            nav.link_run(r.id, f"Open run {r.id}", icon=":material/monitoring:")


def seeds(every: pd.DataFrame, c: Comparison, before: Any, after: Any) -> None:
    """One seed proves little: offer more of both, and say which are on their way."""
    pending = every[every["group_sha"].isin([before.group_sha, after.group_sha]) & every["status"].isin(reads.LIVE)]
    if len(pending):
        coming(tuple(int(i) for i in pending["id"]))
    elif c.noise.kind != SAME and len(c.noise.pairs) < ENOUGH_SEEDS and before.status == after.status == "succeeded":
        more = ENOUGH_SEEDS - max(len(c.noise.pairs), 1)
        wanted = launch.free_seeds(every, before, after, more)
        st.button(f"Add {words.count(more, 'seed')} to each", key="compare_seeds", icon=":material/add_circle:", on_click=add_seeds,
                  args=(before, after, wanted, reads.last_id(every)), help=f"Trains both again with {_listed(wanted)}, so that seed noise can be told from an effect.")


def add_seeds(before: Any, after: Any, wanted: list[int], last: int) -> None:
    """Queue the replicates once. The key holds the pair, the seeds and the newest run that the view had seen; seeds that
    another view has started meanwhile are not started again, and the page that follows shows them on their way."""
    with told():
        every = reads.runs(archived=None)
        if launch.free_seeds(every, before, after, len(wanted)) != wanted:
            return
        label = DATASETS[before.dataset].label if before.dataset in DATASETS else before.dataset
        key = f"seeds-{before.id}-{after.id}-{'.'.join(map(str, wanted))}-{last}"
        launch.send(launch.more_seeds(every, before, after, label, wanted), key)


def _listed(wanted: list[int]) -> str:
    return f"seed {wanted[0]}" if len(wanted) == 1 else f"seeds {', '.join(map(str, wanted[:-1]))} and {wanted[-1]}"


@st.fragment(run_every=2.0)
@told()
def coming(ids: tuple[int, ...]) -> None:
    """How far the replicates are; the page is redrawn when one has finished."""
    frame = reads.runs(ids=ids)
    on = frame[frame["status"].isin(reads.LIVE)]
    st.progress(sum(reads.progress(r) for r in frame.itertuples()) / max(len(frame), 1), text=f"{words.count(len(on), 'run')} of these settings on the way; the figures follow")
    if len(on) < len(ids):
        st.rerun()


def _seeds(n: int) -> str:
    return "one seed" if n == 1 else f"{n} seeds"


def metric(label: str, delta: Any, write: Any, up: bool) -> None:
    """A number after, with its change in points, the value before and the interval on hover; coloured only beyond the noise."""
    colour = ("normal" if up else "inverse") if delta.beyond else "off"
    told = [f"These two runs: {words.points(delta.change)} points, 95 % interval {words.points(delta.change_low)} to {words.points(delta.change_high)} "
            "from the sampling noise of the test split."]
    if delta.paired:
        mean, low, high = map(words.points, delta.paired)
        told.append(f"Mean over the paired seeds: {mean} points, 95 % interval {low} to {high}.")
    st.metric(label, write(delta.after), f"{100 * delta.change:+.1f}", delta_color=colour, delta_description=f"from {write(delta.before)}",
              help=" ".join(told))


def usual_form(classes: int) -> None:
    """The form that suits this many classes, at first and when their number changes; one in the address comes before it."""
    usual, state = signature.default_kind(classes), st.session_state
    if state.get("compare_classes", classes) != classes:
        state["kind"] = usual
    state.setdefault("kind", usual)
    state["compare_classes"] = classes


def picture(c: Comparison, names: list[str]) -> None:
    """The signature, its form and its order."""
    usual_form(len(names))
    st.subheader("TPR per class", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.radio("Picture", list(KINDS), format_func=KINDS.get, key="kind", bind="query-params", horizontal=True)
        by = st.selectbox("Sorted by", list(signature.ORDERS), format_func=signature.ORDERS.get, key="order", bind="query-params", width=190)
        marked = None
        if kind == "strip":
            marked = st.selectbox("Find a class", range(len(names)), index=None, format_func=lambda i: names[i], key="compare_find", placeholder="Class name", width=220)
    b, a = compared.pictured(c)
    show.draw(signature.picture(kind, names, b, a, show.palette(), by, marked), key="compare_signature", alt=signature.describe(names, b, a))
    st.caption("Dotted: mean before. Solid: mean after. Band: mean and one standard deviation, the spread. Thin lines: 95 % Wilson intervals.")


def over_epochs(before: Any, after: Any) -> None:
    """The spread of the test TPRs, epoch by epoch."""
    st.subheader("Spread over epochs", anchor=False)
    p, series = show.palette(), []
    for row, name, colour, dash in ((before, "before", p.before, "dot"), (after, "after", p.after, "solid")):
        frame = reads.epochs(row)
        frame = frame[frame["split"] == "test"].sort_values("epoch")
        series.append((name, frame["epoch"].to_numpy(), 100 * frame["tpr_variance"].astype(float).to_numpy() ** 0.5, colour, dash))
    show.draw(curves.lines(p, series, share=False, unit="points", digits=1), key="compare_epochs",
              alt=f"Spread of the test TPRs per epoch; at the end {words.spread(before.tpr_variance)} before and {words.spread(after.tpr_variance)} after")


def confusion_change(before: Any, after: Any, names: list[str]) -> None:
    """Where the calls moved."""
    st.subheader("What is predicted differently", anchor=False)
    found = [reads.confusion(r) for r in (before, after)]
    if None in found:
        st.caption("One of the runs keeps no confusion matrix.")
        return
    (_, b), (_, a) = found
    if len(names) <= matrices.TEXT_UP_TO:
        order = signature.ordering(reads.tpr_of(reads.counts(before)))
        show.draw(matrices.confusion_change(names, b, a, show.palette(), order), key="compare_confusion",
                  alt="Change of the confusion matrix in points of each true class")
        return
    number = st.column_config.NumberColumn
    st.dataframe(matrices.top_changes(names, b, a), hide_index=True, height="content", key="compare_changes", alt="The largest changes of the confusion matrix", column_config={
        "before": number("before", format="%.1f %%"), "after": number("after", format="%.1f %%"), "change": number("points", format="%+.1f")})


def settings(before: Any, after: Any) -> None:
    """Only what differs."""
    st.subheader("Settings that differ", anchor=False)
    rows = run_settings.differing(before, after)
    if not rows:
        st.caption("None: the two runs have the same settings.")
        return
    st.dataframe(pd.DataFrame(rows, columns=["setting", f"before (run {before.id})", f"after (run {after.id})"]), hide_index=True, height="content",
                 key="compare_settings", alt="Settings that differ between the two runs")


def exports(before: Any, after: Any, c: Comparison) -> None:
    """The comparison as files; each is made when it is asked for."""
    b, a = sides.report(reads.database(), before), sides.report(reads.database(), after)
    name = f"evenly-{before.id}-{after.id}"
    text = compared.pretty(c.verdict)
    with st.container(horizontal=True, vertical_alignment="center", key="compare_exports"):
        st.download_button("CSV", lambda: report.comparison_csv(b, a).encode(), f"{name}.csv", "text/csv", key="compare_csv", icon=":material/download:", on_click="ignore")
        st.download_button("JSON", lambda: report.comparison_json(b, a, text, c.cautions).encode(), f"{name}.json", "application/json", key="compare_json",
                           icon=":material/download:", on_click="ignore")
        st.download_button("HTML report", lambda: export.comparison_page(b, a, text, c.cautions).encode(), f"{name}.html", "text/html", key="compare_html",
                           icon=":material/download:", on_click="ignore", help="One file with its pictures; opens without a network.")


def class_table(c: Comparison) -> None:
    """Every number behind the picture; folded."""
    with st.expander("Every class in numbers", icon=":material/table_rows:", key="compare_numbers"):
        number = st.column_config.NumberColumn
        st.dataframe(pd.DataFrame([{
            "class": r.name, "samples": r.support_after, "before": 100 * r.before, "after": 100 * r.after, "gain": 100 * r.gain,
            "interval": f"{words.points(r.gain_low)} to {words.points(r.gain_high)}", "beyond": r.beyond} for r in c.rows]), hide_index=True,
            key="compare_table", alt="TPR of every class before and after", column_config={
                "before": number("before", format="%.1f %%"), "after": number("after", format="%.1f %%"), "gain": number("gain, points", format="%+.1f"),
                "interval": "95 % interval", "beyond": st.column_config.CheckboxColumn("beyond sampling noise")})


def nothing(frame: pd.DataFrame) -> None:
    """Too little to compare: what to do next."""
    finished = "No run has results yet." if frame.empty else "Choose a run on each side."
    st.markdown(f"{finished} A comparison needs two runs on the same classes, best a baseline and a run weighted by its TPRs.")
    st.page_link(nav.NEW, label="New run", icon=":material/add_circle:")


def fitting(before: Any, after: Any, known: set[int]) -> None:
    """Comparisons that would hold, where these two runs cannot be compared: each with its own baseline."""
    for r in {before.id: before, after.id: after}.values():
        if r.baseline_id in known:
            nav.link_compare(r.baseline_id, r.id, f"Compare run {r.id} with its baseline, run {r.baseline_id}", icon=":material/compare_arrows:")


def main() -> None:
    """The page."""
    st.title("Compare")
    every = reads.runs(archived=None)
    frame = every[every["last_epoch"] >= 1]
    if frame.empty:
        nothing(frame)
        return
    a, b = choice.choose(every, frame)
    if a is None or b is None:
        nothing(frame)
        return
    before, after = reads.run(a), reads.run(b)
    try:
        c = compared.comparison(before, after)
    except EvenlyError as error:
        st.warning(f"{words.message(str(error))}.", icon=":material/compare_arrows:")
        fitting(before, after, set(frame["id"].tolist()))
        return
    names = reads.class_names(before)
    headline(c, before, after)
    seeds(every, c, before, after)
    picture(c, names)
    left, right = st.columns(2, gap="medium")
    with left:
        over_epochs(before, after)
        settings(before, after)
    with right:
        confusion_change(before, after, names)
    class_table(c)
    exports(before, after, c)


with told():
    main()
