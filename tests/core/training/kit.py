"""What the tests of the objectives share: a small network, batches drawn from a seed, and logits as parameters."""

import torch
from torch import nn

from core.methods import METHODS, answer, what_if
from core.training.objectives import Batch, addresses, key_of, objective_class

C, B = 4, 12
OBJECTIVES = {key: objective_class(key) for key in addresses()}
KNOBS = {  # what the numbers in the tests rest on, and small networks; of another objective the ones its method is tested with
    "terms": {},
    "sigmoid": {},
    "ghm": {"bins": 10, "momentum": 0.0},
    "poly_tail": {"alpha": 1.0, "beta": 1.0},
    "group_dro": {"eta": 0.01, "adjustment": 0.0},
    "l2rw": {"meta_batch": 8},
    "meta_weight_net": {"meta_batch": 8, "hidden": 5, "lr": 1e-2},
    "difficulty_net": {"driver": 0.3, "lr": 1e-2},
    "oltr": {"memory": 0.01, "repel": 0.01},
}
LOOKS_AHEAD = ("l2rw", "meta_weight_net", "difficulty_net")


class Fixed(nn.Module):
    """A model whose logits are its parameters: what a loss does to logits shows in their gradient."""

    def __init__(self, logits):
        super().__init__()
        self.z = nn.Parameter(logits)

    def forward(self, x):
        return self.z


class Head(nn.Linear):
    """A head with a memory loss, as the one of OLTR has."""

    def memory_loss(self, labels, repel):
        return self.weight[labels].pow(2).sum() + repel


class Net(nn.Module):
    """Small, with batch norm, so that buffers and batch statistics are in play."""

    def __init__(self, classes=C):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh())
        self.head = Head(8, classes)

    def forward(self, x):
        return self.head(self.body(x))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make(key, classes=C, counts=None, seed=0, **knobs):
    return OBJECTIVES[key](classes, {**knobs_of(key), **knobs}, counts, seeded(seed))


def knobs_of(key):
    """The knobs that an objective is tested with."""
    if key in KNOBS:
        return KNOBS[key]
    row = next(m for m in METHODS if m.objective and key_of(m.objective) == key)
    evidence = what_if(C, tpr=[0.9, 0.7, 0.5, 0.3], counts=[100, 50, 20, 5])
    return answer(row.key, evidence, row.tested(C)).knobs


def double(objective):
    """An objective's own network in float64, so that it can be compared with finite differences."""
    return objective.double()


def net(classes=C, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Net(classes).to(dtype)


def draw(step=0, n=B, classes=C, dtype=torch.float64):
    g = seeded(100 + step)
    return torch.randn(n, 6, generator=g, dtype=dtype), torch.randint(0, classes, (n,), generator=g)


def batch(model, step=0, n=B, classes=C, dtype=torch.float64, reduction="batch_mean", rate=0.1, **more):
    x, labels = draw(step, n, classes, dtype)
    return Batch(
        model, x, labels, {}, reduction, rate, seeded(step), lambda: draw(1000 + step, 8, classes, dtype), **more
    )


def of_logits(logits, labels, terms=None, reduction="batch_mean", seed=0):
    """The batch of a model that answers these very logits."""
    return Batch(Fixed(logits.clone()), torch.zeros(len(labels), 1), labels, terms or {}, reduction, 0.0, seeded(seed))


def loss_and_slope(objective, given):
    loss, logits = objective(given)
    assert logits is given.model.z
    return loss, torch.autograd.grad(loss, given.model.z)[0]


def random_logits(n=B, classes=C, scale=2.0, seed=1):
    g = seeded(seed)
    return scale * torch.randn(n, classes, generator=g, dtype=torch.float64), torch.randint(
        0, classes, (n,), generator=g
    )


def trained(model, objective, optimizer, steps):
    losses = []
    for step in steps:
        if step % 4 == 0:
            objective.new_epoch(torch.linspace(0.1, 0.9, C) if step else None)
        loss, _ = objective(batch(model, step, dtype=torch.float32, reduction="weighted_mean"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def started(key):
    model = net(dtype=torch.float32)
    extra = {"momentum": 0.75} if key == "ghm" else {"eta": 1.0} if key == "group_dro" else {}
    return model, make(key, **extra), torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
