"""What the table of methods measures, and the rows of results/methods.csv that it measures it into."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from core.experiment.config import RunConfig, checked
from core.experiment.presets import FIRST
from core.methods import METHODS
from core.methods.method import CLASSIFIER, TRAIN
from core.methods.samplers import SAMPLERS

ROOT = Path(__file__).resolve().parents[1]
CSV = ROOT / "results" / "methods.csv"  # beside it, as .json, what the figures were measured on
FIGURES = ["accuracy", "balanced_accuracy", "tpr_variance", "tpr_min"]
RUN = ["table", "dataset", "model", "recipe", "epochs", "imbalance", "method", "params", "sampler", "start", "seed"]
COLUMNS = [*RUN, *FIGURES, "seconds", "error"]
PARAMS = "; "  # between two parameters in the CSV
BASELINE = "`none`"  # its name

# What the code did when results/methods.csv was measured, where it does something else now. Measured anew, a row leaves this table.
SINCE: dict[str, str] = {}


@dataclass(frozen=True)
class Cell:
    """A row of a table: a method, a sampler and a late start."""

    method: str = "none"
    params: Mapping[str, float | str] = field(default_factory=dict)
    sampler: str = "instance"
    start: float = 0.0
    deferred: str = "everything"


@dataclass(frozen=True)
class Setting:
    """A table: the data, the network and the recipe of all its cells, the baseline first.

    `second` are the epochs of a second stage, `note` a remark for the page.
    """

    key: str
    label: str
    base: RunConfig
    cells: tuple[Cell, ...]
    second: int = 10
    note: str = ""

    def config(self, cell: Cell, seed: int) -> RunConfig:
        """The settings of one replicate, checked."""
        epochs = self.base.epochs if METHODS[cell.method].stage == TRAIN else self.second
        return checked(replace(self.base, **vars(cell), epochs=epochs, seed=seed))

    def names(self) -> list[str]:
        """The names of its cells."""
        return [name_of(row_of(self, self.config(cell, 1))) for cell in self.cells]


# Without a default that fits: weights for ten classes of which the last five are the rare ones, and a formula that no other row is.
STATED = {
    "manual": {"weights": "1,1,1,1,1,2,2,2,2,2"},
    "custom": {"formula": "sqrt(N / (C * n)) * mean_tpr / tpr"},
}
LDAM_DRW = Cell("ldam", {"reweight": 0.9999}, start=0.8, deferred="weight")
BALANCED = Cell(sampler="balanced")
HALF_BIAS = Cell("equal_tpr_bias", {"strength": 0.5})
SMOOTH_CDB = Cell("cdb", {"ema": 0.9})
EVERY = (  # every method, every sampler (with crt where it works on features, else without a method), and beside the
    # defaults the forms that papers use, and post-hoc steps at half strength
    *(Cell(m.key, STATED.get(m.key, {})) for m in METHODS),
    *(Cell("crt" if s.stage == CLASSIFIER else "none", sampler=s.key) for s in SAMPLERS if s.key != "instance"),
    Cell("tpr_ratio", {"exponent": 4.0}),
    Cell("cdb", {"tau": 1.0}),
    SMOOTH_CDB,
    Cell("ldam", {"max_margin": 0.0}),  # the cosine head alone
    LDAM_DRW,
    Cell("class_balanced", start=0.8),
    Cell(sampler="balanced", start=0.8),
    Cell("logit_adjusted_posthoc", {"tau": 0.5}),
    HALF_BIAS,
)
CHOSEN = (  # the cheap ones first, so that a table that is stopped has them
    *map(Cell, ("none", "crt", "lws", "tau_norm", "logit_adjusted_posthoc")),
    HALF_BIAS,
    *map(Cell, ("equal_tpr_bias", "balanced_softmax", "class_balanced")),
    BALANCED,
    *map(Cell, ("inverse_frequency", "tpr_ratio")),
    LDAM_DRW,
    SMOOTH_CDB,
    *map(Cell, ("cdb", "focal")),
)
FEW = (
    *map(Cell, ("none", "tau_norm", "logit_adjusted_posthoc")),
    HALF_BIAS,
    *map(Cell, ("equal_tpr_bias", "crt", "balanced_softmax", "tpr_ratio")),
    BALANCED,
    LDAM_DRW,
    SMOOTH_CDB,
)
_TAIL = RunConfig("mnist", "lenet5", recipe="adam_cycle", epochs=10, imbalance=100.0)
TABLES = {
    s.key: s
    for s in (
        Setting("mnist1d", "MNIST-1D, balanced", FIRST.baseline, EVERY),
        # a quarter of the samples: twice the epochs are half the steps
        Setting("mnist1d_tail", "MNIST-1D, imbalance 100", replace(FIRST.baseline, imbalance=100.0, epochs=40), EVERY),
        Setting("mnist_tail", "MNIST, imbalance 100", _TAIL, (*CHOSEN, Cell("logit_adjusted"))),
        Setting(
            "cifar_tail",
            "CIFAR-10 (JPEG copy) at 16 x 16 pixels, imbalance 100",
            replace(_TAIL, dataset="cifar10-jpeg.zip@16", model="cnn"),
            CHOSEN,
            note="Half the side length and the small CNN: ResNet-20 at 32 x 32 pixels takes more than a minute of a core an epoch. "
            "`logit_adjusted` is left out: at tau 1 it is `balanced_softmax`.",
        ),
        Setting(
            "cifar_resnet20",
            "CIFAR-10 (JPEG copy), ResNet-20, imbalance 100",
            replace(_TAIL, dataset="cifar10-jpeg.zip", model="resnet20", recipe="sgd_cosine"),
            FEW,
            second=5,
            note="Ten epochs are few for ResNet-20, and one takes 80 to 200 seconds of a core here: the networks are far from settled. "
            "The methods are those that the other tables leave in question; a GPU allows more of both. "
            "Measured at commit 2b333be, three workers of one thread beside other work.",
        ),
    )
}


# -- the CSV -----------------------------------------------------------------------------------------------------


def row_of(setting: Setting, config: RunConfig) -> dict[str, str]:
    """The columns RUN of a replicate. `params` are "exponent=2; normalize=mean_one", the method's before the sampler's;
    `start` is "0", "0.8", or "0.8 weight" where the logit terms act from the first epoch."""
    late = " weight" if config.start > 0 and config.deferred == "weight" else ""
    params = {**config.params, **config.sampler_params}
    said = {
        "table": setting.key,
        "imbalance": f"{config.imbalance:g}",
        "params": PARAMS.join(f"{k}={_text(v)}" for k, v in params.items()),
        "start": f"{config.start:g}{late}",
    }
    return {k: said[k] if k in said else str(getattr(config, k)) for k in RUN}


def name_of(row: Mapping[str, str]) -> str:
    """ "`tpr_ratio`, exponent 4" or "sampler `balanced`, from 80 %": what differs from today's defaults and STATED. It tells the cells of a
    table apart; a parameter that came after the row was written stands at its default."""
    method, sampler = row["method"], row["sampler"]
    defaults = {p.key: _text(p.default) for owner in (METHODS[method], SAMPLERS[sampler]) for p in owner.params}
    usual = defaults | STATED.get(method, {})
    said = [] if method == "none" and sampler != "instance" else [f"`{method}`"]
    said += [f"{k} {v}" for k, v in params_of(row).items() if v != usual.get(k)]
    if sampler != "instance":
        said.append(f"sampler `{sampler}`")
    share, _, weight = row["start"].partition(" ")
    if float(share):
        said.append(f"{'weights ' if weight else ''}from {100 * float(share):.0f} %")
    return ", ".join(said)


def params_of(row: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a row, by key."""
    return dict(item.split("=", 1) for item in row["params"].split(PARAMS) if item)


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def read(path: Path = CSV) -> pd.DataFrame:
    """The rows of the CSV as they stand there, all of them texts; none where there is no file yet."""
    return pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else pd.DataFrame(columns=COLUMNS)


def read_machine(path: Path = CSV) -> dict[str, str]:
    """What the figures of a CSV were measured on; empty where that is not written yet."""
    beside = path.with_suffix(".json")
    return json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
