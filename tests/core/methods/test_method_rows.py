"""What every row of METHODS and of SAMPLERS owes, whatever it computes: a contract, read off the rows themselves."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import EvenlyError
from core.methods import CLASSIFIER, FINETUNE, METHODS, POSTHOC, TRAIN, answer, formula_with
from core.methods.posthoc import STEPS
from core.methods.samplers import SAMPLERS
from core.methods.types import Evidence
from core.training.objectives import Objective, key_of, objective_class
from core.training.objectives.registry import ONE_LOSS
from reporting import text
from tests.core.methods.kit import settings_of

ROWS = [pytest.param(table, row, id=f"{table.noun}-{row.key}") for table in (METHODS, SAMPLERS) for row in table]
STAGES = {TRAIN, CLASSIFIER, FINETUNE, POSTHOC}
NEEDS = {"counts", "tpr", "last_tpr", "network", "meta", "validation"}
GROUPS = {
    "No weighting",
    "From TPRs",
    "From counts",
    "While training",
    "Loss shape",
    "Logits",
    "Per step",
    "Second stage",
    "Post-hoc",
    "Sampling",
}

every_row = pytest.mark.parametrize(("table", "row"), ROWS)


def seen(classes, tpr=None, counts=None, support=None, **changes):
    """Evidence in which `tpr` is an earlier run's and every epoch's so far."""
    past = None if tpr is None else np.stack([tpr, tpr])
    return Evidence(
        classes, counts=counts, tpr=tpr, support=support, last_tpr=tpr, last_support=support, past=past, **changes
    )


def tprs(classes):
    """TPRs at and between their ends, equal ones, and some without a value."""
    return {
        "spread": np.linspace(0.01, 0.99, classes),
        "all 0": np.zeros(classes),
        "all 1": np.ones(classes),
        "all equal": np.full(classes, 0.6),
        "0 and 1": np.arange(classes) % 2.0,
        "one missing": np.r_[np.nan, np.full(classes - 1, 0.4)],
    }


def numbers(classes):
    """Counts: even, steep, a million each, and one class without samples."""
    return {
        "even": np.full(classes, 50),
        "steep": np.floor(np.geomspace(10**6, 1, classes)),
        "large": np.full(classes, 10**6),
        "one missing": np.r_[0, np.geomspace(10**6, 2, classes - 1).round()],
        "single samples": np.ones(classes),
    }


def check(row, terms, classes, counts):
    """The ranges in which training stays finite."""
    low = {"weight": 0, "scale": 0, "focus": 0, "margin": 0, "smoothing": 0, "mask": 0, "sampling": 0}
    high = {"smoothing": 1 - 1e-9, "mask": 1, "sampling": 1 + 1e-12}
    for name, v in terms.set().items():
        assert (v.shape, v.dtype) == ((classes,), np.float64), name
        single = v.astype(np.float32)  # what training sees
        assert np.isfinite(single).all(), name
        assert (single >= low.get(name, -math.inf)).all(), name
        assert (v <= high.get(name, math.inf)).all(), name
        if name in ("weight", "scale"):
            assert (single > 0).all(), name
    if terms.sampling is not None:
        assert terms.sampling.sum() == pytest.approx(1)
        assert (terms.sampling[counts == 0] == 0).all()
    assert all(math.isfinite(v) for v in terms.knobs.values())
    assert all(math.isfinite(v) for v in (terms.info or {}).values())
    assert all(text.of(note).endswith(".") for note in terms.notes)
    assert set(terms.clipped) <= set(range(classes))


@every_row
@pytest.mark.parametrize("classes", [2, 1000])
def test_finite_in_range_and_the_same_again(table, row, classes):
    """For any TPRs and counts, in the first and the last epoch; and the evidence stays as it was."""
    for tpr in tprs(classes).values():
        for n in numbers(classes).values():
            for epoch in (0, 4):
                e = seen(classes, tpr, n, np.where(np.isnan(tpr), 0, 20), epoch=epoch, epochs=5)
                before = {k: np.copy(v) for k, v in vars(e).items() if v is not None}
                for params in settings_of(row, classes):
                    terms, again = (answer(row.key, e, params, table=table) for _ in range(2))
                    check(row, terms, classes, n)
                    assert terms.set().keys() == again.set().keys()
                    for name, v in terms.set().items():
                        np.testing.assert_array_equal(v, getattr(again, name))
                for name, v in before.items():
                    np.testing.assert_array_equal(v, getattr(e, name))


@every_row
def test_in_the_first_epoch_nothing_has_been_seen(table, row):
    n = np.array([40, 20, 5])
    for params in settings_of(row, 3):
        terms = answer(row.key, Evidence(3, counts=n, tpr=[0.9, 0.5, 0.2]), params, table=table)
        check(row, terms, 3, n)


def chosen(row, data):
    """Random valid parameters."""
    values = {}
    for p in row.params:
        if p.text:
            continue
        number = st.integers(p.low, p.high) if p.integer else st.floats(p.low, p.high)
        values[p.key] = data.draw(
            st.sampled_from(p.choices)
            if p.choices
            else st.one_of(number, st.sampled_from(p.words))
            if p.words
            else number
        )
    return values


def renumbered(row, params, order):
    """The parameters, with a list of one value per class in the new order of the classes."""
    lists = {k: params[k].split(",") for k, value in row.tested_with.items() if callable(value)}
    return {**params, **{k: ",".join(values[c] for c in order) for k, values in lists.items()}}


@every_row
@settings(max_examples=10)
@given(data=st.data())
def test_any_parameters_any_evidence_and_any_numbering(table, row, data):
    """Renumbering the classes renumbers every term and changes nothing else."""
    share = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, math.nan]))
    tpr = np.array(data.draw(st.lists(share, min_size=2, max_size=12).filter(lambda v: not all(map(math.isnan, v)))))
    classes = len(tpr)
    n = np.array(
        data.draw(st.lists(st.integers(0, 10**6), min_size=classes, max_size=classes).filter(any)), dtype=float
    )
    support = data.draw(
        st.one_of(st.none(), st.lists(st.integers(1, 5000), min_size=classes, max_size=classes).map(np.array))
    )
    params = {**data.draw(st.sampled_from(settings_of(row, classes))), **chosen(row, data)}
    terms = answer(row.key, seen(classes, tpr, n, support, epochs=5), params, table=table)
    if params.get("normalize") == "none":
        assert np.isfinite(terms.weight).all()
    else:
        check(row, terms, classes, n)
    order = np.array(data.draw(st.permutations(range(classes))))
    turned = answer(
        row.key,
        seen(classes, tpr[order], n[order], None if support is None else support[order], epochs=5),
        renumbered(row, params, order),
        table=table,
    )
    assert (turned.draw, turned.objective, turned.knobs) == (terms.draw, terms.objective, terms.knobs)
    for name, v in terms.set().items():
        np.testing.assert_allclose(getattr(turned, name), v[order], rtol=1e-9, atol=1e-12)
    assert sorted(order[list(turned.clipped)]) == sorted(terms.clipped)


# ---------------------------------------------------------------- evidence


def only(row, e, params):
    """The evidence without what the row does not ask for."""
    wanted = row.needs_with(params)
    keep = {"counts": ("counts",), "tpr": ("tpr", "support"), "last_tpr": ("last_tpr", "last_support", "past")}
    names = [name for need, names in keep.items() if need in wanted for name in names]
    return Evidence(e.classes, epoch=e.epoch, epochs=e.epochs, **{name: getattr(e, name) for name in names})


@every_row
def test_looks_at_nothing_it_does_not_ask_for(table, row):
    full = seen(4, np.array([0.9, 0.5, 0.2, 0.6]), np.array([40, 20, 5, 8]), np.full(4, 30), epoch=1, epochs=3)
    for params in settings_of(row, 4):
        a, b = (answer(row.key, e, params, table=table) for e in (full, only(row, full, params)))
        assert a.set().keys() == b.set().keys()
        for name, v in a.set().items():
            np.testing.assert_array_equal(v, getattr(b, name))
        assert (a.knobs, a.notes) == (b.knobs, b.notes)


@every_row
def test_says_what_it_lacks(table, row):
    given = {"tpr": [0.5, 0.6], "counts": [1, 2]}
    for need, words in (("counts", "training counts"), ("tpr", "TPRs of an earlier run")):
        if need in row.needs_with({}):
            rest = {k: v for k, v in given.items() if k != need}
            with pytest.raises(EvenlyError, match=f"^{row.key} needs the {words}"):
                answer(row.key, Evidence(2, **rest), settings_of(row, 2)[0], table=table)


# ---------------------------------------------------------------- the row itself


@every_row
def test_row_is_complete(table, row):
    assert row.group in GROUPS
    assert row.needs <= NEEDS
    assert row.stage in STAGES
    assert row.source.authors
    assert row.source.title
    assert 1950 <= row.source.year <= 2026
    for words in (row.summary, row.caveat, row.when):
        assert words == "" or words.endswith((".", "?", ")"))
    assert row.summary
    assert row.when or table is SAMPLERS
    keys = [p.key for p in row.params]
    assert len(set(keys)) == len(keys)
    for param in row.params:
        assert param.check(param.default, row.key) == param.default
        assert param.help.endswith(".")
    assert row.slider is None or row.slider in keys
    assert ("network" in row.needs) == (row.stage != TRAIN)
    assert all(p.low <= stop <= p.high for p in row.params if p.key == row.slider for stop in row.stops)


@every_row
def test_placeholders_of_the_formula_are_parameters(table, row):
    assert set(re.findall(r"<(\w+)>", row.formula)) <= {p.key for p in row.params}
    assert not re.search(r"<\w+>", formula_with(row))


@every_row
def test_bad_parameters_are_refused_by_name(table, row):
    e = seen(3, np.array([0.9, 0.5, 0.2]), np.array([40, 20, 5]))
    with pytest.raises(EvenlyError, match=f"{row.key}: unknown parameter 'speed'"):
        answer(row.key, e, {"speed": 1}, table=table)
    for param in row.params:
        bad = (
            ["sideways"]
            if param.choices
            else ["", 3]
            if param.text
            else [param.low - 0.1, param.high * 1.1 + 1, math.nan, "fast", True]
        )
        for value in [*bad, *([param.low + 0.5] if param.integer else [])]:
            with pytest.raises(EvenlyError, match=rf"{row.key}: {param.key} is .*, expected"):
                answer(row.key, e, {param.key: value}, table=table)


@every_row
def test_what_the_terms_act_through_exists(table, row):
    from core.training.index_samplers import DRAWS
    from models.networks.heads import HEADS

    named = set()
    for params in (*settings_of(row, 3), *variants(row)):
        terms = answer(row.key, seen(3, np.array([0.9, 0.5, 0.2]), np.array([40, 20, 5])), params, table=table)
        assert terms.draw in DRAWS
        assert table is METHODS or (terms.objective == "terms" and terms.set().keys() <= {"sampling"})
        named.add(terms.objective)
    assert row.head in HEADS
    if row.stage == POSTHOC:
        assert named <= STEPS.keys()
    else:
        assert named - {"terms"} == ({key_of(row.objective)} if row.objective else set()), (
            "the terms and the row name one objective, or none"
        )


@every_row
def test_the_objective_of_a_row_is_there_and_its_tested_settings_are_parameters(table, row):
    assert issubclass(objective_class(key_of(row.objective or ONE_LOSS)), Objective)
    assert set(row.tested_with) <= {p.key for p in row.params}


def test_methods_and_samplers_never_use_a_knob_for_two_things():
    """A run's terms carry the knobs of both."""
    e = seen(3, np.array([0.9, 0.5, 0.2]), np.array([40, 20, 5]))
    theirs = [
        {k for row in table for params in variants(row) for k in answer(row.key, e, params, table=table).knobs}
        for table in (METHODS, SAMPLERS)
    ]
    assert theirs[1] == {"run", "cycle", "whole", "smote"}
    assert not theirs[0] & theirs[1]


def variants(row):
    """The defaults, and each choice of each parameter."""
    first, *_ = settings_of(row, 3)
    yield first
    for p in row.params:
        yield from ({**first, p.key: choice} for choice in (*p.choices, *p.words))
