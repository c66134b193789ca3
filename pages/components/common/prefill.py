"""What New run takes over from another page when it is opened next: keys of the session."""

from __future__ import annotations

from dataclasses import dataclass

from core.experiment.config import RunConfig

PREFILL = "new_prefill"  # a Prefill
TPR_TEXT = "new_tpr_text"  # the widget of given TPRs: its text


@dataclass(frozen=True)
class Prefill:
    """Choices for New run, kept in the session as PREFILL; of those left out, the form keeps its own.

    config    a run's settings, all but its method and the method's parameters
    dataset   where no `config` says it
    method    the method, with its parameters in `config`
    baseline  a run, or a kind of `services.tpr_sources.TprSource`
    """

    config: RunConfig | None = None
    dataset: str | None = None
    method: str | None = None
    baseline: int | str | None = None
