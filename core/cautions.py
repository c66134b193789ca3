"""Why two runs are not a fair comparison: one has not finished, or they saw different samples. Each caution ends with what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.config import SETTINGS
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


def cautions(before: Side, after: Side) -> tuple[str, ...]:
    """Sentences, none where the comparison is fair."""
    found = [_unfinished(side) for side in (before, after)]
    return (*(text for text in found if text), *_other_samples(before, after))


def _unfinished(side: Side) -> str:
    if side.finished:
        return ""
    ending = ENDINGS.get(side.status, "is {status} after epoch {epoch} of {epochs}: let it finish, or choose another run")
    text = f"{side.label} {ending.format(status=side.status, epoch=side.epoch, epochs=side.epochs)}."
    return text[0].upper() + text[1:]


def _other_samples(before: Side, after: Side) -> tuple[str, ...]:
    """At most one sentence: trained or tested on different samples, and through what."""
    tested = bool((before.support != after.support).any())
    trained = bool(before.index_hash and after.index_hash and before.index_hash != after.index_hash)
    if not (tested or trained):
        return ()
    settings = [p.label.lower() for p in SETTINGS if _draws(p, before, after)]
    if tested or not settings:
        return (f"The data changed between the two runs: they were {'tested' if tested else 'trained'} on different samples, so part of the "
                "difference may come from the data. Train the older one again on the data as it is now, then compare.",)
    names = " and ".join(filter(None, [", ".join(settings[:-1]), settings[-1]]))
    return (f"The two runs were trained on different samples, because the {names} {'differ' if len(settings) > 1 else 'differs'}: "
            f"part of the difference may come from the samples. To judge a method, compare two runs with the same {names}.",)


def _draws(param: Param, before: Side, after: Side) -> bool:
    """Whether this setting differs and has a say in who is in which split; a long tail's profile has one only where there is a tail."""
    b, a = before.settings, after.settings
    if param.key not in DRAWN_BY or b.get(param.key) == a.get(param.key):
        return False
    return param.key != "profile" or max(b.get("imbalance", 1.0), a.get("imbalance", 1.0)) > 1
