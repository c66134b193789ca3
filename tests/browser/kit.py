"""What the tests in a real Chromium share: the app as a process, a browser, and ways to look at a page."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
PATIENCE = 240_000  # ms for a state of the page: no promise, only what ends a test that waits in vain
expect.set_options(timeout=PATIENCE)

ROOT = Path(__file__).resolve().parents[2]
DETAILS = {"STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "full"}  # a test that meets an exception on a page says which
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answering(address, process):
    """Wait until the app answers there, or the process that serves it has ended."""
    while process.poll() is None:
        try:
            return urllib.request.urlopen(address + "/_stcore/health", timeout=10).close()
        except OSError:
            time.sleep(0.2)
    return pytest.fail(f"the app ended with code {process.returncode}")


@contextmanager
def app_on(data):
    """The app alone, without a worker, on a data folder; yields its address."""
    port = free_port()
    app = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"],
        cwd=ROOT,
        env={**os.environ, **DETAILS, "EVENLY_DATA": str(data)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        answering(f"http://127.0.0.1:{port}", app)
        yield f"http://127.0.0.1:{port}"
    finally:
        app.terminate()
        app.wait()


@contextmanager
def served_on(data):
    """`make run` without make: app and worker on a data folder; yields the address. Both end cleanly."""
    port = free_port()
    env = {**os.environ, **DETAILS, "EVENLY_DATA": str(data), "EVENLY_PORT": str(port)}
    served = subprocess.Popen(
        [sys.executable, "serve.py"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        answering(address, served)
        yield address
    finally:
        served.send_signal(signal.SIGTERM)
        ended = served.wait()
    assert ended == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address + "/_stcore/health", timeout=1)


@contextmanager
def chromium_at(path):
    """A headless Chromium."""
    with sync_api.sync_playwright() as p:
        room = {**os.environ, "TMPDIR": "/tmp"}  # its socket lies there, and the path of a socket must be short
        browser = p.chromium.launch(executable_path=path, args=QUIET, env=room)
        yield browser
        browser.close()


class Talk:
    """What a page and its server say to each other: `said` holds every frame sent, `waiting` whether the newest request of a person
    still waits for the run of the script that answers it, `looks` how often the page looked for changes by itself."""

    def __init__(self, page):
        self.said, self.waiting, self.looks = [], False, 0
        page.on("websocket", self._listen)

    def _listen(self, socket):
        if socket.url.endswith("/_stcore/stream"):
            socket.on("framesent", self._sent)
            socket.on("framereceived", self._received)

    def _sent(self, frame):
        self.said.append(frame if isinstance(frame, bytes) else frame.encode())
        message = BackMsg.FromString(self.said[-1])
        if message.WhichOneof("type") != "rerun_script":
            return
        if message.rerun_script.is_auto_rerun:
            self.looks += 1
        else:
            self.waiting, self.fragment = True, message.rerun_script.fragment_id

    def _received(self, frame):
        message = ForwardMsg.FromString(frame)
        if self.waiting and message.WhichOneof("type") == "new_session":
            parts = message.metadata.run.fragment_ids
            self.waiting = bool(parts) and self.fragment not in parts


def complaint(message):
    """What the console says that a person could read as a fault of ours; "" for the rest."""
    ours = message.type in ("warning", "error") and "/_stcore/" not in message.location.get("url", "")
    return message.text if ours else ""


@contextmanager
def window_of(browser, **options):
    """A page that throws nothing and complains of nothing; `page.talk` is its Talk. Without animations, which only cost time."""
    context = browser.new_context(reduced_motion="reduce", **options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    errors, page.talk = [], Talk(page)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("console", lambda m: errors.append(complaint(m)))
    yield page
    context.close()
    assert not list(filter(None, errors))


def go(page, path):
    """Another address of the app, as the browser's Back and Forward get there: nothing is loaded again, the session goes on."""
    page.evaluate("to => { history.pushState({}, '', to); dispatchEvent(new PopStateEvent('popstate')) }", path)
    settle(page)


def settle(page):
    """Wait until the server has answered the newest request and the page has drawn the answer."""
    ends = time.monotonic() + PATIENCE / 1000
    page.wait_for_timeout(300)  # sliders and text fields hold a request back for as long
    while page.talk.waiting and time.monotonic() < ends:
        page.wait_for_timeout(30)
    assert not page.talk.waiting, "the server did not answer"
    page.wait_for_selector(IDLE)
    page.wait_for_timeout(100)  # a script that runs again pauses between two runs
    page.wait_for_selector(IDLE)
    wrong = page.locator("[data-testid=stException]")
    assert not wrong.count(), wrong.first.inner_text()


def next_picture(page):
    """Wait until the browser has drawn what it was told so far."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))")


def key(page, name):
    return page.locator(f".st-key-{name}")


def figure(page, name, script, *, until="() => true"):
    """What `script` says of a chart as plotly holds it, once it is drawn and `until` holds for it."""
    plot = f"document.querySelector('.st-key-{name} .js-plotly-plot')"
    page.wait_for_function(f"() => {{ const g = {plot}; return g && g.data && ({until})(g) }}")
    return page.evaluate(f"() => ({script})({plot})")


BARS = "g => g.data.filter(t => t.type === 'bar').map(t => Array.from(t.y))"
