"""One class that holds most of the weight: said in words and in the preview. And the copied command in another data folder."""

import numpy as np
import pytest

from core.diagnostics.weight_dominance import of_terms
from core.experiment.config import RunConfig
from core.methods import answer, grid, shares, what_if
from core.methods.types import ClassTerms
from pages.components.preview import component
from reporting import palette
from reporting.code_snippet import cli_command
from storage.db.paths import surroundings

TPRS = np.array([0, 0.8, 0.7, 0.6, 0.5, 0.9, 0.8, 0.7, 0.6, 1.0])
NAMES = [f"k{c}" for c in range(20)]


def test_the_weights_of_a_class_that_was_never_hit_are_warned_of():
    seen = what_if(10, tpr=TPRS, counts=np.full(10, 360.0))
    terms = answer("tpr_ratio", seen, {"exponent": 2.0})
    found = of_terms(terms, seen.counts, NAMES[:10])
    assert found.name == "k0"
    assert found.share > 0.9
    assert of_terms(answer("tpr_ratio", what_if(10, tpr=np.linspace(0.6, 0.9, 10)), {}), None, NAMES[:10]) is None


@pytest.mark.parametrize(
    ("weight", "counts", "warned"),
    [
        ([1, 1, 1], [90, 5, 5], False),  # the data's own share
        ([0.5, 1, 1], [90, 5, 5], False),  # less than the data's own
        ([9, 1, 1], [1, 1, 1], False),  # over half, but of three classes that is little
        ([11, 1, 1], [1, 1, 1], True),
        ([9, 1], [1, 1], False),  # of two classes one always holds half
        ([19, *[1] * 19], [1] * 20, False),  # half, no more
        ([19.1, *[1] * 19], [1] * 20, True),
    ],
)
def test_more_than_half_that_the_weights_made(weight, counts, warned):
    w, n = np.array(weight, float), np.array(counts, float)
    assert bool(of_terms(ClassTerms(weight=w), n, NAMES[: len(weight)])) == warned


def test_the_shares_of_the_loss_follow_the_sampling_where_the_terms_have_one():
    w, n, drawn = np.array([1.0, 2.0]), np.array([30.0, 10.0]), np.array([0.25, 0.75])
    assert shares(ClassTerms(), n, 2).tolist() == [0.75, 0.25]
    assert shares(ClassTerms(), None, 2).tolist() == shares(ClassTerms(), np.zeros(2), 2).tolist() == [0.5, 0.5]
    assert shares(ClassTerms(weight=w), n, 2).tolist() == [0.6, 0.4]
    assert shares(ClassTerms(weight=w, sampling=drawn), n, 2) == pytest.approx([1 / 7, 6 / 7])


def test_the_preview_warns_stop_by_stop():
    given = grid("tpr_ratio", what_if(10, tpr=TPRS, counts=np.full(10, 360.0)), {})
    sent = component.payload(NAMES[:10], np.arange(10), TPRS, given, None, 1.0, palette.LIGHT)
    assert [bool(text) for text in sent["warn"]] == [bool(s.max() > 10 / 19) for s in given.share]
    assert len(set(map(bool, sent["warn"]))) == 2


def test_the_copied_command_names_the_data_folder_and_the_database_that_are_not_the_default(monkeypatch, tmp_path):
    monkeypatch.delenv("EVENLY_DATA", raising=False)
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
    assert surroundings() == {}
    folder = tmp_path / "my data"
    monkeypatch.setenv("EVENLY_DATA", str(folder))
    given = RunConfig("mnist1d", "cnn1d", method="tpr_ratio", tpr=(0.5,) * 10)
    first, second = cli_command(given, variables=surroundings()).splitlines()
    assert first.startswith("printf")
    assert second.startswith(f"EVENLY_DATA='{folder}' python cli.py run ")
    monkeypatch.setenv("EVENLY_DATABASE_URL", "sqlite:////x/y.db")
    assert surroundings() == {"EVENLY_DATA": str(folder), "EVENLY_DATABASE_URL": "sqlite:////x/y.db"}
