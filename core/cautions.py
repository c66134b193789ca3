"""Why two runs are not a fair comparison: one has not finished, weights rest on too few samples, or they saw different samples.

Each caution ends with what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core import enough
from core.config import SETTINGS
from core.methods import METHODS
from core.rows import Param

if TYPE_CHECKING:
    from core.compare import Side

DRAWN_BY = ("seed", "validation", "imbalance", "profile")  # the settings that decide who is in which split
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
    few = [few_samples(side.label, side.settings, side.facts) for side in sides]
    others = _other_samples(before, after, averaged)
    seeds = () if same or averaged or others else _other_seeds(before, after)
    return (*(text for text in (*found, *few) if text), *others, *seeds)


def few_samples(label: str, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Whether the TPRs that make a run's weights rest on few validation samples; "" where they do not, or where nothing is known.

    settings  the run's config; its method says whether it looks at an earlier run's TPRs or at its own
    facts     what the worker told: the evidence it started from, and the counts of its splits
    """
    support = _support(settings.get("method", ""), facts)
    text = enough.few_samples(support, facts.get("classes") or range(len(support)))
    if not text:
        return ""
    return (f"The weights of {label} rest on TPRs of few validation samples. {text} Part of these weights is chance. Hold out a larger validation share, "
            "or compare several seeds.")


def _support(method: str, facts: Mapping[str, Any]) -> list[float]:
    """Validation samples behind the TPRs that the method uses, one number a class; none where it uses no TPRs or they are unknown."""
    needs = METHODS[method].needs if method in METHODS else ()
    if "tpr" in needs:
        known = facts.get("evidence", {}).get("support") or []
    else:
        known = facts.get("counts", {}).get("validation", []) if "last_tpr" in needs else []
    return [0.0 if n is None else float(n) for n in known]


def _unfinished(side: Side) -> str:
    if side.finished:
        return ""
    ending = ENDINGS.get(side.status, "is {status} after epoch {epoch} of {epochs}: let it finish, or choose another run")
    text = f"{side.label} {ending.format(status=side.status, epoch=side.epoch, epochs=side.epochs)}."
    return text[0].upper() + text[1:]


def _other_seeds(before: Side, after: Side) -> tuple[str, ...]:
    """Runs of two methods with different seeds differ by more than the method."""
    if before.seed == after.seed:
        return ()
    return (f"{before.label[:1].upper()}{before.label[1:]} has seed {before.seed} and {after.label} has seed {after.seed}: part of the difference may come from "
            "the seed. To judge a method, compare two runs with the same seed.",)


def _other_samples(before: Side, after: Side, averaged: bool) -> tuple[str, ...]:
    """At most one sentence: trained or tested on different samples, and through what."""
    tested = bool((before.support != after.support).any())
    trained = bool(before.index_hash and after.index_hash and before.index_hash != after.index_hash)
    if not (tested or trained):
        return ()
    settings = [p.label.lower() for p in SETTINGS if _draws(p, before, after)]
    if tested or not settings:
        return (f"The data changed between the two runs: they were {'tested' if tested else 'trained'} on different samples, so part of the "
                "difference may come from the data. Train the older one again on the data as it is now, then compare.",)
    if averaged and settings == ["seed"]:  # of the two runs alone, and it is the means that are judged
        return ()
    names = " and ".join(filter(None, [", ".join(settings[:-1]), settings[-1]]))
    return (f"The two runs were trained on different samples, because the {names} {'differ' if len(settings) > 1 else 'differs'}: "
            f"part of the difference may come from the samples. To judge a method, compare two runs with the same {names}.",)


def _draws(param: Param, before: Side, after: Side) -> bool:
    """Whether this setting differs and has a say in who is in which split; a long tail's profile has one only where there is a tail."""
    b, a = before.settings, after.settings
    if param.key not in DRAWN_BY or b.get(param.key) == a.get(param.key):
        return False
    return param.key != "profile" or max(b.get("imbalance", 1.0), a.get("imbalance", 1.0)) > 1
