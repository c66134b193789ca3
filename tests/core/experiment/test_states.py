"""The states of a run: their words, the sets of them, and what may be asked in each."""

import pytest

from core.experiment import states
from core.experiment.states import REQUESTS, STATES, event_word


def test_the_keys_are_those_that_are_stored():
    assert STATES.keys == ("queued", "running", "succeeded", "failed", "cancelled", "paused")
    assert REQUESTS.keys == ("run", "pause", "cancel")
    assert [STATES[key].clause for key in ("failed", "cancelled", "paused")] == ["failed", "was stopped", "is paused"]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("LIVE", "queued running"),
        ("BUSY", "queued running paused"),
        ("ENDED", "succeeded failed cancelled"),
        ("LEFT", "succeeded failed cancelled paused"),
        ("RESUMABLE", "failed cancelled paused"),
        ("UNSUCCESSFUL", "failed cancelled"),
    ],
)
def test_the_sets_of_states(name, keys):
    assert getattr(states, name) == tuple(keys.split())


def test_every_request_leads_to_a_state_and_every_state_names_known_requests():
    assert {request.leads_to for request in REQUESTS} == {"queued", "paused", "cancelled"}
    assert {request for state in STATES for request in state.requests} == set(REQUESTS.keys)
    assert [STATES[key].resume for key in ("running", "succeeded", "failed", "cancelled", "paused")] == [
        "",
        "",
        "Try again",
        "Resume",
        "Resume",
    ]


def test_an_event_of_a_state_has_its_word_and_any_other_its_own():
    assert [event_word(kind) for kind in ("cancelled", "failed", "wanted")] == ["stopped", "failed", "wanted"]
