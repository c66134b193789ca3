"""A run as text to copy: the command that starts it, and PyTorch code with exactly its class terms."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from core.errors import EvenlyError
from core.experiment.config import SETTINGS, RunConfig, usual_epochs
from core.experiment.recipes import RECIPES
from core.methods import METHODS, POSTHOC, TRAIN
from core.methods.no_weighting import UNWEIGHTED
from core.methods.posthoc import STEPS
from core.methods.samplers import SAMPLERS
from core.methods.types import ClassTerms, Vector
from core.registry import Param
from reporting.loss_source import PURE, loss_lines

REDUCTIONS = SETTINGS["reduction"].choices
COMMENTED = 64  # classes, up to which each value has its own line with the class name
TPR_FILE = "tprs.csv"


# ---------------------------------------------------------------- the command


def cli_command(config: RunConfig, baseline: int | None = None, variables: Mapping[str, str] | None = None) -> str:
    """A run as text to copy: the shell command that starts it, quoted, with only the settings that differ from the defaults.

    The environment `variables` precede it. Pasted TPRs are written to a file first, since the command reads a file.
    """
    words = ["python", "cli.py", "run", "--dataset", config.dataset, "--model", config.model, "--method", config.method]
    words += _pairs("--param", METHODS[config.method].params, config.params)
    if baseline is not None:
        words += ["--baseline", str(baseline)]
    elif config.tpr is not None:
        words += ["--tpr", TPR_FILE]
    if config.recipe != RunConfig("", "").recipe:
        words += ["--recipe", config.recipe]
    words += _pairs("--recipe-param", RECIPES[config.recipe].params, config.recipe_params)
    if config.sampler != RunConfig("", "").sampler:
        words += ["--sampler", config.sampler]
    words += _pairs("--sampler-param", SAMPLERS[config.sampler].params, config.sampler_params)
    words += _settings(config, usual_epochs(config.method, config.recipe))
    given = "".join(f"{name}={shlex.quote(value)} " for name, value in (variables or {}).items())
    return _tpr_file(config) * (baseline is None) + given + shlex.join(words)


def _pairs(option: str, params: tuple[Param, ...], given: Mapping[str, float | str]) -> list[str]:
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


def _number(value: float | str) -> str:
    """2.0 -> "2", .05 -> "0.05": the shortest text that reads back as the same number."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def _tpr_file(config: RunConfig) -> str:
    if config.tpr is None:
        return ""
    lines = ["nan" if v is None else repr(float(v)) for v in config.tpr]
    if config.tpr_support is not None:  # the order gives the class; how far a TPR is clipped depends on its support
        lines = ["tpr,support", *(f"{tpr},{_number(n)}" for tpr, n in zip(lines, config.tpr_support, strict=True))]
    return f"printf '%s\\n' {' '.join(lines)} > {TPR_FILE}\n"


# ---------------------------------------------------------------- PyTorch


def pytorch_snippet(terms: ClassTerms, classes: Sequence[str], reduction: str, method: str = UNWEIGHTED) -> str:
    """A run as PyTorch code to copy: `criterion(logits [B, C], labels [B])` with exactly these terms and this reduction.

    Uses torch's CrossEntropyLoss where it is equivalent, else the source of core/training (reporting.loss_source).
    `sampling` becomes `sampler(labels)`. What goes beyond a loss and a sampler (an objective with state, a second stage,
    a post-hoc step, synthetic features) is left out; a comment names the file with its code. `method` is the key of the
    method behind the terms.
    """
    if reduction not in REDUCTIONS:
        raise EvenlyError(f"unknown reduction {reduction!r}; known: {', '.join(REDUCTIONS)}")
    given = terms.set()
    loss = _loss(terms, frozenset() if terms.objective in STEPS else given.keys() - {"sampling"}, reduction)
    lines = ["import math"] * any("math." in line for line in loss)
    lines += ["import torch", "", *(f"# {line}" for line in _left_out(terms, method))]
    for name, vector in given.items():
        lines += [*_tensor(name, vector, classes), ""]
    lines += loss
    if "sampling" in given:
        lines += ["", "", *_SAMPLERS[terms.draw](terms.knobs)]
    return "\n".join(lines) + "\n"


def _left_out(terms: ClassTerms, method: str) -> list[str]:
    """What the code leaves out, as sentences."""
    second_stage = METHODS[method].stage not in (TRAIN, POSTHOC)
    return [
        *_beyond_the_loss(terms),
        *[SECOND_STAGE.format(method=method)] * second_stage,
        *(text.format(knob=float(terms.knobs[knob])) for knob, text in BY_KNOB.items() if knob in terms.knobs),
    ]


SECOND_STAGE = (
    "Only the loss and the sampler are included. {method} continues from a finished run, "
    "see work/network_start.py and models/networks/heads.py."
)
BY_KNOB = {  # knob of the terms -> what it does outside of the loss
    "prior": "Initialize the biases of the last layer to -log((1 - p) / p), p = {knob!r}, and exclude them from weight decay.",
    "smote": "The features interpolated between neighbors are not included, see core/training/feature_smote.py.",
    "s": "The logits are cosines: the last layer has normalized features and class vectors and no bias, "
    "see models/networks/heads.py.",
}


def _beyond_the_loss(terms: ClassTerms) -> list[str]:
    """What the objective or the post-hoc step does that is no loss."""
    if terms.objective in PURE:
        return []
    if terms.objective not in STEPS:
        return [
            f"Only the class terms are included. For what {terms.objective} does in each step, "
            f"see core/training/objectives/{terms.objective}.py."
        ]
    shift = "Add the shift to that run's logits for predictions: (logits + shift).argmax(dim=1). It is not part of the loss."
    return [
        f"{terms.objective} trains nothing: it acts on the outputs of a finished run, see core/methods/posthoc.py. "
        "Below is the unweighted loss.",
        *[shift] * (terms.shift is not None),
    ]


def _tensor(name: str, vector: Vector, classes: Sequence[str]) -> list[str]:
    """`name = torch.tensor([...])` in full precision; class names as comments if there are few."""
    values = [repr(float(v)) for v in vector]
    if len(values) > COMMENTED:
        body = ["    " + ", ".join(values[i : i + 5]) + "," for i in range(0, len(values), 5)]
    else:
        body = [f"    {v},  # {_comment(c)}" for v, c in zip(values, classes, strict=True)]
    return [f"{name} = torch.tensor([", *body, "])"]


def _comment(name: str) -> str:
    """A class name without characters that could end its comment line."""
    return " ".join("".join(ch if ch.isprintable() else " " for ch in name).split())


# -- the loss: torch's own where it is the same, else from the source of core/training


def _loss(terms: ClassTerms, keys: AbstractSet[str], reduction: str) -> list[str]:
    pure = terms.objective in PURE
    objective, knobs = (terms.objective, terms.knobs) if pure else ("terms", {})
    if objective == "terms" and not knobs.keys() & {"s", "alpha", "detached"}:
        if not keys:
            return ["criterion = torch.nn.CrossEntropyLoss()"]
        if keys == {"weight"} and reduction == "weighted_mean":
            return ["criterion = torch.nn.CrossEntropyLoss(weight=weight)  # weight.to(device) on a GPU"]
    lines = loss_lines(objective, keys, knobs, reduction)
    return ["", "def criterion(logits, labels):", *(f"    {line}" for line in lines)]


# -- the sampler: core/training/index_samplers.py, for torch's DataLoader


def _replacing(knobs: Mapping[str, float]) -> list[str]:
    return [
        "def sampler(labels):  # the labels of the whole training set; pass the result to DataLoader(sampler=...)",
        "    counts = torch.bincount(labels, minlength=len(sampling))",
        "    return torch.utils.data.WeightedRandomSampler(sampling[labels] / counts[labels], len(labels))",
    ]


def _taking_turns(knobs: Mapping[str, float]) -> list[str]:
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
        f"    def __iter__(self):  # classes take turns, {run} at a time; a class's samples are reshuffled once all are used",
        f"        each = -(-self.length // (len(self.members) * {run})) * {run}",
        "        lists = [torch.cat([m[torch.randperm(len(m))] for _ in range(-(-each // len(m)))])[:each] for m in self.members]",
        f"        rounds = torch.stack(lists).reshape(len(lists), -1, {run}).transpose(0, 1)",
        *cycle,
        "        return iter(rounds.reshape(-1)[:self.length].tolist())",
    ]


def _subset(knobs: Mapping[str, float]) -> list[str]:
    return [
        *_SAMPLER_CLASS,
        "        self.least = min(map(len, self.members))",
        "",
        "    def __len__(self):",
        "        return self.least * len(self.members)",
        "",
        "    def __iter__(self):  # as many of each class as the smallest has, redrawn every epoch",
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
