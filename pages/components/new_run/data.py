"""New run, the left side: which data and which model; only what is there and fits."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.datasets import DATASETS, DataSpec, describe, is_ready, offered, prepare, train_counts
from core.datasets.uploads import is_upload, remove_upload, store_upload
from core.diagnostics.sample_size import few_validation
from core.errors import DataError, EvenlyError
from core.experiment.config import RunConfig
from core.modality import MODALITIES
from models import MODELS
from pages.components.common import cached_reads, query_params
from pages.components.common.error_guard import told
from reporting import text
from reporting.text import count, message, plain, short

NAMED = 3  # files named that could not be read, and runs that need a dataset
ADDED, REFUSED = "new_added", "new_zip_refused"  # the dataset just added; an upload's id and why it was not


def dataset_labels() -> dict[str, str]:
    """Key -> label: the table, then the image folders and zips under the data root, told apart where they share a name."""
    found = offered(cached_reads.data_root())
    own = {d.key: f"{re.sub('^[0-9a-f]{12}-', '', Path(d.label).stem)} (your images)" for d in found if d.own}
    twice = {name for name, n in Counter(own.values()).items() if n > 1}
    return {d.key: d.label for d in found if not d.own} | {
        key: f"{name}, {key}" if name in twice else name for key, name in own.items()
    }


def pick_dataset() -> tuple[str, str]:
    """Draw the choice; returns the dataset's key and label."""
    labels = dataset_labels()
    query_params.take("dataset", labels, default=next(iter(labels)))
    if st.session_state.get("dataset", next(iter(labels))) not in labels:
        st.session_state["dataset"] = next(iter(labels))
    chosen = st.session_state.get("dataset", next(iter(labels)))
    key = st.selectbox(
        "Dataset", list(labels), format_func=labels.get, key="dataset", persist_state="session", help=summary(chosen)
    )
    query_params.keep("dataset", key, default=next(iter(labels)))
    return key, labels[key]


def summary(key: str) -> str:
    """One sentence on the dataset."""
    return DATASETS[key].summary if key in DATASETS else f"Images from {plain(key)} in the data folder."


def known(key: str) -> DataSpec | None:
    """What is known of a dataset; where its images are not prepared yet, the page says so and offers to."""
    try:
        return describe(key, cached_reads.data_root())
    except DataError as error:
        st.markdown(message(f"these images cannot be used yet: {error}."))
    if st.button(
        "Prepare the images",
        key="new_prepare",
        type="primary",
        icon=":material/photo_library:",
        help="Decodes and resizes every image once.",
    ):
        with told():
            prepare_images(key)
            st.rerun()
    return None


def prepare_images(key: str) -> None:
    """Decode and resize every image once, with progress. Raises DataError."""
    bar = st.progress(0.0, text="Reading the images")
    prepare(key, cached_reads.data_root(), lambda share, text: bar.progress(min(share, 1.0), text=plain(text)))


def facts(spec: DataSpec, config: RunConfig) -> None:
    """The dataset in one line as these settings draw it, and what a person should know before starting."""
    size, counts = (
        MODALITIES[spec.kind].shown(spec.shape).replace(" ", "\N{NO-BREAK SPACE}"),
        train_counts(spec, config.validation, config.imbalance, config.profile),
    )
    tail = text.tail(config.imbalance, config.profile)
    thinned = f" ({tail}: {counts.max():,} to {counts.min():,} a class)" if tail else ""
    st.caption(
        f"{len(spec.classes)} classes, {counts.sum():,} samples to train{thinned}, "
        f"{spec.val_counts.sum():,} to validate, {spec.test_counts.sum():,} to test, {size}"
    )
    if st.session_state.get(ADDED, config.dataset) != config.dataset:
        del st.session_state[ADDED]
    if ADDED in st.session_state:
        st.success(
            f"Added to the datasets and chosen: {plain(dataset_labels()[config.dataset])}.",
            icon=":material/check_circle:",
        )
    few = few_validation(spec)
    for line in filter(None, (left_out(spec), few and plain(text.of(few)), absent(config.dataset))):
        st.caption(f":material/info: {line}")


def left_out(spec: DataSpec) -> str:
    """The images that could not be read, the first few with the reason."""
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


def absent(key: str) -> str:
    """That a dataset of the table is not prepared yet, and what will happen; "" where it is, or needs no files."""
    if key not in DATASETS or DATASETS[key].embedded or is_ready(key, cached_reads.data_root()):
        return ""
    size = re.search(r"[\d.,]+ [kMG]B", DATASETS[key].summary)
    return (
        "Not prepared on this machine yet. When the run starts, its files are taken from the data folder, "
        f"or downloaded{f' ({size[0]})' if size else ''} "
        "where they are not there."
    )


def pick_model(spec: DataSpec) -> str | None:
    """The models that fit this data; the help names the others with the reason."""
    reasons = {m.key: m.fits(spec.shape, len(spec.classes)) for m in MODELS}
    fitting = [k for k, reason in reasons.items() if reason is None]
    if not fitting:
        st.error("No model fits this dataset.", icon=":material/error:")
        return None
    others = [f"- {MODELS[k].label}: {reason}" for k, reason in reasons.items() if reason is not None]
    fitting = fitting[1:] + fitting[:1]  # the table starts with the network that fits anything and knows nothing
    query_params.take("model", {k: MODELS[k].label for k in fitting}, default=fitting[0])
    if st.session_state.get("model", fitting[0]) not in fitting:  # of the dataset chosen before
        st.session_state["model"] = fitting[0]
    note = "Models that fit the data." + ("\n\nNot offered here:\n" + "\n".join(others) if others else "")
    key = st.selectbox(
        "Model", fitting, format_func=lambda k: MODELS[k].label, key="model", persist_state="session", help=note
    )
    query_params.keep("model", key, default=fitting[0])
    return key


def keep_upload(name: str, file: BinaryIO) -> str:
    """Check an uploaded zip to its last byte and keep it; returns the dataset's key. Raises DataError."""
    bar = st.progress(0.0, text="Checking the images")
    return store_upload(
        cached_reads.data_root(), name, file, lambda share, text: bar.progress(min(share, 1.0), text=plain(text))
    )


def upload(chosen: str) -> None:
    """A zip of images becomes a dataset under the data root; the page then says so and has it chosen.

    One that was uploaded can be removed again.
    """
    with st.expander("Your own images", icon=":material/upload:", key="new_upload"):
        st.caption(
            "A zip with one folder per class, or train/, val/ and test/ with one folder per class in each. Folders and zips that lie "
            "under the data folder are offered above."
        )
        refused = st.container()
        file = st.file_uploader("Zip file", type=["zip"], key="new_zip", max_upload_size=200)
        said = st.session_state.get(REFUSED)
        if said is not None and file is not None and said[0] == file.file_id:
            refused.error(f"Not added. {message(said[1])}", icon=":material/error:")
        if file is not None and st.button("Add to the datasets", key="new_zip_add"):
            add(file)
        if is_upload(chosen):
            remove_button(chosen)


def add(file: UploadedFile) -> None:
    """Take an uploaded zip in, or keep the reason why not for the place above it.

    Either way the page is drawn anew, without the bar and what was said before.
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
        values["new_prefill"], values[ADDED] = {"config": {"dataset": key}}, key
    st.rerun()


def remove_button(key: str) -> None:
    """Remove the chosen upload; off, with the runs named, while there are runs on it."""
    needed, name = runs_on(key), plain(dataset_labels()[key])
    st.button(
        f"Remove {name}",
        key="new_remove",
        icon=":material/delete:",
        disabled=bool(needed),
        on_click=removed,
        args=(key,),
        help="Deletes the zip and the decoded images from the data folder.",
    )
    if needed:
        st.caption(
            f":material/info: Stays while {needed} there, archived ones too: "
            "they could not be resumed or built on without it. Delete them on Runs first."
        )


def runs_on(key: str) -> str:
    """ "Run 3: name is" or "runs 3, 4 and 2 more are": those trained on a dataset, at any image size; "" without any."""
    frame = cached_reads.runs(archived=None)
    mine = frame[(frame["dataset"] == key) | frame["dataset"].str.startswith(f"{key}@")].sort_values("id")
    some = [
        f"{number} ({plain(short(name, 40))})"
        for number, name in zip(mine["id"].tolist()[:NAMED], mine["name"].tolist(), strict=False)
    ]
    more = [f"{len(mine) - NAMED:,} more"] if len(mine) > NAMED else []
    parts = [*some, *more]
    return (
        ""
        if not parts
        else f"run {parts[0]} is"
        if len(parts) == 1
        else f"runs {', '.join(parts[:-1])} and {parts[-1]} are"
    )


def removed(key: str) -> None:
    """Delete an upload, unless a run has been started on it meanwhile."""
    with told():
        if needed := runs_on(key):
            raise DataError(f"{key} stays while {needed} there; delete them first")
        remove_upload(cached_reads.data_root(), key)
        st.session_state.pop(ADDED, None)
