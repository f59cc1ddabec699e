"""The chat page: Gradio carries questions and answers, our own player shows the moment."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from app import web_html
from app.answer import Answer
from app.asking import AnsweringLibrary, Asker, one_line
from app.conversing import turn_of
from app.http_api import create_api
from ingest.schema import PlayheadError
from prompts.followup import TURNS_READ, Turn
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
STOP_SECONDS = 1
LAST_PORT = 65535
OLDEST_GRADIO = (6, 16)


def serve(library: AnsweringLibrary, host: str = "127.0.0.1", port: int = 7860, examples: Sequence[str] = ()) -> None:
    """Serve the chat page and the API until Ctrl-C; PlayheadError when the address cannot be had."""
    with listen(host, port) as listener:
        address = f"[{host}]" if ":" in host else host
        app = create_app(library, host, listener.getsockname()[1], examples)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP_SECONDS, server_header=False)
        with contextlib.suppress(KeyboardInterrupt):
            Server(config, f"http://{address}:{listener.getsockname()[1]}").run(sockets=[listener])


class Server(uvicorn.Server):
    """Says where it is once it can be stopped, and stops without complaints about the pages that are still open."""

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"Playhead is on {self._address} (Ctrl-C stops it)", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound before anything is built, so that a busy port is one line."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        other = port + 1 if port < LAST_PORT else 7860
        raise PlayheadError(
            f"Cannot listen on {host} port {port}: {reason}. Try: playhead serve --port {other}"
        ) from None


def create_app(library: AnsweringLibrary, host: str, port: int, examples: Sequence[str] = ()) -> FastAPI:
    """The API with the chat page at / and our own files at /web."""
    import gradio

    if tuple(int(part) for part in gradio.__version__.split(".")[:2]) < OLDEST_GRADIO:
        raise PlayheadError(f"Gradio {gradio.__version__} serves files it should not. Run: pip install 'gradio>=6.16'")
    app = create_api(library, host)
    app.mount("/web", StaticFiles(directory=WEB_FOLDER))
    theme = gradio.themes.Base(font=FONTS, font_mono=MONO_FONTS).set(
        body_background_fill="#f6f5f2",
        body_background_fill_dark="#131416",
        body_text_color="#1b1c1f",
        body_text_color_dark="#ececea",
    )
    gradio.mount_gradio_app(
        app, create_page(library, examples), path="/", server_name=host, server_port=port, theme=theme, head=HEAD,
        footer_links=[], run_history=False, enable_monitoring=False, ssr_mode=False, pwa=False, mcp_server=False, max_file_size=0,
    )  # fmt: skip
    return app


def create_page(library: AnsweringLibrary, examples: Sequence[str]) -> Any:
    """The page as Gradio blocks: the conversation, and beside it the player with the evidence."""
    import gradio as gr

    asker = Asker(library)

    def html(value: str, elem_id: str) -> Any:
        return gr.HTML(value, elem_id=elem_id, js_on_load=None, apply_default_css=False)

    with gr.Blocks(title="Playhead", analytics_enabled=False, fill_width=True) as page:
        turns = gr.State([])
        said = gr.State([])
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

        async def answer(asked: str, before: list[str], earlier: list[Turn]) -> AsyncIterator[list[Any]]:
            if not asked.strip():
                yield [gr.skip()] * 6
                return
            async for shown, cards, turn in answered(library, asker, asked.strip(), earlier):
                kept = [*before, shown][-TURNS_KEPT:]
                yield [
                    "",
                    gr.skip() if cards is None else kept,
                    gr.skip() if turn is None else [*earlier, turn][-TURNS_READ:],
                    web_html.conversation(kept),
                    cards or "",
                    gr.Row(visible=False),
                ]

        outputs = [question, turns, said, conversation, evidence, chips]
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        page.load(greet, None, [conversation, *buttons], **quiet)
        for event in (question.submit, *(button.click for button in buttons)):
            asked = question if event is question.submit else event.__self__
            event(answer, [asked, turns, said], outputs, concurrency_limit=None, **quiet)
    return page


async def answered(
    library: AnsweringLibrary, asker: Asker, question: str, earlier: Sequence[Turn]
) -> AsyncIterator[tuple[str, str | None, Turn | None]]:
    """The turn as it grows, and with the last one the evidence cards and what the conversation remembers of it."""
    sentences: list[str] = []
    yield web_html.pending_turn(question, sentences), None, None
    async for told in asker.tell(question, earlier):
        if isinstance(told, str):
            sentences.append(told)
            yield web_html.pending_turn(question, sentences), None, None
        elif isinstance(told, Answer):
            cards = web_html.evidence_cards(library, told, cue=secrets.token_hex(8))
            yield web_html.turn(library, told), cards, turn_of(told)
        else:
            yield web_html.failed_turn(question, one_line(told)), "", None
