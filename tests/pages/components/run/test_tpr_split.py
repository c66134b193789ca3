"""A split column in a file of TPRs, and the file that a run's page offers for New run."""

from __future__ import annotations

import pytest

from core.errors import EvenlyError
from core.experiment.tpr_file import parse
from pages.components.run import downloads
from storage import results
from tests.pages.kit import RUN, visit

CLASSES = ("ant", "bee")


@pytest.mark.parametrize("word", ["validation", "Validation", "val", "dev", ""])
def test_validation_may_be_said_in_any_usual_way(word):
    assert parse(f"class,split,tpr\nbee,{word},0.25\nant,{word},0.5\n", CLASSES)[0].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(("word", "line"), [("test", 2), ("Test", 2), ("train", 2), ("x" * 500, 2)])
def test_any_other_split_is_refused_by_name(word, line):
    with pytest.raises(EvenlyError) as caught:
        parse(f"class,split,tpr\nant,{word},0.5\nbee,{word},0.25\n", CLASSES)
    assert str(caught.value).startswith(
        f"line {line}: TPRs of the {word if len(word) < 40 else word[:37] + '...'} split, expected validation"
    )
    assert "--split validation" in str(caught.value)


def test_one_line_of_the_test_split_is_enough():
    with pytest.raises(EvenlyError, match="line 3: TPRs of the test split"):
        parse("class,tpr,split\nant,0.5,validation\nbee,0.25,test\n", CLASSES)


def test_a_class_may_be_called_test():
    assert parse("class,tpr\ntest,0.5\ntrain,0.25\n", ("test", "train"))[0].tolist() == [0.5, 0.25]


def test_the_page_offers_the_tprs_that_new_run_takes(full, monkeypatch):
    engine, ids = full
    row, offered = results.get_run(engine, ids["baseline"]), {}
    monkeypatch.setattr(downloads, "buttons", lambda prefix, name, files: offered.update({f[1]: f[3] for f in files}))
    downloads.draw(row)
    classes, counts = row.facts.classes, results.class_counts(engine, row.id, "validation")
    tpr, support = parse(offered["validation.csv"](), classes)
    assert tpr.tolist() == pytest.approx((counts.tp / counts.support).tolist())
    assert support.tolist() == counts.support.tolist()
    with pytest.raises(EvenlyError, match="TPRs of the test split"):
        parse(offered["csv"](), classes)


def test_its_button_is_on_the_page(full):
    assert "run_validation.csv" in {b.key for b in visit(RUN, id=str(full[1]["baseline"])).get("download_button")}
