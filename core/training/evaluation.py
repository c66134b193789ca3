"""Counting predictions: per batch while a run trains, and for a whole split after an epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.training.device import Device
from core.training.device_data import Split
from core.training.interrupts import Patience
from core.training.state import SplitResult

EVAL_BATCH = {"cpu": 200}  # largest evaluation batch by kind of device: on a CPU, small ones stay in its caches
EVAL_MOST, EVAL_BYTES = 1000, 1 << 26  # largest on other devices, and most bytes of the batch's float32 inputs
CALIBRATION_BINS = 15  # equal bins of the confidence, as in Guo et al. (2017)


def count(logits: Tensor, labels: Tensor, classes: int, confusion: Tensor, top5: Tensor) -> None:
    """Add a batch of predictions to `confusion` [C * C] (rows: true class) and, with more than five classes, to `top5`, in place."""
    predicted = logits.argmax(dim=1)
    confusion.scatter_add_(0, labels * classes + predicted, torch.ones_like(labels))
    if classes > 5:
        top5 += (logits.topk(5, dim=1).indices == labels[:, None]).sum()


def split_result(confusion: Tensor, classes: int, loss: float, top5: Tensor) -> SplitResult:
    """The sums of a split as its result, copied off the device."""
    matrix = confusion.reshape(classes, classes).cpu().numpy().copy()  # on CPU the sums are zeroed in place
    return SplitResult(matrix, loss, int(top5) if classes > 5 else None)


def evaluate(model: nn.Module, data: Split, classes: int, device: Device, ask: Patience | None = None) -> SplitResult:
    """Counts and mean unweighted cross entropy of a split, in large batches, from the unadjusted logits, all in float32.

    `ask` checks for a request between batches and may raise Interrupted.
    """
    model.eval()
    on = device.device
    confusion = torch.zeros(classes * classes, dtype=torch.int64, device=on)
    exact = torch.float32 if on.type == "mps" else torch.float64  # of sums over many samples; MPS has no float64
    loss, top5 = torch.zeros((), dtype=exact, device=on), torch.zeros((), dtype=torch.int64, device=on)
    bins = torch.zeros(3, CALIBRATION_BINS, dtype=exact, device=on)
    index = torch.arange(len(data), device=on)
    for part in index.split(eval_batch(data, on)):
        with device.exact():
            x, labels = data.batch(part)
            logits = model(x)
            log_p = torch.log_softmax(logits, dim=1)
            loss += nn.functional.nll_loss(log_p, labels, reduction="sum").to(exact)
            _calibrate(bins, log_p, labels)
            count(logits, labels, classes, confusion, top5)
        if ask and ask.due():
            ask()
    result = split_result(confusion, classes, float(loss) / max(len(data), 1), top5)
    return replace(result, calibration=bins.cpu().double().numpy())


def eval_batch(data: Split, on: torch.device) -> int:
    """The number of samples of an evaluation batch."""
    return max(1, min(EVAL_BATCH.get(on.type, EVAL_MOST), EVAL_BYTES // data.sample_bytes))


def _calibrate(bins: Tensor, log_p: Tensor, labels: Tensor) -> None:
    """Add a batch to the calibration bins: samples, hits and confidences, by the confidence of the prediction."""
    confidence, predicted = log_p.exp().max(dim=1)
    at = (confidence * CALIBRATION_BINS).ceil().long().clamp(1, CALIBRATION_BINS) - 1
    for row, values in zip(bins, (torch.ones_like(confidence), predicted == labels, confidence), strict=True):
        row.scatter_add_(0, at, values.to(bins.dtype))


def result_of_scores(scores: NDArray[np.floating], labels: NDArray[np.int64]) -> SplitResult:
    """A split's result from scores [n, C]: counts, and loss and calibration of their softmax."""
    classes = scores.shape[1]
    predicted = scores.argmax(axis=1)
    confusion = np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)
    finite = np.where(np.isfinite(scores), scores, -1e30)
    log_p = finite - finite.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    top5 = (
        int((np.argpartition(-finite, 4, axis=1)[:, :5] == labels[:, None]).any(axis=1).sum()) if classes > 5 else None
    )
    confidence, hit = np.exp(log_p.max(axis=1)), predicted == labels
    at = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int), 1, CALIBRATION_BINS) - 1
    bins = np.stack(
        [
            np.bincount(at, weights=w, minlength=CALIBRATION_BINS)
            for w in (np.ones(len(at)), hit.astype(float), confidence)
        ]
    )
    loss = float(-log_p[np.arange(len(labels)), labels].mean()) if len(labels) else 0.0
    return SplitResult(confusion, loss, top5, bins)
