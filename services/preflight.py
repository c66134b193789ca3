"""One run before it starts, as `services.submission` asks for every plan: enough samples, cautions, the notes of its method.

And, for the command line, the checked config with the dataset that it names.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from core.comparison.confounders import ApartFromBaseline, apart_from_baseline
from core.datasets import describe, find_dataset, prepare
from core.datasets.spec import DataSpec, Progress, check_validation, train_counts
from core.diagnostics.double_correction import DoubleCorrection, double_correction
from core.diagnostics.run_warnings import SeenInTraining, baseline_seen_in_training
from core.diagnostics.weight_dominance import of_terms
from core.experiment.config import RunConfig, check_batch, checked
from core.experiment.term_schedule import first_epoch, in_force
from core.findings import Finding
from core.methods import takes_tprs, trains
from core.methods.types import Evidence, Vector
from models import MODELS
from storage.db.paths import data_root
from storage.results.runs import RunRow


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


def config_and_spec(config: RunConfig, progress: Progress) -> tuple[RunConfig, DataSpec]:
    """The checked config with its dataset's stored name, and the dataset's spec.

    Downloads or decodes the data first if needed. A validation share without effect is reset to its default, so that
    replicates still match. EvenlyError for a missing dataset, and for a model that does not fit it.
    """
    config, model, root = checked(config), MODELS[config.model], data_root()
    row = find_dataset(config.dataset, root)
    if not row.embedded:
        prepare(config.dataset, root, progress)
    spec = describe(config.dataset, root, config.validation)
    model.check(spec.kind, spec.shape, len(spec.classes), spec.label)
    if spec.own_validation:
        config = replace(config, validation=RunConfig.validation)
    return replace(config, dataset=row.key), spec


def check_samples(config: RunConfig, spec: DataSpec) -> None:
    """Raise EvenlyError where no run can start on so few samples: none to validate on, or fewer than a batch."""
    samples = int(train_counts(spec, config.validation, config.imbalance, config.profile).sum())
    check_validation(spec, samples)
    if trains(config.method):
        check_batch(config, samples)


def notes_before_start(config: RunConfig, spec: DataSpec, tpr: Vector | None, support: Vector | None) -> list[Finding]:
    """Compute the terms of the first epoch in which they act and return their notes. Raises what the method raises.

    Returns nothing while TPRs that the method needs are unknown.
    """
    if tpr is None and takes_tprs(config.method, config.params):
        return []
    counts = train_counts(spec, config.validation, config.imbalance, config.profile)
    about = {"counts": counts, "tpr": tpr, "support": support, "epoch": first_epoch(config), "epochs": config.epochs}
    terms = in_force(config, Evidence(len(spec.classes), **about))
    return [*terms.notes, *filter(None, [of_terms(terms, counts, spec.classes)])]
