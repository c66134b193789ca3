"""Cautions before a run starts: for New run, the command line and post-hoc steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sqlalchemy import Engine

from core.comparison.confounders import ApartFromBaseline, apart_from_baseline
from core.datasets.spec import DataSpec, check_validation, train_counts
from core.diagnostics.double_correction import DoubleCorrection, double_correction
from core.diagnostics.run_warnings import SeenInTraining, baseline_seen_in_training
from core.diagnostics.sample_size import BatchTooLarge
from core.diagnostics.weight_dominance import of_terms
from core.errors import DataError
from core.experiment.config import RunConfig
from core.experiment.term_schedule import first_epoch, in_force
from core.findings import Finding
from core.methods import METHODS, trains
from core.methods.types import Evidence, Vector
from core.metrics.classification import share
from reporting import text
from storage.results.class_counts import class_counts
from storage.results.runs import RunRow, list_runs


def cautions(
    config: RunConfig,
    counts: ArrayLike | None,
    baseline: RunRow | None,
    tpr: Vector | None = None,
    support: Vector | None = None,
) -> list[DoubleCorrection | ApartFromBaseline | SeenInTraining]:
    """What is questionable about a run with this baseline.

    counts        [C] its training samples; None where unknown
    tpr, support  [C] evidence of its weights, where known
    """
    before = None if baseline is None else baseline.config
    found: list[DoubleCorrection | ApartFromBaseline | SeenInTraining | None] = []
    if counts is not None:
        seen = Evidence(len(np.asarray(counts)), np.asarray(counts, np.float64), tpr, support)
        found.append(double_correction(config, seen, before))
    if baseline is not None and before is not None:
        found.append(apart_from_baseline(baseline.id, config, before))
        found.append(baseline_seen_in_training("this run", config, before.method))
    return [caution for caution in found if caution]


def too_few_samples(config: RunConfig, spec: DataSpec) -> str:
    """Why no run can start on so few samples: none to validate on, or fewer than a batch; "" where it can."""
    samples = int(train_counts(spec, config.validation, config.imbalance, config.profile).sum())
    try:
        check_validation(spec, samples)
    except DataError as error:
        return str(error)
    batch = config.recipe_params["batch_size"] if trains(config.method) else 1
    return text.of(BatchTooLarge(int(batch), samples)) if batch > samples else ""


def notes_before_start(config: RunConfig, spec: DataSpec, tpr: Vector | None, support: Vector | None) -> list[Finding]:
    """Compute the terms of the first epoch in which they act and return their notes. Raises what the method raises.

    Returns nothing while TPRs that the method needs are unknown.
    """
    if tpr is None and "tpr" in METHODS[config.method].needs_with(config.params):
        return []
    counts = train_counts(spec, config.validation, config.imbalance, config.profile)
    about = {"counts": counts, "tpr": tpr, "support": support, "epoch": first_epoch(config), "epochs": config.epochs}
    terms = in_force(config, Evidence(len(spec.classes), **about))
    return [*terms.notes, *filter(None, [of_terms(terms, counts, spec.classes)])]


def known_tprs(engine: Engine, config: RunConfig, baseline: int | None) -> tuple[Vector | None, Vector | None]:
    """The TPRs [C] that a run will use and their supports; None where its baseline has none yet, or there is no baseline."""
    if config.tpr is not None:
        support = None if config.tpr_support is None else np.array(config.tpr_support)
        return np.array([np.nan if v is None else v for v in config.tpr]), support
    if baseline is None or not len(list_runs(engine, ids=[baseline], status="succeeded", columns=("id",))):
        return None, None
    counts = class_counts(engine, baseline, "validation")
    return share(counts.tp, counts.support), counts.support.astype(np.float64)
