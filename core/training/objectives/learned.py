"""The step shared by Meta-Weight-Net and Difficulty-Net: a small network weights the samples and learns from meta samples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import EvenlyError
from core.training.objectives.base import Batch, Objective
from core.training.objectives.influence import influence, plain_losses
from core.training.objectives.tally import Tally

ADAM = {"weight_decay": 1e-4}
SGD = {"weight_decay": 5e-4, "momentum": 0.9, "nesterov": True}


class LearnedWeights(Objective):
    """A step: weight the samples, take a virtual step, evaluate it on meta samples, update the small network, weight again.

    The weights a_i of a batch come from `weights`; loss = sum_i a_i l_i, l_i plain cross entropy, whatever the reduction. The
    virtual step is plain gradient descent with the current learning rate. Knobs: lr, the learning rate of the small network;
    sgd, its optimizer is Nesterov SGD instead of Adam. The optimizer's state is part of the extra state.
    """

    graph = False
    meta = True

    def __init__(
        self, classes: int, knobs: Mapping[str, float], counts: Tensor | None, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(classes, knobs, counts, generator)
        if generator is None:
            raise EvenlyError(
                f"{type(self).__name__} initializes a small network but was given no generator; give one seeded by the run's seed"
            )
        self.network = self.make_network(generator)
        learning = self.network.parameters()
        self.optimizer = (
            torch.optim.SGD(learning, lr=knobs["lr"], **SGD)
            if knobs.get("sgd")
            else torch.optim.Adam(learning, lr=knobs["lr"], **ADAM)
        )
        self.tally = Tally(classes)

    @abstractmethod
    def make_network(self, generator: torch.Generator) -> nn.Module:
        """The small network, its initial parameters drawn from `generator`."""

    @abstractmethod
    def weights(self, batch: Batch, losses_B: Tensor) -> Tensor:
        """The weights a_i [B], with a graph to the small network only; `losses_B` have none."""

    def looks_ahead(self) -> bool:
        """Whether the small network learns from the virtual step; else only from its side loss."""
        return True

    def side_loss(self) -> Tensor | None:
        """What the small network minimizes in addition to the meta loss."""
        return None

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = batch.logits()
        losses = plain_losses(logits, batch.labels)
        self._learn(batch, losses)
        with torch.no_grad():
            weights = self.weights(batch, losses.detach())
        self.tally.add(batch.labels, len(weights) * weights)
        return (weights * losses).sum(), logits

    def _learn(self, batch: Batch, losses_B: Tensor) -> None:
        parts = [] if (side := self.side_loss()) is None else [side]
        if self.looks_ahead():
            weights = self.weights(batch, losses_B.detach())
            parts.append(
                (weights * influence(batch, losses_B, weights, batch.rate)).sum()
            )  # its gradient is that of the meta loss
        self.optimizer.zero_grad()
        sum(parts).backward()
        self.optimizer.step()

    def class_weight(self) -> Tensor:
        return self.tally.mean()

    def new_epoch(self, last_tpr: Tensor | None) -> None:
        self.tally.clear()

    def get_extra_state(self) -> dict[str, Any]:
        return {"adam": self.optimizer.state_dict()}  # whatever the optimizer: the key of stored checkpoints

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["adam"])
