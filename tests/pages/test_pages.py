"""Every screen through Streamlit's AppTest, from the entry file: it opens, whatever the database holds or does not."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.kit import COMPARE, HOME, NEW, ROOT, RUN, RUNS, visit, words_on

VIEWS = [HOME, NEW, RUNS, RUN, COMPARE]


@pytest.mark.parametrize("page", VIEWS)
def test_every_page_opens_on_an_empty_database(empty, page):
    assert visit(page).title


@pytest.mark.parametrize("page", VIEWS)
def test_every_page_opens_on_a_full_database(full, page):
    _, ids = full
    at = visit(page, **({"id": str(ids["weighted"])} if page == RUN else {}))
    assert at.title
    assert not at.error


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_take_the_theme_of_the_browser(full, theme):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    at.context = {"theme": theme}
    at.run()
    spec = at.get("plotly_chart")[0].proto.spec
    assert {"light": "#0B65C2", "dark": "#3B82F6"}[theme] in spec
    assert at.get("plotly_chart")[0].proto.alt.startswith("TPR per class")


# -- trouble -----------------------------------------------------------------------------------------------------


def test_a_database_that_is_not_there_is_a_message_page(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path / "nowhere"))
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()
    assert not at.exception
    assert at.error
    assert "make run" in words_on(at)


def test_a_newer_database_is_refused_in_words(empty):
    from storage.db.connection import write

    write(empty, lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999_from_the_future'"))
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()
    assert not at.exception
    assert at.error


def test_a_file_that_is_no_database_is_a_message_page(tmp_path, monkeypatch):
    (tmp_path / "evenly.db").write_bytes(b"not a database " * 100)
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()
    assert not at.exception
    assert at.error


@pytest.mark.parametrize(
    ("page", "query"),
    [(RUN, {"id": "baseline"}), (RUN, {"id": "dynamic"}), (COMPARE, {"a": "baseline", "b": "weighted"})],
)
def test_a_class_name_is_never_markup_in_a_picture(full, page, query):
    engine, ids = full
    from sqlalchemy import select, update

    from storage.db.connection import write
    from storage.db.schema import detail

    def rename(c):
        for row in c.execute(select(detail.c.run_id, detail.c.facts)).all():
            if row.facts and len(row.facts["classes"]) == 10:
                classes = ["<b>dog</b>", "a & <i>b</i>", *row.facts["classes"][2:]]
                c.execute(
                    update(detail).where(detail.c.run_id == row.run_id).values(facts={**row.facts, "classes": classes})
                )

    write(engine, rename)
    at = visit(page, **{k: str(ids[v]) for k, v in query.items()})
    specs = [chart.proto.spec for chart in at.get("plotly_chart")]
    assert any("&lt;b&gt;dog" in spec for spec in specs)
    assert [m for spec in specs for m in re.findall(r".{30}(?:<|\\u003c)[bi](?:>|\\u003e).{30}", spec)] == []
    assert not any("<b>" in text for text in words_on(at).replace("\\<", "").split())
