"""The default name of a run, and what a dataset is called in it and on New run."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from core.datasets import DATASETS, known_as, offered
from core.experiment.config import RunConfig, usual_epochs
from core.formatting import number, plural
from core.methods import METHODS
from core.methods.samplers import PLAIN
from reporting import text
from storage.db.paths import data_root

SIZED = re.compile(r"(.*?)(@\d{1,4})?", re.DOTALL)  # the name of an image set, and the size at which it is decoded


def default_name(config: RunConfig) -> str:
    """The name of a run that a person gave none: "MNIST-1D, tail 100: TPR ratio, exponent 2, 60 epochs, seed 0"."""
    what = ", ".join(filter(None, [method_words(config), unusual_words(config)]))
    return f"{data_words(config)}: {what}, seed {config.seed}"


def method_words(config: RunConfig) -> str:
    """The method and its parameters, short: "TPR ratio, exponent 2", "None", "Focal, gamma 2, form sigmoid".

    The part of a label in parentheses is left out.
    """
    row = METHODS[config.method]
    values = {p.key: config.params.get(p.key, p.default) for p in row.params}
    shown = [
        f"{p.label.lower()} {values[p.key] if isinstance(values[p.key], str) else number(float(values[p.key]))}"
        for p in row.params
        if p.key == row.slider or values[p.key] != p.default
    ]
    return ", ".join([row.label.partition(" (")[0], *shown])


def unusual_words(config: RunConfig) -> str:
    """Settings besides the method that are not at their defaults; "" where all are.

    For example "given TPRs, sampler balanced, from 80 %, 60 epochs".
    """
    usual = config.epochs == usual_epochs(config.method, config.recipe)
    epochs = "" if usual else f"{config.epochs} {plural('epoch', config.epochs)}"
    sampler = "" if config.sampler == PLAIN else f"sampler {config.sampler}"
    late = f"from {number(100 * config.start)} %" if config.start > 0 else ""
    return ", ".join(filter(None, ["" if config.tpr is None else "given TPRs", sampler, late, epochs]))


def data_words(config: RunConfig) -> str:
    """The dataset and its long tail: "MNIST-1D, tail 100"."""
    return ", ".join(filter(None, [dataset_label(config.dataset), text.tail(config.imbalance, config.profile)]))


def dataset_labels() -> dict[str, str]:
    """Key -> label: the built-in datasets, then image folders and zips in the data folder; shared names get their key appended."""
    found = offered(data_root())
    own = {d.key: _own_label(d.key) for d in found if d.own}
    twice = {name for name, n in Counter(own.values()).items() if n > 1}
    return {d.key: d.label for d in found if not d.own} | {
        key: f"{name}, {key}" if name in twice else name for key, name in own.items()
    }


def dataset_label(key: str) -> str:
    """The label of one dataset, as in `dataset_labels`; also of images that are elsewhere, of another size, or gone."""
    return DATASETS[key].label if key in DATASETS else dataset_labels().get(key) or _own_label(key)


def _own_label(key: str) -> str:
    """ "cats (your images)": without folder, suffix and the prefix of uploads; "cats@64 (your images)" at a size of its own."""
    name, size = SIZED.fullmatch(Path(known_as(key)).name).groups("")
    return f"{Path(name).stem}{size} (your images)"
