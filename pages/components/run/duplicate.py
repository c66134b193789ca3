"""A run's settings taken back to New run, as they are or with some of them changed."""

from __future__ import annotations

from typing import Any, NoReturn

import streamlit as st

from core.experiment.baseline import takes_tprs
from pages.components.common import navigation
from reporting import provenance
from services import tpr_sources


def duplicate(row: Any, **changed: Any) -> NoReturn:
    """Open New run with this run's settings filled in.

    TPRs that no run holds any more (pasted, or of a deleted baseline) come along as given ones.
    """
    config, baseline, text = row.config | changed, row.baseline_id, provenance.as_text(row)
    if baseline is None and text:
        config = {k: v for k, v in config.items() if not k.startswith("tpr")}
        baseline, st.session_state["new_tpr_text"] = tpr_sources.GIVEN, text
    elif baseline is None and config.get("tpr") is None:  # no run is to be taken that this one did not name
        baseline = tpr_sources.TRAIN_FIRST if takes_tprs(row.config) else tpr_sources.NOTHING
    st.session_state["new_prefill"] = {"config": config, "baseline": baseline}
    navigation.open_new(**{name: config[name] for name in ("dataset", "model", "method")})
