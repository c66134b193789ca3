"""Facts: what a worker records of a run when it starts. Stored as JSON; the runs of earlier versions lack some."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

PerClass = Sequence[float | None]  # [C], None where a class has no samples
Head = tuple[str, Mapping[str, float]]  # key and knobs of a layer after the body of the network


def origin_of_run(run_id: int, epoch: int) -> str:
    """The origin of TPRs of a run after an epoch, as it is stored; `StartEvidence.run` is its inverse."""
    return f"run {run_id}, validation split, epoch {epoch}"


@dataclass(frozen=True)
class StartEvidence:
    """The TPRs that a run started from.

    tpr, support  [C] of the baseline's validation split, or as given; None where there are none
    origin        `origin_of_run`, or what given ones are called; "" where there are none. Stored as "from"
    method        key of the method that trained the baseline, "" without one; None where it was not recorded
    """

    tpr: PerClass | None = None
    support: PerClass | None = None
    origin: str = ""
    method: str | None = None

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> StartEvidence:
        """The inverse of `stored`."""
        return cls(stored.get("tpr"), stored.get("support"), stored.get("from", ""), stored.get("method"))

    @property
    def run(self) -> int | None:
        """The number of the run that they come from, which may be deleted; None for given ones, unless called like a run."""
        found = re.match(r"run (\d+)\b", self.origin)
        return int(found[1]) if found else None

    def stored(self) -> dict[str, Any]:
        """As plain values."""
        method = {} if self.method is None else {"method": self.method}
        return {"tpr": self.tpr, "support": self.support, "from": self.origin, **method}


@dataclass(frozen=True)
class Facts:
    """What the worker recorded, with the default of whatever it did not.

    classes      names of the classes; empty until the run has started
    counts       split -> samples of each class
    index_hash   of the data and the splits
    fingerprint  of the data
    evidence     what the run started from
    device       its name
    precision    of the training steps
    versions     library -> version
    parameters   of the network
    heads        the heads that its network was given, one after another
    skipped      files that could not be read, the first of them
    others       facts that this version does not know; kept unchanged
    missing      fields that were not recorded: left out when the facts are stored or exported
    """

    classes: tuple[str, ...] = ()
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    index_hash: str = ""
    fingerprint: str = ""
    evidence: StartEvidence = StartEvidence()
    device: str = ""
    precision: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    parameters: int = 0
    heads: tuple[Head, ...] = ()
    skipped: tuple[str, ...] = ()
    others: Mapping[str, Any] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Facts:
        """The inverse of `stored`."""
        known = {key: PARSED.get(key, lambda v: v)(value) for key, value in stored.items() if key in RECORDED}
        others = {key: value for key, value in stored.items() if key not in RECORDED}
        return cls(**known, others=others, missing=RECORDED - set(known))

    def stored(self) -> dict[str, Any]:
        """As plain values: what the database and the exports hold."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name in RECORDED - self.missing}
        if "evidence" in values:
            values["evidence"] = self.evidence.stored()
        return values | self.others

    @property
    def trained_in(self) -> str:
        """The precision of the training steps; float32 for runs from before it was recorded."""
        return self.precision or "float32"

    @property
    def training_counts(self) -> NDArray[np.int64] | None:
        """[C] training samples; None where they were not recorded."""
        found = self.counts.get("train")
        return None if found is None else np.asarray(found, dtype=np.int64)

    @property
    def validation_counts(self) -> Sequence[int]:
        """[C] validation samples; empty where they were not recorded."""
        return self.counts.get("validation", ())


RECORDED = frozenset(f.name for f in fields(Facts)) - {"others", "missing"}
PARSED = {  # fields whose JSON has another type
    "classes": tuple,
    "evidence": StartEvidence.from_stored,
    "heads": lambda heads: tuple((key, knobs) for key, knobs in heads),
    "skipped": tuple,
}
NOT_STARTED = Facts.from_stored({})
