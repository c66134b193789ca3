"""The states of a run and what may be asked of it: the stored keys, and their words on pages, in the command line and in messages.

Whether a run goes on, has ended or can be resumed is read from its row here. A state more is a row more, with its icon in
`pages.components.common.run_status` and a migration, since the database checks the keys.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.registry import Registry


@dataclass(frozen=True)
class _Named:
    """`key` is stored, `label` begins a text."""

    key: str
    label: str

    @property
    def word(self) -> str:
        """The label within a line."""
        return self.label.lower()


@dataclass(frozen=True)
class Request(_Named):
    """What a person may ask of a run. A running one obeys once its worker has read it.

    done      what has then been done to the run: "resumed"
    leads_to  the state that it leads to
    pending   shown in place of "Running" until the worker obeys
    """

    done: str
    leads_to: str
    pending: str = ""


@dataclass(frozen=True)
class State(_Named):
    """A state.

    clause    follows the run's name: "run 3 was stopped"
    requests  what a person may ask of a run in this state
    live      the run goes on by itself; in any other state it stays as it is until somebody acts
    ended     the run is over, with or without success
    error     an error ended it, which is to be fixed before it is tried again
    """

    clause: str
    requests: tuple[str, ...] = ()
    live: bool = False
    ended: bool = False
    error: bool = False

    @property
    def resume(self) -> str:
        """The label of the button that resumes the run; "" where it cannot be resumed."""
        return "" if RESUME not in self.requests else "Try again" if self.error else REQUESTS[RESUME].label


RESUME, PAUSE, STOP = "run", "pause", "cancel"
REQUESTS = Registry(
    "request",
    Request(key=RESUME, label="Resume", done="resumed", leads_to="queued"),
    Request(key=PAUSE, label="Pause", done="paused", leads_to="paused", pending="Pausing"),
    Request(key=STOP, label="Stop", done="stopped", leads_to="cancelled", pending="Stopping"),
)
STATES = Registry(
    "state",
    State(  # -> running; paused or cancelled by a person; cancelled or failed if its baseline was
        key="queued",
        label="Queued",
        clause="is queued",
        requests=(PAUSE, STOP),
        live=True,
    ),
    State(  # -> any other: queued if its worker died or had to stop
        key="running",
        label="Running",
        clause="is running",
        requests=(PAUSE, STOP),
        live=True,
    ),
    State(key="succeeded", label="Succeeded", clause="has already succeeded", ended=True),  # trained to its last epoch
    State(key="failed", label="Failed", clause="failed", requests=(RESUME,), ended=True, error=True),
    State(key="cancelled", label="Stopped", clause="was stopped", requests=(RESUME,), ended=True),  # by a person
    State(
        key="paused", label="Paused", clause="is paused", requests=(RESUME, STOP)
    ),  # by a person, or for want of disk
)
LIVE = tuple(s.key for s in STATES if s.live)
BUSY = tuple(s.key for s in STATES if not s.ended)
ENDED = tuple(s.key for s in STATES if s.ended)
LEFT = tuple(s.key for s in STATES if not s.live)  # the states in which a worker may leave a run
RESUMABLE = tuple(s.key for s in STATES if s.resume)
UNSUCCESSFUL = tuple(s.key for s in STATES if s.ended and s.key != "succeeded")


def event_word(kind: str) -> str:
    """The word for a kind of event in a run's log: a change of state by the state's word, anything else as it is stored."""
    return STATES[kind].word if kind in STATES else kind
