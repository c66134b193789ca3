"""A run as text to take away: the command that starts it, and PyTorch code with exactly its class terms."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from core.errors import EvenlyError
from core.experiment.config import SETTINGS, RunConfig
from core.experiment.recipes import RECIPES
from core.methods import METHODS, POSTHOC, TRAIN
from core.methods.posthoc import STEPS
from core.methods.samplers import SAMPLERS
from core.methods.types import ClassTerms, Vector
from core.registry import Param

COMMENTED = 64  # up to this many classes each value has a line with the class's name
TPR_FILE = "tprs.csv"


# ---------------------------------------------------------------- the command


def cli_command(config: RunConfig, baseline: int | None = None, variables: Mapping[str, str] | None = None) -> str:
    """The shell command that starts this run: quoted, and only the settings that differ from their defaults.

    `variables` of the environment stand before it.
    TPRs that were pasted are written to a file first, since a run takes them from a file.
    """
    words = ["python", "cli.py", "run", "--dataset", config.dataset, "--model", config.model, "--method", config.method]
    words += _pairs("--param", METHODS[config.method].params, config.params)
    if baseline is not None:
        words += ["--baseline", str(baseline)]
    elif config.tpr is not None:
        words += ["--tpr", TPR_FILE]
    recipe = RECIPES[config.recipe]
    if config.recipe != RunConfig("", "").recipe:
        words += ["--recipe", config.recipe]
    words += _pairs("--recipe-param", recipe.params, config.recipe_params)
    if config.sampler != RunConfig("", "").sampler:
        words += ["--sampler", config.sampler]
    words += _pairs("--sampler-param", SAMPLERS[config.sampler].params, config.sampler_params)
    words += _settings(
        config, 1 if METHODS[config.method].stage == POSTHOC else METHODS[config.method].epochs or recipe.epochs
    )
    given = "".join(f"{name}={shlex.quote(value)} " for name, value in (variables or {}).items())
    return _tpr_file(config) * (baseline is None) + given + shlex.join(words)


def _pairs(option: str, params: tuple[Param, ...], given: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for p in params:
        if given.get(p.key, p.default) != p.default:
            words += [option, f"{p.key}={_number(given[p.key])}"]
    return words


def _settings(config: RunConfig, epochs: int) -> list[str]:
    words: list[str] = []
    for p in SETTINGS:
        value = getattr(config, p.key)
        if value != (epochs if p.key == "epochs" else p.default):
            words += [f"--{p.key}", _number(value)]
    return words


def _number(value: Any) -> str:
    """2.0 -> "2", .05 -> "0.05": the shortest text that reads back as the same number."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def _tpr_file(config: RunConfig) -> str:
    if config.tpr is None:
        return ""
    lines = ["nan" if v is None else repr(float(v)) for v in config.tpr]
    if (
        config.tpr_support is not None
    ):  # the order says the class; how far a TPR is kept off 0 and 1 hangs on its support
        lines = ["tpr,support", *(f"{tpr},{_number(n)}" for tpr, n in zip(lines, config.tpr_support, strict=True))]
    return f"printf '%s\\n' {' '.join(lines)} > {TPR_FILE}\n"


# ---------------------------------------------------------------- PyTorch


def pytorch_snippet(terms: ClassTerms, classes: Sequence[str], reduction: str, method: str = "none") -> str:
    """Self-contained PyTorch code: `criterion(logits [B, C], labels [B])` with exactly these terms and this reduction.

    Where torch's own CrossEntropyLoss says the same it is used. `sampling` becomes `sampler(labels)`. What is more than a
    loss and a sampler (an objective that learns, a second stage, a post-hoc step, made features) is not in the code: a
    comment says so and names the file that holds it. `method` is the key of the method that the terms are of.
    """
    if reduction not in _DIVISORS:
        raise EvenlyError(f"unknown reduction {reduction!r}; known: {', '.join(_DIVISORS)}")
    given = terms.set()
    lines = ["import torch", "", *(f"# {line}" for line in _left_out(terms, method))]
    for name, vector in given.items():
        lines += [*_tensor(name, vector, classes), ""]
    lines += _loss(terms, frozenset() if terms.objective in STEPS else given.keys() - {"sampling"}, reduction)
    if "sampling" in given:
        lines += ["", "", *_SAMPLERS[terms.draw](terms.knobs)]
    return "\n".join(lines) + "\n"


def _left_out(terms: ClassTerms, method: str) -> list[str]:
    """What the code does not hold, in sentences."""
    said = []
    stage = METHODS[method].stage
    if terms.objective in STEPS:
        said.append(
            f"{terms.objective} trains nothing: it acts on the outputs of a finished run, see core/methods/posthoc.py. "
            "Below is the ordinary loss."
        )
        if terms.shift is not None:
            said.append(
                "The shift is added to that run's logits when predicting: (logits + shift).argmax(dim=1). It is no part of the loss."
            )
    elif terms.objective not in _LOSSES:
        said.append(
            f"Only the class terms are here. What {terms.objective} does in every step is in core/training/objectives/{terms.objective}.py."
        )
    if stage not in (TRAIN, POSTHOC):
        said.append(
            f"Only the loss and the sampler are here. {method} goes on from a finished run, see work/network_start.py and models/heads.py."
        )
    if "prior" in terms.knobs:
        said.append(
            f"Start the biases of the last layer at -log((1 - p) / p), p = {float(terms.knobs['prior'])!r}, and give them no weight decay."
        )
    if "smote" in terms.knobs:
        said.append("The features that are made between neighbours are not here, see core/training/feature_smote.py.")
    if "s" in terms.knobs:
        said.append(
            "The logits are cosines: the last layer has normalised features and class vectors and no bias, see models/heads.py."
        )
    return said


def _tensor(name: str, vector: Vector, classes: Sequence[str]) -> list[str]:
    """`name = torch.tensor([...])`, every digit kept; class names as comments where they are few."""
    values = [repr(float(v)) for v in vector]
    if len(values) > COMMENTED:
        body = ["    " + ", ".join(values[i : i + 5]) + "," for i in range(0, len(values), 5)]
    else:
        body = [f"    {v},  # {_comment(c)}" for v, c in zip(values, classes, strict=True)]
    return [f"{name} = torch.tensor([", *body, "])"]


def _comment(name: str) -> str:
    """A class name that cannot end its comment line, whatever a person called the class."""
    return " ".join("".join(ch if ch.isprintable() else " " for ch in name).split())


# -- the loss: core/training/losses.py and core/training/objectives, written out for the terms that are set

Keys = AbstractSet[str]  # names of the terms that are set
Knobs = Mapping[str, float]
_DIVISORS = {"weighted_mean": "w.sum()", "batch_mean": "len(labels)"}


def _loss(terms: ClassTerms, keys: Keys, reduction: str) -> list[str]:
    pure = terms.objective in _LOSSES
    knobs = terms.knobs if pure else {}
    if terms.objective == "terms" or not pure:
        torchs_own = not knobs.keys() & {"s", "alpha", "detached"}
        if torchs_own and not keys:
            return ["criterion = torch.nn.CrossEntropyLoss()"]
        if torchs_own and keys == {"weight"} and reduction == "weighted_mean":
            return ["criterion = torch.nn.CrossEntropyLoss(weight=weight)  # weight.to(device) on a GPU"]
    lines = ["", "def criterion(logits, labels):", *_LOSSES.get(terms.objective, _softmax_loss)(keys, knobs)]
    if "weight" not in keys:
        return [*lines, "    return losses.mean()"]
    return [*lines, "    w = weight.to(losses)[labels]", f"    return (w * losses).sum() / {_DIVISORS[reduction]}"]


def _softmax_loss(keys: Keys, knobs: Knobs) -> list[str]:
    lines = ["    z = logits"]
    if "scale" in keys:
        lines.append("    z = z * scale.to(z)")
    if "shift" in keys:
        lines.append("    z = z + shift.to(z)")
    if "margin" in keys:
        lines.append("    z = z.scatter_add(1, labels[:, None], -margin.to(z)[labels][:, None])")
    if "s" in knobs:
        lines.append(f"    z = z * {float(knobs['s'])!r}")
    if "mask" in keys:  # a draw for every sample and class; the sample's own class always stays
        lines += [_drawn(knobs), "    z = z.masked_fill(out, -torch.inf)"]
    lines += [
        "    log_p = torch.log_softmax(z, dim=1)",
        "    true = log_p.gather(1, labels[:, None]).squeeze(1)",
        "    losses = -true",
    ]
    if "smoothing" in keys:
        mean = "log_p.masked_fill(out, 0.0).sum(dim=1) / (~out).sum(dim=1)" if "mask" in keys else "log_p.mean(dim=1)"
        lines += ["    share = smoothing.to(z)[labels]", f"    losses = (1 - share) * losses - share * {mean}"]
    if "focus" in keys:
        lines += ["    factor = (-torch.expm1(true)).clamp_min(1e-6) ** focus.to(z)[labels]", _times_factor(knobs)]
    return [*lines, f"    losses = losses * {float(knobs['alpha'])!r}"] if "alpha" in knobs else lines


def _sigmoid_loss(keys: Keys, knobs: Knobs) -> list[str]:
    lines = [
        "    own = torch.nn.functional.one_hot(labels, logits.shape[1]).bool()",
        "    z = torch.where(own, logits, -logits)",
        "    losses = -torch.nn.functional.logsigmoid(z)",
    ]
    if "focus" in keys:
        lines += [
            "    factor = torch.exp(focus.to(z)[labels][:, None] * torch.nn.functional.logsigmoid(-z))",
            _times_factor(knobs),
        ]
    if "alpha" in knobs:
        alpha = float(knobs["alpha"])
        lines.append(f"    losses = torch.where(own, {alpha!r} * losses, {1 - alpha!r} * losses)")
    if "mask" in keys:
        lines += [_drawn(knobs), "    losses = losses.masked_fill(out, 0.0)"]
    return [*lines, "    losses = losses.sum(dim=1)"]


def _tailed_loss(keys: Keys, knobs: Knobs) -> list[str]:
    alpha, beta = float(knobs["alpha"]), float(knobs["beta"])
    return [
        "    own = labels[:, None]",
        "    margin = logits.gather(1, own).squeeze(1) - logits.scatter(1, own, -torch.inf).logsumexp(dim=1)",
        f"    head = torch.nn.functional.softplus(-margin.clamp_max({beta!r})) / {math.log1p(math.exp(-beta))!r}",
        f"    tail = (margin.clamp_min({beta!r}) - {beta - 1!r}) ** {-alpha!r}",
        f"    losses = torch.where(margin < {beta!r}, head, tail)",
    ]


def _drawn(knobs: Knobs) -> str:
    draw = (
        "torch.rand(1, 1, device=z.device).expand_as(z)"
        if knobs.get("together")
        else "torch.rand(z.shape, device=z.device)"
    )
    return f"    out = ({draw} < mask.to(z)).scatter(1, labels[:, None], False)"


def _times_factor(knobs: Knobs) -> str:
    return f"    losses = losses * factor{'.detach()' * bool(knobs.get('detached'))}"


_LOSSES = {
    "terms": _softmax_loss,
    "sigmoid": _sigmoid_loss,
    "poly_tail": _tailed_loss,
}  # the objectives that are a loss and no more


# -- the sampler: core/training/index_samplers.py, for torch's DataLoader


def _replacing(knobs: Knobs) -> list[str]:
    return [
        "def sampler(labels):  # the labels of the whole training set; pass the result to DataLoader(sampler=...)",
        "    counts = torch.bincount(labels, minlength=len(sampling))",
        "    return torch.utils.data.WeightedRandomSampler(sampling[labels] / counts[labels], len(labels))",
    ]


def _taking_turns(knobs: Knobs) -> list[str]:
    run = int(knobs.get("run", 1))
    length = "len(self.members) * max(map(len, self.members))" if knobs.get("whole") else "len(labels)"
    cycle = ["        rounds = torch.stack([r[torch.randperm(len(r))] for r in rounds])"] if knobs.get("cycle") else []
    return [
        *_SAMPLER_CLASS,
        f"        self.length = {length}",
        "",
        "    def __len__(self):",
        "        return self.length",
        "",
        f"    def __iter__(self):  # the classes take turns, {run} at a time; the samples of a class come round again, shuffled anew",
        f"        each = -(-self.length // (len(self.members) * {run})) * {run}",
        "        lists = [torch.cat([m[torch.randperm(len(m))] for _ in range(-(-each // len(m)))])[:each] for m in self.members]",
        f"        rounds = torch.stack(lists).reshape(len(lists), -1, {run}).transpose(0, 1)",
        *cycle,
        "        return iter(rounds.reshape(-1)[:self.length].tolist())",
    ]


def _subset(knobs: Knobs) -> list[str]:
    return [
        *_SAMPLER_CLASS,
        "        self.least = min(map(len, self.members))",
        "",
        "    def __len__(self):",
        "        return self.least * len(self.members)",
        "",
        "    def __iter__(self):  # as many of each class as the smallest has, chosen anew every epoch",
        "        index = torch.cat([m[torch.randperm(len(m))[:self.least]] for m in self.members])",
        "        return iter(index[torch.randperm(len(index))].tolist())",
    ]


_SAMPLER_CLASS = [
    "class sampler(torch.utils.data.Sampler):  # sampler(labels of the whole training set) for DataLoader(sampler=...)",
    "    def __init__(self, labels):",
    "        members = [torch.nonzero(labels == c).squeeze(1) for c in torch.nonzero(sampling > 0).squeeze(1)]",
    "        self.members = [m for m in members if len(m)]",
]


_SAMPLERS = {"replace": _replacing, "turns": _taking_turns, "subset": _subset}
