"""Helpers of the New run tests: finished baselines, the page, the queued runs, image folders."""

from __future__ import annotations

from PIL import Image

from services.run_names import data_words
from storage import results
from tests.pages.kit import NEW
from tests.pages.kit import visit as visited
from tests.seed import config_of, mnist1d, submit, train, worker_of


def visit(page=NEW, **query):
    """New run, or another page, opened with these URL parameters."""
    return visited(page, **query)


def baselines(engine, *seeds, epochs=20, **settings):
    """Finished unweighted runs, one per seed; their ids."""
    worker, ids = worker_of(engine), []
    for seed in seeds:
        config = config_of(epochs=epochs, seed=seed, **settings)
        ids.append(submit(engine, config, f"{data_words(config)}: none, seed {seed}"))
        train(engine, worker, mnist1d(0, seed), epochs, seed=seed, matrices=False)
    return ids


def captions(at):
    """The captions of the page."""
    return "\n".join(c.value for c in at.caption)


def started(at, engine):
    """The rows that Start queued, oldest first."""
    had = set(results.list_runs(engine, archived=None)["id"])
    assert not at.button(key="new_start").disabled, captions(at)
    at.button(key="new_start").click().run()
    assert not at.exception, at.exception
    frame = results.list_runs(engine, archived=None).sort_values("id")
    return [results.get_run(engine, int(i)) for i in frame["id"] if i not in had]


def images(folder, counts, spoilt=()):
    """An image folder with `counts` images per class; the classes in `spoilt` also get an unreadable file."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (16, 16), (i, 90, 9)).save(folder / name / f"{i:03d}.png")
        if name in spoilt:
            (folder / name / "broken.png").write_bytes(b"no image")
