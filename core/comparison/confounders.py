"""Why two runs are not a fair comparison: one has not finished, or something beside the weighting differs."""

from __future__ import annotations

from dataclasses import replace

from core.comparison.side import Side
from core.diagnostics.run_warnings import few_samples, met_before, swinging
from core.experiment.config import SETTINGS, RunConfig
from core.experiment.recipes import RECIPES
from core.methods import METHODS, POSTHOC, TRAIN
from core.registry import Param

DRAWN_BY = ("seed", "validation", "imbalance", "profile")  # the settings that decide who is in which split
WEIGHTING = (
    "method",
    "params",
    "sampler",
    "sampler_params",
    "start",
    "deferred",
    "reduction",
    "tpr",
    "tpr_support",
    "tpr_source",
)  # what Evenly compares
TRAINED_BY = ("epochs", "recipe", "recipe_params")  # of a second stage its own, on top of its baseline's
APART = ("dataset", "seed", "device")  # said or refused elsewhere, or without a say in what is learnt
# status -> what became of the run, and what to do
ENDINGS = {
    "queued": "waits in the queue after epoch {epoch} of {epochs}: let it finish before you judge",
    "running": "is at epoch {epoch} of {epochs}: let it finish before you judge",
    "paused": "is paused after epoch {epoch} of {epochs}: resume it and let it finish, or choose another run",
    "cancelled": "was stopped after epoch {epoch} of {epochs}: resume it and let it finish, or choose another run",
    "failed": "failed after epoch {epoch} of {epochs}: its error says what to mend; try it again, or choose another run",
}


def cautions(before: Side, after: Side, same: bool = False, averaged: bool = False) -> tuple[str, ...]:
    """Sentences, none where the comparison is fair. `same`: no setting but the seed differs; `averaged`: it is one of means over seeds."""
    sides = (before, after)
    found = [_unfinished(side) for side in sides]
    few = [
        text
        for side in sides
        for text in (
            few_samples(side.label, side.config, side.facts),
            met_before(side.label, side.config, side.facts),
            swinging(side.label, side.config, side.weight),
        )
    ]
    return (*(text for text in found if text), *mixed(before, after, same, averaged), *(text for text in few if text))


def mixed(before: Side, after: Side, same: bool = False, averaged: bool = False) -> tuple[str, ...]:
    """Of the cautions those that name another cause than the weighting: other samples, other seeds, other settings.

    Nothing is praised then.
    """
    others = _other_samples(before, after, averaged)
    seeds = () if same or averaged or others else _other_seeds(before, after)
    return (*others, *seeds, *_other_settings(before, after))


def beside_the_weighting(before: RunConfig, after: RunConfig) -> list[str]:
    """Settings, in words with both values, that two runs' configs differ in and that are neither the weighting nor what draws the splits.

    "epochs (20 and 60)", "batch size (100 and 50)", "recipe", "model". Epochs and recipe of a second stage or a
    post-hoc step are its own and say nothing beside a run of another stage; a post-hoc step trains at no precision. A
    recipe's parameters count where the recipe is the same; of settings that this version does not know only the names are said.
    """
    stages = {_stage(before), _stage(after)}
    left_out = {*WEIGHTING, *APART, *DRAWN_BY, *(TRAINED_BY if len(stages) > 1 else ())}
    left_out |= {"precision"} if POSTHOC in stages else set()
    named = {"model": "model", "recipe": "recipe"} | {p.key: p for p in SETTINGS}
    compared = [(name, getattr(before, key), getattr(after, key)) for key, name in named.items() if key not in left_out]
    found = [_named(*row) for row in compared if row[1] != row[2]]
    found += sorted(k for k in {**before.others, **after.others} if before.others.get(k) != after.others.get(k))
    if "recipe_params" in left_out or before.recipe != after.recipe or before.recipe not in RECIPES:
        return found
    sides = [side.recipe_params for side in (before, after)]
    values = [(p, *(side.get(p.key, p.default) for side in sides)) for p in RECIPES[before.recipe].params]
    return found + [_named(*row) for row in values if row[1] != row[2]]


def apart_from_baseline(number: int, config: RunConfig, baseline: RunConfig) -> str:
    """For a run about to start: what else than the weighting sets it apart from its baseline, run `number`; "" where nothing does."""
    found = beside_the_weighting(baseline, config)
    if not found:
        return ""
    return (
        f"Run {number} differs from this one in {in_words(found)}: a comparison of the two will not show what the weights did alone. "
        "Set these alike, or choose a baseline that has them."
    )


def _unfinished(side: Side) -> str:
    if side.finished:
        return ""
    ending = ENDINGS.get(
        side.status, "is {status} after epoch {epoch} of {epochs}: let it finish, or choose another run"
    )
    text = f"{side.label} {ending.format(status=side.status, epoch=side.epoch, epochs=side.epochs)}."
    return text[0].upper() + text[1:]


def _other_seeds(before: Side, after: Side) -> tuple[str, ...]:
    """Runs of two methods with different seeds differ by more than the method."""
    if before.seed == after.seed:
        return ()
    return (
        f"{before.label[:1].upper()}{before.label[1:]} has seed {before.seed} and {after.label} has seed "
        f"{after.seed}: part of the difference may come from the seed. "
        "To judge a method, compare two runs with the same seed.",
    )


def _other_samples(before: Side, after: Side, averaged: bool) -> tuple[str, ...]:
    """At most one sentence: trained or tested on different samples, and through what."""
    tested = bool((before.support != after.support).any())
    trained = bool(before.index_hash and after.index_hash and before.index_hash != after.index_hash)
    if not (tested or trained):
        return ()
    settings = [p.label.lower() for p in SETTINGS if _draws(p, before, after)]
    if tested or not settings:
        return (
            f"The data changed between the two runs: they were {'tested' if tested else 'trained'} on different samples, so part of the "
            "difference may come from the data. Train the older one again on the data as it is now, then compare.",
        )
    if averaged and settings == ["seed"]:  # of the two runs alone, and it is the means that are judged
        return ()
    names = in_words(settings)
    return (
        f"The two runs were trained on different samples, because the {names} {'differ' if len(settings) > 1 else 'differs'}: "
        f"part of the difference may come from the samples. To judge a method, compare two runs with the same {names}.",
    )


def _other_settings(before: Side, after: Side) -> tuple[str, ...]:
    """One sentence where something else than the weighting differs, what draws the splits only where no hash tells whether it did.

    A precision of "auto" is one thing on one machine and another on the next: what was trained at counts.
    """
    found = beside_the_weighting(*(replace(side.config, precision=_precision(side)) for side in (before, after)))
    if not (before.index_hash and after.index_hash):
        found += [p.label.lower() for p in SETTINGS if p.key != "seed" and _draws(p, before, after)]
    if not found:
        return ()
    alike = all(getattr(before.config, key) == getattr(after.config, key) for key in WEIGHTING)
    text = f"{before.label} and {after.label} {'differ' if alike else 'also differ'} in {in_words(found)}"
    why = (
        "and have the same weighting, so no change is the work of weights"
        if alike
        else "so what changed is not the work of the weights alone"
    )
    return (
        f"{text[:1].upper()}{text[1:]}, {why}. To judge a weighting, compare two runs that differ in nothing else.",
    )


def _stage(config: RunConfig) -> str:
    return METHODS[config.method].stage if config.method in METHODS else TRAIN


def _precision(side: Side) -> str:
    """What a run was trained at; float32 of a run that began before it was recorded."""
    return side.facts.get("precision", "float32")


def _named(setting: Param | str, before: object, after: object) -> str:
    """A setting with both values where these are numbers or words of a list; another key would say nothing to people."""
    name = setting if isinstance(setting, str) else setting.label.lower()
    if all(isinstance(v, (int, float)) for v in (before, after)):
        return f"{name} ({before:g} and {after:g})"
    return f"{name} ({before} and {after})" if isinstance(setting, Param) and setting.choices else name


def in_words(names: list[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _draws(param: Param, before: Side, after: Side) -> bool:
    """Whether this setting differs and has a say in who is in which split; a long tail's profile has one only where there is a tail."""
    b, a = before.config, after.config
    if param.key not in DRAWN_BY or getattr(b, param.key) == getattr(a, param.key):
        return False
    return param.key != "profile" or max(b.imbalance, a.imbalance) > 1
