"""User-facing text: names escaped for Markdown and Plotly, and a sentence for every finding. Pure functions.

`of(finding)` is the text of a finding of core.methods.notes, core.diagnostics, core.comparison or core.experiment.baseline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch

from core.comparison import compare, confounders, pairing
from core.comparison.verdict import (
    BOTH_SIDES,
    ENOUGH_SEEDS,
    ONE_SIDE,
    PAIRED,
    SAME,
    SAMPLING,
    UNFINISHED,
    Delta,
    Noise,
    Verdict,
)
from core.diagnostics import double_correction, run_warnings, sample_size, weight_dominance
from core.experiment import baseline
from core.experiment.config import RunConfig
from core.experiment.states import STATES, State
from core.findings import Finding
from core.formatting import listed
from core.methods import CLASSIFIER, FINETUNE, POSTHOC, notes
from reporting import numbers
from reporting.numbers import count, minus

WORD_JOINER = "\u2060"  # invisible, of no width


def plain(text: str) -> str:
    """A name escaped for Markdown, so that typed text never formats or breaks the page. A web address stays a link."""
    line = re.sub(r"\s+", " ", str(text)).strip()
    line = re.sub(
        r"[<>~-](?=[-=>])", lambda m: m[0] + WORD_JOINER, line
    )  # or Streamlit draws -> as an arrow and -- as a dash
    line = re.sub(r"([\\`*_\[\]#|<>~$:@])", r"\\\1", line)
    return re.sub(r"^(\d*)([-+.)=])", r"\1\\\2", line)  # the start of a list or a heading's underline


def short(text: str, length: int = 18) -> str:
    """A label of at most `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def drawn(text: str, length: int | None = None) -> str:
    """A name escaped for a Plotly figure, cut to `length` characters first: Plotly interprets tags and entities in every text."""
    line = str(text) if length is None else short(str(text), length)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message(text: str) -> str:
    """An error's text as Markdown: capitalized, `commands` as code, everything else escaped.

    A first word that may be a name is not capitalized: one with more than letters in it (notzip.zip, tpr_ratio) or with a
    colon after it. Names with blanks come in quotes (core.datasets.folder_layout.at_head).
    """
    parts = text.split("`")
    shown = "".join(
        f"`{part}`" if i % 2 and i < len(parts) - 1 else _spaced(part) for i, part in enumerate(parts)
    ).strip()
    return f"{shown[:1].upper()}{shown[1:]}" if re.match(r"[A-Za-z]+(,? |$)", text.lstrip()) else shown


def sentence(text: str) -> str:
    """An error's text as a sentence: `message` with a period at the end if it lacks one."""
    shown = message(text)
    return shown if shown.endswith((".", "?", "!", ":")) or not shown else f"{shown}."


def choice(key: str) -> str:
    """A choice, or a text about it, as shown: weighted_mean -> "weighted mean"."""
    return key.replace("_", " ")


def _spaced(part: str) -> str:
    """A piece of a sentence, escaped, with one blank at each end that had any."""
    text = plain(part)
    return f"{' ' * part[:1].isspace()}{text}{' ' * part[-1:].isspace()}" if text else " " * bool(part)


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


# -- helpers of the sentences ------------------------------------------------------------------------------------


def numbered(noun: str, numbers: Sequence[int]) -> str:
    """ "seed 3", "seeds 0, 1 and 2", "classes 0 and 2"; beyond eight the others are counted."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{noun if len(numbers) == 1 else plural} {listed(numbers)}"


def capitalized(text: str) -> str:
    """The text with its first letter in upper case."""
    return f"{text[:1].upper()}{text[1:]}"


def typographic(text: str) -> str:
    """A sentence with real signs: -> as an arrow, - before a digit as a minus."""
    return minus(text.replace("->", "→"))


def lines(findings: Iterable[Finding]) -> list[str]:
    """The sentences of several findings."""
    return [of(finding) for finding in findings]


@singledispatch
def of(finding: Finding) -> str:
    """The text of a finding, one or more sentences. A finding without a text raises TypeError."""
    raise TypeError(f"{type(finding).__name__} has no words; give reporting.text a function for it")


# -- notes of methods, samplers and post-hoc steps ---------------------------------------------------------------


@of.register
def _(f: notes.TprsClamped) -> str:
    why = "half a validation sample" if f.floor is None else f"{f.floor:g}: the number of validation samples is unknown"
    return f"The TPR of {numbered('class', f.classes)} is clamped away from 0 and 1 by {why}."


@of.register
def _(f: notes.WeightsCapped) -> str:
    return f"The weight of {numbered('class', f.classes)} is capped at {f.max_ratio:g} times the smallest."


MISSING = {"tpr": "validation samples", "counts": "training samples"}


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
        f"The counts differ by less than {100 * f.within:.0f} %, "
        f"yet with rho {f.rho:g} the minority is {numbered('class', f.minority)}."
    )


@of.register
def _(f: notes.EpochShare) -> str:
    return f"An epoch draws {100 * f.share:.0f} % of the training samples."


@of.register
def _(f: notes.TermsWait) -> str:
    if not f.terms:
        return f"Unweighted until epoch {f.epoch - 1}: the terms act from epoch {f.epoch} on."
    what = f"The {f.terms[0]} acts" if len(f.terms) == 1 else f"{capitalized(listed(f.terms))} act"
    return f"{what} from epoch {f.epoch} on."


@of.register
def _(f: notes.BiasCost) -> str:
    lowered = listed(f"{name} from {100 * old:.1f} to {100 * new:.1f} %" for name, old, new in f.lowered)
    return f"On the validation split, where it was fitted, the bias lowers {lowered}."


@of.register
def _(f: notes.BiasFewSamples) -> str:
    return (
        f"{f.few} of {f.among} classes have fewer than {f.below} validation samples (fewest: {f.fewest}). "
        "Their bias is mostly noise and equalizes the test split far less. A larger validation share helps."
    )


# -- diagnostics of one run --------------------------------------------------------------------------------------

REMEDIES = {"images": "Add validation images.", "share": "Raise the validation share or add images."}


@of.register
def _(f: sample_size.FewSamples) -> str:
    known = (
        "its TPR cannot be measured, and its weight is the mean of the others"
        if f.half_width is None
        else f"its TPR is known only to about ±{100 * f.half_width:.0f} points (95 %)"
    )
    one = f"Class {f.name} has {count(f.samples, 'validation sample')}: {known}."
    many = f"{f.classes:,} classes have fewer than {f.below} validation samples." if f.classes > 1 else ""
    return " ".join(filter(None, [many, one, REMEDIES.get(f.remedy)]))


@of.register
def _(f: sample_size.BatchTooLarge) -> str:
    return f"batch size {f.batch} is larger than the training split of {f.samples} samples; choose at most {f.samples}"


@of.register
def _(f: run_warnings.MadeOfFew) -> str:
    made = listed(f.made)
    return (
        f"The {made} of {f.run} {'rest' if made != 'sampling' else 'rests'} on TPRs of few validation samples. {of(f.few)} "
        f"Part of the {made} is noise. Raise the validation share, or compare several seeds."
    )


@of.register
def _(f: run_warnings.SeenInTraining) -> str:
    return (
        f"The {f.made} of {f.run} {'rest' if f.made == 'weights' else 'rests'} on validation samples that the network was trained on "
        f"({f.learner} takes its meta samples there): their TPRs are too high. "
        "Use a baseline of another method, or judge by the test split alone."
    )


@of.register
def _(f: run_warnings.Oscillating) -> str:
    return oscillation(f.found, of_run=f.run) + (" Smooth the TPRs." if f.smoothable else "")


def oscillation(
    found: run_warnings.Oscillation, of_run: str = "", half: str = "the second half of its epochs", most: str = ""
) -> str:
    """Weights that oscillate. `half`: the epochs that are judged, `most`: the classes that oscillate most."""
    return (
        f"The weights{' of ' * bool(of_run)}{of_run} oscillate between classes. In {half} a weight changes by a factor of "
        f"{found.factor:.1f} per epoch on average, {len(found.classes)} of {found.among} classes oscillate"
        f"{f' (most: {most})' if most else ''}, and changes reverse in {100 * found.reversal:.0f} % of the epochs. "
        "Such a run chases the errors of its last epoch and usually loses accuracy."
    )


@of.register
def _(f: weight_dominance.DominantClass) -> str:
    return (
        f"Class {f.name} holds {100 * f.share:.1f} % of the weighted loss, more than all others together: "
        "the run would learn little else. Lower the exponent, the strength or the largest ratio of the method."
    )


@of.register
def _(f: double_correction.Corrector) -> str:
    label = f"{f.label[:1].lower()}{f.label[1:]}"
    name = {
        double_correction.METHOD: f.label,
        double_correction.SAMPLING: f"the sampling of {f.label}",
        double_correction.SAMPLER: f"the sampler {label}",
    }[f.kind]
    return f"{name} of the run it continues from" if f.earlier else name


@of.register
def _(f: double_correction.DoubleCorrection) -> str:
    return f"{of(f.first)} and {of(f.second)} both correct for {f.corrects}: the correction is applied twice."


# -- what makes a comparison unfair ------------------------------------------------------------------------------


@of.register
def _(f: confounders.Unfinished) -> str:
    state = STATES[f.status]
    return f"{capitalized(f.run)} {state.clause} at epoch {f.epoch} of {f.epochs}. {_to_finish(state)}"


def _to_finish(state: State) -> str:
    """What to do with an unfinished run before it is compared."""
    if state.live:
        return "Let it finish before you judge."
    if state.error:
        return "Its error says what to fix. Try it again, or choose another run."
    return "Resume it and let it finish, or choose another run."


@of.register
def _(f: confounders.OtherSeeds) -> str:
    return (
        f"{capitalized(f.before)} has seed {f.before_seed} and {f.after} has seed {f.after_seed}, "
        "so part of the difference may be seed noise. To judge a method, compare two runs with the same seed."
    )


@of.register
def _(f: confounders.DataChanged) -> str:
    return (
        f"The data changed between the two runs: they were {'tested' if f.tested else 'trained'} on different samples, "
        "so part of the difference may come from the data. Retrain the older run on the current data, then compare."
    )


@of.register
def _(f: confounders.OtherSamples) -> str:
    names = listed(f.settings)
    return (
        f"The two runs were trained on different samples because the {names} {'differ' if len(f.settings) > 1 else 'differs'}, "
        f"so part of the difference may come from the samples. To judge a method, compare two runs with the same {names}."
    )


@of.register
def _(f: confounders.OtherSettings) -> str:
    runs, what = f"{capitalized(f.before)} and {f.after}", listed(lines(f.differences), len(f.differences))
    said = (
        f"{runs} differ in {what} but not in the weighting, so no change is due to the weights."
        if f.same_weighting
        else f"{runs} also differ in {what}, so the change is not due to the weights alone."
    )
    return f"{said} To judge a weighting, compare two runs that differ in nothing else."


@of.register
def _(f: confounders.ApartFromBaseline) -> str:
    return (
        f"Run {f.number} differs from this run in {listed(lines(f.differences), len(f.differences))}, so a comparison of the two "
        "will not isolate the effect of the weights. Use the same settings, or choose a baseline that has these."
    )


@of.register
def _(f: confounders.Difference) -> str:
    if f.before is None and f.after is None:
        return f.name
    before, after = (f"{v:g}" if isinstance(v, (int, float)) else str(v) for v in (f.before, f.after))
    return f"{f.name} ({before} and {after})"


# -- notes beside a verdict --------------------------------------------------------------------------------------


@of.register
def _(f: compare.ClassesBeyond) -> str:
    which, noise = (
        ("Over the seeds, ", "seed noise") if f.averaged else ("", "the sampling noise of their test samples")
    )
    return (
        f"{which}{f.beyond} of {f.measured} classes changed by more than {noise} (95 %); "
        f"noise alone would move about {0.05 * f.measured:.1f} of them that far."
    )


@of.register
def _(f: pairing.Unpaired) -> str:
    then = "they are left out" if f.dropped else "the two sides are compared as independent groups (Welch)"
    return f"Both sides have {numbered('seed', f.seeds)}, but not as pairs, so {then}: {'; '.join(lines(f.reasons))}."


@of.register
def _(f: pairing.Apart) -> str:
    runs, take = numbered("run", f.runs), "take their" if len(f.runs) > 1 else "takes its"
    return {
        pairing.OTHER_SAMPLES: f"{runs} were trained on different samples",
        pairing.BASELINE_DELETED: f"{runs} {take} weights from a deleted baseline",
        pairing.OTHER_BASELINE: f"{runs} {take} weights from run {f.baseline} (seed {f.baseline_seed})",
    }[f.why]


@of.register
def _(f: pairing.LeftOut) -> str:
    one = len(f.runs) == 1
    shown = f", {'' if one else numbered('run', f.shown) + ' '}of this comparison" if f.shown else ""
    return (
        f"{count(len(f.runs), 'run')} {'is' if one else 'are'} left out because another run has the same seed "
        f"({numbered('run', f.runs)}{shown}). Of several, the one that forms a pair is used, else the newest."
    )


# -- the verdict -------------------------------------------------------------------------------------------------

FIGURES = {"tpr_variance": "variance", "accuracy": "accuracy", "balanced_accuracy": "mean TPR"}
ADD_SEEDS = "add seeds before you judge"


def verdict(v: Verdict) -> list[str]:
    """The verdict as sentences; the first is the headline. With means over seeds these come first, the two runs themselves last."""
    return [*([_leveled(v)] if v.leveled else []), *VERDICTS[v.noise.kind](v)]


@of.register
def _(f: Verdict) -> str:
    return " ".join(verdict(f))


def _leveled(v: Verdict) -> str:
    moved, fell = v.moved, v.shown[0]
    which = "all" if moved.losing == moved.measured else f"{moved.losing} of"
    return (
        f"More equal because {which} {moved.measured} classes got worse: {FIGURES[fell.figure]} "
        f"{100 * fell.judged.before:.1f} % -> {100 * fell.judged.after:.1f} %."
    )


def _by_means(v: Verdict) -> list[str]:
    noise = v.noise
    over = (
        f"{len(noise.pairs)} paired seeds"
        if noise.kind == PAIRED
        else f"{noise.seeds_before} seeds before and {noise.seeds_after} after"
    )
    few = [] if noise.fewest >= ENOUGH_SEEDS else [f"Two seeds show only very large effects: {ADD_SEEDS}."]
    means = ", ".join(f"{FIGURES[d.figure]} {_mean_change(d)}" for d in v.shown)
    return [
        f"Mean change over {over}: {means}.",
        f"{_judged(v, 'seed noise')}.",
        *few,
        f"These two runs{_own_seeds(noise)}: {_pair(v)}.",
    ]


def _by_one_side(v: Verdict) -> list[str]:
    b, a = v.noise.seeds_before, v.noise.seeds_after
    most, here, there = (b, "before", "after") if b > a else (a, "after", "before")
    return [
        f"{capitalized(_pair(v))}.",
        f"Judged by the spread over {most} seeds {here}, assuming the same spread {there}: "
        f"{_judged(v, 'seed noise', start=False)}.",
    ]


def _by_sampling(v: Verdict) -> list[str]:
    b, a = v.noise.seeds_before, v.noise.seeds_after
    seeds = (
        f"one seed each{_own_seeds(v.noise)}"
        if max(a, b) == 1
        else f"{count(b, 'seed')} before and {count(a, 'seed')} after"
    )
    return [
        f"{capitalized(_pair(v))}.",
        f"{_judged(v, 'the sampling noise of the test split')}.",
        f"With {seeds}, seed noise is unknown: {ADD_SEEDS}.",
    ]


def _unfinished(v: Verdict) -> list[str]:
    return [f"{capitalized(_pair(v))}.", "No verdict: not both runs have finished."]


def _same(v: Verdict) -> list[str]:
    return [
        f"{capitalized(_pair(v))}.",
        "No verdict on a method: only the seed or the device differs, so this difference is noise.",
    ]


VERDICTS = {
    PAIRED: _by_means,
    BOTH_SIDES: _by_means,
    ONE_SIDE: _by_one_side,
    SAMPLING: _by_sampling,
    UNFINISHED: _unfinished,
    SAME: _same,
}


def _own_seeds(noise: Noise) -> str:
    """The two runs' seeds, where they differ: the pair then differs by more than the method."""
    b, a = noise.shown
    return "" if b == a else f" (seed {b} before, {a} after)"


def _judged(v: Verdict, noise: str, start: bool = True) -> str:
    """The judgment of both changes, in one clause where it is the same."""
    first, second = ("exceeds" if d.beyond else "is within" for d in v.shown)
    names = [FIGURES[d.figure] for d in v.shown]
    if first == second:
        text = f"both changes {'exceed' if v.shown[0].beyond else 'are within'} {noise} (95 %)"
    else:
        text = f"the change in {names[0]} {first} {noise} (95 %), the change in {names[1]} {second} it"
    return capitalized(text) if start else text


def _pair(v: Verdict) -> str:
    return ", ".join(_change(d) for d in v.shown)


def _change(delta: Delta) -> str:
    if delta.figure == "tpr_variance":
        return f"variance {numbers.variance(delta.before)} -> {numbers.variance(delta.after)}"
    return f"{FIGURES[delta.figure]} {numbers.signed(100 * delta.change, 1)} points"


def _mean_change(delta: Delta) -> str:
    s = delta.seeds
    if s is None:
        raise ValueError(f"{delta.figure} has no means over seeds")
    values = (s.change, s.low, s.high)
    unit = "" if delta.figure == "tpr_variance" else " points"
    mean, low, high = numbers.alike([100 * v for v in values], 1) if unit else numbers.variances(values)
    return f"{mean}{unit} (95 % interval {low} to {high})"


# -- baselines ---------------------------------------------------------------------------------------------------


FINGERPRINT = 16  # characters of a fingerprint that a message shows


def tail(imbalance: float, profile: str) -> str:
    """ "tail 100" or "step tail 100"; "" where the training split keeps its counts."""
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
    """Which run each seed takes its TPRs from; None: a baseline that is trained first."""
    found = [f"run {number} for seed {seed}" for seed, number in takes.items() if number is not None]
    missing = [seed for seed, number in takes.items() if number is None]
    parts = []
    if len(found) > 1 and not missing and len(set(takes.values())) == 1:
        parts.append(f"Baseline: run {next(iter(takes.values()))} for every seed")
    elif found:
        parts.append(f"Baseline{'s' * (len(found) > 1)}: {listed(found)}")
    if missing:
        parts.append(f"{'for' if parts else 'For'} {numbered('seed', missing)} a baseline is trained first")
    return "; ".join(parts) + "." if parts else ""
