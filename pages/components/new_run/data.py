"""New run, left side: dataset and model. Only available datasets and models that fit are offered."""

from __future__ import annotations

from typing import BinaryIO

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.datasets import DATASETS, DataSpec, describe, is_ready, prepare, train_counts
from core.datasets.uploads import is_upload, remove_upload, store_upload
from core.diagnostics.sample_size import few_validation
from core.errors import DataError, EvenlyError
from core.experiment.config import RunConfig
from core.formatting import count, listed, plural
from core.modality import MODALITIES
from models import MODELS
from pages.components.common import cached_reads, query_params
from pages.components.common.error_guard import showing_errors
from pages.components.common.prefill import PREFILL, Prefill
from reporting import text
from reporting.text import message, plain, shortened
from services.run_names import dataset_label, dataset_labels
from storage.db.paths import data_root

NAMED = 3  # unreadable files, and runs on a dataset, that a message names
ADDED, REFUSED = "new_added", "new_zip_refused"  # the dataset just added; (id of an upload, why it was refused)


def pick_data_and_model() -> tuple[str, DataSpec | None, str | None]:
    """Show the choices of dataset and model of New run side by side. Returns dataset, its description and the model;
    None where the form cannot go on."""
    data, network = st.columns(2)
    with data:
        dataset = pick_dataset()
    spec = dataset_description(dataset)
    with network:
        model = None if spec is None else pick_model(spec)
    return dataset, spec, model


def pick_dataset() -> str:
    """Show the choice of the dataset on New run; returns its key."""
    labels = dataset_labels()
    query_params.take("dataset", labels, default=next(iter(labels)))
    if st.session_state.get("dataset", next(iter(labels))) not in labels:
        st.session_state["dataset"] = next(iter(labels))
    chosen = st.session_state.get("dataset", next(iter(labels)))
    key = st.selectbox(
        "Dataset",
        list(labels),
        format_func=labels.get,
        key="dataset",
        persist_state="session",
        help=dataset_summary(chosen),
    )
    query_params.keep("dataset", key, default=next(iter(labels)))
    return key


def dataset_summary(key: str) -> str:
    """One sentence on the dataset chosen on New run."""
    return DATASETS[key].summary if key in DATASETS else f"Images from {plain(key)} in the data folder."


def dataset_description(key: str) -> DataSpec | None:
    """The description of the dataset chosen on New run; None where its images are not prepared, with a button that
    prepares them."""
    try:
        return describe(key, data_root())
    except DataError as error:
        st.markdown(message(f"these images cannot be used yet: {error}."))
    if st.button(
        "Prepare the images",
        key="new_prepare",
        type="primary",
        icon=":material/photo_library:",
        help="Decodes and resizes every image once.",
    ):
        with showing_errors():
            prepare_images(key)
            st.rerun()
    return None


def prepare_images(key: str) -> None:
    """Decode and resize every image of the chosen dataset once, with progress. Raises DataError."""
    bar = st.progress(0.0, text="Reading the images")
    prepare(key, data_root(), lambda share, text: bar.progress(min(share, 1.0), text=plain(text)))


def dataset_facts(spec: DataSpec, config: RunConfig) -> None:
    """The chosen dataset under the form's settings in one line, and what to know before starting."""
    size, counts = (
        MODALITIES[spec.kind].shape_text(spec.shape).replace(" ", "\N{NO-BREAK SPACE}"),
        train_counts(spec, config.validation, config.imbalance, config.profile),
    )
    tail = text.tail(config.imbalance, config.profile)
    thinned = f" ({tail}: {counts.max():,} to {counts.min():,} per class)" if tail else ""
    st.caption(
        f"{count(len(spec.classes), 'class')}, {counts.sum():,} training samples{thinned}, "
        f"{spec.val_counts.sum():,} validation, {spec.test_counts.sum():,} test, {size}"
    )
    if st.session_state.get(ADDED, config.dataset) != config.dataset:
        del st.session_state[ADDED]
    if ADDED in st.session_state:
        st.success(
            f"Added to the datasets and selected: {plain(dataset_label(config.dataset))}.",
            icon=":material/check_circle:",
        )
    few = few_validation(spec)
    for line in filter(None, (left_out_images(spec), few and plain(text.of(few)), not_prepared(config.dataset))):
        st.caption(f":material/info: {line}")


def left_out_images(spec: DataSpec) -> str:
    """The images of the chosen dataset that could not be read, the first NAMED with the reason; "" without any."""
    if not spec.skipped:
        return ""
    more = len(spec.skipped) - NAMED
    return (
        plain(
            f"{count(len(spec.skipped), 'image')} could not be read and {'was' if len(spec.skipped) == 1 else 'were'} left out: "
            + "; ".join(spec.skipped[:NAMED])
            + (f"; and {more:,} more" if more > 0 else "")
        )
        + "."
    )


def not_prepared(key: str) -> str:
    """That a built-in dataset chosen on New run is not prepared yet, and what happens then; "" where it is, or needs no files."""
    if key not in DATASETS or DATASETS[key].embedded or is_ready(key, data_root()):
        return ""
    return (
        "Not prepared on this machine yet. When the run starts, its files are read from the data folder, "
        f"or downloaded ({DATASETS[key].download_bytes / 1e6:.0f} MB) if missing."
    )


def pick_model(spec: DataSpec) -> str | None:
    """Show the choice of the models that fit the dataset; the help lists the others with the reason. None where no model fits."""
    reasons = {m.key: m.fits(spec.kind, spec.shape, len(spec.classes)) for m in MODELS}
    fitting = [k for k, reason in reasons.items() if reason is None]
    if not fitting:
        st.error("No model fits this dataset.", icon=":material/error:")
        return None
    others = [f"- {MODELS[k].label}: {reason}" for k, reason in reasons.items() if reason is not None]
    fitting = fitting[1:] + fitting[:1]  # the table's first model, which fits any data, goes last
    query_params.take("model", {k: MODELS[k].label for k in fitting}, default=fitting[0])
    if st.session_state.get("model", fitting[0]) not in fitting:  # selected for the previous dataset
        st.session_state["model"] = fitting[0]
    note = "Models that fit the data." + ("\n\nNot available here:\n" + "\n".join(others) if others else "")
    key = st.selectbox(
        "Model", fitting, format_func=lambda k: MODELS[k].label, key="model", persist_state="session", help=note
    )
    query_params.keep("model", key, default=fitting[0])
    return key


def keep_upload(name: str, file: BinaryIO) -> str:
    """Check an uploaded zip completely and store it as a dataset; returns the dataset's key. Raises DataError."""
    bar = st.progress(0.0, text="Checking the images")
    return store_upload(data_root(), name, file, lambda share, text: bar.progress(min(share, 1.0), text=plain(text)))


def upload_area(chosen: str) -> None:
    """Upload a zip of images as a dataset, which New run then selects, or remove the selected upload."""
    with st.expander("Your own images", icon=":material/upload:", key="new_upload"):
        st.caption(
            "A zip with one folder per class, or train/, val/ and test/ with one folder per class in each. "
            "Folders and zips in the data folder are listed above."
        )
        error_place = st.container()
        file = st.file_uploader("Zip file", type=["zip"], key="new_zip", max_upload_size=200)
        refused = st.session_state.get(REFUSED)
        if refused is not None and file is not None and refused[0] == file.file_id:
            error_place.error(f"Not added. {message(refused[1])}", icon=":material/error:")
        if file is not None and st.button("Add to the datasets", key="new_zip_add"):
            add_upload(file)
        if is_upload(chosen):
            remove_button(chosen)


def add_upload(file: UploadedFile) -> None:
    """Add an uploaded zip as a dataset, or keep the error for `upload_area` to show.

    Either way the page reruns, which removes the progress bar and earlier messages.
    """
    values = st.session_state
    for name in (ADDED, REFUSED):
        values.pop(name, None)
    try:
        key = keep_upload(file.name, file)
        prepare_images(key)
    except EvenlyError as error:
        values[REFUSED] = (file.file_id, str(error))
    else:
        values[PREFILL], values[ADDED] = Prefill(dataset=key), key
    st.rerun()


def remove_button(key: str) -> None:
    """The button that removes the uploaded dataset selected on New run. Disabled while runs use it, which are then named."""
    needed, name = runs_on_dataset(key), plain(dataset_label(key))
    st.button(
        f"Remove {name}",
        key="new_remove",
        icon=":material/delete:",
        disabled=bool(needed),
        on_click=remove_dataset,
        args=(key,),
        help="Deletes the zip and the decoded images from the data folder.",
    )
    if needed:
        st.caption(
            f":material/info: Cannot be removed: used by {needed} (archived runs count too). Without it they could not be "
            "resumed or serve as baselines. Delete them on Runs first."
        )


def runs_on_dataset(key: str) -> str:
    """Below the uploaded dataset selected on New run: the runs on it, "run 3 (name)" or "runs 3 (name), 4 (name) and 2
    more", at any image size; "" without any."""
    frame = cached_reads.runs(archived=None)
    mine = frame[(frame["dataset"] == key) | frame["dataset"].str.startswith(f"{key}@")].sort_values("id")
    named = [f"{number} ({plain(shortened(name, 40))})" for number, name in zip(mine["id"], mine["name"], strict=True)]
    return f"{plural('run', len(named))} {listed(named, NAMED)}" if named else ""


def remove_dataset(key: str) -> None:
    """Delete an uploaded dataset, unless a run has been started on it in the meantime."""
    with showing_errors():
        if needed := runs_on_dataset(key):
            raise DataError(f"{key} is used by {needed}; delete them first")
        remove_upload(data_root(), key)
        st.session_state.pop(ADDED, None)
