"""The Methods page: every row with formula, source and computed example, found by search and by URL."""

from __future__ import annotations

import pytest

from core.methods import METHODS, formula_with
from core.methods.samplers import SAMPLERS
from reporting.method_examples import examples
from tests.pages.kit import visit

PAGE = "pages/views/methods.py"
ROWS = [(m.key, m, METHODS) for m in METHODS] + [(f"sampler:{s.key}", s, SAMPLERS) for s in SAMPLERS]
COLUMNS = ["Method", "Group", "Needs", "In short", "Source"]


def options(at):
    return at.selectbox(key="methods_chosen").options


def texts(at):
    return "\n".join(m.value for m in at.markdown)


def tables(at):
    """The tables of the page as frames: parameters first, then the example."""
    return [t.value for t in at.table]


def test_every_row_is_offered_and_listed(empty):
    at = visit(PAGE)
    assert options(at) == [f"{row.label}  ·  {row.group}" for _, row, _ in ROWS]
    overview = next(d.value for d in at.dataframe if list(d.value.columns) == COLUMNS)
    assert overview["Method"].tolist() == [row.label for _, row, _ in ROWS]
    assert overview["In short"].tolist() == [row.summary for _, row, _ in ROWS]


@pytest.mark.parametrize(("address", "row", "table"), ROWS, ids=[r[0] for r in ROWS])
def test_a_row_named_in_the_address_is_shown_whole(empty, address, row, table):
    at = visit(PAGE, row=address)
    assert at.header[0].value == row.label
    assert at.query_params["row"] == address
    assert all(part.strip() in texts(at) for part in formula_with(row).split(r"\quad"))
    assert f"`{row.key}`" in texts(at)
    assert str(row.source.year) in texts(at)
    shown, frames = examples(row, table), tables(at)
    assert shown, "every row has a worked example"
    if row.params:
        assert [i.strip("`") for i in frames.pop(0).index] == [p.key for p in row.params]
    assert [c.value for c in at.code] == [e.command for e in shown if e.command]
    pictured = [e for e in shown if e.rows]
    for e, frame in zip(pictured, frames, strict=True):
        (_, given), *computed = e.rows
        frame = frame.T if len(computed) > len(given) else frame
        assert [c.split(": ", 1) for c in frame.index] == [[f"{e.of} {i}", v] for i, v in enumerate(given)]
        assert {label.replace("\u200b", ""): tuple(column) for label, column in frame.items()} == dict(computed)
    assert all(sentence in texts(at) for e in shown for sentence in (e.intro, *e.sentences))


def test_a_row_that_there_is_not_is_said(empty):
    at = visit(PAGE, row="a*b")
    (said,) = [w.value for w in at.warning]
    assert said.startswith(r"The method a\*b in the URL is not available here.")
    assert at.header[0].value == ROWS[0][1].label


@pytest.mark.parametrize(
    ("words", "must", "must_not"),
    [
        ("cdb", "Class-wise difficulty (CDB)", "Balanced"),
        ("CUI effective", "Class-balanced", "TPR ratio"),
        ("margin", "Label-distribution-aware margin (LDAM)", "TPR ratio"),
        ("tau norm", "Tau-normalized classifier", "Focal"),
    ],
)
def test_the_search_narrows(empty, words, must, must_not):
    at = visit(PAGE)
    at.text_input(key="methods_words").set_value(words).run()
    labels = [o.split("  ·  ")[0] for o in options(at)]
    assert must in labels
    assert must_not not in labels
    assert len(labels) < len(ROWS)


def test_the_group_narrows_and_a_search_without_an_answer_says_so(empty):
    at = visit(PAGE)
    at.selectbox(key="methods_group").set_value("Sampling").run()
    assert len(options(at)) == len(list(SAMPLERS))
    at.text_input(key="methods_words").set_value("no such word").run()
    assert "No method contains all of these words" in at.info[0].value
    assert "methods_chosen" not in {s.key for s in at.selectbox}


def test_a_method_goes_on_to_new_run_by_its_key(empty):
    at = visit(PAGE, row="cdb")
    at.button(key="methods_use").click().run()
    assert at.title[0].value == "New run"
    assert at.selectbox(key="method").value == "cdb"
    assert at.query_params["method"] == "cdb"
    assert "row" not in at.query_params


def test_a_sampler_has_no_button_for_a_method(empty):
    at = visit(PAGE, row="sampler:progressive")
    assert "methods_use" not in {b.key for b in at.button}
