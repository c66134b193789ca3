"""The loop that keeps children running, and their end."""

from __future__ import annotations

import signal
import sys
from functools import partial

import pytest

from work import process_group
from work.process_group import Child, ProcessGroup


class Ended:
    """A process that has ended, with a code."""

    def __init__(self, code):
        self.poll = lambda: code


def test_one_that_keeps_dying_young_is_started_after_pauses_that_double(monkeypatch):
    child, now, pauses = Child(["x"]), 0.0, []
    monkeypatch.setattr(process_group.psutil, "Popen", lambda *_, **__: Ended(1))
    for lived in (1, 1, 1, 1, 1, 1, 61, 1):
        child.look(now)
        assert child.process is not None
        child.look(now + lived)
        pauses.append(child.due - now - lived)
        child.look(child.due - 0.1)
        assert child.process is None
        now = child.due
    assert pauses == [2, 4, 8, 16, 30, 30, 1, 2]


def test_a_group_ends_its_children_when_it_is_over(monkeypatch):
    """Also one that does not listen to SIGTERM."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    children = [
        Child([sys.executable, "-c", code], start_new_session=apart, stdout=-1)
        for code, apart in (("import time; print(1, flush=True); time.sleep(600)", False), (deaf, True), (deaf, False))
    ]
    group, seen = ProcessGroup(*children), []

    def over():
        seen.extend(child.process for child in children)
        assert [process.stdout.readline() for process in seen] == [b"1\n"] * 3
        return 7

    monkeypatch.setattr(process_group, "end", partial(process_group.end, seconds=1.0))
    monkeypatch.setattr(process_group, "on_signals", lambda handler: None)  # those of the tests stay
    assert group.keep(over) == 7
    assert [process.poll() for process in seen] == [-15, -9, -9]
    for process in seen:
        process.stdout.close()


@pytest.mark.parametrize("nohup", [False, True])
def test_a_closed_terminal_ends_whoever_was_not_started_with_nohup(nohup):
    def shown(*_):
        """A handler."""

    known = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)
        process_group.on_signals(shown)
        found = [signal.getsignal(signum) for signum in known]
    finally:
        for signum, handler in known.items():
            signal.signal(signum, handler)
    assert found == [shown, shown, signal.SIG_IGN if nohup else shown]
