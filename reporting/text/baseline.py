"""The sentences of core.experiment.baseline, and which baseline each seed takes."""

from __future__ import annotations

from collections.abc import Mapping

from core.experiment import baseline
from core.experiment.config import RunConfig
from core.experiment.states import STATES
from core.formatting import listed, plural
from reporting.text.finding import of
from reporting.text.phrases import numbered

FINGERPRINT = 16  # characters of a fingerprint that a message shows


def tail(imbalance: float, profile: str) -> str:
    """The long tail of a training split, as sentences on baselines name it: "tail 100" or "step tail 100"; "" where the
    split keeps its counts."""
    return "" if imbalance <= 1 else f"{'' if profile == RunConfig.profile else f'{profile} '}tail {imbalance:g}"


@of.register
def _(f: baseline.BaselineDiffers) -> str:
    """ "older data, no long tail, model cnn"; "" where nothing differs."""
    return ", ".join(
        filter(
            None,
            [
                "older data" if f.older else "",
                "" if f.tail is None else tail(*f.tail) or "no long tail",
                "" if f.validation is None else f"validation share {f.validation:g}",
                "" if f.model is None else f"model {f.model}",
            ],
        )
    )


@of.register
def _(f: baseline.NotSucceeded) -> str:
    state = STATES[f.status]
    advice = "let it finish" if state.live else "resume it"
    return f"run {f.run} {state.clause}; {advice}, or choose a run that has succeeded"


@of.register
def _(f: baseline.OtherDataset) -> str:
    return f"run {f.run} was trained on {f.theirs}, not on {f.ours}; choose a baseline on the same dataset"


@of.register
def _(f: baseline.OtherClasses) -> str:
    return f"run {f.run} was trained on different classes than {f.dataset} has now; choose another run"


@of.register
def _(f: baseline.OlderData) -> str:
    return (
        f"run {f.run} was trained on another version of {f.dataset} (data {f.theirs[:FINGERPRINT]}, now {f.ours[:FINGERPRINT]}), "
        "so the samples behind its TPRs may be test samples of this run; train the baseline again, or give the TPRs as a file"
    )


@of.register
def _(f: baseline.NoNetwork) -> str:
    applied_to = "" if f.applied_to is None else f", run {f.applied_to}"
    return f"run {f.run} is itself a post-hoc step and has no network; choose the run it was applied to{applied_to}"


@of.register
def _(f: baseline.OtherHead) -> str:
    return (
        f"{f.method} uses the weight vectors of a linear last layer, and run {f.run} has a head of kind {f.head!r}; "
        "choose another step"
    )


@of.register
def _(f: baseline.OtherNetwork) -> str:
    return (
        f"{f.method} continues from the network of run {f.run}, which differs from this run ({of(f.differs)}); "
        "choose a run on the same data and model"
    )


@of.register
def _(f: baseline.OtherSeedsBaseline) -> str:
    text = (
        f"Run {f.baseline} has seed {f.seed}, so the weights of {numbered('seed', f.others)} "
        "come from another network than their own baseline's"
    )
    if f.own_validation:
        return f"{text}."
    return f"{text} and from another validation split: most of the samples behind its TPRs are training samples here."


def baselines(takes: Mapping[int, int | None]) -> str:
    """The sentence on baselines: which run each seed takes its TPRs from; None: a baseline that is trained first."""
    found = [f"run {number} for seed {seed}" for seed, number in takes.items() if number is not None]
    missing = [seed for seed, number in takes.items() if number is None]
    parts = []
    if len(found) > 1 and not missing and len(set(takes.values())) == 1:
        parts.append(f"Baseline: run {next(iter(takes.values()))} for every seed")
    elif found:
        parts.append(f"{plural('Baseline', len(found))}: {listed(found)}")
    if missing:
        parts.append(f"{'for' if parts else 'For'} {numbered('seed', missing)} a baseline is trained first")
    return "; ".join(parts) + "." if parts else ""
