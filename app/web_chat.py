"""The chat page: Gradio carries questions and answers, our own player shows the moment."""

from __future__ import annotations

import logging
import queue
import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from app import web_html
from app.answer import Answer
from app.http_api import AnsweringLibrary, create_api
from ingest.schema import PlayheadError
from retrievers.search import MAX_QUESTION_CHARACTERS

WEB_FOLDER = Path(__file__).parent / "web"
HEAD = (
    '<link rel="icon" href="/web/icon.svg"><link rel="stylesheet" href="/web/style.css">'
    '<script src="/web/player.js" defer></script>'
)
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO_FONTS = ("ui-monospace", "Menlo", "Consolas", "monospace")
EXAMPLES_SHOWN = 3
TURNS_KEPT = 50
QUESTIONS_AT_ONCE = 4
STOP_SECONDS = 1
LOG = logging.getLogger(__name__)


def serve(library: AnsweringLibrary, host: str = "127.0.0.1", port: int = 7860, examples: Sequence[str] = ()) -> None:
    """Serve the chat page and the API until Ctrl-C; PlayheadError when the address cannot be had."""
    with listen(host, port) as listener:
        address = f"[{host}]" if ":" in host else host
        app = create_app(library, host, listener.getsockname()[1], examples)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP_SECONDS, server_header=False)
        print(f"Playhead is on http://{address}:{listener.getsockname()[1]} (Ctrl-C stops it)", flush=True)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            pass


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound before anything is built, so that a busy port is one line."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise PlayheadError(
            f"Cannot listen on {host} port {port}: {error.strerror}. Try: playhead serve --port {port + 1}"
        ) from None


def create_app(library: AnsweringLibrary, host: str, port: int, examples: Sequence[str] = ()) -> FastAPI:
    """The API with the chat page at / and our own files at /web."""
    import gradio

    app = create_api(library, host)
    app.mount("/web", StaticFiles(directory=WEB_FOLDER))
    theme = gradio.themes.Base(font=FONTS, font_mono=MONO_FONTS).set(
        body_background_fill="#f6f5f2",
        body_background_fill_dark="#131416",
        body_text_color="#1b1c1f",
        body_text_color_dark="#ececea",
    )
    return gradio.mount_gradio_app(
        app, create_page(library, examples), path="/", server_name=host, server_port=port, theme=theme, head=HEAD,
        footer_links=[], run_history=False, enable_monitoring=False, ssr_mode=False, pwa=False, mcp_server=False, max_file_size=0,
    )  # fmt: skip


def create_page(library: AnsweringLibrary, examples: Sequence[str]) -> Any:
    """The page as Gradio blocks: the conversation, and beside it the player with the evidence."""
    import gradio as gr

    def html(value: str, elem_id: str) -> Any:
        return gr.HTML(value, elem_id=elem_id, js_on_load=None, apply_default_css=False)

    with gr.Blocks(title="Playhead", analytics_enabled=False, fill_width=True) as page:
        turns = gr.State([])
        html((WEB_FOLDER / "header.html").read_text(encoding="utf-8"), "header")
        with gr.Row(elem_id="desk"):
            with gr.Column(elem_id="talk"):
                conversation = html("", "conversation")
                with gr.Row(elem_id="examples") as chips:
                    buttons = [gr.Button(visible=False, size="sm") for _ in range(EXAMPLES_SHOWN)]
                question = gr.Textbox(
                    placeholder="Ask about your videos", label="Question", show_label=False, elem_id="question", autofocus=True,
                    lines=1, max_lines=5, max_length=MAX_QUESTION_CHARACTERS, submit_btn=True, container=False,
                )  # fmt: skip
            with gr.Column(elem_id="watch"):
                html((WEB_FOLDER / "player.html").read_text(encoding="utf-8"), "stage")
                evidence = html("", "evidence")

        def greet() -> list[Any]:
            videos = library.videos()
            shown = (
                list(examples or [f"What is “{video.title}” about?" for video in videos])[:EXAMPLES_SHOWN]
                if videos
                else []
            )
            updates = [gr.Button(text, visible=True) for text in shown]
            return [web_html.welcome(videos), *updates, *[gr.skip()] * (EXAMPLES_SHOWN - len(shown))]

        def answer(asked: str, before: list[str]) -> Iterator[list[Any]]:
            if not asked.strip():
                yield [gr.skip()] * 5
                return
            for shown, cards in answered(library, asked.strip(), cue=secrets.token_hex(8)):
                kept = [*before, shown][-TURNS_KEPT:]
                yield [
                    "",
                    gr.skip() if cards is None else kept,
                    web_html.conversation(kept),
                    cards or "",
                    gr.Row(visible=False),
                ]

        outputs = [question, turns, conversation, evidence, chips]
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        page.load(greet, None, [conversation, *buttons], **quiet)
        for event in (question.submit, *(button.click for button in buttons)):
            asked = question if event is question.submit else event.__self__
            event(answer, [asked, turns], outputs, concurrency_limit=QUESTIONS_AT_ONCE, concurrency_id="ask", **quiet)
    return page


def answered(library: AnsweringLibrary, question: str, cue: str) -> Iterator[tuple[str, str | None]]:
    """The turn as it grows, and with the last one the evidence cards."""
    sentences: list[str] = []
    yield web_html.pending_turn(question, sentences), None
    for told in tell(library, question):
        if isinstance(told, str):
            sentences.append(told)
            yield web_html.pending_turn(question, sentences), None
        elif isinstance(told, Answer):
            yield web_html.turn(library, told), web_html.evidence_cards(library, told, cue)
        else:
            yield web_html.failed_turn(question, one_line(told)), ""


def tell(library: AnsweringLibrary, question: str) -> Iterator[str | Answer | Exception]:
    """Each sentence as it becomes final, then the answer, or the error that came instead."""
    told: queue.Queue[str | Answer | Exception] = queue.Queue()

    def work() -> None:
        try:
            told.put(library.ask(question, told.put))
        except Exception as error:
            told.put(error)

    # A daemon, so that a slow model does not keep the server from stopping.
    threading.Thread(target=work, name="ask", daemon=True).start()
    while isinstance(item := told.get(), str):
        yield item
    yield item


def one_line(error: Exception) -> str:
    """Our own errors as they are; any other is logged, and its words stay in the log."""
    if isinstance(error, (PlayheadError, ValueError)):
        return str(error)
    LOG.error("a question failed", exc_info=error)
    return f"The question could not be answered ({type(error).__name__}). The server's log says more; ask again."
