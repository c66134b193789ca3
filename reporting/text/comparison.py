"""The sentences of core.comparison but the verdict: what makes a comparison unfair, and the notes beside its verdict."""

from __future__ import annotations

from core.comparison import compare, confounders, pairing
from core.experiment.states import STATES, State
from core.formatting import count, listed
from reporting.text.finding import lines, of
from reporting.text.phrases import capitalized, numbered

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
