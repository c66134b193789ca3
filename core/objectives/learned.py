"""The step that Meta-Weight-Net and Difficulty-Net share: a small network weighs the samples and learns from meta samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core.objectives.base import Batch, Objective
from core.objectives.influence import influence, plain_losses
from core.objectives.tally import Tally

DECAY = 1e-4  # of the small network, in both codes


class LearnedWeights(Objective):
    """A step: weigh the samples, take a virtual step, try it on meta samples, improve the small network by Adam, weigh again.

    The weights a_i of a batch come from `weights`; loss = sum_i a_i l_i, l_i plain cross entropy. The virtual step is one
    of plain gradient descent at the present learning rate. Knob lr: Adam's rate; seed (0 by default): of the initial
    parameters. Adam's state travels in the extra state.
    """

    graph = False
    meta = True

    def __init__(self, classes: int, knobs: Mapping[str, float], counts: Tensor | None) -> None:
        super().__init__(classes, knobs, counts)
        self.network = self.make_network(torch.Generator().manual_seed(int(knobs.get("seed", 0))))
        self.adam = torch.optim.Adam(self.network.parameters(), lr=knobs["lr"], weight_decay=DECAY)
        self.tally = Tally(classes)

    def make_network(self, generator: torch.Generator) -> nn.Module:
        """The small network, its initial parameters drawn from `generator`."""
        raise NotImplementedError

    def weights(self, batch: Batch, losses_B: Tensor) -> Tensor:
        """The weights a_i [B], with a graph to the small network alone; `losses_B` come without one."""
        raise NotImplementedError

    def side_loss(self) -> Tensor | None:
        """What the small network minimises beside the meta loss."""
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
        weights = self.weights(batch, losses_B.detach())
        pull = (weights * influence(batch, losses_B, weights, batch.rate)).sum()  # its gradient is that of the meta loss
        side = self.side_loss()
        self.adam.zero_grad()
        (pull if side is None else pull + side).backward()
        self.adam.step()

    def class_weight(self) -> Tensor:
        return self.tally.mean()

    def new_epoch(self, last_tpr: Tensor | None) -> None:
        self.tally.clear()

    def get_extra_state(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.adam.load_state_dict(state["adam"])
