"""The base class of objectives, and their input in a step. Shapes: B samples, C classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

META_BATCH = 100  # meta samples per step if the method has no parameter for it


@dataclass
class Batch:
    """One training step's input.

    model      the network, in training mode; the objective runs its forward pass
    x, labels  inputs [B, ...] and classes [B] int64, on the model's device
    terms      the method's terms as [C] tensors, without sampling
    reduction  "weighted_mean" or "batch_mean", see core.training.losses.reduced
    rate       current learning rate: the length of a virtual step
    generator  on the CPU, new in every step and seeded by run and step; None if nothing is drawn
    meta       () -> (x, labels): validation samples, equally many of each class; None if the objective uses none
    autocast   creates the context of a forward pass
    """

    model: nn.Module
    x: Tensor
    labels: Tensor
    terms: Mapping[str, Tensor]
    reduction: str
    rate: float = 0.0
    generator: torch.Generator | None = None
    meta: Callable[[], tuple[Tensor, Tensor]] | None = None
    autocast: Callable[[], AbstractContextManager] = nullcontext

    def logits(self) -> Tensor:
        """The model's forward pass on the batch. [B, C]"""
        with self.autocast():
            return self.model(self.x)


class Objective(nn.Module, ABC):
    """Turns a batch into a loss. All its state is in buffers, parameters or its extra state, so that its state_dict()
    alone continues a run bit for bit on the CPU.

    graph   may be captured in a CUDA graph: nothing waits for the device, nothing is drawn, buffers change in place.
            A `mask` among the terms is drawn in every step: such a step cannot be captured, whatever the objective.
    meta    needs meta samples, `meta_batch` of them
    takes   the terms it uses; methods with this objective set no others
    """

    graph = True
    meta = False
    takes: frozenset[str] = frozenset()

    def __init__(
        self, classes: int, knobs: Mapping[str, float], counts: Tensor | None, generator: torch.Generator | None = None
    ) -> None:
        """`knobs` are the method's parameters, `counts` the training samples of each class [C]. If an objective has trainable
        parameters, their initial values come from `generator`: the same for the same run, others for another seed."""
        super().__init__()
        self.classes, self.knobs = classes, dict(knobs)
        self.meta_batch = int(knobs.get("meta_batch", META_BATCH))

    @abstractmethod
    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The scalar to minimize, and the model's own logits [B, C] for counting."""

    def class_weight(self) -> Tensor | None:
        """Mean weight of a sample of each class in the epoch so far [C], mean 1; None if the terms' weight is all."""
        return None

    def new_epoch(self, last_tpr: Tensor | None) -> None:
        """Called before the first step of each epoch, not when one is resumed. `last_tpr` [C]: validation TPRs after the
        previous epoch, NaN for a class without validation samples; None before the first epoch."""
