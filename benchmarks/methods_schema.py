"""What the tables of methods measure, and the rows of results/methods.csv that hold it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from core.experiment.config import RunConfig, checked
from core.experiment.presets import FIRST
from core.methods import METHODS
from core.methods.method import CLASSIFIER, TRAIN
from core.methods.samplers import PLAIN, SAMPLERS

ROOT = Path(__file__).resolve().parents[1]
CSV = ROOT / "results" / "methods.csv"  # the machine it was measured on is beside it, as .json
FIGURES = ["accuracy", "balanced_accuracy", "tpr_variance", "tpr_min"]
RUN = ["table", "dataset", "model", "recipe", "epochs", "imbalance", "method", "params", "sampler", "start", "seed"]
COLUMNS = [*RUN, *FIGURES, "seconds", "error"]
PARAMS = "; "  # between two parameters in the CSV
BASELINE = "`none`"  # its name
SINCE: dict[str, str] = {}  # method -> what its code did when it was measured, where it does something else now

# Methods without defaults that fit ten classes: higher weights for the five rare classes, and a formula no other row has.
STATED = {
    "manual": {"weights": "1,1,1,1,1,2,2,2,2,2"},
    "custom": {"formula": "sqrt(N / (C * n)) * mean_tpr / tpr"},
}


# -- the tables --------------------------------------------------------------------------------------------------

CELLS: dict[str, dict[str, Any]] = {  # key -> what the cell changes in the RunConfig of its table
    **{key: {"method": key, "params": STATED.get(key, {})} for key in METHODS.keys},
    # samplers of features need a second stage
    **{
        f"sampler {s.key}": {"method": "crt" if s.stage == CLASSIFIER else "none", "sampler": s.key}
        for s in SAMPLERS
        if s.key != PLAIN
    },
    # variants that papers use, and post-hoc steps at half strength
    "tpr_ratio 4": {"method": "tpr_ratio", "params": {"exponent": 4.0}},
    "cdb tau 1": {"method": "cdb", "params": {"tau": 1.0}},
    "cdb smooth": {"method": "cdb", "params": {"ema": 0.9}},
    "ldam cosine": {"method": "ldam", "params": {"max_margin": 0.0}},  # its cosine head alone
    "ldam drw": {"method": "ldam", "params": {"reweight": 0.9999}, "start": 0.8, "deferred": "weight"},
    "class_balanced late": {"method": "class_balanced", "start": 0.8},
    "sampler balanced late": {"sampler": "balanced", "start": 0.8},
    "posthoc half": {"method": "logit_adjusted_posthoc", "params": {"tau": 0.5}},
    "bias half": {"method": "equal_tpr_bias", "params": {"strength": 0.5}},
}
# The cheap ones first: a table that is stopped early has them.
CHOSEN = """none, crt, lws, tau_norm, logit_adjusted_posthoc, bias half, equal_tpr_bias, balanced_softmax, class_balanced, \
sampler balanced, inverse_frequency, tpr_ratio, ldam drw, cdb smooth, cdb, focal"""
RESNET_METHODS = """none, tau_norm, logit_adjusted_posthoc, bias half, equal_tpr_bias, crt, balanced_softmax, tpr_ratio, \
sampler balanced, ldam drw, cdb smooth"""
TAIL = RunConfig("mnist", "lenet5", recipe="adam_cycle", epochs=10, imbalance=100.0)


@dataclass(frozen=True)
class Setting:
    """A table: its heading, data, network and recipe, the keys of its cells (the baseline first), the epochs of a second
    stage, and a note for the page."""

    key: str
    label: str
    base: RunConfig
    cells: Sequence[str]
    second: int = 10
    note: str = ""

    def config(self, cell: str, seed: int) -> RunConfig:
        """The settings of one replicate, checked."""
        config = replace(self.base, **CELLS[cell], seed=seed)
        return checked(config if METHODS[config.method].stage == TRAIN else replace(config, epochs=self.second))

    def names(self) -> list[str]:
        """The names of its cells."""
        return [name_of(row_of(self, self.config(cell, 1))) for cell in self.cells]


_SETTINGS = (
    Setting("mnist1d", "MNIST-1D, balanced", FIRST.baseline, [*CELLS]),
    # a quarter of the samples: twice the epochs are half the steps
    Setting("mnist1d_tail", "MNIST-1D, imbalance 100", replace(FIRST.baseline, imbalance=100.0, epochs=40), [*CELLS]),
    Setting("mnist_tail", "MNIST, imbalance 100", TAIL, f"{CHOSEN}, logit_adjusted".split(", ")),
    Setting(
        "cifar_tail",
        "CIFAR-10 (JPEG copy) at 16 x 16 pixels, imbalance 100",
        replace(TAIL, dataset="cifar10-jpeg.zip@16", model="cnn"),
        CHOSEN.split(", "),
        note="Half the side length and the small CNN, since ResNet-20 at 32 x 32 pixels takes more than a core-minute per epoch. "
        "`logit_adjusted` is left out: at tau 1 it is `balanced_softmax`.",
    ),
    Setting(
        "cifar_resnet20",
        "CIFAR-10 (JPEG copy), ResNet-20, imbalance 100",
        replace(TAIL, dataset="cifar10-jpeg.zip", model="resnet20", recipe="sgd_cosine"),
        RESNET_METHODS.split(", "),
        second=5,
        note="Ten epochs are few for ResNet-20, and one takes 80 to 200 core-seconds here: the networks are far from converged. "
        "The methods are those that the other tables leave undecided; a GPU would allow more epochs and methods. "
        "Measured at commit 2b333be with three single-threaded workers beside other work.",
    ),
)
TABLES = {setting.key: setting for setting in _SETTINGS}


# -- the CSV -----------------------------------------------------------------------------------------------------


def row_of(setting: Setting, config: RunConfig) -> dict[str, str]:
    """The columns RUN of a replicate. `params` are "exponent=2; normalize=mean_one", the method's before the sampler's;
    `start` is "0", "0.8", or "0.8 weight" where the logit terms act from the first epoch."""
    params = {**config.params, **config.sampler_params}
    return {name: str(getattr(config, name, "")) for name in RUN} | {
        "table": setting.key,
        "imbalance": f"{config.imbalance:g}",
        "params": PARAMS.join(f"{k}={_text(v)}" for k, v in params.items()),
        "start": f"{config.start:g}" + " weight" * (config.start > 0 and config.deferred == "weight"),
    }


def name_of(row: Mapping[str, str]) -> str:
    """ "`tpr_ratio`, exponent 4" or "sampler `balanced`, from 80 %": what differs from today's defaults and STATED. Unique in a table.
    A parameter that is newer than the row counts as its default."""
    method, sampler = row["method"], row["sampler"]
    defaults = {p.key: _text(p.default) for owner in (METHODS[method], SAMPLERS[sampler]) for p in owner.params}
    defaults |= STATED.get(method, {})
    parts = [] if method == "none" and sampler != PLAIN else [f"`{method}`"]
    parts += [f"{k} {v}" for k, v in params_of(row["params"]).items() if v != defaults.get(k)]
    if sampler != PLAIN:
        parts.append(f"sampler `{sampler}`")
    share, _, weight = row["start"].partition(" ")
    if float(share):
        parts.append(f"{'weights ' if weight else ''}from {100 * float(share):.0f} %")
    return ", ".join(parts)


def params_of(text: str) -> dict[str, str]:
    """The parameters in the column `params`, by key."""
    return dict(item.split("=", 1) for item in text.split(PARAMS) if item)


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def read(path: Path = CSV) -> pd.DataFrame:
    """The rows of the CSV as text; empty where there is no file yet."""
    return pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else pd.DataFrame(columns=COLUMNS)


def read_machine(path: Path = CSV) -> dict[str, str]:
    """The machine and versions that a CSV was measured with; empty where there is no file yet."""
    beside = path.with_suffix(".json")
    return json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
