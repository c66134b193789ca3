"""One claimed run from its settings to its end: data -> train -> (metrics, then checkpoint) per epoch -> finish.

Beside worker.py because it composes core, models and storage, and because `cli.py run --wait` walks the same way.
"""

from __future__ import annotations

import gc
import logging
import shutil
import time
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sqlalchemy import Engine

from core import checkpoint, datasets
from core.batches import placed
from core.config import RunConfig, checked, from_dict
from core.dataspec import Progress
from core.device import Device, choose, versions
from core.engine import SPLITS, EpochResult, Interrupted, SplitResult, Trainer
from core.errors import EvenlyError
from core.evidence import ClassTerms, Evidence, Vector
from core.files import attended
from core.machine import cores
from core.methods import answer
from core.metrics import rows_of, summary_from_counts
from models import MODELS
from storage import checkpoints, queue, results
from storage.engine import StorageError, Unavailable
from storage.queue import Claim, Lost
from storage.record import METRICS

log = logging.getLogger("evenly.worker")
MIN_FREE_BYTES = 1 << 30  # a run is not started with less free disk than this
PATIENCE_SECONDS = 60.0  # how long a locked or full database is waited for before the run is paused
ASK_SECONDS, TELL_SECONDS = 0.5, 5.0  # while data is prepared: between looks at the orders, between lines in the log
SMALL_PARAMETERS, SMALL_SAMPLE = 60_000, 1_024  # below both, a second thread costs more than it brings
Orders = Callable[[], str | None]
Steps = Callable[[], tuple[int, int, int] | None]  # the epoch from 1, steps of it done, steps of an epoch; None when the run is over
NO_MEMORY = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "MPS backend out of memory")  # in a RuntimeError
LOST = ("lost", "another worker has taken this run over")


class Halted(EvenlyError):  # noqa: N818 - the run is not at fault
    """The run is fine, the machine is not (disk full, database locked): pause it, a person mends it and resumes."""


def execute(
    engine: Engine, claim: Claim, device: Device, root: Path, orders: Orders, follow: Callable[[Steps], None] = lambda steps: None
) -> tuple[str, str | None]:
    """Train a claimed run; returns its new status and, if it failed, the reason. Other runs are never harmed.

    `orders()` returns "stop" when the worker itself must end: the run then goes back to the queue.
    `follow` is given, before the first step, a function that any thread may ask how far the training is.
    """
    try:
        status, reason = _attempt(engine, claim, device, root, orders, follow), None
    except Lost:
        return LOST
    except Interrupted as interrupted:
        if interrupted.reason == "lost":
            return LOST
        status, reason = {"stop": "queued", "pause": "paused", "cancel": "cancelled"}[interrupted.reason], None
    except Halted as error:
        status, reason = "paused", str(error)
    except Unavailable as error:  # the run is fine; asked to stop, it goes back to the queue as it is
        status, reason = ("queued", None) if orders() else ("paused", f"{error}; then resume")
    except EvenlyError as error:
        status, reason = "failed", str(error)
    except Exception as error:  # a bug in a run must not end the worker; the run says what it was
        if out_of_memory(error):
            size = claim.config.get("recipe_params", {}).get("batch_size", "?")
            status, reason = "failed", f"out of memory on {device.name} with batch size {size}: halve the batch size, or take a smaller model or image size"
        else:
            log.exception("run %s", claim.run_id)
            status, reason = "failed", f"unexpected {type(error).__name__}: {error}"
            _tell(engine, claim, "error", traceback.format_exc())
    return _close(engine, claim, status, reason, orders)


def out_of_memory(error: Exception) -> bool:
    """True for the ways in which Python, torch's allocators and cuBLAS say that memory is used up."""
    named = isinstance(error, RuntimeError) and any(name in str(error) for name in NO_MEMORY)
    return named or isinstance(error, (MemoryError, torch.OutOfMemoryError))


def _close(engine: Engine, claim: Claim, status: str, reason: str | None, orders: Orders) -> tuple[str, str | None]:
    """Write the run's end, waiting for a database that is locked or full, and give its memory back."""
    gc.collect()  # here, outside of every except block, no traceback holds the tensors any more
    with suppress(RuntimeError):  # of a lost card; the worker then starts anew
        torch.cuda.empty_cache()
    while True:
        try:
            held = queue.release(engine, claim) if status == "queued" else queue.finish(engine, claim, status, reason)
            return (status, reason) if held else LOST
        except StorageError as error:
            log.error("run %s cannot be closed as %s: %s", claim.run_id, status, error)
            if orders():
                return status, reason  # the next worker finds it running without a worker and rescues it
            time.sleep(1)


def _tell(engine: Engine, claim: Claim, kind: str, text: str) -> None:
    """A line in the run's log, where there is room for one."""
    try:
        queue.note(engine, claim.run_id, kind, text)
    except StorageError as error:
        log.warning("run %s: %s (not logged: %s)", claim.run_id, text, error)


def _attempt(engine: Engine, claim: Claim, device: Device, root: Path, orders: Orders, follow: Callable[[Steps], None]) -> str:
    if (free := shutil.disk_usage(root).free) < MIN_FREE_BYTES:
        raise Halted(f"only {free / 1e6:.0f} MB are free in {root}, a run needs {MIN_FREE_BYTES / 1e6:.0f} MB; free some space, then resume")
    config = checked(from_dict(claim.config))
    if config.device not in ("auto", device.device.type):
        device = choose(config.device)

    def control() -> str | None:
        if order := orders():
            return order
        try:
            wanted = queue.wanted(engine, claim)
        except StorageError as error:  # locked for a moment: train on and ask again
            log.warning("run %s: %s", claim.run_id, error)
            return None
        return None if wanted == "run" else wanted

    before = results.get_run(engine, claim.run_id).facts  # of an earlier attempt: what it started from stays
    splits = _load(engine, claim, config, root, control)
    if before.get("index_hash", splits.index_hash) != splits.index_hash:
        raise EvenlyError(f"the data of {config.dataset} has changed since this run started; duplicate the run to train on it as it is now")
    evidence, origin = stored_evidence(before) or find_evidence(engine, claim, config, splits.spec.classes)
    run = Run(engine, claim, config, splits, evidence, device, root)
    run.start(origin)
    follow(steps_of(run.trainer))
    return run.train(control)


def steps_of(trainer: Trainer) -> Steps:
    """Reads where the trainer is; does not keep it, and its memory, alive."""
    seen = weakref.ref(trainer)

    def steps() -> tuple[int, int, int] | None:
        alive = seen()
        return None if alive is None else (alive.progress.epoch + 1, alive.progress.step, alive.steps)

    return steps


def _load(engine: Engine, claim: Claim, config: RunConfig, root: Path, control: Orders) -> datasets.DataSplits:
    """The dataset's splits; what takes time is told in the run's log and may be interrupted."""
    progress = obeying(control, lambda line: _tell(engine, claim, "data", line))
    datasets.prepare(config.dataset, root, progress)  # writes: it ends between two pieces and tidies up
    return attended(  # only reads: it may be left alone
        lambda: datasets.load(
            config.dataset, root, seed=config.seed, validation=config.validation, imbalance=config.imbalance, profile=config.profile
        ),
        lambda: progress(1.0, "reading the array file"),
    )


def obeying(control: Orders, say: Callable[[str], None] = lambda line: None) -> Progress:
    """A Progress that asks for orders every half second, raising Interrupted, and says every few seconds how far it is."""
    asked = said = time.monotonic()

    def progress(share: float, text: str) -> None:
        nonlocal asked, said
        now = time.monotonic()
        if now - asked > ASK_SECONDS:
            asked = now
            if reason := control():
                raise Interrupted(reason)
        if now - said > TELL_SECONDS:
            said = now
            say(f"{text} ({share:.0%})")

    return progress


def stored_evidence(facts: dict[str, Any]) -> tuple[Evidence, str] | None:
    """The evidence an earlier attempt of the run started from, or None. It stays, also when the baseline is gone since."""
    if not (stored := facts.get("evidence")) or stored["tpr"] is None:
        return None
    vectors = {k: None if stored[k] is None else np.array(stored[k], dtype=np.float64) for k in ("tpr", "support")}
    return Evidence(len(facts["classes"]), **vectors), stored["from"]


def find_evidence(engine: Engine, claim: Claim, config: RunConfig, classes: tuple[str, ...]) -> tuple[Evidence, str]:
    """What the method may look at, and where its TPRs come from in words.

    TPRs come from the run's own settings (pasted or uploaded) or from its baseline's validation split after the
    last epoch, never from a test split. A baseline with other classes raises EvenlyError.
    """
    if config.tpr is not None:
        tpr = np.array([np.nan if v is None else v for v in config.tpr], dtype=np.float64)
        return Evidence(len(classes), tpr=tpr, support=config.tpr_support), config.tpr_source or "given TPRs"
    if claim.baseline_id is None:
        return Evidence(len(classes)), ""
    baseline = results.get_run(engine, claim.baseline_id)
    if baseline.dataset != config.dataset:
        raise EvenlyError(f"run {claim.baseline_id} was trained on {baseline.dataset}, this one on {config.dataset}; choose a baseline on the same dataset")
    if tuple(baseline.facts.get("classes", ())) != tuple(classes):
        raise EvenlyError(f"run {claim.baseline_id} knows other classes than this run; choose a baseline on the same dataset")
    counts = results.class_counts(engine, claim.baseline_id, "validation")
    with np.errstate(invalid="ignore", divide="ignore"):
        tpr = counts.tp / counts.support
    return Evidence(len(classes), tpr=tpr, support=counts.support), f"run {claim.baseline_id}, validation split, epoch {counts.epoch}"


class Run:
    """A run in training: its trainer, its records and its checkpoints."""

    def __init__(
        self, engine: Engine, claim: Claim, config: RunConfig, splits: datasets.DataSplits, evidence: Evidence, device: Device, root: Path
    ) -> None:
        self.engine, self.claim, self.config, self.data, self.device = engine, claim, config, splits, device
        self.evidence = replace(evidence, counts=splits.counts, epochs=config.epochs)
        self.folder = root / "runs" / str(claim.run_id)
        self.furthest, self.deaths = 0, claim.attempt - 1  # epochs recorded, and workers that died, before this attempt
        row, shape, classes = MODELS[config.model], splits.spec.shape, len(splits.spec.classes)
        if reason := row.fits(shape, classes):
            raise EvenlyError(f"{row.key} does not fit {config.dataset}: {reason}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = row.build(shape, classes)
        self.parameters = sum(p.numel() for p in model.parameters())
        small = self.parameters < SMALL_PARAMETERS and np.prod(shape) < SMALL_SAMPLE
        torch.set_num_threads(1 if small else cores())
        parts = {"train": (splits.train_x, splits.train_y), "validation": (splits.val_x, splits.val_y), "test": (splits.test_x, splits.test_y)}
        on_device = placed(parts, splits.mean, splits.std, device, splits.spec.augment)
        self.trainer = Trainer(config, on_device, model, self.terms, classes, device)

    def terms(self, epoch: int, last_tpr: Vector | None, last_support: Vector | None) -> ClassTerms:
        """The method's answer for an epoch."""
        evidence = replace(self.evidence, epoch=epoch, last_tpr=last_tpr, last_support=last_support)
        return answer(self.config.method, evidence, self.config.params)

    def start(self, origin: str) -> None:
        """Record what the run starts from, then go on from its newest whole checkpoint, if it has one."""
        e = self.evidence
        listed = lambda v: None if v is None else [None if np.isnan(x) else float(x) for x in v]  # noqa: E731
        facts: dict[str, Any] = {
            "classes": list(self.data.spec.classes),
            "counts": {name: np.bincount(self.trainer.splits[name].labels.cpu(), minlength=e.classes).tolist() for name in SPLITS},
            "index_hash": self.data.index_hash,
            "evidence": {"tpr": listed(e.tpr), "support": listed(e.support), "from": origin},
            "device": self.device.name,
            "versions": versions(),
            "parameters": self.parameters,
            "skipped": list(self.data.skipped)[:20],
        }
        results.start_run(self.engine, self.claim, facts)
        checkpoints.sweep(self.folder)
        self._resume()

    def _resume(self) -> None:
        """Go on from the newest checkpoint that is whole; one ahead of the recorded metrics is passed over. Metrics ahead
        of the checkpoint are written again by the epoch that is trained again. What happened is said in the run's log."""
        self.furthest = recorded = results.get_run(self.engine, self.claim.run_id).last_epoch
        listed = results.list_checkpoints(self.engine, self.claim.run_id)
        for saved in listed:
            if saved.epoch > recorded:
                continue
            try:
                self.trainer.load(checkpoint.loads(checkpoints.read(saved.path, saved.sha256), self.config.sha()))
            except EvenlyError as error:
                _tell(self.engine, self.claim, "warning", f"{error}; trying an older one")
                continue
            _tell(self.engine, self.claim, "resume", f"going on after epoch {saved.epoch}, step {self.trainer.progress.step}")
            return
        if listed:
            _tell(self.engine, self.claim, "warning", "no checkpoint could be used: training starts again with the first epoch")

    def train(self, control: Orders) -> str:
        """Train to the last epoch. Metrics are committed before the checkpoint that implies them is written."""
        try:
            for result in self.trainer.run(control):
                self.save(best=self._record(result, control))
        except Interrupted as interrupted:
            if interrupted.reason != "lost":
                self.save(best=False)
            raise
        return "succeeded"

    def _record(self, result: EpochResult, control: Orders) -> bool:
        """Commit an epoch; a database that is locked or full is waited for, then the run is paused. True if it is the best."""
        deadline, record = time.monotonic() + PATIENCE_SECONDS, record_of(result)
        while True:
            try:
                best = results.record_epoch(self.engine, self.claim, record)
                self._progressed(record.epoch)
                return best
            except Unavailable as error:
                if time.monotonic() > deadline or control():
                    raise Halted(f"epoch {record.epoch} could not be recorded: {error}; then resume, the epoch is trained again") from error
                log.warning("run %s: %s", self.claim.run_id, error)
                time.sleep(1)

    def _progressed(self, epoch: int) -> None:
        """Deaths of earlier workers count no longer once the run has got further than all of them."""
        if epoch > self.furthest and self.deaths:
            queue.progressed(self.engine, self.claim)
            self.deaths = 0

    def save(self, best: bool) -> None:
        """Write the checkpoint of this moment and remove those no longer kept. A full disk is a warning: the run goes on."""
        p = self.trainer.progress
        about = {"config_sha": self.config.sha(), "config": self.config.to_json(), "classes": list(self.data.spec.classes), "epoch": p.epoch}
        data = checkpoint.dumps(self.trainer.state(), about)
        # The token in the name keeps a worker that was given up for dead from writing over its successor's file.
        name = f"epoch-{p.epoch:05d}" + (f"-step-{p.step}" if p.step else "") + f"-{self.claim.token}.pt"
        try:
            path, sha = checkpoints.write(self.folder, name, data)
            stale = []
            for kind in ("last", "best") if best else ("last",):
                stale += results.record_checkpoint(self.engine, self.claim, p.epoch, kind, path, sha, len(data))
            checkpoints.prune(set(stale) - {path})
        except Lost:
            raise
        except StorageError as error:
            _tell(self.engine, self.claim, "warning", str(error))


def split_record(split: SplitResult) -> results.SplitRecord:
    """Counts of a split with the summary that follows from them."""
    support, tp, predicted = rows_of(split.confusion)
    about = summary_from_counts(tp, support)
    figures = {key: getattr(about, key) for key in METRICS}
    return results.SplitRecord(split.loss, about.n, support, tp, predicted, split.top5, **figures)


def record_of(result: EpochResult) -> results.EpochRecord:
    """An EpochResult as the storage keeps it: counts per class and the narrow summary row."""
    return results.EpochRecord(
        epoch=result.epoch + 1, seconds=result.seconds, lr=result.lr,
        splits={name: split_record(split) for name, split in result.splits.items()},
        weight=result.terms.weight, confusion={k: v.confusion for k, v in result.splits.items() if k != "train"},
        info=result.terms.info or {},
    )
