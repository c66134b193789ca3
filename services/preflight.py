"""What is questionable about settings before a run starts, though they are possible: for the command line and the post-hoc panel.

New run says the same sentences, each beside the settings it is about.
"""

from __future__ import annotations

import numpy as np
from sqlalchemy import Engine

from core.comparison.confounders import apart_from_baseline
from core.diagnostics.double_correction import double_correction
from core.diagnostics.run_warnings import met
from core.experiment.config import RunConfig
from core.methods import METHODS
from core.methods.types import Evidence, Vector
from core.metrics.classification import share
from storage.results.class_counts import class_counts
from storage.results.runs import get_run


def doubts(engine: Engine, config: RunConfig, counts: Vector | None, baseline: int | None) -> list[str]:
    """Why the settings of a run behind this baseline are questionable; one sentence each.

    `counts` [C]: its training samples, None where unknown.
    """
    tpr, support = known_tprs(engine, config, baseline)
    before = None if baseline is None else get_run(engine, baseline).config
    found = (
        []
        if counts is None
        else [double_correction(config, Evidence(len(counts), np.asarray(counts, np.float64), tpr, support), before)]
    )
    if before is not None:
        found.append(apart_from_baseline(baseline, config, before))
        if config.tpr is None and METHODS[before.method].meets_validation:
            found.append(met("the run", config, METHODS[before.method].label))
    return [text for text in found if text]


def known_tprs(engine: Engine, config: RunConfig, baseline: int | None) -> tuple[Vector | None, Vector | None]:
    """The TPRs [C] that a run will start from and their supports; None where its baseline has not measured them yet, or it has none."""
    if config.tpr is not None:
        support = None if config.tpr_support is None else np.array(config.tpr_support)
        return np.array([np.nan if v is None else v for v in config.tpr]), support
    if baseline is None or get_run(engine, baseline).status != "succeeded":
        return None, None
    counts = class_counts(engine, baseline, "validation")
    return share(counts.tp, counts.support), counts.support.astype(np.float64)
