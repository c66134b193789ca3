"""One training step: plain, or captured once as a CUDA graph and replayed.

A small network on a fast GPU spends its time on launching kernels (ResNet-32: about 900 a step); a replayed graph
launches them all at once. The graph has fixed addresses, so what changes between replays is copied into buffers:
the batch's indices, the epoch's augmentation, the terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from core.training.device import Device
from core.training.device_data import Split
from core.training.objectives import Objective
from core.training.state import Progress

Step = Callable[[Tensor, Progress], None]
WARM_UP = 3  # plain steps before capture, so that lazy allocations are done


class Training(Protocol):
    """What a step needs from the trainer: its data, its device, and one optimizer step on a batch."""

    splits: Mapping[str, Split]
    device: Device
    batch_size: int

    def forward_backward(
        self, x: Tensor, labels: Tensor, terms: dict[str, Tensor], objective: Objective, p: Progress
    ) -> None: ...


def make_step(
    trainer: Training, terms: dict[str, Tensor], objective: Objective, draws: Tensor | None, previous: Step | None
) -> Step:
    """The step for an epoch. A graph captured in an earlier epoch is reused when the same terms act through the same objective."""
    graph = trainer.device.graphs and trainer.splits["train"].resident and objective.graph and "mask" not in terms
    if not graph:
        return PlainStep(trainer, terms, objective, draws)
    if isinstance(previous, GraphStep) and previous.takes(terms, objective):
        previous.renew(terms, draws)
        return previous
    return GraphStep(trainer, terms, objective, draws)


class PlainStep:
    """Gather, forward, backward, step."""

    def __init__(self, trainer: Training, terms: dict[str, Tensor], objective: Objective, draws: Tensor | None) -> None:
        self.trainer, self.terms, self.objective, self.draws = trainer, terms, objective, draws

    def __call__(self, index: Tensor, p: Progress) -> None:
        x, labels = self.trainer.splits["train"].batch(index, self.draws)
        self.trainer.forward_backward(x, labels, self.terms, self.objective, p)


class GraphStep(PlainStep):
    """The same step as a replayed CUDA graph. Batches of another size run as a PlainStep."""

    def __init__(self, trainer: Training, terms: dict[str, Tensor], objective: Objective, draws: Tensor | None) -> None:
        super().__init__(trainer, terms, objective, draws)
        on = trainer.device.device
        self.index = torch.zeros(trainer.batch_size, dtype=torch.int64, device=on)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.warm = 0

    def takes(self, terms: dict[str, Tensor], objective: Objective) -> bool:
        return terms.keys() == self.terms.keys() and objective is self.objective

    def renew(self, terms: dict[str, Tensor], draws: Tensor | None) -> None:
        """Copy another epoch's terms and augmentation into the buffers that the graph reads."""
        for key, value in terms.items():
            self.terms[key].copy_(value)
        if draws is not None:
            self.draws.copy_(draws)

    def __call__(self, index: Tensor, p: Progress) -> None:
        if len(index) != len(self.index):
            super().__call__(index, p)
            return
        if self.graph is None:
            if self.warm < WARM_UP:
                self._on_side_stream(index, p)
                return
            self._capture(p)
        self.index.copy_(index)
        self.graph.replay()

    def _on_side_stream(self, index: Tensor, p: Progress) -> None:
        self.warm += 1
        side = torch.cuda.Stream(self.trainer.device.device)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            super().__call__(index, p)
        torch.cuda.current_stream().wait_stream(side)

    def _capture(self, p: Progress) -> None:
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            x, labels = self.trainer.splits["train"].batch(self.index, self.draws)
            self.trainer.forward_backward(
                x, labels, self.terms, self.objective, p
            )  # p's sums keep their addresses for the whole run
