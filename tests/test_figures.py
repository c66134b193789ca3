"""Every picture that a page draws is one that Plotly takes: the pages hand figures over unchecked (pages.parts.show.Ready)."""

import plotly.graph_objects as go
import pytest
from pages_kit import COMPARE, HOME, NEW, RUN, visit
from plotly.basedatatypes import BaseFigure

from pages.parts import show


@pytest.fixture
def drawn(monkeypatch):
    """The figures drawn since, by key."""
    found = {}
    draw = show.draw
    monkeypatch.setattr(show, "draw", lambda figure, **more: (found.update({more["key"]: figure}), draw(figure, **more))[1])
    return found


ADDRESSES = {
    "home": (HOME, {}, 1), "ten classes": (RUN, {"id": "weighted"}, 5), "many classes": (RUN, {"id": "hundred_weighted"}, 4), "live": (RUN, {"id": "running"}, 4),
    "compare": (COMPARE, {"a": "baseline", "b": "weighted"}, 3), "compare many": (COMPARE, {"a": "hundred", "b": "hundred_weighted"}, 2), "new run": (NEW, {}, 0),
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_plotly_takes_every_picture_of_a_page(name, ids, drawn):
    page, query, least = ADDRESSES[name]
    visit(page, **{key: ids[run] for key, run in query.items()})
    assert len(drawn) >= least
    for key, figure in drawn.items():
        checked = go.Figure(figure)  # raises, naming the attribute, where one is unknown or has a value that Plotly does not know
        assert len(checked.data) == len(figure["data"]) > 0, key


def test_a_picture_reaches_streamlit_as_it_is():
    figure = {"data": [{"type": "bar", "x": ["cat"], "y": [0.5]}], "layout": {}}
    ready = show.Ready(figure)
    assert isinstance(ready, BaseFigure)
    assert ready.to_dict() is figure
