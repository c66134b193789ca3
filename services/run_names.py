"""The default name of a run."""

from __future__ import annotations

from core.experiment.config import RunConfig, usual_epochs
from core.methods import METHODS
from core.methods.samplers import PLAIN
from reporting import text


def method_words(config: RunConfig) -> str:
    """The method and its parameters, short: "TPR ratio, exponent 2", "None", "Focal, gamma 2, form sigmoid".

    The part of a label in parentheses is left out.
    """
    row = METHODS[config.method]
    values = {p.key: config.params.get(p.key, p.default) for p in row.params}
    shown = [
        f"{p.label.lower()} {values[p.key] if isinstance(values[p.key], str) else format(float(values[p.key]), 'g')}"
        for p in row.params
        if p.key == row.slider or values[p.key] != p.default
    ]
    return ", ".join([row.label.partition(" (")[0], *shown])


def unusual_words(config: RunConfig) -> str:
    """Settings besides the method that are not at their defaults; "" where all are.

    For example "given TPRs, sampler balanced, from 80 %, 60 epochs".
    """
    usual = config.epochs == usual_epochs(config.method, config.recipe)
    epochs = "" if usual else f"{config.epochs} epoch{'s' * (config.epochs != 1)}"
    sampler = "" if config.sampler == PLAIN else f"sampler {config.sampler}"
    late = f"from {100 * config.start:g} %" if config.start > 0 else ""
    return ", ".join(filter(None, ["" if config.tpr is None else "given TPRs", sampler, late, epochs]))


def data_words(config: RunConfig, dataset_label: str) -> str:
    """The dataset and its long tail: "MNIST-1D, tail 100"."""
    return ", ".join(filter(None, [dataset_label, text.tail(config.imbalance, config.profile)]))
