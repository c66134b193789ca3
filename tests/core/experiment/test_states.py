"""The words for the states of a run: one for every state that the database knows."""

from core.experiment.states import STATES, event_word
from storage.db.schema import STATUSES


def test_every_stored_state_has_words():
    assert STATES.keys == STATUSES
    assert [STATES[key].clause for key in ("failed", "cancelled", "paused")] == ["failed", "was stopped", "is paused"]


def test_an_event_of_a_state_has_its_word_and_any_other_its_own():
    assert [event_word(kind) for kind in ("cancelled", "failed", "wanted")] == ["stopped", "failed", "wanted"]
