"""What the tests of the pages share: a page as a browser would open it, and the words on it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace

from sqlalchemy import select, update
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner import script_runner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test, local_script_runner
from streamlit.util import calc_hash

from storage import results
from storage.db.schema import detail, run

ROOT = Path(__file__).resolve().parents[2]
HOME, NEW, RUNS, RUN, COMPARE = (f"pages/views/{name}.py" for name in ("home", "new_run", "runs", "run", "compare"))

# Streamlit searches all installed packages for components whenever an app starts: 0.3 s for each of hundreds of tests.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
# An app compiles a page once for all; AppTest would do so at every run of the script.
app_test.ScriptCache = local_script_runner.ScriptCache = cache(ScriptCache)
# AppTest asks every millisecond whether the script has ended, in the time of the script, and then joins its thread.
local_script_runner.require_widgets_deltas = lambda runner, timeout: None
# Streamlit collects garbage after each run of a script; Python does so, too, when it is due.
script_runner.gc = SimpleNamespace(collect=lambda generation: 0)


def visit(page: str = HOME, **query: object) -> AppTest:
    """The app on a page, opened by its URL as by a browser."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    if page != HOME:  # switch_page() before the first run takes the file's name for the URL
        at._page_hash = calc_hash("new" if page == NEW else Path(page).stem)
    for key, value in query.items():
        at.query_params[key] = str(value)
    at.run()
    assert not at.exception, at.exception
    return at


def words_on(at: AppTest) -> str:
    """All text of the page."""
    kinds = ("title", "subheader", "markdown", "caption", "error", "warning", "info", "code", "button")
    return "\n".join(
        str(getattr(e, "value", "") or getattr(e, "label", "")) for kind in kinds for e in getattr(at, kind)
    )


TPRS = [round(0.5 + i / 30, 17) for i in range(9)] + [None]


def without_its_baseline(engine, ids):
    """The weighted run as it is left when its baseline has been deleted."""
    with engine.begin() as c:
        facts = c.scalar(select(detail.c.facts).where(detail.c.run_id == ids["weighted"]))
        evidence = {
            "tpr": TPRS,
            "support": [200.0] * 9 + [0.0],
            "from": f"run {ids['baseline']}, validation split, epoch 20",
        }
        c.execute(
            update(detail).where(detail.c.run_id == ids["weighted"]).values(facts={**facts, "evidence": evidence})
        )
        c.execute(update(run).where(run.c.baseline_id == ids["baseline"]).values(baseline_id=None))
    results.delete(engine, [ids["baseline"]])
