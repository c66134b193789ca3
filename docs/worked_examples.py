"""Small worked examples of objectives, post-hoc steps and synthetic features, which do not follow from TPRs or counts alone.

The training code computes them. `python docs/generate.py` writes them to reporting/worked_examples.json for pages and docs,
which never import torch. tests/core/methods/test_methods_shown.py recomputes them. Networks are linear or seeded; an example's
first line gives the values a network starts from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.methods import METHODS, answer, posthoc, what_if
from core.methods.samplers import SAMPLERS
from core.split_names import SPLITS
from core.training.feature_smote import oversampled
from core.training.objectives import Batch, Objective, objective_class
from reporting.method_examples import TPR, Example

SEED = 0
DIGITS = 4
Row = tuple[str, tuple[str, ...]]


# -- pieces ------------------------------------------------------------------------------------------------------


class Logits(nn.Module):
    """A model whose logits are its parameters."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.z = nn.Parameter(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.z


def linear(weight: Sequence[Sequence[float]]) -> nn.Linear:
    """Logits W x, without biases."""
    layer = nn.utils.skip_init(nn.Linear, len(weight[0]), len(weight), bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
    return layer


def objective(key: str, classes: int, counts: Sequence[float] | None = None, **params: Any) -> Objective:
    """The objective of a method at these parameters, in float64; its own network is seeded."""
    terms = answer(
        key, what_if(classes, tpr=np.array(TPR[:classes]), counts=None if counts is None else np.array(counts)), params
    )
    made = objective_class(terms.objective)(
        classes, terms.knobs, None if counts is None else torch.tensor(counts), torch.Generator().manual_seed(SEED)
    )
    return made.double()


def batch(model: nn.Module, x: Sequence[Sequence[float]], labels: Sequence[int], rate: float = 0.1) -> Batch:
    """One step's input. There is one meta sample per class, along the axis of that class."""
    classes = max(labels) + 1
    meta = torch.eye(len(x[0]), dtype=torch.float64)[:classes], torch.arange(classes)
    return Batch(
        model, torch.tensor(x, dtype=torch.float64), torch.tensor(labels), {}, "batch_mean", rate, None, lambda: meta
    )


def cells(values: Iterable[float], digits: int = DIGITS) -> tuple[str, ...]:
    return tuple(f"{float(v) + 0.0:.{digits}g}" if abs(float(v)) > 1e-12 else "0" for v in values)


def losses_of(model: nn.Module, given: Batch) -> Tensor:
    return nn.functional.cross_entropy(model(given.x), given.labels, reduction="none").detach()


def points(rows: Iterable[Sequence[float]]) -> tuple[str, ...]:
    return tuple(f"({', '.join(f'{v:.3g}' for v in row)})" for row in rows)


# -- objectives --------------------------------------------------------------------------------------------------


def group_dro() -> Example:
    """The vector of the reference: q = 1/3, losses .2, .5 and 2, eta .01."""
    losses = torch.tensor([0.2, 0.5, 2.0], dtype=torch.float64)
    z = torch.diag(
        -torch.log((losses.exp() - 1) / 2)
    )  # cross entropy log(1 + 2 exp -z) of a class against two logits of 0
    given = Batch(Logits(z), torch.zeros(3, 1), torch.arange(3), {}, "batch_mean")
    counts, rows, first = [1000.0, 100.0, 10.0], [], 0.0
    for label, steps, params in (
        ("q after 1 step", 1, {}),
        ("q after 100 steps", 100, {}),
        ("q after 1 step, eta 1", 1, {"eta": 1.0}),
        ("q after 1 step, eta 1, adjustment 1", 1, {"eta": 1.0, "adjustment": 1.0}),
    ):
        made = objective("group_dro", 3, counts, **params)
        loss = [made(given)[0].item() for _ in range(steps)][-1]
        first = first or loss
        rows.append((label, cells(made.q, 6)))
    return Example(
        (("mean loss in the batch", cells(losses)), *rows),
        (
            f"The loss of the first step is $\\sum_c q_c \\ell_c$ = {first:.6g}, with the new q.",
            "The adjustment adds $1/\\sqrt{n_c}$ to each loss: 0.0316, 0.1 and 0.316.",
        ),
        intro="One sample of each of three classes with 1000, 100 and 10 training samples. "
        "Every q starts at 1/3, and the losses stay constant over the steps.",
    )


def ghm() -> Example:
    """Six outputs: two samples, three classes."""
    g = torch.tensor([[0.04, 0.03, 0.07], [0.95, 0.02, 0.55]], dtype=torch.float64)
    labels = torch.tensor([0, 0])
    own = nn.functional.one_hot(labels, 3).double()
    z = torch.logit(own + g * (1 - 2 * own))  # sigmoid(z) is 1 - g for the sample's own class, g for the others
    factor = {}
    for bins in (10, 30):
        model = Logits(z)
        loss, _ = objective("ghm", 3, bins=bins)(Batch(model, torch.zeros(2, 1), labels, {}, "batch_mean"))
        factor[bins] = (
            torch.autograd.grad(loss, model.z)[0].abs().flatten() / g.flatten()
        )  # of an output's binary loss, whose gradient is g
    return Example(
        (
            ("gradient norm g", cells(g.flatten())),
            *((f"factor on its loss, {bins} bins", cells(f)) for bins, f in factor.items()),
        ),
        (
            "Three of 10 bins contain outputs: four outputs share the first, with factor 1 / (3 · 4); "
            "each of the other two has its own, with factor 1 / (3 · 1).",
        ),
        intro="The six outputs of a batch of two samples and three classes, by the distance of the sigmoid from its target.",
        of="output",
    )


BATCH = ([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 0, 1, 1])  # the last is mislabeled


def l2rw() -> Example:
    """Four samples, one mislabeled; meta samples (1, 0) of class 0 and (0, 1) of class 1."""
    model = linear([[0.0, 0.0], [0.0, 0.0]])
    given = batch(model, *BATCH)
    loss, logits = objective("l2rw", 2)(given)
    slopes = torch.autograd.grad(loss, logits)[0]
    p = torch.softmax(logits.detach(), 1)
    own = nn.functional.one_hot(given.labels, 2)
    weight = (slopes / (p - own))[:, 0]  # the gradient of a sample's loss is p - y
    return Example(
        (
            ("class and inputs", tuple(f"{y} {x}" for x, y in zip(points(BATCH[0]), BATCH[1], strict=True))),
            ("weight", cells(weight)),
        ),
        (
            "The last sample looks like class 0 and is labeled 1: a step on it alone would raise the loss "
            "on the meta samples, so its weight is 0.",
        ),
        intro="One batch of four samples. The network is linear with weights 0; "
        "the meta samples are (1, 0) of class 0 and (0, 1) of class 1.",
        of="sample",
    )


def meta_weight_net() -> Example:
    """The weights of one batch from the initial and the trained weight network; the classifier is frozen."""
    model = linear([[1.0, 0.0], [0.0, 1.0]])
    given = batch(model, *BATCH)
    losses, rows = losses_of(model, given), []
    for label, params, steps in (
        ("initial weight", {}, 0),
        ("weight after 500 steps, lr 0.001", {}, 500),
        ("initial weight, variant imbalance_code", {"variant": "imbalance_code"}, 0),
    ):
        made = objective("meta_weight_net", 2, **params)
        for _ in range(steps):
            made(given)
        with torch.no_grad():
            rows.append((label, cells(made.weights(given, losses))))
    return Example(
        (
            ("class and inputs", tuple(f"{y} {x}" for x, y in zip(points(BATCH[0]), BATCH[1], strict=True))),
            ("loss", cells(losses)),
            *rows,
        ),
        (
            "The last sample is mislabeled and has the largest loss: the network learns to weight it less than the others.",
        ),
        intro="One batch of four samples, a frozen linear network whose logits are its inputs, "
        f"and a weight network initialized with seed {SEED}. "
        "The meta samples are (1, 0) of class 0 and (0, 1) of class 1.",
        of="sample",
    )


def difficulty_net() -> Example:
    """Weights of three classes from the initial and the trained difficulty network."""
    model = linear(
        np.diag([3.0, 1.0, -1.0]).tolist()
    )  # class 2 is learned worst: weight on it lowers the meta loss most
    given = batch(model, np.eye(3).tolist(), [0, 1, 2], rate=0.1)
    tpr, rows = torch.tensor(TPR, dtype=torch.float64), []
    for label, params, steps in (
        ("initial weight", {}, 0),
        ("weight after 300 steps, lr 0.003, driver 3", {"lr": 3e-3, "driver": 3.0}, 300),
        ("the same, variant cifar_code", {"lr": 1e-3, "driver": 3.0, "variant": "cifar_code"}, 300),
    ):
        made = objective("difficulty_net", 3, **params)
        made.new_epoch(tpr)
        for _ in range(steps):
            made(given)
        with torch.no_grad():
            rows.append(
                (label, cells(3 * made.weights(given, losses_of(model, given))))
            )  # the weight of a sample is w_y / B, with B = 3
    drive = 1 - tpr / tpr.sum()
    return Example(
        (("TPR", cells(TPR)), ("relative difficulty", cells(drive)), *rows),
        (
            "With cifar_code the network learns from the driver loss alone, which drives it to the relative difficulty: "
            "the weights become that difficulty divided by its mean.",
            f"That is {', '.join(cells(drive / drive.mean()))}. In the other variant the meta loss also acts, toward class 2.",
        ),
        intro="A batch with one sample of each of three classes, a frozen linear network "
        f"that misclassifies class 2, and a difficulty network initialized with seed {SEED}.",
    )


def poly_tail() -> Example:
    """The loss at some margins."""
    margins = [-2.0, 0.0, 1.0, 2.0, 4.0, 8.0]

    def losses(**params: float) -> list[float]:
        made = objective("poly_tail", 2, [1.0, 1.0], **params)
        return [
            made(
                Batch(
                    Logits(torch.tensor([[m, 0.0]], dtype=torch.float64)),
                    torch.zeros(1, 1),
                    torch.tensor([0]),
                    {},
                    "batch_mean",
                )
            )[0].item()
            for m in margins
        ]

    plain = [
        nn.functional.cross_entropy(torch.tensor([[m, 0.0]], dtype=torch.float64), torch.tensor([0])).item()
        for m in margins
    ]
    rows = [(f"loss, alpha {alpha:g}", cells(losses(alpha=alpha))) for alpha in (1.0, 0.5, 2.0)]
    return Example(
        (("margin", cells(margins)), *rows, ("loss, beta 2", cells(losses(beta=2.0))), ("cross entropy", cells(plain))),
        (
            "Alpha changes the loss only at margins above beta: the smaller it is, the more a sample counts that is already fitted.",
            "Below beta the loss is cross entropy divided by log(1 + exp -beta).",
        ),
        intro="The loss of a sample of weight 1 by its margin $m$.",
        of="sample",
    )


# -- post-hoc steps and synthetic features ----------------------------------------------------------------------------


def outputs(
    labels: Sequence[int], logits: NDArray | None = None, features: NDArray | None = None, weight: NDArray | None = None
) -> posthoc.Outputs:
    """A finished run with the same outputs on every split."""
    y = np.array(labels)
    classes = int(y.max()) + 1
    z = np.zeros((len(y), classes)) if logits is None else logits
    f = z if features is None else features
    return posthoc.Outputs(
        dict.fromkeys(SPLITS, y),
        dict.fromkeys(SPLITS, z),
        dict.fromkeys(SPLITS, f),
        weight,
        None if weight is None else np.full(classes, 0.1),
        np.bincount(y).astype(float),
    )


def stepped(key: str, given: posthoc.Outputs, **params: Any) -> posthoc.Stepped:
    """The result of a post-hoc method on these outputs."""
    terms = answer(key, what_if(len(given.counts), counts=given.counts), params)
    return posthoc.apply(terms.objective, given, terms.knobs)


def tau_norm() -> Example:
    """One sample, three class vectors of different lengths."""
    weight = np.array([[3.0, 4.0], [0.6, 0.8], [2.0, 0.0]])
    given = outputs([0, 1, 2], features=np.array([[1.0, 0.1]] * 3), weight=weight)
    rows = [
        (
            f"logit, {', '.join(f'{k} {v}' for k, v in params.items()) or 'tau 0.7'}",
            cells(stepped("tau_norm", given, **params).scores["test"][0]),
        )
        for params in ({}, {"tau": 0}, {"tau": 1}, {"tau": 0, "bias": "keep"})
    ]
    return Example(
        (("class vector", points(weight)), ("its length", cells(np.linalg.norm(weight, axis=1))), *rows),
        ("At tau 0 the longest class vector wins; at tau 1 only the direction counts, and class 2 is nearest.",),
        intro="One sample with the features (1, 0.1), a last layer with three class vectors and biases of 0.1.",
    )


def ncm() -> Example:
    """One sample and the means of three classes."""
    train = np.array([[4.0, 0.0], [6.0, 0.0], [0.0, 1.0], [0.0, 3.0], [-1.0, -1.0], [-3.0, -1.0]])
    given = outputs([0, 0, 1, 1, 2, 2], features=train)
    asked = {**given.features, "test": np.array([[1.0, 0.7]])}
    rows = []
    for params in ({}, {"features": "l2n"}, {"features": "unc"}, {"distance": "cosine"}):
        found = stepped(
            "ncm", posthoc.Outputs(given.labels, given.logits, asked, None, None, given.counts), **params
        ).scores["test"][0]
        rows.append(
            (f"score, {', '.join(f'{k} {v}' for k, v in params.items()) or 'features cl2n, distance l2'}", cells(found))
        )
    means = [train[2 * c : 2 * c + 2].mean(axis=0) for c in range(3)]
    return Example(
        (("mean training feature", points(means)), *rows),
        ("The score is the negative squared distance, or the cosine; the class with the largest score is predicted.",),
        intro="One sample with the features (1, 0.7), and six training samples of three classes.",
    )


def equal_tpr_bias() -> Example:
    """Four validation samples of each of two classes."""
    margin = np.array([3.0, 2.0, 1.0, 0.5, 2.5, 0.8, 0.3, -1.0])  # logit of class 0 minus that of class 1
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    given = outputs(labels.tolist(), logits=np.stack([margin, np.zeros(8)], axis=1))
    rows = []
    for strength in (1.0, 0.5, 0.0):
        found = stepped("equal_tpr_bias", given, strength=strength)
        right = found.scores["validation"].argmax(axis=1) == labels
        rows += [
            (f"{'b' if strength == 1 else f'{strength:g} b'}", cells(found.summand)),
            (f"TPR, strength {strength:g}", cells(right.reshape(2, 4).mean(axis=1))),
        ]
    *rows, _, before = rows
    return Example(
        (("TPR before", before[1]), *rows),
        ("With four samples per class, a TPR changes in steps of 0.25.",),
        intro="Eight validation samples; the logit of class 0 minus that of class 1 is "
        f"{', '.join(f'{m:g}' for m in margin[:4])} for the samples of class 0 "
        f"and {', '.join(f'{m:g}' for m in margin[4:])} for those of class 1.",
    )


def smote() -> Example:
    """A class of three samples oversampled to six."""
    features = np.array([[5, 5], [6, 5], [5, 6], [6, 6], [7, 5], [7, 6], [0, 0], [1, 0], [0, 2]], dtype=np.float32)
    labels = np.array([0] * 6 + [1] * 3)
    knobs = answer("smote", what_if(2, counts=np.array([6.0, 3.0])), {}, table=SAMPLERS).knobs
    found, _ = oversampled(features, labels, int(knobs["smote"]), np.random.default_rng([SEED, 5]))
    return Example(
        (("features of class 1", points(found[6:])), ("kind", ("real",) * 3 + ("synthetic",) * 3)),
        (
            "Each synthetic sample lies on the line between a real one and a neighbor of its class; "
            "k is reduced to 2, as the class has only three samples.",
        ),
        intro=f"Class 0 has six samples, class 1 three, so three are added, drawn with seed {SEED}.",
        of="sample",
    )


WORKINGS: Mapping[str, Callable[[], Example]] = {
    "group_dro": group_dro,
    "ghm": ghm,
    "l2rw": l2rw,
    "meta_weight_net": meta_weight_net,
    "difficulty_net": difficulty_net,
    "poly_tail": poly_tail,
    "tau_norm": tau_norm,
    "ncm": ncm,
    "equal_tpr_bias": equal_tpr_bias,
    "sampler:smote": smote,
}


def computed() -> dict[str, dict[str, Any]]:
    """All of them as in reporting/worked_examples.json, by key, in the order of the tables."""
    keys = [*METHODS.keys, *(f"sampler:{s.key}" for s in SAMPLERS)]
    return {
        key: {k: v for k, v in asdict(WORKINGS[key]()).items() if k != "command"} for key in keys if key in WORKINGS
    }
