"""The first look: the demo library is read, three questions are asked, the chat page opens."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import sys
from pathlib import Path

from app.build import OpenLibrary
from app.ingesting import ingest_sources
from app.serving import LibraryService
from app.settings import Settings
from app.text_forms import answer_text
from app.web_chat import serve
from ingest.index import Scope
from ingest.schema import IndexMismatchError, PlayheadError
from ingest.sources import find_sources

DEMO_VIDEOS = Path(__file__).parent.parent / "demo" / "videos"
DEMO_LIBRARY = "demo-library"
DEMO_QUESTIONS = (
    "Why could one finger turn a lighthouse lens that weighed several tons?",
    "How long did Queen Victoria's message take to send in 1858?",
    "How do I bake sourdough bread?",
)


def run_demo(settings: Settings, *, serve_chat: bool, own_library: bool) -> None:
    """Read the demo videos into a library of their own, or the one given, ask three questions, and serve the chat."""
    if not DEMO_VIDEOS.is_dir():
        raise PlayheadError(
            f"The demo videos are not at {DEMO_VIDEOS}. Run it from a clone of the repository: make demo"
        )
    if not own_library:
        library_folder = settings.cache / DEMO_LIBRARY
        settings = dataclasses.replace(settings, library=library_folder, catalog_url=None, qdrant_url=None)
    purpose = f"playhead demo on http://{settings.host}:{settings.port}" if serve_chat else "playhead demo"
    with open_demo(settings, purpose, own_library=own_library) as library:
        print("Reading the demo videos: about a minute the first time, a second later on.", file=sys.stderr)
        sources, failures = find_sources([DEMO_VIDEOS])
        report = ingest_sources(library, sources, failures)
        if report.failed:
            raise PlayheadError(report.as_text())
        print(report.as_text())
        for question in DEMO_QUESTIONS:
            print(f"\n> {question}\n")
            print(answer_text(library.answerer.ask(question, Scope(settings.tenant))))
        print(f"\nAsk it more: playhead --library {shlex.quote(str(settings.library))} ask QUESTION\n")
        if serve_chat:
            serve(LibraryService(library), settings.host, settings.port, DEMO_QUESTIONS)


def open_demo(settings: Settings, purpose: str, *, own_library: bool) -> OpenLibrary:
    """The demo library; our own one is made anew when an older Playhead or other models made it."""
    try:
        return OpenLibrary(settings, purpose, create=True)
    except IndexMismatchError:
        if own_library:
            raise
        shutil.rmtree(settings.library)
        return OpenLibrary(settings, purpose, create=True)
