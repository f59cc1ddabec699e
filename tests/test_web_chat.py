"""The chat page: which doors of Gradio are open, how the server starts and stops, and, in a real browser, that clicks play."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import uvicorn
from clips import Scene, make_clip
from fastapi.testclient import TestClient
from playable_library import PlayableLibrary, cite, make_answer, make_evidence, make_picture, make_video
from test_web_html import HOSTILE

from app.answer import Answer
from app.web_chat import create_app, listen
from app.web_guard import script_hashes
from ingest.schema import LibraryError, PlayheadError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
browser_test = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}")]
ALL_HOSTILE = " ".join(HOSTILE)
# Written to run if it can: the other payloads call a function that the page does not have.
ALIVE = "<img src=x onerror='window.pwned=1'><svg onload='window.pwned=1'></svg><script>window.pwned=1</script>${window.pwned=1}"

LENS = make_video("a" * 32, "How a lens works", 30.0, paths=("/v/lens.mp4",))
KNOTS = make_video("b" * 32, "Five knots", 30.0, paths=("/v/knots.mp4",))
TALK = make_video("c" * 32, "Harbour talk", 900.0, url="https://videos.example/watch?v=42")
EVIL = make_video("d" * 32, ALIVE + ALL_HOSTILE, 30.0, paths=("/v/evil.mp4",))
SAID = make_evidence(1, LENS, 7.5, "Rings of prisms bend the light into one beam.")
TALKED = make_evidence(2, TALK, 312.0, "It was seen from twenty miles.")
TIED = make_evidence(3, KNOTS, 12.0, "The bowline does not slip.")
HEARD = make_evidence(4, EVIL, 3.0, ALIVE + ALL_HOSTILE)
FIRST, SECOND = "Prisms bend the light. [1]", "It is seen from afar. [2]"


class Script:
    """Answers by what the question holds; `second` lets the streamed answer go on."""

    def __init__(self) -> None:
        self.second = threading.Event()

    def __call__(self, question: str, on_sentence: Callable[[str], None]) -> Answer:
        if "stream" in question:
            on_sentence(FIRST)
            assert self.second.wait(10)
            on_sentence(SECOND)
            citations = [cite(SAID, "Rings of prisms", 9.25), cite(TALKED, "twenty miles", 318.0)]
            return make_answer(question, f"{FIRST} {SECOND}", citations, [SAID, TALKED, TIED])
        if "hostile" in question:
            on_sentence(ALIVE + ALL_HOSTILE)
            quoted = [cite(HEARD, ALIVE + ALL_HOSTILE, 3.5)]
            return make_answer(
                question, f"{ALIVE} {ALL_HOSTILE} [4]", quoted, [HEARD], "restricted", ALIVE + ALL_HOSTILE
            )
        if "absent" in question:
            return make_answer(
                question, "The library does not hold the answer.", [], [TIED], "abstained", "nothing matches", 0.1
            )
        if "forbidden" in question:
            return make_answer(question, "Not here.", [], [], "refused", "weapons")
        if "broken" in question:
            raise RuntimeError("the password is hunter2")
        raise LibraryError("The index is away.\nRun: playhead doctor")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    for name, numbers in (("lens", (1, 2, 3)), ("knots", (4, 5, 6))):
        make_clip(folder / f"{name}.mp4", [Scene(10, number) for number in numbers], rate=5)
    make_picture(folder / "frame.jpg", 2)
    return folder


@pytest.fixture(scope="module")
def library(folder: Path) -> PlayableLibrary:
    media = {
        LENS.video_id: folder / "lens.mp4",
        KNOTS.video_id: folder / "knots.mp4",
        EVIL.video_id: folder / "knots.mp4",
    }
    pictures = dict.fromkeys(media, folder / "frame.jpg")
    return PlayableLibrary(Script(), [LENS, KNOTS, TALK, EVIL], media, pictures)


def start(library: PlayableLibrary) -> tuple[uvicorn.Server, threading.Thread, int]:
    """The app on a free port, in a thread of this process."""
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(create_app(library, "127.0.0.1", port), log_level="warning", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    assert server.started
    return server, thread, port


@pytest.fixture(scope="module")
def port(library: PlayableLibrary) -> Iterator[int]:
    server, thread, port = start(library)
    yield port
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


# What needs no browser


def fetch(port: int, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes, dict[str, str]]:
    """A request with the path exactly as written: no client tidies it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path)
    connection.putheader("content-length", str(len(body or b"")))
    connection.putheader("content-type", "application/json")
    connection.endheaders(body)
    reply = connection.getresponse()
    found = reply.status, reply.read(), {name.lower(): value for name, value in reply.getheaders()}
    connection.close()
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/file=/etc/passwd", "/gradio_api/file=../../etc/passwd", "/file=/etc/passwd",
        "/gradio_api/file=%2Fetc%2Fpasswd", "/gradio_api/proxy=https://evil.example/", "/gradio_api/upload", "/gradio_api/upload_progress",
        "/gradio_api/call/ask", "/gradio_api/run/ask", "/gradio_api/runs", "/gradio_api/stream/x/y/1/playlist.m3u8", "/gradio_api/deep_link",
        "/gradio_api/custom_component/a/b/c/d", "/monitoring", "/monitoring/summary", "/login", "/docs", "/redoc", "/openapi.json",
        "/gradio_api/vibe-code/", "/gradio_api/queue/../file=/etc/passwd", "/static/../../../../../etc/passwd", "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/web/../web_chat.py", "/web/..%2fweb_chat.py", "/web/%2e%2e/web_chat.py", "/web//etc/passwd", "/web/%00", "/svelte/x", "//etc/passwd",
        "/api/v1/media/../../../../etc/passwd", "/api/v1/media/..%2f..%2f..%2fetc%2fpasswd", "/api/v1/nothing", "/api/v1/media/%2e%2e/health",
    ],
)  # fmt: skip
def test_no_door_of_gradio_is_open_that_the_page_does_not_need(port: int, path: str) -> None:
    for method in ("GET", "POST"):
        status, body, headers = fetch(port, path, method)
        assert status in (400, 403, 404, 405), (method, status)
        assert b"root:" not in body and b"import " not in body
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_allows_its_own_inline_scripts_and_no_others(port: int) -> None:
    status, page, headers = fetch(port, "/?deep_link=x")
    assert status == 200
    scripts = headers["content-security-policy"].split("script-src")[1].split(";")[0]
    assert "'unsafe-inline'" not in scripts
    assert script_hashes(page).split() == [source for source in scripts.split() if source.startswith("'sha256-")]
    assert len(script_hashes(page).split()) >= 3
    assert b"fonts.googleapis" not in page and b"fonts.gstatic" not in page
    assert fetch(port, "/", "HEAD")[0] == 200


def test_hashes_are_of_inline_scripts_only() -> None:
    page = b'<script src="/a.js"></script><script>alert(1)</script><script data-x>\n</script>'
    assert len(script_hashes(page).split()) == 2
    assert script_hashes(b"<script>alert(1)</script>") == " 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"
    assert script_hashes(b"") == ""


def test_a_huge_question_does_not_reach_gradio(port: int) -> None:
    assert fetch(port, "/gradio_api/queue/join", "POST", b'{"data":["' + b"x" * 2_000_000 + b'"]}')[0] == 413


def test_the_page_belongs_to_this_machine_only(library: PlayableLibrary) -> None:
    with TestClient(create_app(library, "127.0.0.1", 7860), base_url="http://evil.example") as client:
        assert client.get("/").status_code == client.get("/gradio_api/queue/data").status_code == 400


def test_a_busy_port_is_one_line_with_the_remedy() -> None:
    with listen("127.0.0.1", 0) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(
            PlayheadError, match=rf"^Cannot listen on 127\.0\.0\.1 port {number}: .*in use.*--port {number + 1}$"
        ):
            listen("127.0.0.1", number)
    with pytest.raises(PlayheadError, match="port 70000"):
        listen("127.0.0.1", 70000)


def test_an_old_gradio_is_refused(library: PlayableLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    import gradio

    monkeypatch.setattr(gradio, "__version__", "6.15.2")
    with pytest.raises(PlayheadError, match=r"Gradio 6\.15\.2 .* Run: pip install"):
        create_app(library, "127.0.0.1", 7860)


SERVE = """
import sys, time
from app.web_chat import serve
from playable_library import PlayableLibrary
serve(PlayableLibrary(lambda question, on_sentence: time.sleep(60), []), port=int(sys.argv[1]))
print("closed in order")
"""


def test_ctrl_c_stops_the_server_soon_and_without_a_traceback() -> None:
    """Even while a page is open and a question is being answered."""
    with listen("127.0.0.1", 0) as free:
        number = free.getsockname()[1]
    root = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root.parent}"}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(number)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"Playhead is on http://127.0.0.1:{number} (Ctrl-C stops it)\n"
        until = time.monotonic() + 20
        while fetch_or_none(number) != 200 and time.monotonic() < until:
            time.sleep(0.1)
        with (
            socket.create_connection(("127.0.0.1", number), timeout=5) as page,
            socket.create_connection(("127.0.0.1", number), timeout=5) as asking,
        ):
            page.sendall(b"GET /gradio_api/heartbeat/abc HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            assert page.recv(12) == b"HTTP/1.1 200"
            body = b'{"question": "Why?"}'
            head = f"POST /api/v1/ask HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            asking.sendall(head.encode() + body)
            time.sleep(0.5)
            stopped = time.monotonic()
            process.send_signal(signal.SIGINT)
            said, complained = process.communicate(timeout=10)
        assert time.monotonic() - stopped < 3
        assert (process.returncode, said, complained) == (0, "closed in order\n", "")
    finally:
        process.kill()


def fetch_or_none(port: int) -> int | None:
    try:
        return fetch(port, "/api/v1/health")[0]
    except OSError:
        return None


# What a browser does


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments, headless=True)
        yield browser
        browser.close()


class Visit:
    """One page with all that it asked for and complained about."""

    def __init__(self, browser: Browser, port: int, width: int = 1280) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.dialogs: list[str] = []
        self.context.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("websocket", lambda socket: self.hosts.add(socket.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console", lambda message: self.complaints.append(message.text) if message.type == "error" else None
        )
        self.page.on("dialog", lambda dialog: self.dialogs.append(dialog.message))
        self.port = port
        self.page.goto(f"http://127.0.0.1:{port}/")
        self.page.wait_for_selector(".welcome")

    def ask(self, question: str) -> None:
        box = self.page.locator("#question textarea")
        box.fill(question)
        box.press("Enter")

    def seeked(self, click: Callable[[], None]) -> tuple[float, str]:
        """Where the player landed after a click, in seconds, and the last part of its source."""
        self.page.evaluate(
            "() => { const v = document.getElementById('playhead-video'); window.landed = null;"
            " v.addEventListener('seeked', () => { window.landed = [v.currentTime, v.currentSrc]; }, {once: true}); }"
        )
        click()
        self.page.wait_for_function("window.landed")
        seconds, source = self.page.evaluate("window.landed")
        return seconds, source.rsplit("/", 1)[1]

    def check_and_close(self) -> None:
        """Nothing left this machine, nothing broke."""
        assert self.hosts <= {f"127.0.0.1:{self.port}", ""}
        assert (self.complaints, self.dialogs) == ([], [])
        self.context.close()


class TestInABrowser:
    pytestmark = browser_test

    def test_an_answer_streams_and_its_citations_play_the_moment(
        self, browser: Browser, port: int, library: PlayableLibrary
    ) -> None:
        script = library.asker
        assert isinstance(script, Script)
        script.second.clear()
        visit = Visit(browser, port)
        page = visit.page
        visit.ask("Please stream this")
        page.wait_for_selector(".turn.pending .answer")
        assert page.inner_text(".turn.pending .answer") == FIRST
        assert page.input_value("#question textarea") == ""
        script.second.set()
        page.wait_for_selector(".turn.answered")

        page.wait_for_function("document.getElementById('playhead-video').readyState >= 1")
        page.wait_for_function("Math.abs(document.getElementById('playhead-video').currentTime - 9.25) < 0.5")
        assert page.evaluate("document.getElementById('playhead-video').paused")
        assert page.locator("#playhead-track button").count() == 1

        seconds, source = visit.seeked(page.locator(".turn .cite").first.click)
        assert (abs(seconds - 9.25) < 0.5, source) == (True, LENS.video_id)
        page.wait_for_function("!document.getElementById('playhead-video').paused")
        assert page.inner_text("#playhead-title") == LENS.title

        link = page.locator(".turn a.cite")
        assert link.get_attribute("href") == "https://videos.example/watch?v=42&t=318"
        assert (link.get_attribute("target"), link.get_attribute("rel")) == ("_blank", "noopener noreferrer")

        card = page.locator("#evidence button.card", has_text=KNOTS.title)
        card.focus()
        seconds, source = visit.seeked(lambda: card.press("Enter"))
        assert (abs(seconds - 12.0) < 0.5, source) == (True, KNOTS.video_id)
        assert card.get_attribute("aria-current") == "true"
        visit.check_and_close()

    def test_hostile_words_run_nothing_build_nothing_and_fetch_nothing(self, browser: Browser, port: int) -> None:
        visit = Visit(browser, port)
        visit.ask(f"hostile {ALIVE}")
        visit.page.wait_for_selector(".turn.restricted")
        visit.page.locator("#evidence button.card").first.click()
        visit.page.wait_for_function("document.getElementById('playhead-video').readyState >= 1")
        assert visit.page.inner_text("#playhead-title").startswith("<img src=x")
        assert visit.page.evaluate("window.pwned") is None
        made = "#conversation, #evidence, #stage"
        built = "script, iframe, object, embed, link, style, form, base, meta, math, details, a, img:not([src^='/api/v1/thumbnails/'])"
        assert (
            visit.page.evaluate(
                f"[...document.querySelectorAll('{made}')].flatMap(e => [...e.querySelectorAll(`{built}`)]).length"
            )
            == 0
        )
        assert visit.page.locator("#conversation svg, #evidence svg").count() == 0
        visit.check_and_close()

    def test_the_policy_stops_a_script_that_would_slip_through(self, browser: Browser, port: int) -> None:
        visit = Visit(browser, port)
        visit.page.evaluate(
            "html => { document.getElementById('evidence').innerHTML = html; const s = document.createElement('script');"
            " s.textContent = 'window.pwned=2'; document.body.append(s); }",
            "<img src=/web/none onerror='window.pwned=1'><iframe srcdoc='<script>parent.pwned=3</script>'></iframe>"
            "<img src=https://evil.example/a.png>",
        )
        visit.page.wait_for_timeout(500)
        assert visit.page.evaluate("window.pwned") is None
        assert [text for text in visit.complaints if "Content Security Policy" in text]
        visit.context.close()

    def test_abstentions_refusals_and_errors_look_different(self, browser: Browser, port: int) -> None:
        visit = Visit(browser, port, width=400)
        page = visit.page
        page.wait_for_selector("#examples button")
        assert page.locator("#examples button").count() == 3
        for number, (question, kind, words) in enumerate(
            [
                ("absent", "abstained", "The library does not hold the answer."),
                ("forbidden", "refused", "Not here."),
                ("broken", "failed", "could not be answered (RuntimeError)"),
                ("away", "failed", "The index is away. Run: playhead doctor"),
            ],
            1,
        ):
            visit.ask(question)
            page.wait_for_function(f"document.querySelectorAll('.turn').length == {number}")
            page.wait_for_selector(f".turn.{kind}:last-child")
            assert words in page.inner_text(".turn:last-child")
        assert "hunter2" not in page.content() and "Traceback" not in page.content()
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert not page.is_visible("footer")
        seconds, source = visit.seeked(page.locator(".turn.abstained .near").first.click)
        assert (abs(seconds - 12.0) < 0.5, source) == (True, KNOTS.video_id)
        visit.check_and_close()

    def test_a_page_remembers_its_own_conversation(self, browser: Browser, port: int, library: PlayableLibrary) -> None:
        library.told_before.clear()
        visit, other = Visit(browser, port), Visit(browser, port)
        for number, question in enumerate(("absent one", "absent two"), start=1):
            visit.ask(question)
            visit.page.wait_for_function(f"document.querySelectorAll('.turn.abstained').length === {number}")
        other.ask("absent three")
        other.page.wait_for_selector(".turn.abstained")
        remembered = [[turn.question for turn in turns] for turns in library.told_before]
        assert remembered == [[], ["absent one"], []]
        visit.check_and_close()
        other.check_and_close()

    def test_an_example_is_asked_by_a_click(self, browser: Browser, port: int) -> None:
        visit = Visit(browser, port)
        visit.page.locator("#examples button").first.click()
        visit.page.wait_for_selector(".turn")
        assert LENS.title in visit.page.inner_text(".turn h2")
        visit.check_and_close()

    def test_an_empty_library_says_how_to_fill_it(self, browser: Browser) -> None:
        server, thread, port = start(PlayableLibrary(Script(), []))
        visit = Visit(browser, port)
        assert "playhead ingest ~/Videos" in visit.page.inner_text(".welcome")
        assert visit.page.locator("#examples button").count() == 0
        visit.check_and_close()
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()
