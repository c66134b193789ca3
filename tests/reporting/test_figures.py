"""Plotly accepts every kind of chart that a page draws.

The pages hand figures over unchecked (pages.components.common.plotly_chart.Ready).
"""

import re

import plotly.graph_objects as go
import pytest
from plotly.basedatatypes import BaseFigure

from pages.components.common import plotly_chart
from storage.db.connection import open_database
from storage.jobs import queue
from tests.pages.components.run.test_run_methods import moving, stepped
from tests.pages.kit import COMPARE, HOME, NEW, ROOT, RUN, visit
from tests.seed import worker_of

ADDRESSES = {
    "home": (HOME, {}),
    "ten classes": (RUN, {"id": "weighted"}),
    "moving weights": (RUN, {"id": "dynamic"}),
    "many classes": (RUN, {"id": "hundred_weighted"}),
    "live": (RUN, {"id": "running"}),
    "compare": (COMPARE, {"a": "baseline", "b": "weighted"}),
    "compare many": (COMPARE, {"a": "hundred", "b": "hundred_weighted"}),
}
ALIKE = {"home_live"}  # made by the same function as home_signature, for kinds of runs missing in the seed data


@pytest.fixture
def drawn(monkeypatch):
    """The figures drawn so far, by key, each validated by Plotly."""
    found = {}
    draw = plotly_chart.draw

    def checked(figure, **more):
        assert len(go.Figure(figure).data) == len(figure["data"]) > 0, more[
            "key"
        ]  # raises, naming the attribute, if one is unknown or has an invalid value
        found[more["key"]] = figure
        draw(figure, **more)

    monkeypatch.setattr(plotly_chart, "draw", checked)
    return found


def test_plotly_accepts_every_chart(ids, drawn):
    for page, query in ADDRESSES.values():
        visit(page, **{key: ids[run] for key, run in query.items()})
    engine = open_database()
    queue.ask(engine, ids["queued"], "cancel")  # the next claim is to be the new run's
    visit(RUN, id=moving(engine, worker_of(engine), 4.0))
    visit(RUN, id=stepped(engine, worker_of(engine), ids["baseline"], range(-4, 6)))
    at = visit(NEW)
    at.selectbox(key="method").set_value("ldam").run()
    at.selectbox(key="new_sampler").set_value("progressive").run()
    at.multiselect(key="new_overlay").set_value(["inverse_frequency", "logit_adjusted"]).run()
    assert not at.exception
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "pages").rglob("*.py"))
    every = set(re.findall(r'plotly_chart\.draw\(.*?key=f?"(\w+)', sources, flags=re.S)) - ALIKE
    assert every
    missing = {key for key in every if not any(name.startswith(key.rstrip("_")) for name in drawn)}
    assert not missing


def test_a_figure_reaches_streamlit_unchanged():
    figure = {"data": [{"type": "bar", "x": ["cat"], "y": [0.5]}], "layout": {}}
    ready = plotly_chart.Ready(figure)
    assert isinstance(ready, BaseFigure)
    assert ready.to_dict() is figure
