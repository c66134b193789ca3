"""Open New run with a run's settings."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from core.methods import takes_tprs
from pages.components.common import navigation
from pages.components.common.prefill import PREFILL, TPR_TEXT, Prefill
from reporting import provenance
from services import tpr_sources
from storage.results.runs import RunRow


def duplicate(row: RunRow) -> NoReturn:
    """The Duplicate of a run's page: open New run with this run's settings filled in.

    TPRs that belong to no stored run (pasted, or of a deleted baseline) are passed on as given TPRs.
    """
    config, baseline, text = row.config, row.baseline_id, provenance.tprs_as_text(row)
    if baseline is None and text:
        baseline, st.session_state[TPR_TEXT] = tpr_sources.GIVEN, text
    elif baseline is None and config.tpr is None:  # do not preselect a baseline that this run did not have
        baseline = tpr_sources.TRAIN_FIRST if takes_tprs(row.config.method, row.config.params) else tpr_sources.NOTHING
    st.session_state[PREFILL] = Prefill(config, method=config.method, baseline=baseline)
    navigation.open_new(dataset=config.dataset, model=config.model, method=config.method)
