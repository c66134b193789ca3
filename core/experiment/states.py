"""The states of a run: the key that is stored, and its words on every page, in the command line and in messages."""

from __future__ import annotations

from dataclasses import dataclass

from core.registry import Registry


@dataclass(frozen=True)
class State:
    """A state. `clause` follows the run's name: "run 3 was stopped"."""

    key: str
    label: str
    clause: str

    @property
    def word(self) -> str:
        """The label within a line."""
        return self.label.lower()


STATES = Registry(
    "state",
    State(key="queued", label="Queued", clause="is queued"),
    State(key="running", label="Running", clause="is running"),
    State(key="succeeded", label="Succeeded", clause="has already succeeded"),
    State(key="failed", label="Failed", clause="failed"),
    State(key="cancelled", label="Stopped", clause="was stopped"),
    State(key="paused", label="Paused", clause="is paused"),
)


def event_word(kind: str) -> str:
    """The word for a kind of event in a run's log: a change of state by the state's word, anything else as it is stored."""
    return STATES[kind].word if kind in STATES else kind
