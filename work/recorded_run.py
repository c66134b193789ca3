"""A run in training: records every epoch, writes the checkpoints, resumes after a stop."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import numpy as np
import torch
from sqlalchemy import Engine

from core import datasets
from core.diagnostics.double_correction import double_correction
from core.diagnostics.run_warnings import seen_in_training
from core.errors import EvenlyError
from core.experiment.config import RunConfig
from core.experiment.facts import Facts, StartEvidence
from core.experiment.term_schedule import first_epoch, in_epoch, in_force
from core.methods import METHODS, POSTHOC, TRAIN
from core.methods.posthoc import STORED_BIAS
from core.methods.types import ClassTerms, Evidence
from core.metrics.classification import rows_of, summary_from_counts
from core.metrics.scalar import ece
from core.serialization import plain
from core.split_names import SPLITS
from core.training import checkpoint
from core.training.device import Device, precision_of, versions
from core.training.device_data import Split, augmentation, placed
from core.training.host import cores
from core.training.interrupts import Interrupted
from core.training.state import EpochResult, Seen, SplitResult
from core.training.trainer import Trainer
from models import MODELS
from reporting import text
from storage import results
from storage.db.connection import once
from storage.db.errors import StorageError, Unavailable
from storage.jobs import queue
from storage.jobs.queue import Claim, Lost
from storage.results import checkpoint_files, checkpoint_rows
from storage.results.writer import METRICS, Info
from work.inputs import Orders
from work.network_start import begin, finished, posthoc_results

log = logging.getLogger("evenly.worker")
PATIENCE_SECONDS = 60.0  # how long to wait for a locked or full database before the run is paused
SMALL_PARAMETERS, SMALL_SAMPLE = 60_000, 1_024  # below both, a second thread costs more than it saves
LONGEST_LIST = 100  # classes named in a line of the log


class Halted(EvenlyError):  # noqa: N818 - the run is not at fault
    """The run is fine, the machine is not (disk full, database locked): pause the run; a person fixes the machine and resumes."""


def log_to_run(engine: Engine, claim: Claim, kind: str, text: str) -> None:
    """A line in the run's log, or in the worker's if it cannot be stored or the run is no longer this worker's."""
    try:
        queue.note(engine, claim, kind, text)
    except StorageError as error:
        log.warning("run %s: %s (not logged: %s)", claim.run_id, text, error)


def _precision(config: RunConfig, device: Device, known: Facts) -> tuple[str, str]:
    """The precision of a run, that of an earlier attempt or else that of its settings, and a note where it is assumed.

    Before the precision was recorded, a run trained in bfloat16 wherever the hardware had it.
    """
    if known.precision or not known.device:
        return known.precision or precision_of(config.precision, MODELS[config.model].bf16, device), ""
    before = "bfloat16" if device.bf16 else "float32"
    return before, (
        f"this run started on {known.device} before the precision was recorded; it resumes in {before}, "
        f"which {device.name} used then"
    )


def _on_device(splits: datasets.DataSplits, device: Device) -> dict[str, Split]:
    """The three splits on the device, the training split with its augmentation."""
    parts = {
        "train": (splits.train_x, splits.train_y),
        "validation": (splits.val_x, splits.val_y),
        "test": (splits.test_x, splits.test_y),
    }
    augment = augmentation(splits.spec.kind, splits.spec.augment)
    return placed(parts, splits.mean, splits.std, device, augment)


class Run:
    """A run in training: its trainer, its records and its checkpoints."""

    def __init__(
        self,
        engine: Engine,
        claim: Claim,
        config: RunConfig,
        splits: datasets.DataSplits,
        evidence: Evidence,
        device: Device,
        known: Facts,
    ) -> None:
        """`known`: the facts that an earlier attempt recorded."""
        self.engine, self.claim, self.config, self.data = engine, claim, config, splits
        self.precision, self.assumed = _precision(config, device, known)
        self.device = device = device.training(self.precision)
        self.evidence = replace(evidence, counts=splits.counts, epochs=config.epochs)
        self.folder = checkpoint_rows.run_folder(claim.run_id)
        self.furthest, self.deaths = 0, claim.attempt - 1  # epochs recorded, and workers that died, before this attempt
        self.recorded = 0  # epochs recorded, of those that this trainer has done or resumed
        shape, classes = splits.spec.shape, len(splits.spec.classes)
        MODELS[config.model].check(splits.spec.kind, shape, classes, splits.spec.label)
        self.method = METHODS[config.method]
        needs_network = self.method.stage != TRAIN and claim.baseline_id is not None
        self.before = finished(engine, claim.baseline_id, shape, splits.index_hash) if needs_network else None
        terms = in_force(config, replace(self.evidence, epoch=first_epoch(config)))
        start = begin(config, terms, _on_device(splits, device), shape, classes, device, self.before)
        self.heads, self.parameters = start.heads, sum(p.numel() for p in start.network.parameters())
        small = self.parameters < SMALL_PARAMETERS and np.prod(shape) < SMALL_SAMPLE
        torch.set_num_threads(1 if small else cores())
        self.trainer = Trainer(config, start.splits, start.model, self.terms, classes, device, start.feature_rate)

    def terms(self, epoch: int, seen: Seen) -> ClassTerms:
        """The class terms of an epoch: the method's, the sampler's, or neither before a late start."""
        return in_epoch(self.config, self.evidence, epoch, seen.tpr, seen.support, seen.past)

    def start(self, origin: str) -> None:
        """Record what the run starts from, then resume from its newest intact checkpoint, if it has one."""
        e = self.evidence
        facts = Facts(
            classes=tuple(self.data.spec.classes),
            counts={name: self._counts(name) for name in SPLITS},
            index_hash=self.data.index_hash,
            fingerprint=self.data.spec.fingerprint,
            evidence=StartEvidence(plain(e.tpr), plain(e.support), origin, self.baseline_method()),
            device=self.device.name,
            precision=self.precision,
            versions=versions(),
            parameters=self.parameters,
            heads=tuple(self.heads),
            skipped=tuple(self.data.skipped)[:20],
        )
        results.start_run(self.engine, self.claim, facts)
        for warning in (
            double_correction(self.config, e, None if self.before is None else self.before.config),
            seen_in_training("this run", self.config, facts),
        ):
            if warning:
                log_to_run(self.engine, self.claim, "warning", text.of(warning))
        if self.assumed:
            log_to_run(self.engine, self.claim, "warning", self.assumed)
        checkpoint_rows.sweep_run(self.engine, self.claim)
        self._resume()

    def _counts(self, split: str) -> list[int]:
        """Samples of each class in a split; for training without the synthetic ones."""
        if split == "train":
            return self.data.counts.astype(int).tolist()
        return np.bincount(self.trainer.splits[split].labels.cpu(), minlength=self.evidence.classes).tolist()

    def baseline_method(self) -> str:
        """Key of the method that trained the baseline, "" without one.

        An earlier attempt's value counts, because the baseline may have been deleted since.
        """
        known = results.get_run(self.engine, self.claim.run_id).facts.evidence.method
        if known is not None or self.claim.baseline_id is None:
            return known or ""
        return results.get_run(self.engine, self.claim.baseline_id).config.method

    def _resume(self) -> None:
        """Resume from the newest intact checkpoint; one ahead of the recorded metrics is skipped. Metrics ahead of the
        checkpoint are overwritten when their epoch is trained again. The run's log says what happened."""
        self.furthest = recorded = results.get_run(self.engine, self.claim.run_id).last_epoch
        listed = results.list_checkpoints(self.engine, self.claim.run_id)
        for saved in listed:
            if saved.epoch > recorded:
                continue
            try:
                self.trainer.load(checkpoint.loads(checkpoint_files.read(saved.path, saved.sha256), self.config.sha()))
            except EvenlyError as error:
                log_to_run(self.engine, self.claim, "warning", f"{error}; trying an older one")
                continue
            log_to_run(
                self.engine,
                self.claim,
                "resume",
                f"resuming after epoch {saved.epoch}, step {self.trainer.progress.step}",
            )
            self.recorded = saved.epoch
            return
        if listed:
            log_to_run(
                self.engine,
                self.claim,
                "warning",
                "no checkpoint could be used: training restarts from the first epoch",
            )

    def train(self, control: Orders) -> str:
        """Train to the last epoch. Metrics are committed before the checkpoint that implies them is written."""
        if self.method.stage == POSTHOC:
            self._record(*self.posthoc(), control)
            return "succeeded"
        kept, best = True, False
        try:
            for result in self.trainer.run(control):
                best = self._record(result, {}, control)
                kept = self.save(best)
        except Interrupted as interrupted:
            if interrupted.reason != "lost" and self.trainer.progress.epoch == self.recorded:
                self.save(best=False)  # a checkpoint ahead of the recorded metrics would be skipped
            raise
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not kept and time.monotonic() < deadline:  # a run that continues from this one needs its last network
            if reason := control():  # on resume, the last epoch is trained again from the checkpoint before it
                raise Interrupted(reason)
            time.sleep(1)
            kept = self.save(best, again=True)
        return "succeeded"

    def posthoc(self) -> tuple[EpochResult, Info]:
        """The single epoch of a post-hoc step: counts of the finished run's outputs after it, and what is stored with them.

        That is the bias per class, if the step has one; it is also in the log.
        """
        started = time.perf_counter()
        terms = self.terms(0, Seen())
        splits, step = posthoc_results(self.before, terms, self.trainer.splits, self.device)
        for note in step.notes:
            log_to_run(self.engine, self.claim, "warning", text.of(note))
        if (bias := step.summand) is not None:
            log_to_run(
                self.engine,
                self.claim,
                "posthoc",
                "bias per class: "
                + ", ".join(f"{v:.3f}" for v in bias[:LONGEST_LIST])
                + ", ..." * (len(bias) > LONGEST_LIST),
            )
        kept = {} if bias is None else {STORED_BIAS: bias.tolist()}
        return EpochResult(0, time.perf_counter() - started, 0.0, splits, terms), kept

    def _record(self, result: EpochResult, kept: Info, control: Orders) -> bool:
        """Commit an epoch and what is `kept` with its metrics; True if it is the best.

        Waits for a locked or full database, then raises Halted. A request in the meantime raises Interrupted.
        """
        deadline, record = time.monotonic() + PATIENCE_SECONDS, record_of(result, kept)
        while True:
            try:
                best = results.record_epoch(once(self.engine), self.claim, record)
                self._progressed(record.epoch)
                return best
            except Unavailable as error:
                if reason := control():  # the epoch is trained again on resume
                    raise Interrupted(reason) from error
                if time.monotonic() > deadline:
                    raise Halted(
                        f"epoch {record.epoch} could not be recorded: {error}; then resume, the epoch is trained again"
                    ) from error
                log.warning("run %s: %s", self.claim.run_id, error)
                time.sleep(1)

    def _progressed(self, epoch: int) -> None:
        """Reset the count of dead workers once the run has passed the last epoch that they recorded."""
        self.recorded = epoch
        if epoch > self.furthest and self.deaths:
            queue.progressed(self.engine, self.claim)
            self.deaths = 0

    def save(self, best: bool, *, again: bool = False) -> bool:
        """Write a checkpoint of the current state and remove those no longer kept; returns whether it was written.

        A full disk is logged once as a warning; the run continues.
        """
        p = self.trainer.progress
        about = {
            "config_sha": self.config.sha(),
            "config": self.config.to_json(),
            "classes": list(self.data.spec.classes),
            "epoch": p.epoch,
        }
        data = checkpoint.dumps(self.trainer.state(), about)
        try:
            name = checkpoint_rows.file_name(self.engine, self.claim, p.epoch, p.step)
            path, sha = checkpoint_files.write(self.folder, name, data)
            kinds = ("last", "best") if best else ("last",)
            stale = results.record_checkpoint(self.engine, self.claim, p.epoch, kinds, path, sha, len(data))
            checkpoint_files.prune(stale)
        except Lost:
            raise
        except StorageError as error:
            if not again:
                log_to_run(self.engine, self.claim, "warning", str(error))
            return False
        return True


def split_record(split: SplitResult) -> results.SplitRecord:
    """Counts of a split with the summary computed from them."""
    support, tp, predicted = rows_of(split.confusion)
    about = summary_from_counts(tp, support)
    figures = {key: getattr(about, key) for key in METRICS if key != "ece"}
    calibration = None if split.calibration is None else ece(split.calibration)
    return results.SplitRecord(split.loss, about.n, support, tp, predicted, split.top5, ece=calibration, **figures)


def record_of(result: EpochResult, kept: Info) -> results.EpochRecord:
    """An EpochResult as storage records it: counts per class, the narrow summary row, and what is `kept` with them."""
    return results.EpochRecord(
        epoch=result.epoch + 1,
        seconds=result.seconds,
        lr=result.lr,
        splits={name: split_record(split) for name, split in result.splits.items()},
        weight=result.weight,
        confusion={k: v.confusion for k, v in result.splits.items() if k != "train"},
        info={**(result.terms.info or {}), **kept},
    )
