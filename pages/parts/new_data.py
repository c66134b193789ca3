"""New run, the left side: which data and which model; only what is there and fits."""

from __future__ import annotations

from typing import BinaryIO

import streamlit as st

from core.datasets import DATASETS, DataSpec, describe, image_sets, prepare
from core.errors import DataError, EvenlyError
from core.uploads import store_upload
from models import MODELS
from pages.parts import reads, words


def dataset_keys() -> list[str]:
    """Keys of the table, then the image folders and zips under the data root."""
    return [*DATASETS.keys, *(s.key for s in image_sets(reads.data_root()))]


def dataset_label(key: str) -> str:
    """The label a person chooses by."""
    return DATASETS[key].label if key in DATASETS else f"{key} (your images)"


def pick_dataset() -> tuple[str, DataSpec | None]:
    """The dataset's key and what is known of it; None while its images are not prepared."""
    keys = dataset_keys()
    if st.session_state.get("dataset") not in keys:
        st.session_state.pop("dataset", None)
    key = st.selectbox("Dataset", keys, format_func=dataset_label, key="dataset", bind="query-params", help=summary(st.session_state.get("dataset", keys[0])))
    try:
        spec = describe(key, reads.data_root())
    except DataError as error:
        unprepared(key, error)
        return key, None
    return key, spec


def facts(spec: DataSpec) -> None:
    """The dataset in one line."""
    size = " x ".join(str(n) for n in spec.shape)
    st.caption(f"{len(spec.classes)} classes, {int(spec.pool_counts.sum()):,} samples to train, {int(spec.test_counts.sum()):,} to test, {size}")


def summary(key: str) -> str:
    """One sentence on the dataset."""
    return DATASETS[key].summary if key in DATASETS else "Images from your own folder or zip."


def unprepared(key: str, error: DataError) -> None:
    """Why there is nothing to choose yet, and the button that mends it."""
    st.markdown(words.message(str(error)))
    if st.button("Prepare the images", key="new_prepare", icon=":material/photo_library:", help="Decodes and resizes every image once."):
        bar = st.progress(0.0, text="Reading")
        try:
            prepare(key, reads.data_root(), lambda share, text: bar.progress(min(share, 1.0), text=words.plain(text)))
        except EvenlyError as refused:
            st.error(words.message(str(refused)), icon=":material/error:")
            return
        st.rerun()


def pick_model(spec: DataSpec) -> str | None:
    """The models that fit this data; the help names the others with the reason."""
    reasons = {m.key: m.fits(spec.shape, len(spec.classes)) for m in MODELS}
    fitting = [k for k, reason in reasons.items() if reason is None]
    if not fitting:
        st.error("No model fits this dataset.", icon=":material/error:")
        return None
    others = [f"- {MODELS[k].label}: {reason}" for k, reason in reasons.items() if reason is not None]
    if st.session_state.get("model") not in fitting:
        st.session_state.pop("model", None)
    usual = min(1, len(fitting) - 1)  # the table starts with the network that fits anything and knows nothing
    note = "Models that fit the data." + ("\n\nNot offered here:\n" + "\n".join(others) if others else "")
    return st.selectbox("Model", fitting, index=usual, format_func=lambda k: MODELS[k].label, key="model", bind="query-params", help=note)


def keep_upload(name: str, file: BinaryIO) -> str:
    """Check an uploaded zip to its last byte and keep it; returns the dataset's key. Raises DataError."""
    bar = st.progress(0.0, text="Checking the images")
    return store_upload(reads.data_root(), name, file, lambda share, text: bar.progress(min(share, 1.0), text=words.plain(text)))
