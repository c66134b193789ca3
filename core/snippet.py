"""A run as text to take away: the command that starts it, and PyTorch code with exactly its class terms."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from core.config import SETTINGS, RunConfig
from core.errors import EvenlyError
from core.evidence import ClassTerms, Vector
from core.methods import METHODS
from core.recipes import RECIPES
from core.rows import Param

COMMENTED = 64  # up to this many classes each value has a line with the class's name
TPR_FILE = "tprs.csv"


# ---------------------------------------------------------------- the command


def cli_command(config: RunConfig, baseline: int | None = None) -> str:
    """The shell command that starts this run: quoted, and only the settings that differ from their defaults.

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
    words += _settings(config, recipe.epochs)
    return _tpr_file(config) * (baseline is None) + shlex.join(words)


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
    lines = " ".join("nan" if v is None else repr(float(v)) for v in config.tpr)
    return f"printf '%s\\n' {lines} > {TPR_FILE}\n"


# ---------------------------------------------------------------- PyTorch


def pytorch_snippet(terms: ClassTerms, classes: Sequence[str], reduction: str) -> str:
    """Self-contained PyTorch code: `criterion(logits [B, C], labels [B])` with exactly these terms and this reduction.

    Where torch's own CrossEntropyLoss says the same it is used. `sampling` becomes a function that makes a sampler.
    """
    if reduction not in _DIVISORS:
        raise EvenlyError(f"unknown reduction {reduction!r}; known: {', '.join(_DIVISORS)}")
    given = terms.set()
    lines = ["import torch", ""]
    for name, vector in given.items():
        lines += [*_tensor(name, vector, classes), ""]
    loss = {k: v for k, v in given.items() if k != "sampling"}
    if not loss:
        lines.append("criterion = torch.nn.CrossEntropyLoss()")
    elif loss.keys() == {"weight"} and reduction == "weighted_mean":
        lines.append("criterion = torch.nn.CrossEntropyLoss(weight=weight)  # weight.to(device) on a GPU")
    else:
        lines += _criterion(loss.keys(), reduction)
    if "sampling" in given:
        lines += _SAMPLER
    return "\n".join(lines) + "\n"


def _tensor(name: str, vector: Vector, classes: Sequence[str]) -> list[str]:
    """`name = torch.tensor([...])`, every digit kept; class names as comments where they are few."""
    values = [repr(float(v)) for v in vector]
    if len(values) > COMMENTED:
        body = ["    " + ", ".join(values[i:i + 5]) + "," for i in range(0, len(values), 5)]
    else:
        body = [f"    {v},  # {_comment(c)}" for v, c in zip(values, classes, strict=True)]
    return [f"{name} = torch.tensor([", *body, "])"]


def _comment(name: str) -> str:
    """A class name that cannot end its comment line, whatever a person called the class."""
    return " ".join("".join(ch if ch.isprintable() else " " for ch in name).split())


_DIVISORS = {"weighted_mean": "w.sum()", "batch_mean": "len(labels)"}

_STEPS = {  # a line of the criterion for each term, in the order they act
    "scale": ["    z = z * scale.to(z)"],
    "shift": ["    z = z + shift.to(z)"],
    "margin": ["    z = z.scatter_add(1, labels[:, None], -margin.to(z)[labels][:, None])"],
    "": ["    log_p = torch.log_softmax(z, dim=1)", "    true = log_p.gather(1, labels[:, None]).squeeze(1)", "    losses = -true"],
    "smoothing": ["    s = smoothing.to(z)[labels]", "    losses = (1 - s) * losses - s * log_p.mean(dim=1)"],
    "focus": ["    losses = losses * (-torch.expm1(true)).clamp_min(1e-6) ** focus.to(z)[labels]"],
}

_SAMPLER = [
    "", "",
    "def sampler(labels):  # the labels of the whole training set; pass the result to DataLoader(sampler=...)",
    "    counts = torch.bincount(labels, minlength=len(sampling))",
    "    return torch.utils.data.WeightedRandomSampler(sampling[labels] / counts[labels], len(labels))",
]


def _criterion(keys: Any, reduction: str) -> list[str]:
    lines = ["", "def criterion(logits, labels):", "    z = logits"]
    for term, step in _STEPS.items():
        lines += step if not term or term in keys else []
    if "weight" not in keys:
        return [*lines, "    return losses.mean()"]
    return [*lines, "    w = weight.to(z)[labels]", f"    return (w * losses).sum() / {_DIVISORS[reduction]}"]
