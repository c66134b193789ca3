"""The sentences of core.diagnostics: cautions about one run."""

from __future__ import annotations

from core.diagnostics import double_correction, run_warnings, sample_size, weight_dominance
from core.formatting import count, listed
from reporting.numbers import percent
from reporting.text.finding import of

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
    """The sentence on weights that oscillate. `half`: the epochs that are judged, `most`: the classes that oscillate most."""
    return (
        f"The weights{' of ' * bool(of_run)}{of_run} oscillate between classes. In {half} a weight changes by a factor of "
        f"{found.factor:.1f} per epoch on average, {len(found.classes)} of {found.among} classes oscillate"
        f"{f' (most: {most})' if most else ''}, and changes reverse in {percent(found.reversal, 0)} of the epochs. "
        "Such a run chases the errors of its last epoch and usually loses accuracy."
    )


def no_oscillation(found: run_warnings.Oscillation, half: str) -> str:
    """The sentence on weights that do not oscillate: their change per epoch; `half`: the epochs that are judged."""
    return (
        f"From epoch to epoch a weight changes by a factor of {found.factor:.2f} on average and turns back at "
        f"{percent(found.reversal, 0)} of the epochs ({half})."
    )


@of.register
def _(f: weight_dominance.DominantClass) -> str:
    return (
        f"Class {f.name} holds {percent(f.share)} of the weighted loss, more than all others together: "
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
