"""Compare with two runs that are not a fair pair: it warns, and says what to do next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.experiment.config import checked
from tests import seed
from tests.storage.kit import database

APP = Path(__file__).resolve().parents[4] / "app.py"
COMPARE = "pages/views/compare.py"


def trained(engine, worker, made, name, index_hash="0", **settings):
    """A finished run on data with this hash."""
    run_id = seed.submit(engine, checked(replace(seed.config_of(epochs=4), **settings)), name)
    facts = seed.facts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seed, "facts", lambda m: replace(facts(m), index_hash=index_hash * 64))
        seed.train(engine, worker, made, 4, seed=run_id)
    return run_id


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """One run of each kind, and runs on other data; created once."""
    root = tmp_path_factory.mktemp("compare")
    engine = database(root)
    worker = seed.worker_of(engine)
    ids = {
        "plain": trained(engine, worker, seed.mnist1d(), "plain"),
        "again": trained(engine, worker, seed.mnist1d(0, 1), "plain again", seed=1),
        "tail": trained(engine, worker, seed.mnist1d(0, 2), "long tail", "1", imbalance=10.0),
        "changed": trained(engine, worker, seed.mnist1d(0, 3), "other data", "2", recipe="sgd_cosine"),
    }
    ids |= seed.small(engine)
    engine.dispose()
    return root, ids


def visit(before: int, after: int) -> AppTest:
    """Compare with these two runs in the URL."""
    at = AppTest.from_file(str(APP), default_timeout=300).run()
    at.switch_page(COMPARE)
    at.query_params.update({"a": str(before), "b": str(after)})
    at.run()
    assert not at.exception, at.exception
    return at


def warned(at: AppTest) -> str:
    """All warnings as plain text."""
    return "\n".join(w.value for w in at.warning).replace("\\", "")


def links(at: AppTest) -> list[str]:
    return [link.label for link in at.get("page_link")]


def test_a_run_with_itself(ids):
    at = visit(ids["weighted"], ids["weighted"])
    assert f"Before and after are both run {ids['weighted']}" in warned(at)
    assert "choose another run on one side" in warned(at)
    assert f"Compare run {ids['weighted']} with its baseline, run {ids['baseline']}" in links(at)
    assert not at.metric


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("running", "is running at epoch 9 of 20."),
        ("failed", "failed at epoch 3 of 20."),
        ("stopped", "was stopped at epoch 6 of 20."),
    ],
)
def test_a_run_that_has_not_finished(ids, which, words):
    at = visit(ids["baseline"], ids[which])
    assert f"Run {ids[which]} {words}" in warned(at)
    assert f"Open run {ids[which]}" in links(at)
    assert "not both runs have finished" in at.markdown[0].value
    assert len(at.metric) == 4


def test_a_run_without_metrics(ids):
    at = visit(ids["baseline"], ids["queued"])
    assert (
        f"Run {ids['queued']} (queued) has no finished epoch, so it has no metrics. Wait for its first epoch, or choose another run."
        in warned(at)
    )
    assert f"Open run {ids['queued']}" in links(at)


def test_a_missing_run(ids):
    assert "Run 4711 not found; it was deleted, or no run has this number. Choose another run." in warned(
        visit(ids["baseline"], 4711)
    )


def test_other_splits(ids):
    assert "trained on different samples because the imbalance factor differs" in warned(
        visit(ids["plain"], ids["tail"])
    )
    assert "The data changed between the two runs" in warned(visit(ids["plain"], ids["changed"]))


def test_runs_that_differ_only_in_their_seed(ids):
    at = visit(ids["plain"], ids["again"])
    assert "only the seed or the device differs" in at.markdown[0].value
    assert "compare_seeds" not in [b.key for b in at.button], "more seeds would not help"


def test_a_fair_pair_has_no_warning(ids):
    at = visit(ids["baseline"], ids["weighted"])
    assert not at.warning
    table = next(d.value for d in at.dataframe if "setting" in d.value)
    assert table["setting"].tolist() == ["Method", "Exponent", "Largest ratio", "Normalize", "TPRs from"]
    assert table.iloc[2].tolist() == ["Largest ratio", "–", "10,000"]
