"""Start reading here: a whole experiment as one plain PyTorch script, on one thread of the CPU.

    python -m core.training.reference tpr_ratio 0

The CNN-1D is trained on MNIST-1D without weights; a method turns its validation TPRs after the last epoch into class weights;
it is trained again with them from the same seed; both are tested. The TPR of a class is the share of its samples that are
predicted as it. tests/core/training/test_reference.py checks that the engine gives the same counts. Shapes: n samples, C classes.
"""

import hashlib
import math
import os
import sys

import torch
from torch import Tensor, nn

from core.datasets import load
from core.errors import EvenlyError
from core.methods import METHODS, answer
from core.methods.types import Evidence

EPOCHS, BATCH, RATE, DECAY = 20, 100, 0.01, 0.01  # of the recipe adam_cycle


def train(x: Tensor, y: Tensor, weight: Tensor, seed: int) -> nn.Module:
    """The plain loop: the CNN-1D, trained on signals x [n, 1, 40] of classes y [n]; a sample has the weight [C] of its class."""
    torch.manual_seed(seed)  # the initial parameters
    network = nn.Sequential(
        nn.Conv1d(1, 16, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv1d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv1d(32, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, len(weight)),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=DECAY, fused=True)
    for epoch in range(EPOCHS):
        digest = hashlib.sha256(f"{seed}/order/{epoch}".encode()).digest()  # the order depends only on seed and epoch
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        for step, batch in enumerate(torch.randperm(len(y), generator=generator).split(BATCH)):
            t = (epoch + step / math.ceil(len(y) / BATCH)) / EPOCHS  # share of the run done
            cycle = 0.04 + 0.96 * t / 0.3 if t < 0.3 else (1 + math.cos(math.pi * ((t - 0.3) / 0.7))) / 2
            optimizer.param_groups[0]["lr"] = RATE * cycle
            losses, w = nn.functional.cross_entropy(network(x[batch]), y[batch], reduction="none"), weight[y[batch]]
            loss = (w * losses).sum() / w.sum()  # cross_entropy(weight=weight), rounded as the engine rounds
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


@torch.no_grad()
def counts(network: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """True positives and samples of each class, both int64 [C]."""
    logits = torch.cat([network(part) for part in x.split(200)])
    return torch.bincount(y[logits.argmax(dim=1) == y], minlength=logits.shape[1]), torch.bincount(y)


def experiment(method: str, seed: int, data_root: str) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Class weights float64 [C], and the test counts without and with them; a method without such weights raises EvenlyError."""
    torch.set_num_threads(1)
    d = load("mnist1d", data_root, seed=seed)
    x, y, val_x, val_y, *test = map(torch.as_tensor, (d.train_x, d.train_y, d.val_x, d.val_y, d.test_x, d.test_y))
    plain = train(x, y, torch.ones(len(d.counts)), seed)
    tp, n = counts(plain, val_x, val_y)
    terms = answer(method, Evidence(len(n), counts=d.counts, tpr=tp.double() / n, support=n))
    if list(terms.set()) != ["weight"] or terms.objective != "terms" or METHODS[method].needs - {"tpr", "counts"}:
        raise EvenlyError(f"{method} does not set one fixed weight per class; choose one that does, such as tpr_ratio")
    weighted = train(x, y, torch.as_tensor(terms.weight, dtype=torch.float32), seed)
    return torch.as_tensor(terms.weight), [counts(network, *test) for network in (plain, weighted)]


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in METHODS or not sys.argv[2].isdecimal():
        sys.exit(f"expected a key of docs/methods.md and a seed, such as tpr_ratio 0, got: {' '.join(sys.argv[1:])}")
    _, method, seed = sys.argv
    weight, ((before, n), (after, _)) = experiment(method, int(seed), os.environ.get("EVENLY_DATA") or "data")
    print(f"Test split after {EPOCHS} epochs, one seed: {seed}; torch {torch.__version__}, CPU")
    print("class  samples  weight  TPR without  TPR with")
    for c in range(len(n)):
        print(f"{c:5} {n[c]:8} {weight[c]:7.3f} {before[c] / n[c]:12.3f} {after[c] / n[c]:9.3f}")
