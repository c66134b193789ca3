"""The charts of the run page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.diagnostics.run_warnings import few_samples
from core.experiment.states import LIVE
from core.methods import METHODS, trains
from core.methods.no_weighting import UNWEIGHTED
from core.methods.posthoc import STORED_BIAS
from core.split_names import SPLITS
from pages.components.common import cached_reads, plotly_chart, run_status
from pages.components.run import oscillation, tiles
from reporting import confusion_charts, epoch_charts, text, tpr_charts
from reporting.numbers import percent
from reporting.text import message
from storage.results.runs import RunRow

WIDTH = 760  # maximum px of a bar chart, so that class names stay near their bars
MOST_LIVE = 120  # epochs drawn of an active run
Line = tuple[str, NDArray[np.int64], NDArray[np.float64], str, str]  # name, epochs, values, color, dash
SPLIT_WORDS = {"train": "training", "validation": "validation", "test": "test"}


def baseline_of(row: RunRow) -> RunRow | None:
    """The baseline that the charts of a run's page show, if it has results on the same classes."""
    if row.baseline_id is None:
        return None
    before = cached_reads.run(row.baseline_id)
    return (
        before
        if cached_reads.has_epochs(before) and cached_reads.class_names(before) == cached_reads.class_names(row)
        else None
    )


def order_of(row: RunRow, before: RunRow | None) -> NDArray[np.int64]:
    """The order of the classes in the charts of a run's page: hardest to easiest, by the baseline if there is one."""
    return tpr_charts.ordering(cached_reads.tpr_of(cached_reads.counts(before if before is not None else row)))


def pictures(row: RunRow) -> None:
    """All charts of a run's page: TPRs per class, then the curves; for a post-hoc step, which has no epochs, what it
    added to the logits."""
    names, before = cached_reads.class_names(row), baseline_of(row)
    cautions(row)
    if row.status in LIVE and trains(row.method):  # redrawn every few seconds, the state above every second
        st.caption(f"Metrics and charts{run_status.after_epoch(row, row.last_epoch)}.")
    tiles.draw(row)
    tpr_chart(row, before, names)
    if trains(row.method):
        charts_over_epochs(row, names, order_of(row, before))
    else:
        bias_chart(row, names, order_of(row, before))


def charts_over_epochs(row: RunRow, names: list[str], order: NDArray[np.int64]) -> None:
    """The charts over epochs on the page of a run that trains."""
    left, right = st.columns(2, gap="medium")
    with left:
        loss_chart(row)
    with right:
        accuracy_chart(row)
    left, right = st.columns(2, gap="medium")
    with left:
        tpr_heatmap(row, names, order)
    with right:
        weight_chart(row, names, order)
    thinned_note(row)
    oscillation.draw(row, names)


def bias_chart(row: RunRow, names: list[str], order: NDArray[np.int64]) -> None:
    """The chart of the per-class bias that a post-hoc step added to the logits, if there is one; a note if the step has no loss."""
    frame = cached_reads.epochs(row)
    if frame["loss"].isna().all():
        st.markdown("No loss: this step outputs distances, which have no cross entropy and no calibration error.")
    bias = frame["info"].iloc[-1].get(STORED_BIAS)
    if bias is None:  # another kind of step, or one of an earlier version
        return
    values = np.array(bias, dtype=np.float64)
    st.subheader("Added to the logits", anchor=False)
    st.caption(
        "Hardest class first. The bias that the step adds to each logit: "
        "a class above 0 is predicted more often, one below 0 less often."
    )
    with st.container(width=WIDTH):
        plotly_chart.draw(
            epoch_charts.bias_bars(names, values, plotly_chart.palette(), order),
            key="run_summand",
            alt=epoch_charts.alt_bias(names, values),
        )


def drawn_epochs(row: RunRow, epochs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which epochs the charts of a run's page draw, as indices into `epochs`: all of an ended run, fewer of an active
    one, which is redrawn often."""
    return epoch_charts.some_epochs(epochs, MOST_LIVE) if row.status in LIVE else np.arange(len(epochs))


def thinned_note(row: RunRow) -> None:
    """A note below the charts of a run's page if not every epoch is drawn."""
    step = epoch_charts.step_of(int(row.last_epoch), MOST_LIVE)
    if row.status in LIVE and step > 1:
        st.caption(
            f"While the run is active, charts show one epoch in {step} and the last one; once it has ended, all. Every epoch is recorded."
        )


def cautions(row: RunRow) -> None:
    """Cautions above the charts of a run's page: weights based on few validation samples, and a method that learns from
    validation samples."""
    few = few_samples(f"run {row.id}", row.config, row.facts)
    if few:
        st.warning(message(text.of(few)), icon=":material/balance:")
    if row.method in METHODS and METHODS[row.method].meets_validation:
        st.caption(
            ":material/info: This method learns from validation samples, "
            "so this run's validation metrics are too optimistic. Judge it by the test split."
        )


def tpr_chart(row: RunRow, before: RunRow | None, names: list[str]) -> None:
    """The chart of a run's TPRs per class next to the baseline's, or of this run alone."""
    st.subheader("TPR per class, hardest first", anchor=False)
    p = plotly_chart.palette()
    if before is None:
        mine = replace(cached_reads.chart_side(row, f"run {row.id}"), weighted=row.method != UNWEIGHTED)
        plotly_chart.draw(
            tpr_charts.tpr_figure(tpr_charts.usual_kind(mine), names, mine, None, p),
            key="run_signature",
            alt=tpr_charts.describe(names, mine, None),
        )
        return
    b, a = (
        cached_reads.chart_side(before, f"before (run {before.id})"),
        cached_reads.chart_side(row, f"after (run {row.id})"),
    )
    plotly_chart.draw(
        tpr_charts.tpr_figure(tpr_charts.usual_kind(b, a), names, b, a, p),
        key="run_signature",
        alt=tpr_charts.describe(names, b, a),
    )


def _series(row: RunRow, column: str) -> list[Line]:
    p = plotly_chart.palette()
    looks = {"train": (p.before, "dot"), "validation": (p.gain, "dash"), "test": (p.after, "solid")}
    out = []
    for split in SPLITS:
        epochs, values = cached_reads.series(row, split, column)
        shown = drawn_epochs(row, epochs)
        if np.isfinite(values[shown]).any():
            out.append((SPLIT_WORDS[split], epochs[shown], values[shown], *looks[split]))
    return out


def loss_chart(row: RunRow) -> None:
    """The chart on a run's page of the loss of every split over the epochs."""
    st.subheader("Loss", anchor=False)
    series = _series(row, "loss")
    plotly_chart.draw(
        epoch_charts.curves(plotly_chart.palette(), series, share=False, total=int(row.epochs)),
        key="run_loss",
        alt="Loss per epoch of the training, validation and test split",
    )
    st.caption(
        "Training: the loss that is minimized, weights included. Validation and test: cross entropy without weights."
    )


def accuracy_chart(row: RunRow) -> None:
    """The chart on a run's page of the accuracy of every split over the epochs."""
    st.subheader("Accuracy", anchor=False)
    series = _series(row, "accuracy")
    plotly_chart.draw(
        epoch_charts.curves(plotly_chart.palette(), series, share=True, total=int(row.epochs)),
        key="run_accuracy",
        alt=f"Accuracy per epoch; test {percent(row.accuracy)} at the last",
    )


def tpr_heatmap(row: RunRow, names: list[str], order: NDArray[np.int64]) -> None:
    """The chart on a run's page of the validation TPRs by class and epoch, a heat map."""
    st.subheader("Validation TPR by class and epoch", anchor=False)
    past = cached_reads.history(row)
    tpr, shown = cached_reads.tpr_of(past), drawn_epochs(row, past.epochs)
    plotly_chart.draw(
        epoch_charts.heatmap(names, past.epochs[shown], tpr[shown], plotly_chart.palette(), order),
        key="run_heatmap",
        alt=epoch_charts.alt_heatmap(names, tpr),
    )


def weight_chart(row: RunRow, names: list[str], order: NDArray[np.int64]) -> None:
    """The chart on a run's page of the class weights over epochs, or as bars if they are constant."""
    st.subheader("Class weights", anchor=False)
    past = cached_reads.history(row)
    if past.weight is None or np.isnan(past.weight).all():
        st.markdown("No class weights: every sample counts the same.")
        return
    w = past.weight
    steady, shown = np.allclose(w, w[-1]), drawn_epochs(row, past.epochs)
    figure = (
        epoch_charts.weight_bars(names, w[-1], plotly_chart.palette(), order)
        if steady
        else oscillation.with_markers(
            epoch_charts.weight_curves(names, past.epochs[shown], w[shown], plotly_chart.palette()), len(shown)
        )
    )
    plotly_chart.draw(figure, key="run_weights", alt=epoch_charts.alt_weights(names, w))
    oscillation.no_oscillation_caption(row, w)


def confusion_chart(row: RunRow) -> None:
    """The chart on a run's page of the confusion matrix of the test split, or a table of its largest cells for many classes."""
    found = cached_reads.confusion(row)
    if found is None:
        return
    names, order, (epoch, matrix) = cached_reads.class_names(row), order_of(row, baseline_of(row)), found
    st.subheader("Confusion", anchor=False)
    st.caption(
        f"Test split{run_status.after_epoch(row, epoch)}. Each row sums to 100 %: the predictions for the samples of a true class."
    )
    if len(names) <= confusion_charts.TEXT_UP_TO:
        plotly_chart.draw(
            confusion_charts.confusion_matrix(names, matrix, plotly_chart.palette(), order),
            key="run_confusion",
            alt="Confusion matrix of the test split in percent of each true class",
        )
        return
    st.dataframe(
        confusion_charts.top_confusions(names, matrix),
        hide_index=True,
        key="run_confusions",
        alt="The most frequent confusions",
        column_config={"share": st.column_config.NumberColumn("share of the class", format="%.1f %%")},
    )
