"""Why two runs are not a fair comparison: one has not finished, or something besides the weighting differs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.comparison.side import Side
from core.diagnostics.run_warnings import few_samples, oscillating, seen_in_training
from core.experiment.config import SETTINGS, RunConfig, having
from core.experiment.recipes import RECIPES
from core.findings import Finding
from core.methods import METHODS, POSTHOC, TRAIN
from core.registry import Param

WEIGHTING = having("method", "sampling", "evidence")  # what Evenly compares
DRAWN_BY = having("splits")
TRAINED_BY = having("training")  # a second stage has its own, in addition to its baseline's
APART = having("where")  # checked elsewhere, or without effect on the result


@dataclass(frozen=True)
class Difference(Finding):
    """A setting that two runs differ in; both values where they are numbers or choices, else None."""

    name: str
    before: float | str | None = None
    after: float | str | None = None


@dataclass(frozen=True)
class Unfinished(Finding):
    """A run that has not succeeded, after `epoch` of `epochs`."""

    run: str
    status: str
    epoch: int
    epochs: int


@dataclass(frozen=True)
class OtherSeeds(Finding):
    """Runs of two methods with different seeds."""

    before: str
    before_seed: int
    after: str
    after_seed: int


@dataclass(frozen=True)
class DataChanged(Finding):
    """The same settings gave other samples: of the test split (`tested`), or only of the training split."""

    tested: bool


@dataclass(frozen=True)
class OtherSamples(Finding):
    """Trained on different samples, because of these settings."""

    settings: tuple[str, ...]


@dataclass(frozen=True)
class OtherSettings(Finding):
    """Something other than the weighting differs; `same_weighting`: the weighting does not."""

    before: str
    after: str
    differences: tuple[Difference, ...]
    same_weighting: bool


@dataclass(frozen=True)
class ApartFromBaseline(Finding):
    """A run about to start differs from its baseline, run `number`, in more than the weighting."""

    number: int
    differences: tuple[Difference, ...]


def cautions(before: Side, after: Side, same: bool = False, averaged: bool = False) -> tuple[Finding, ...]:
    """Empty where the comparison is fair. `same`: no setting but the seed differs; `averaged`: means over seeds are compared."""
    sides = (before, after)
    unfinished = [Unfinished(s.label, s.status, s.epoch, s.epochs) for s in sides if not s.finished]
    of_one = [
        finding
        for side in sides
        for finding in (
            few_samples(side.label, side.config, side.facts),
            seen_in_training(side.label, side.config, side.facts),
            oscillating(side.label, side.config, side.weight),
        )
    ]
    return (*unfinished, *mixed(before, after, same, averaged), *filter(None, of_one))


def mixed(before: Side, after: Side, same: bool = False, averaged: bool = False) -> tuple[Finding, ...]:
    """The cautions that name another cause than the weighting: other samples, other seeds, other settings.

    No gain is highlighted then.
    """
    others = _other_samples(before, after, averaged)
    seeds = () if same or averaged or others else _other_seeds(before, after)
    return (*others, *seeds, *_other_settings(before, after))


def beside_the_weighting(before: RunConfig, after: RunConfig) -> tuple[Difference, ...]:
    """Settings in which two runs differ and that are neither the weighting nor what determines the splits.

    Epochs and recipe of a second stage or a post-hoc step are its own and are not compared with a run of another stage; a post-hoc step
    has no precision. A recipe's parameters count where the recipe is the same; of unknown settings only the names are
    given.
    """
    stages = {_stage(before), _stage(after)}
    left_out = {*WEIGHTING, *APART, *DRAWN_BY, *(TRAINED_BY if len(stages) > 1 else ())}
    left_out |= {"precision"} if POSTHOC in stages else set()
    named = {"model": "model", "recipe": "recipe"} | {p.key: p for p in SETTINGS}
    compared = [(name, getattr(before, key), getattr(after, key)) for key, name in named.items() if key not in left_out]
    found = [_named(*row) for row in compared if row[1] != row[2]]
    others = {k for k in {**before.others, **after.others} if before.others.get(k) != after.others.get(k)}
    found += map(Difference, sorted(others))
    if "recipe_params" in left_out or before.recipe != after.recipe or before.recipe not in RECIPES:
        return tuple(found)
    sides = [side.recipe_params for side in (before, after)]
    values = [(p, *(side.get(p.key, p.default) for side in sides)) for p in RECIPES[before.recipe].params]
    return (*found, *(_named(*row) for row in values if row[1] != row[2]))


def apart_from_baseline(number: int, config: RunConfig, baseline: RunConfig) -> ApartFromBaseline | None:
    """For a run about to start: how it differs from its baseline, run `number`, besides the weighting; None where it does not."""
    found = beside_the_weighting(baseline, config)
    return ApartFromBaseline(number, found) if found else None


def _other_seeds(before: Side, after: Side) -> tuple[OtherSeeds, ...]:
    """Runs of two methods with different seeds differ by more than the method."""
    same = before.seed == after.seed
    return () if same else (OtherSeeds(before.label, before.seed, after.label, after.seed),)


def _other_samples(before: Side, after: Side, averaged: bool) -> tuple[DataChanged | OtherSamples, ...]:
    """At most one: trained or tested on different samples, and why."""
    tested = bool((before.support != after.support).any())
    trained = bool(before.index_hash and after.index_hash and before.index_hash != after.index_hash)
    if not (tested or trained):
        return ()
    settings = tuple(p.label.lower() for p in SETTINGS if _draws(p, before, after))
    if tested or not settings:
        return (DataChanged(tested),)
    if averaged and settings == ("seed",):  # concerns only the two runs, and the means are judged
        return ()
    return (OtherSamples(settings),)


def _other_settings(before: Side, after: Side) -> tuple[OtherSettings, ...]:
    """At most one, where something other than the weighting differs; settings of the splits count only where no hash was recorded.

    A precision of "auto" depends on the machine: the precision that the run was trained at counts.
    """
    found = beside_the_weighting(*(replace(side.config, precision=side.facts.trained_in) for side in (before, after)))
    if not (before.index_hash and after.index_hash):
        drawn = (p.label.lower() for p in SETTINGS if p.key != "seed" and _draws(p, before, after))
        found = (*found, *map(Difference, drawn))
    alike = all(getattr(before.config, key) == getattr(after.config, key) for key in WEIGHTING)
    return (OtherSettings(before.label, after.label, found, alike),) if found else ()


def _stage(config: RunConfig) -> str:
    return METHODS[config.method].stage if config.method in METHODS else TRAIN


def _named(setting: Param | str, before: float | str, after: float | str) -> Difference:
    """A setting with both values where these are numbers or choices; other values are keys that mean little to users."""
    name = setting if isinstance(setting, str) else setting.label.lower()
    numbers = all(isinstance(v, (int, float)) for v in (before, after))
    listed = isinstance(setting, Param) and bool(setting.choices)
    return Difference(name, before, after) if numbers or listed else Difference(name)


def _draws(param: Param, before: Side, after: Side) -> bool:
    """Whether this setting differs and affects the splits; a long tail's profile does so only where there is a tail."""
    b, a = before.config, after.config
    if param.key not in DRAWN_BY or getattr(b, param.key) == getattr(a, param.key):
        return False
    return param.key != "profile" or max(b.imbalance, a.imbalance) > 1
