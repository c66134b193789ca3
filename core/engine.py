"""Training: one Trainer per run, one epoch at a time, everything reported as integer counts.

Inside an epoch nothing waits for the device except a look at the loss every half second. On CUDA the step is
captured once as a graph and replayed. An interrupted epoch keeps its place: `state()` after an Interrupted, loaded
into a fresh Trainer, ends bit-identical on CPU to an unbroken run.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.batches import Split, generator
from core.config import RunConfig
from core.device import Device
from core.draws import EvenDraws, order
from core.errors import TrainingError
from core.evidence import ClassTerms, Vector
from core.losses import tensor_terms
from core.objectives import OBJECTIVES, Batch, Objective
from core.optim import build_optimiser, learning_rate, load_state, set_learning_rate
from core.step import Step, make_step

SPLITS = ("train", "validation", "test")
LOOK_SECONDS = 0.5  # how often a running epoch asks for orders and looks at its loss
EVAL_BATCH = {"cpu": 200}  # samples of an evaluation batch at most, by kind of device: on a CPU small ones stay in its caches
EVAL_MOST, EVAL_BYTES = 1000, 1 << 26  # on other devices, and bytes of the batch's float32 inputs

CALIBRATION_BINS = 15  # equal bins of the confidence, as in Guo et al. (2017)


@dataclass(frozen=True)
class Seen:
    """What a run has seen of itself before an epoch: validation TPRs after the last epoch [C], their supports [C], and
    those of every epoch so far [E, C]. None before the first."""

    tpr: Vector | None = None
    support: Vector | None = None
    past: np.ndarray | None = None


TermsFor = Callable[[int, Seen], ClassTerms]  # of an epoch


class Interrupted(Exception):  # noqa: N818 - not an error: an order to stop that was obeyed
    """Training stopped because `control` said so; `reason` is what it said. The trainer's state is consistent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class SplitResult:
    """Counts of one split after an epoch: confusion [C, C] (rows: true class), mean loss, hits among the top five.

    calibration [3, bins]: samples, hits and the sum of the confidences in equal bins of the confidence; None for training.
    """

    confusion: np.ndarray
    loss: float
    top5: int | None
    calibration: np.ndarray | None = None


@dataclass(frozen=True)
class EpochResult:
    """What one epoch did. `lr` is the rate of its first step; `terms` are the ones it trained with; `weight` [C] is what
    each class was weighed: the terms' weight, or the mean over the steps where it is renewed with every step."""

    epoch: int
    seconds: float
    lr: float
    splits: dict[str, SplitResult]
    terms: ClassTerms
    weight: Vector | None = None


@dataclass
class Progress:
    """Where a run stands: whole epochs done, steps done inside the next one, and that epoch's sums so far."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    loss_sum: Tensor | None = None
    confusion: Tensor | None = None
    top5: Tensor | None = None
    seen: Seen = field(default_factory=Seen)


class Trainer:
    """Trains `model` on the splits. `control()` is asked at most every half second and may return a reason to stop.

    `feature_rate` other than 1 gives the model's `body` that share of the learning rate. Frozen parameters stay as they are.
    """

    def __init__(
        self, config: RunConfig, splits: dict[str, Split], model: nn.Module, terms_for: TermsFor, classes: int, device: Device, feature_rate: float = 1.0,
    ) -> None:
        n, batch_size = len(splits["train"]), int(config.recipe_params["batch_size"])
        if batch_size > n:
            raise TrainingError(f"batch size {batch_size} is larger than the training split of {n} samples; choose at most {n}")
        self.config, self.splits, self.terms_for, self.classes, self.device = config, splits, terms_for, classes, device
        memory = torch.channels_last if device.channels_last else torch.preserve_format
        self.model = model.to(device.device, memory_format=memory)
        self.optimiser = build_optimiser(config, self.model, device, feature_rate)
        self.steps = self._steps(n, batch_size)
        self.batch_size, self.progress = batch_size, Progress()
        self.counts = torch.bincount(splits["train"].labels, minlength=classes)
        self.objectives: dict[str, Objective] = {}
        self._waiting: dict[str, Any] = {}  # loaded states of objectives that no epoch has asked for yet
        self._even: EvenDraws | None = None
        self._fresh_sums()

    @staticmethod
    def _steps(n: int, batch_size: int) -> int:
        """Steps of an epoch of n samples. A last batch of one sample has no batch statistics: it is left out, in every run alike."""
        return max(-(-n // batch_size) - (n % batch_size == 1), 1)

    # -- state -------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything needed to go on, as tensors and plain Python only (loadable with weights_only=True)."""
        p = self.progress
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": p.epoch,
            "step": p.step,
            "seconds": p.seconds,
            "sums": {"loss": p.loss_sum, "confusion": p.confusion, "top5": p.top5},
            "seen": {k: None if v is None else torch.from_numpy(v.copy()) for k, v in vars(p.seen).items()},
            "objectives": {**self._waiting, **{k: v.state_dict() for k, v in self.objectives.items()}},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state()` of an earlier Trainer with the same config; a foreign state raises TrainingError."""
        before = copy.deepcopy(self.model.state_dict())
        try:
            self.model.load_state_dict(state["model"])
            load_state(self.optimiser, state["optimiser"], self.device)
            self._waiting = dict(state["objectives"])
        except (RuntimeError, KeyError, ValueError) as error:
            self.model.load_state_dict(before)  # as if nothing had been tried
            raise TrainingError(f"the checkpoint does not fit this run: {str(error).splitlines()[0]}") from error
        kinds = {"loss": self.progress.loss_sum.dtype}  # MPS has no float64
        move = {k: v.to(kinds.get(k, v.dtype)).to(self.device.device) for k, v in state["sums"].items()}
        seen = Seen(**{k: None if v is None else v.numpy() for k, v in state["seen"].items()})
        self.progress = Progress(state["epoch"], state["step"], state["seconds"], move["loss"], move["confusion"], move["top5"], seen)

    def _fresh_sums(self) -> None:
        on, p = self.device.device, self.progress
        if p.loss_sum is not None:  # in place: a captured graph adds to these very addresses
            for total in (p.loss_sum, p.confusion, p.top5):
                total.zero_()
            return
        p.loss_sum = torch.zeros((), dtype=torch.float64 if on.type != "mps" else torch.float32, device=on)
        p.confusion = torch.zeros(self.classes * self.classes, dtype=torch.int64, device=on)
        p.top5 = torch.zeros((), dtype=torch.int64, device=on)

    # -- training ----------------------------------------------------------------------------------------------

    def run(self, control: Callable[[], str | None] = lambda: None) -> Iterator[EpochResult]:
        """Yield after every epoch until the last. Raises Interrupted, or TrainingError for a loss that is not finite."""
        ask = _Patience(control)
        while self.progress.epoch < self.config.epochs:
            yield self._epoch(ask)

    def _epoch(self, ask: _Patience) -> EpochResult:
        p = self.progress
        terms = self.terms_for(p.epoch, p.seen)
        objective = self._objective(terms)
        lr = self._rate(0)
        started = time.perf_counter() - p.seconds
        try:
            self._train_steps(terms, objective, ask)
            splits = {"train": self._train_result()}
            splits |= {name: self.evaluate(self.splits[name], ask) for name in SPLITS[1:]}
        except Interrupted:
            p.seconds = time.perf_counter() - started
            raise
        for name, split in splits.items():
            if not np.isfinite(split.loss):
                raise self._not_finite(f"{name} loss", terms)
        weighed = objective.class_weight()
        weight = terms.weight if weighed is None else weighed.cpu().double().numpy()
        result = EpochResult(p.epoch, time.perf_counter() - started, lr, splits, terms, weight)
        p.seen = _seen(p.seen, splits["validation"].confusion)
        p.epoch, p.step, p.seconds = p.epoch + 1, 0, 0.0
        self._fresh_sums()
        return result

    def _rate(self, step: int) -> float:
        """Learning rate of a step of the present epoch. Epochs may differ in length, so the schedule runs by epochs."""
        return learning_rate(self.config, (self.progress.epoch + step / self.steps) / self.config.epochs)

    def _objective(self, terms: ClassTerms) -> Objective:
        """What the epoch's terms act through; one of a kind lives as long as the run, since it may learn."""
        key = terms.objective
        if key not in self.objectives or self.objectives[key].knobs != dict(terms.knobs):  # a late start brings its own
            made = OBJECTIVES[key](self.classes, terms.knobs, self.counts).to(self.device.device)
            if (state := self._waiting.pop(key, None)) is not None:
                made.load_state_dict(state)
            self.objectives[key] = made
        if self.progress.step == 0:  # an epoch that was interrupted goes on with its sums
            tpr = self.progress.seen.tpr
            self.objectives[key].new_epoch(None if tpr is None else torch.as_tensor(tpr, dtype=torch.float32, device=self.device.device))
        return self.objectives[key]

    def _train_steps(self, terms: ClassTerms, objective: Objective, ask: _Patience) -> None:
        p, data, seed = self.progress, self.splits["train"], self.config.seed
        index = order(data.labels, terms, seed, p.epoch, self.batch_size)
        self.steps = self._steps(len(index), self.batch_size)
        step = self._step(tensor_terms(terms, self.device.device), objective, data.draws(seed, p.epoch))
        self.model.train()
        while p.step < self.steps:
            set_learning_rate(self.optimiser, self._rate(p.step))
            step(index[p.step * self.batch_size : (p.step + 1) * self.batch_size], p)
            p.step += 1
            look = ask.due()
            if look or self.device.device.type == "cpu":  # elsewhere a look would wait for the device
                self._check_loss(terms)
            if look:
                ask()
        self._check_loss(terms)

    def _step(self, terms: dict[str, Tensor], objective: Objective, draws: Tensor | None) -> Step:
        self._made = make_step(self, terms, objective, draws, previous=getattr(self, "_made", None))
        return self._made

    def forward_backward(self, x: Tensor, labels: Tensor, terms: dict[str, Tensor], objective: Objective, p: Progress) -> None:
        """One optimiser step on a batch, its sums added on the device. Nothing here waits for the device."""
        random = generator(self.config.seed, f"loss/{p.epoch}", p.step) if "mask" in terms else None
        rate = self._rate(p.step) if objective.meta else 0.0
        batch = Batch(self.model, x, labels, terms, self.config.reduction, rate, random, self._meta(objective, p), self.device.autocast)
        loss, logits = objective(batch)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=not self.device.graphs)
        with torch.no_grad():
            p.loss_sum += loss.detach() * len(labels)
            self._count(logits, labels, p.confusion, p.top5)

    def _meta(self, objective: Objective, p: Progress) -> Callable[[], tuple[Tensor, Tensor]] | None:
        """A draw of meta samples from the validation split: the same number of every class as far as the batch allows."""
        if not objective.meta:
            return None
        data = self.splits["validation"]
        if self._even is None:
            self._even = EvenDraws(data.labels, objective.meta_batch)
        return lambda: data.batch(self._even(generator(self.config.seed, f"meta/{p.epoch}", p.step)))

    def _count(self, logits: Tensor, labels: Tensor, confusion: Tensor, top5: Tensor) -> None:
        predicted = logits.argmax(dim=1)
        confusion.scatter_add_(0, labels * self.classes + predicted, torch.ones_like(labels))
        if self.classes > 5:
            top5 += (logits.topk(5, dim=1).indices == labels[:, None]).sum()

    def _check_loss(self, terms: ClassTerms) -> None:
        if not torch.isfinite(self.progress.loss_sum):
            raise self._not_finite("loss", terms)

    def _not_finite(self, what: str, terms: ClassTerms) -> TrainingError:
        p = self.progress
        weight = "none" if terms.weight is None else f"{terms.weight.min():.3g} to {terms.weight.max():.3g}"
        rate = self._rate(max(p.step - 1, 0))
        return TrainingError(
            f"the {what} is not finite at epoch {p.epoch + 1}, step {p.step} (learning rate {rate:.3g}, weights {weight}); "
            "lower the learning rate or the exponent and start again"
        )

    def _train_result(self) -> SplitResult:
        p = self.progress
        seen = int(p.confusion.sum())
        return self._result(p.confusion, float(p.loss_sum) / max(seen, 1), p.top5)

    def _result(self, confusion: Tensor, loss: float, top5: Tensor) -> SplitResult:
        matrix = confusion.reshape(self.classes, self.classes).cpu().numpy().copy()  # on CPU the sums are zeroed in place
        return SplitResult(matrix, loss, int(top5) if self.classes > 5 else None)

    # -- evaluation --------------------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, data: Split, ask: _Patience | None = None) -> SplitResult:
        """Counts and mean plain cross entropy of a split, in large batches, predictions from the unadjusted logits."""
        self.model.eval()
        on = self.device.device
        confusion = torch.zeros(self.classes * self.classes, dtype=torch.int64, device=on)
        loss, top5 = torch.zeros((), device=on), torch.zeros((), dtype=torch.int64, device=on)
        bins = torch.zeros(3, CALIBRATION_BINS, device=on)
        index = torch.arange(len(data), device=on)
        for part in index.split(eval_batch(data, on)):
            x, labels = data.batch(part)
            with self.device.autocast():
                logits = self.model(x)
            log_p = torch.log_softmax(logits.float(), dim=1)
            loss += nn.functional.nll_loss(log_p, labels, reduction="sum")
            _calibrate(bins, log_p, labels)
            self._count(logits, labels, confusion, top5)
            if ask and ask.due():
                ask()
        result = self._result(confusion, float(loss) / max(len(data), 1), top5)
        return replace(result, calibration=bins.cpu().double().numpy())


def eval_batch(data: Split, on: torch.device) -> int:
    """Samples of an evaluation batch."""
    return max(1, min(EVAL_BATCH.get(on.type, EVAL_MOST), EVAL_BYTES // data.sample_bytes))


def _calibrate(bins: Tensor, log_p: Tensor, labels: Tensor) -> None:
    """Add a batch to the calibration bins: samples, hits and confidences, by the confidence of the prediction."""
    confidence, predicted = log_p.exp().max(dim=1)
    at = (confidence * CALIBRATION_BINS).ceil().long().clamp(1, CALIBRATION_BINS) - 1
    bins[0].scatter_add_(0, at, torch.ones_like(confidence))
    bins[1].scatter_add_(0, at, (predicted == labels).to(confidence.dtype))
    bins[2].scatter_add_(0, at, confidence)


def _seen(before: Seen, confusion: np.ndarray) -> Seen:
    """What the run knows of itself after one more epoch, from the validation split's confusion matrix [C, C]."""
    support = confusion.sum(axis=1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        tpr = np.diag(confusion) / support
    past = tpr[None] if before.past is None else np.concatenate([before.past, tpr[None]])
    return Seen(tpr, support, past)


class _Patience:
    """Asks `control` at most every LOOK_SECONDS; a reason it returns becomes Interrupted."""

    def __init__(self, control: Callable[[], str | None]) -> None:
        self._control, self._next = control, 0.0

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def __call__(self) -> None:
        self._next = time.monotonic() + LOOK_SECONDS
        if reason := self._control():
            raise Interrupted(reason)
