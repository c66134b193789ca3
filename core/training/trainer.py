"""Training: one Trainer per run, one epoch at a time, everything reported as integer counts.

Within an epoch nothing waits for the device except a check of the loss every half second. On CUDA the step is
captured once as a graph and replayed. An interrupted epoch can be continued: `state()` after an Interrupted, loaded
into a fresh Trainer, gives the same bits on CPU as an uninterrupted run.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import TrainingError
from core.experiment.config import RunConfig, check_batch
from core.experiment.term_schedule import kept
from core.methods import METHODS
from core.methods.types import ClassTerms
from core.split_names import SPLITS
from core.training.device import Device
from core.training.device_data import Split, generator
from core.training.evaluation import count, evaluate, split_result
from core.training.index_samplers import EvenDraws, order
from core.training.interrupts import Interrupted, Patience
from core.training.losses import tensor_terms
from core.training.objectives import Batch, Objective, objective_class
from core.training.optimizer import build_optimizer, learning_rate, load_state, set_learning_rate
from core.training.state import EpochResult, Progress, Seen, SplitResult, TermsFor, seen_after
from core.training.train_step import Step, make_step


class Trainer:
    """Trains `model` on the splits. `control()` is called at most every half second and may return a reason to stop.

    `feature_rate` other than 1 gives the model's `body` that share of the learning rate. Frozen parameters do not change.
    """

    def __init__(
        self,
        config: RunConfig,
        splits: dict[str, Split],
        model: nn.Module,
        terms_for: TermsFor,
        classes: int,
        device: Device,
        feature_rate: float = 1.0,
    ) -> None:
        n, batch_size = len(splits["train"]), int(config.recipe_params["batch_size"])
        check_batch(config, n)
        self.config, self.splits, self.terms_for, self.classes, self.device = config, splits, terms_for, classes, device
        memory = torch.channels_last if device.channels_last else torch.preserve_format
        self.model = model.to(device.device, memory_format=memory)
        self.optimizer = build_optimizer(config, self.model, device, feature_rate)
        self.steps = self._steps(n, batch_size)
        self.batch_size, self.progress = batch_size, Progress()
        self.counts = torch.bincount(splits["train"].labels, minlength=classes)
        self.objectives: dict[str, Objective] = {}
        self._waiting: dict[str, Any] = {}  # loaded states of objectives that no epoch has used yet
        self._even: EvenDraws | None = None
        self._fresh_sums()

    @staticmethod
    def _steps(n: int, batch_size: int) -> int:
        """Steps of an epoch of n samples. A last batch of one sample has no batch statistics and is left out, in every run."""
        return max(-(-n // batch_size) - (n % batch_size == 1), 1)

    # -- state -------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything needed to continue, as tensors and plain Python only (loadable with weights_only=True)."""
        p = self.progress
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimizer.state_dict(),
            "epoch": p.epoch,
            "step": p.step,
            "seconds": p.seconds,
            "sums": {"loss": p.loss_sum, "confusion": p.confusion, "top5": p.top5},
            "seen": {k: None if v is None else torch.from_numpy(v.copy()) for k, v in vars(p.seen).items()},
            "objectives": {**self._waiting, **{k: v.state_dict() for k, v in self.objectives.items()}},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state()` of an earlier Trainer with the same config; a state that does not fit raises TrainingError."""
        before = copy.deepcopy(self.model.state_dict())
        try:
            self.model.load_state_dict(state["model"])
            load_state(self.optimizer, state["optimiser"], self.device)
            self._waiting = dict(state["objectives"])
        except (RuntimeError, KeyError, ValueError) as error:
            self.model.load_state_dict(before)  # restore the model
            raise TrainingError(f"the checkpoint does not fit this run: {str(error).splitlines()[0]}") from error
        kinds = {"loss": self.progress.loss_sum.dtype}  # MPS has no float64
        move = {k: v.to(kinds.get(k, v.dtype)).to(self.device.device) for k, v in state["sums"].items()}
        seen = Seen(**{k: None if v is None else v.numpy() for k, v in state["seen"].items()})
        self.progress = Progress(
            state["epoch"], state["step"], state["seconds"], move["loss"], move["confusion"], move["top5"], seen
        )

    def _fresh_sums(self) -> None:
        on, p = self.device.device, self.progress
        if p.loss_sum is not None:  # in place: a captured graph adds to these addresses
            for total in (p.loss_sum, p.confusion, p.top5):
                total.zero_()
            return
        p.loss_sum = torch.zeros((), dtype=torch.float64 if on.type != "mps" else torch.float32, device=on)
        p.confusion = torch.zeros(self.classes * self.classes, dtype=torch.int64, device=on)
        p.top5 = torch.zeros((), dtype=torch.int64, device=on)

    # -- training ----------------------------------------------------------------------------------------------

    def run(self, control: Callable[[], str | None] = lambda: None) -> Iterator[EpochResult]:
        """Yield after every epoch until the last. Raises Interrupted, or TrainingError for a loss that is not finite."""
        ask = Patience(control)
        while self.progress.epoch < self.config.epochs:
            yield self._epoch(ask)

    def _epoch(self, ask: Patience) -> EpochResult:
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
        p.seen = seen_after(p.seen, splits["validation"].confusion, partial(kept, self.config))
        p.epoch, p.step, p.seconds = p.epoch + 1, 0, 0.0
        self._fresh_sums()
        return result

    def _rate(self, step: int) -> float:
        """Learning rate of a step of the current epoch. Epochs may differ in length, so the schedule counts in epochs."""
        return learning_rate(self.config, (self.progress.epoch + step / self.steps) / self.config.epochs)

    def _objective(self, terms: ClassTerms) -> Objective:
        """The objective of the epoch's terms; one per kind is kept for the whole run, because it may learn."""
        key = terms.objective
        if key not in self.objectives or self.objectives[key].knobs != dict(terms.knobs):  # a late start has its own
            made = objective_class(key)(
                self.classes, terms.knobs, self.counts, generator(self.config.seed, "objective", 0)
            ).to(self.device.device)
            if (state := self._waiting.pop(key, None)) is not None:
                made.load_state_dict(state)
            self.objectives[key] = made
        if self.progress.step == 0:  # an interrupted epoch continues with its sums
            tpr = self.progress.seen.tpr
            self.objectives[key].new_epoch(
                None if tpr is None else torch.as_tensor(tpr, dtype=torch.float32, device=self.device.device)
            )
        return self.objectives[key]

    def _train_steps(self, terms: ClassTerms, objective: Objective, ask: Patience) -> None:
        p, data, seed = self.progress, self.splits["train"], self.config.seed
        index = order(data.labels, terms, seed, p.epoch, self.batch_size)
        self.steps = self._steps(len(index), self.batch_size)
        step = self._step(tensor_terms(terms, self.device.device), objective, data.draws(seed, p.epoch))
        self.model.train()
        while p.step < self.steps:
            set_learning_rate(self.optimizer, self._rate(p.step))
            step(index[p.step * self.batch_size : (p.step + 1) * self.batch_size], p)
            p.step += 1
            look = ask.due()
            if look or self.device.device.type == "cpu":  # on a GPU the check would wait for the device
                self._check_loss(terms)
            if look:
                ask()
        self._check_loss(terms)

    def _step(self, terms: dict[str, Tensor], objective: Objective, draws: Tensor | None) -> Step:
        self._made = make_step(self, terms, objective, draws, previous=getattr(self, "_made", None))
        return self._made

    def forward_backward(
        self, x: Tensor, labels: Tensor, terms: dict[str, Tensor], objective: Objective, p: Progress
    ) -> None:
        """One optimizer step on a batch; its sums are added on the device. Nothing here waits for the device."""
        random = generator(self.config.seed, f"loss/{p.epoch}", p.step) if "mask" in terms else None
        rate = self._rate(p.step) if objective.meta else 0.0
        batch = Batch(
            self.model,
            x,
            labels,
            terms,
            self.config.reduction,
            rate,
            random,
            self._meta(objective, p),
            self.device.autocast,
        )
        loss, logits = objective(batch)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=not self.device.graphs)
        with torch.no_grad():
            p.loss_sum += loss.detach() * len(labels)
            count(logits, labels, self.classes, p.confusion, p.top5)

    def _meta(self, objective: Objective, p: Progress) -> Callable[[], tuple[Tensor, Tensor]] | None:
        """A function that draws meta samples from the validation split, equally many of each class as far as the batch allows."""
        if not objective.meta:
            return None
        data = self.splits["validation"]
        if self._even is None:
            self._even = EvenDraws(data.labels, objective.meta_batch)
        return lambda: data.batch(self._even(generator(self.config.seed, f"meta/{p.epoch}", p.step)))

    def _check_loss(self, terms: ClassTerms) -> None:
        if not torch.isfinite(self.progress.loss_sum):
            raise self._not_finite("loss", terms)

    def _not_finite(self, what: str, terms: ClassTerms) -> TrainingError:
        p = self.progress
        weight = "none" if terms.weight is None else f"{terms.weight.min():.3g} to {terms.weight.max():.3g}"
        rate = self._rate(max(p.step - 1, 0))
        method = METHODS[self.config.method]
        knob = next(
            (f" or another {q.label.lower()} of {method.label}" for q in method.params if q.key == method.slider), ""
        )
        return TrainingError(
            f"the {what} is not finite at epoch {p.epoch + 1}, step {p.step} (learning rate {rate:.3g}, weights {weight}); "
            f"train again with a lower learning rate{knob}"
        )

    def _train_result(self) -> SplitResult:
        p = self.progress
        seen = int(p.confusion.sum())
        return split_result(p.confusion, self.classes, float(p.loss_sum) / max(seen, 1), p.top5)

    def evaluate(self, data: Split, ask: Patience | None = None) -> SplitResult:
        """Counts of a split with the current model: see core.training.evaluation.evaluate."""
        return evaluate(self.model, data, self.classes, self.device, ask)
