"""The network of a run: fresh, or loaded from a finished run for a second stage or a post-hoc step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sqlalchemy import Engine
from torch import nn

from core.errors import EvenlyError
from core.experiment.config import RunConfig, checked
from core.experiment.facts import Head
from core.methods import FINETUNE, METHODS, POSTHOC, TRAIN, posthoc
from core.methods.types import ClassTerms
from core.split_names import SPLITS
from core.training import checkpoint
from core.training.device import Device
from core.training.device_data import Split, generator
from core.training.evaluation import result_of_scores
from core.training.feature_smote import oversampled
from core.training.features import class_means, features_of
from core.training.state import SplitResult
from models import MODELS
from models.networks.heads import Network, Staged, attach
from storage import results
from storage.results import checkpoint_files
from storage.results.runs import RunRow

Heads = Sequence[Head]  # the heads a network was given, one after another


@dataclass(frozen=True)
class Start:
    """What a run begins with: the model that trains, the splits it trains on, and the network with its heads."""

    model: nn.Module
    network: Network
    splits: dict[str, Split]
    heads: Heads
    feature_rate: float = 1.0


def fresh(config: RunConfig, shape: tuple[int, ...], classes: int, heads: Heads) -> Network:
    """The model of the table with these heads, its parameters drawn from the run's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = MODELS[config.model].build(shape, classes)
        for key, knobs in heads:
            attach(network, key, knobs)
    return network


def begin(
    config: RunConfig,
    terms: ClassTerms,
    splits: dict[str, Split],
    shape: tuple[int, ...],
    classes: int,
    device: Device,
    before: Finished | None,
) -> Start:
    """The start of a run whose method has these terms. `before` is the finished run that a second stage continues from."""
    method = METHODS[config.method]
    if method.stage == TRAIN:
        heads = [] if method.head == "linear" and "prior" not in terms.knobs else [(method.head, dict(terms.knobs))]
        network = fresh(config, shape, classes, heads)
        return Start(network, network, splits, heads)
    if before is None:
        raise EvenlyError(f"{method.key} needs a finished run to continue from; choose a baseline")
    network, heads = before.network.to(device.device), [*before.heads]
    if method.stage == POSTHOC:
        return Start(network, network, splits, heads)
    if method.head != "linear" or terms.knobs.get("fresh"):
        knobs = dict(terms.knobs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator(config.seed, "head", 0).initial_seed() % 2**63))
            attach(network, method.head, knobs)
        heads = [*heads, (method.head, knobs)]
    if method.stage == FINETUNE:
        features, _ = features_of(network, splits["train"], device)
        network.head.remember(class_means(features, splits["train"].labels.cpu().numpy(), classes))
        return Start(network, network, splits, heads, feature_rate=terms.knobs["feature_rate"])
    staged = Staged(network)
    on_features = {name: _feature_split(network, name, split, config, terms, device) for name, split in splits.items()}
    return Start(staged, network, on_features, heads)


# -- a finished run ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finished:
    """A succeeded run's network, from its last checkpoint."""

    row: RunRow
    config: RunConfig
    network: Network
    heads: Heads


def finished(engine: Engine, run_id: int, shape: tuple[int, ...], index_hash: str) -> Finished:
    """The network of run `run_id`, for a run on the same splits.

    That the run can be its baseline was checked with the evidence (`work.inputs`). Raises EvenlyError if it was trained on
    another split, since its training samples must not be among the new run's validation samples, or has no checkpoint.
    """
    row = results.get_run(engine, run_id)
    theirs = row.config
    if row.facts.index_hash != index_hash:
        raise EvenlyError(
            f"run {run_id} was trained on another split (seed {theirs.seed}, imbalance {theirs.imbalance:g}, "
            f"validation {theirs.validation:g}): its training "
            "samples could be among this run's validation samples; use the same dataset, seed, imbalance, profile and validation share"
        )
    network = fresh(theirs, shape, len(row.facts.classes), row.facts.heads)
    saved = _last_checkpoint(engine, row)
    # A run trained by an earlier version has its settings as stored; one queued there and trained here has newer parameters filled in.
    state = checkpoint.loads(checkpoint_files.read(Path(saved.path), saved.sha256), theirs.sha(), checked(theirs).sha())
    try:
        network.load_state_dict(state["model"])
    except RuntimeError as error:
        raise EvenlyError(
            f"the checkpoint of run {run_id} does not fit its model: {str(error).splitlines()[0]}; train it again"
        ) from error
    return Finished(row, theirs, network, row.facts.heads)


def _last_checkpoint(engine: Engine, row: RunRow) -> results.CheckpointRow:
    """The checkpoint of a run's last epoch; EvenlyError where there is none."""
    saved = next(iter(results.list_checkpoints(engine, row.id)), None)
    if saved is None:
        raise EvenlyError(f"run {row.id} no longer has a checkpoint; train it again")
    if saved.epoch != row.last_epoch:
        raise EvenlyError(
            f"the newest checkpoint of run {row.id} is from epoch {saved.epoch}, its metrics are from epoch {row.last_epoch}: "
            "the last checkpoint could not be written (see its log); train it again"
        )
    return saved


# -- features and outputs ----------------------------------------------------------------------------------------


def _feature_split(
    network: Network, name: str, split: Split, config: RunConfig, terms: ClassTerms, device: Device
) -> Split:
    """A split whose samples are the frozen body's features, so that the last layer trains on them alone."""
    features, _ = features_of(network, split, device)
    labels = split.labels.cpu().numpy()
    if name == "train" and (k := terms.knobs.get("smote")):
        features, labels = oversampled(features, labels, int(k), np.random.default_rng([config.seed, 5]))
    return Split(features, labels, np.zeros(1), np.ones(1), device)


def outputs_of(before: Finished, splits: dict[str, Split], device: Device) -> posthoc.Outputs:
    """The outputs of a finished network on every split."""
    both = {name: features_of(before.network, split, device) for name, split in splits.items()}
    head = before.network.head
    linear = head if isinstance(head, nn.Linear) else None
    labels = {name: split.labels.cpu().numpy() for name, split in splits.items()}
    return posthoc.Outputs(
        labels=labels,
        logits={k: v[1] for k, v in both.items()},
        features={k: v[0] for k, v in both.items()},
        weight=None if linear is None else linear.weight.detach().cpu().numpy(),
        bias=None if linear is None else linear.bias.detach().cpu().double().numpy(),
        counts=np.bincount(labels["train"], minlength=before.network.classes).astype(np.float64),
    )


def posthoc_results(
    before: Finished, terms: ClassTerms, splits: dict[str, Split], device: Device
) -> tuple[dict[str, SplitResult], posthoc.Stepped]:
    """Counts of every split after the post-hoc step that the terms name, and the result of the step."""
    outputs = outputs_of(before, splits, device)
    stepped = posthoc.apply(terms.objective, outputs, terms.knobs)
    counted = {name: result_of_scores(stepped.scores[name], outputs.labels[name]) for name in SPLITS}
    return (
        counted if stepped.logits else {name: replace(r, loss=None, calibration=None) for name, r in counted.items()}
    ), stepped
