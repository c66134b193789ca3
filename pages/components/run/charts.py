"""The charts of the run page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.diagnostics.run_warnings import few_samples
from core.experiment.states import LIVE
from core.methods import METHODS
from core.methods.no_weighting import UNWEIGHTED
from core.methods.posthoc import STORED_BIAS
from core.split_names import SPLITS
from pages.components.common import cached_reads, plotly_chart, run_status
from pages.components.run import oscillation
from reporting import confusion_charts, epoch_charts, text, tpr_charts
from reporting.numbers import percent, spread, variance
from reporting.text import message
from storage.results.runs import RunRow

WIDTH = 760  # maximum px of a bar chart, so that class names stay near their bars
MOST_LIVE = 120  # epochs drawn of an active run
Line = tuple[str, NDArray[np.int64], NDArray[np.float64], str, str]  # name, epochs, values, color, dash
SPLIT_WORDS = {"train": "training", "validation": "validation", "test": "test"}


def baseline_of(row: RunRow) -> RunRow | None:
    """The baseline if it has results on the same classes."""
    if row.baseline_id is None:
        return None
    before = cached_reads.run(row.baseline_id)
    return (
        before
        if cached_reads.has_epochs(before) and cached_reads.class_names(before) == cached_reads.class_names(row)
        else None
    )


def order_of(row: RunRow, before: RunRow | None) -> NDArray[np.int64]:
    """The classes from hardest to easiest, by the baseline if there is one."""
    return tpr_charts.ordering(cached_reads.tpr_of(cached_reads.counts(before if before is not None else row)))


def pictures(row: RunRow) -> None:
    """All charts: TPRs per class, then the curves; for a post-hoc step, which has no epochs, what it added to the logits."""
    names, before = cached_reads.class_names(row), baseline_of(row)
    caution(row)
    if row.status in LIVE and run_status.trains(row):  # redrawn every few seconds, the state above every second
        st.caption(f"Metrics and charts{run_status.after(row, row.last_epoch)}.")
    numbers(row)
    picture(row, before, names)
    if run_status.trains(row):
        training(row, names, order_of(row, before))
    else:
        added(row, names, order_of(row, before))


def training(row: RunRow, names: list[str], order: NDArray[np.int64]) -> None:
    """The charts over epochs of a run that trains."""
    left, right = st.columns(2, gap="medium")
    with left:
        losses(row)
    with right:
        accuracies(row)
    left, right = st.columns(2, gap="medium")
    with left:
        history(row, names, order)
    with right:
        weights(row, names, order)
    thinned(row)
    oscillation.draw(row, names)


def added(row: RunRow, names: list[str], order: NDArray[np.int64]) -> None:
    """The per-class bias that a post-hoc step added to the logits, if there is one; a note if the step has no loss."""
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
    """Indices into `epochs` of those that are drawn: all of an ended run, fewer of an active one, which is redrawn often."""
    return epoch_charts.some(epochs, MOST_LIVE) if row.status in LIVE else np.arange(len(epochs))


def thinned(row: RunRow) -> None:
    """A note if not every epoch is drawn."""
    step = epoch_charts.step_of(int(row.last_epoch), MOST_LIVE)
    if row.status in LIVE and step > 1:
        st.caption(
            f"While the run is active, charts show one epoch in {step} and the last one; once it has ended, all. Every epoch is recorded."
        )


def caution(row: RunRow) -> None:
    """Cautions: weights based on few validation samples, and a method that learns from validation samples."""
    few = few_samples(f"run {row.id}", row.config, row.facts)
    if few:
        st.warning(message(text.of(few)), icon=":material/balance:")
    if row.method in METHODS and METHODS[row.method].meets_validation:
        st.caption(
            ":material/info: This method learns from validation samples, "
            "so this run's validation metrics are too optimistic. Judge it by the test split."
        )


def numbers(row: RunRow) -> None:
    """Accuracy, spread, variance and lowest TPR of the test split; last epoch, and best epoch on hover."""
    with st.grid(4, min_column_width=150):
        st.metric("Accuracy", percent(row.accuracy), help=_best(row, percent(row.best_accuracy)))
        st.metric("Spread of TPRs", spread(row.tpr_variance), help=_best(row, spread(row.best_tpr_variance)))
        st.metric("TPR variance", variance(row.tpr_variance), help=_best(row, variance(row.best_tpr_variance)))
        st.metric("Lowest TPR", percent(row.tpr_min), help=_best(row, percent(row.best_tpr_min)))


def _best(row: RunRow, value: str) -> str:
    if not run_status.trains(row):
        return "Test split."
    return f"Test split, last epoch. At the best epoch ({row.best_epoch}, highest balanced accuracy on validation): {value}"


def picture(row: RunRow, before: RunRow | None, names: list[str]) -> None:
    """TPRs per class next to the baseline's, or of this run alone."""
    st.subheader("TPR per class, hardest first", anchor=False)
    p = plotly_chart.palette()
    if before is None:
        mine = replace(cached_reads.side(row, f"run {row.id}"), weighted=row.method != UNWEIGHTED)
        plotly_chart.draw(
            tpr_charts.picture(tpr_charts.usual_kind(mine), names, mine, None, p),
            key="run_signature",
            alt=tpr_charts.describe(names, mine, None),
        )
        return
    b, a = cached_reads.side(before, f"before (run {before.id})"), cached_reads.side(row, f"after (run {row.id})")
    plotly_chart.draw(
        tpr_charts.picture(tpr_charts.usual_kind(b, a), names, b, a, p),
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


def losses(row: RunRow) -> None:
    """The chart of the loss of every split over the epochs."""
    st.subheader("Loss", anchor=False)
    series = _series(row, "loss")
    plotly_chart.draw(
        epoch_charts.lines(plotly_chart.palette(), series, share=False, total=int(row.epochs)),
        key="run_loss",
        alt="Loss per epoch of the training, validation and test split",
    )
    st.caption(
        "Training: the loss that is minimized, weights included. Validation and test: cross entropy without weights."
    )


def accuracies(row: RunRow) -> None:
    """The chart of the accuracy of every split over the epochs."""
    st.subheader("Accuracy", anchor=False)
    series = _series(row, "accuracy")
    plotly_chart.draw(
        epoch_charts.lines(plotly_chart.palette(), series, share=True, total=int(row.epochs)),
        key="run_accuracy",
        alt=f"Accuracy per epoch; test {percent(row.accuracy)} at the last",
    )


def history(row: RunRow, names: list[str], order: NDArray[np.int64]) -> None:
    """The class x epoch heat map of validation TPRs."""
    st.subheader("Validation TPR by class and epoch", anchor=False)
    past = cached_reads.history(row)
    tpr, shown = cached_reads.tpr_of(past), drawn_epochs(row, past.epochs)
    plotly_chart.draw(
        epoch_charts.heatmap(names, past.epochs[shown], tpr[shown], plotly_chart.palette(), order),
        key="run_heatmap",
        alt=epoch_charts.alt_heatmap(names, tpr),
    )


def weights(row: RunRow, names: list[str], order: NDArray[np.int64]) -> None:
    """The class weights over epochs, or as bars if they are constant."""
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
        else oscillation.marked(
            epoch_charts.trajectory(names, past.epochs[shown], w[shown], plotly_chart.palette()), len(shown)
        )
    )
    plotly_chart.draw(figure, key="run_weights", alt=epoch_charts.alt_trajectory(names, w))
    oscillation.calm(row, w)


def confusion(row: RunRow) -> None:
    """The confusion matrix of the test split, or a table of its largest cells for many classes."""
    found = cached_reads.confusion(row)
    if found is None:
        return
    names, order, (epoch, matrix) = cached_reads.class_names(row), order_of(row, baseline_of(row)), found
    st.subheader("Confusion", anchor=False)
    st.caption(
        f"Test split{run_status.after(row, epoch)}. Each row sums to 100 %: the predictions for the samples of a true class."
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
