"""What a method needs, what it is applied to, and the sentences of core.methods.notes."""

from __future__ import annotations

from core.formatting import listed
from core.methods import CLASSIFIER, FINETUNE, POSTHOC, notes
from reporting.numbers import in_percent, percent
from reporting.text.finding import of
from reporting.text.phrases import capitalized, numbered

NEEDS = {
    "counts": "training samples per class",
    "tpr": "validation TPRs of a baseline",
    "last_tpr": "its own validation TPRs after each epoch",
    "network": "a finished run on the same split",
    "meta": "validation samples to learn from",
    "validation": "that run's outputs on the validation split",
}  # what a method looks at
STAGES = {
    CLASSIFIER: "A second stage: trains the last layer of a finished run on its frozen features, as a separate run.",
    FINETUNE: "A second stage: trains the network of a finished run further, as a separate run.",
    POSTHOC: "A post-hoc step: no training, takes seconds, a separate run.",
}  # what a method is applied to, where it does not train from the start
TRAINED = {
    CLASSIFIER: "The features of the finished run are frozen; only its last layer is trained.",
    FINETUNE: "The whole network of the finished run is trained further.",
}  # what a second stage trains


@of.register
def _(f: notes.TprsClipped) -> str:
    why = "half a validation sample" if f.floor is None else f"{f.floor:g}: the number of validation samples is unknown"
    return f"The TPR of {numbered('class', f.classes)} is clipped away from 0 and 1 by {why}."


@of.register
def _(f: notes.WeightsClipped) -> str:
    return f"The weight of {numbered('class', f.classes)} is clipped at {f.max_ratio:g} times the smallest."


MISSING = {"tpr": "TPR", "counts": "training samples"}


@of.register
def _(f: notes.WeightsFilled) -> str:
    missing = " or ".join(MISSING[need] for need in f.missing)
    return f"{capitalized(numbered('class', f.classes))}: no {missing}, so the weight is the mean of the others."


@of.register
def _(f: notes.WeightsNegligible) -> str:
    return (
        f"The weight of {numbered('class', f.classes)} is below 1/{1 / f.below:.0f} of the largest: "
        "almost no gradient reaches it."
    )


@of.register
def _(f: notes.WeightsZero) -> str:
    return f"Weight 0 for {f.zero} of {f.among} classes: they are not learned."


@of.register
def _(f: notes.WeightsOfEpoch) -> str:
    return f"Weights of epoch {f.epoch} of {f.epochs}: they are recomputed before every epoch."


@of.register
def _(f: notes.EqualBeforeFirstEpoch) -> str:
    equal = {"weight": "every weight is 1", "sampling": "every class is drawn equally often"}
    return f"Before the first epoch {equal[f.term]}."


@of.register
def _(f: notes.ShiftsZero) -> str:
    return f"{f.zero} of {f.among} classes have no validation samples, so their shift is 0."


@of.register
def _(f: notes.CountsFilled) -> str:
    assumed = "as many as in the smallest class are" if f.as_smallest else "one sample is"
    return f"No training samples of {numbered('class', f.classes)}: {assumed} assumed."


@of.register
def _(f: notes.ClassesMasked) -> str:
    return f"{f.masked} of {f.among} classes hold less than {f.threshold:g} of the training samples and are masked."


@of.register
def _(_f: notes.EqualSmoothing) -> str:
    return "All counts are equal: every class gets the mean of head and tail."


@of.register
def _(_f: notes.NoMinority) -> str:
    return "No class has fewer samples than the mean, so there is no minority: rho has no effect, and sampling follows the data."


@of.register
def _(f: notes.NeverDrawn) -> str:
    return f"Never drawn, so not learned: {numbered('class', f.classes)}. Choose a rho between 0 and 1."


@of.register
def _(f: notes.CountsNearlyEqual) -> str:
    return (
        f"The counts differ by less than {percent(f.within, 0)}, "
        f"yet with rho {f.rho:g} the minority is {numbered('class', f.minority)}."
    )


@of.register
def _(f: notes.EpochShare) -> str:
    return f"An epoch draws {percent(f.share, 0)} of the training samples."


@of.register
def _(f: notes.TermsWait) -> str:
    if not f.terms:
        return f"Unweighted until epoch {f.epoch - 1}: the terms act from epoch {f.epoch} on."
    what = f"The {f.terms[0]} acts" if len(f.terms) == 1 else f"{capitalized(listed(f.terms))} act"
    return f"{what} from epoch {f.epoch} on."


@of.register
def _(f: notes.BiasCost) -> str:
    lowered = listed(f"{name} from {in_percent(old)} to {percent(new)}" for name, old, new in f.lowered)
    return f"On the validation split, where it was fitted, the bias lowers {lowered}."


@of.register
def _(f: notes.BiasFewSamples) -> str:
    return (
        f"{f.few} of {f.among} classes have fewer than {f.below} validation samples (fewest: {f.fewest}). "
        "Their bias is mostly noise and equalizes the test split far less. A larger validation share helps."
    )
