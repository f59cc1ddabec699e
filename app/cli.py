"""The command line: `playhead ingest`, `search`, `ask` and the rest. Models are imported only by the command that needs them."""

from __future__ import annotations

import io
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.schema import PlayheadError, VideoError, WrongCallError

if TYPE_CHECKING:
    from app.settings import Settings
    from ingest.schema import Video

DONE, FAILED, WRONG_CALL = 0, 1, 2
USAGE_ERROR: Any = typer.BadParameter.__base__  # what Typer raises for every wrong call

HELP = """Answers questions about your videos and puts the playhead on the moment that proves each sentence.

First steps:

  playhead demo                        a first look, with videos that come along

  playhead ingest ~/Videos             read a folder of videos

  playhead ask "who built the bridge?" a cited answer

  playhead serve                       the same in a chat page

The options below are also accepted after the command. Settings: see .env.example.
"""
cli = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@dataclass(slots=True)
class Call:
    """What the options before the command said."""

    library: Path | None = None
    tenant: str | None = None
    as_json: bool = False
    debug: bool = False

    def settings(self) -> Settings:
        from app.settings import read_settings

        return read_settings(library=self.library, tenant=self.tenant)


CALL = Call()

Question = Annotated[str | None, typer.Argument(help="What to ask; left out with --questions.", show_default=False)]
Questions = Annotated[Path | None, typer.Option(help="A .jsonl file, one question a line; answers come one a line.")]
VideoOption = Annotated[list[str] | None, typer.Option("--video", help="Only this video; can be repeated.")]
FilterOption = Annotated[
    list[str] | None, typer.Option("--filter", help="key=value: language, tag or year; can be repeated.")
]
VideoName = Annotated[str, typer.Argument(help="An id or its beginning, a path, a file stem or a title.")]


@cli.callback()
def options(
    library: Annotated[Path | None, typer.Option(help="The library's folder.", show_default=False)] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose videos; one user needs none.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    CALL.library, CALL.tenant, CALL.as_json, CALL.debug = library, tenant, as_json, debug


@cli.command()
def ingest(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, caption files, or a manifest.jsonl.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be read and how long it takes.")
    ] = False,
) -> None:
    """Read videos into the library. What is known and unchanged is skipped; a bad file never stops the others."""
    from app.estimating import estimate_paths
    from app.ingesting import ingest_paths

    if "" in paths:
        raise WrongCallError("A path is empty, perhaps from an unset variable. Give a file or a folder.")
    named = [Path(path) for path in paths]
    report = estimate_paths(CALL.settings(), named) if dry_run else ingest_paths(CALL.settings(), named)
    show(report.as_json(), report.as_text())
    raise typer.Exit(FAILED if report.failed else DONE)


@cli.command()
def watch(
    folder: Annotated[Path, typer.Argument(help="The folder to follow.")],
) -> None:
    """Follow a folder: read what appears or changes there, until Ctrl-C."""
    from app.ingesting import watch_folder

    watch_folder(CALL.settings(), folder, lambda report: show(report.as_json(), report.as_text()))


@cli.command()
def search(
    query: Question = None,
    questions: Questions = None,
    k: Annotated[int, typer.Option(min=1, max=100, help="How many moments.")] = 10,
    video: VideoOption = None,
    image: Annotated[
        Path | None, typer.Option(help="Find this picture; with words, what they say where the picture is.")
    ] = None,
    filters: FilterOption = None,
    channel: Annotated[str | None, typer.Option(help="Only speech, screen, description or visual.")] = None,
    no_rerank: Annotated[bool, typer.Option("--no-rerank", help="Keep the fused order.")] = False,
) -> None:
    """Find the moments that match, best first."""
    from app.build import OpenLibrary
    from app.json_forms import search_json
    from app.questions import make_scope, read_questions
    from app.text_forms import search_text
    from retrievers.channels import CHANNELS
    from retrievers.evidence import SearchResult

    if channel and channel not in CHANNELS:
        raise WrongCallError(f"Unknown channel {channel!r}. Channels are {', '.join(CHANNELS)}.")
    if image and channel:
        raise WrongCallError("--image was given together with --channel. Search by one of them.")
    asked = read_questions(query, questions, image)
    failed = False
    with OpenLibrary(CALL.settings(), "playhead search") as library:
        for item in asked:
            try:
                scope = make_scope(library.catalog, library.settings.tenant, item, video, filters)
                if item.image:
                    result = library.search_image(item.image, scope, k, item.text)
                else:
                    channels = (channel,) if channel else CHANNELS
                    result = library.planned_searcher.search(
                        item.text, scope, k, channels=channels, rerank=not no_rerank
                    )
            except (WrongCallError, VideoError) as error:
                if questions is None:
                    raise
                result, failed = SearchResult(item.text, (), {}, {}, str(error)), True
            result = library.masker.result(result)
            show({**search_json(result), "id": item.id}, search_text(result), one_of=item.text if questions else None)
    raise typer.Exit(FAILED if failed else DONE)


@cli.command()
def ask(
    question: Question = None,
    questions: Questions = None,
    video: VideoOption = None,
    filters: FilterOption = None,
) -> None:
    """Answer a question from the videos, every sentence cited, or say that they do not hold the answer."""
    from app.answerer import clarification
    from app.build import OpenLibrary
    from app.json_forms import answer_json
    from app.questions import make_scope, read_questions
    from app.text_forms import answer_text

    asked = read_questions(question, questions, None)
    with OpenLibrary(CALL.settings(), "playhead ask") as library:
        for item in asked:
            try:
                scope = make_scope(library.catalog, library.settings.tenant, item, video, filters)
                answer = library.answerer.ask(item.text, scope)
            except (WrongCallError, VideoError) as error:
                if questions is None:
                    raise
                answer = clarification(item.text, str(error))
            show({**answer_json(answer), "id": item.id}, answer_text(answer), one_of=item.text if questions else None)


@cli.command()
def similar(
    video: VideoName,
    k: Annotated[int, typer.Option(min=1, max=100, help="How many videos.")] = 10,
) -> None:
    """Find the videos like one of the library, with the seconds that both share and the reasons."""
    from app.build import OpenLibrary
    from app.questions import resolve_video
    from app.similar_forms import similar_json, similar_text

    with OpenLibrary(CALL.settings(), "playhead similar", load_models=False) as library:
        found = resolve_video(library.catalog, library.settings.tenant, video)
        alike = library.similar_finder.similar_to(found, k)
        show(similar_json(found, alike), similar_text(found, alike))


@cli.command()
def videos() -> None:
    """List the videos of the library."""
    from app.questions import open_shelf
    from app.video_forms import videos_json, videos_text

    with open_shelf(CALL.settings()) as shelf:
        known = shelf.catalog.videos(shelf.tenant)
        jobs = shelf.catalog.jobs(shelf.tenant)
        show(videos_json(known, jobs), videos_text(known, jobs))


@cli.command(name="show")
def show_video(video: VideoName) -> None:
    """One video: what was heard and seen when, and what the index does not cover."""
    from app.questions import open_shelf, resolve_video
    from app.video_forms import timeline_json, timeline_text

    with open_shelf(CALL.settings()) as shelf:
        found = resolve_video(shelf.catalog, shelf.tenant, video)
        timeline = shelf.catalog.timeline(shelf.tenant, found.video_id)
        show(timeline_json(found, timeline), timeline_text(found, timeline))


@cli.command()
def delete(
    video: Annotated[str | None, typer.Argument(help="Left out with --purge: purge what was deleted before.")] = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="Also rewrite the stores so that no byte of it is left.")
    ] = False,
) -> None:
    """Remove a video from the library. Your own file is not touched."""
    from app.build import OpenLibrary
    from app.questions import resolve_video

    if video is None and not purge:
        raise WrongCallError("No video was named. Give one, or --purge to purge what was deleted before.")
    with OpenLibrary(CALL.settings(), "playhead delete") as library:
        found = resolve_video(library.catalog, library.settings.tenant, video) if video is not None else None
        removed, left = library.delete(found) if found else (0, 0)
        if purge:
            library.purge()
    receipt: dict[str, Any] = {"moments_removed": removed, "moments_left": left, "purged": purge}
    if found:
        receipt = {"video_id": found.video_id, "title": found.title, **receipt}
        text = f"Removed {found.title} ({found.video_id}): {removed} moments, {left} left{', purged' if purge else ''}."
    show(receipt, text if found else "Purged: no byte of deleted videos is left.")
    raise typer.Exit(FAILED if left else DONE)


@cli.command()
def reindex(
    channel: Annotated[str | None, typer.Option(help="Only speech, screen, description or visual.")] = None,
) -> None:
    """Make every video's channels, or one, again with the models of the settings; what they made already stays."""
    from app.build import REINDEX_ROLES
    from app.build import reindex as run
    from app.progress import Progress

    if channel and channel not in REINDEX_ROLES:
        raise WrongCallError(f"Unknown channel {channel!r}. Channels are {', '.join(REINDEX_ROLES)}.")
    settings = CALL.settings()
    with Progress("reindex") as progress:

        def tell(video: Video, total: int) -> None:
            progress.step(video.title if video.tenant == settings.tenant else "another tenant's video", total)

        done = run(settings, channel, tell)
    show({"videos": done}, f"Reindexed {done} videos.")


@cli.command()
def evaluate(
    file: Annotated[Path, typer.Argument(help="A .jsonl file of questions with their gold, one a line.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Draw this many of its questions.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other questions.")] = 7,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also measure what others build, on 60 s windows.")
    ] = False,
    plots: Annotated[Path | None, typer.Option(help="Write plots into this folder.")] = None,
    answers: Annotated[
        bool, typer.Option("--answers", help="Also answer each question and judge the answers.")
    ] = False,
    calibrate: Annotated[
        float | None,
        typer.Option(min=0.01, max=0.5, help="Fit confidence so that this part of answerable questions abstains."),
    ] = None,
) -> None:
    """Measure how well the library answers questions whose answers are known.

    A line is {"question", "video", "answer_start_seconds"}, or "windows" ([[start, end], ...] in seconds) with
    "tolerance_s"; "modality" gives slices, "answerable": false marks what no video answers.
    """
    from app.evaluating import Options
    from app.evaluating import evaluate as run
    from app.evaluation_forms import report_json, report_text

    report = run(CALL.settings(), file, Options(limit, seed, baselines, plots, answers, calibrate))
    show(report_json(report), report_text(report))


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port.", show_default="7860")] = None,
) -> None:
    """Open the chat page and the HTTP API."""
    from app.serving import serve_library

    serve_library(CALL.settings(), host, port)


@cli.command()
def demo(
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Do not open the chat page at the end.")] = False,
) -> None:
    """A first look: reads the videos that come along, asks three questions, opens the chat page."""
    from app.demo import run_demo

    run_demo(CALL.settings(), serve_chat=not no_serve, own_library=CALL.library is not None)


@cli.command()
def doctor() -> None:
    """Say which model serves each role here, how to raise it, and where everything lies."""
    from app.doctor import examine

    report = examine(CALL.settings())
    show(report.as_json(), report.as_text())


def show(document: dict[str, Any], text: str, *, one_of: str | None = None) -> None:
    """Print a result for programs or for people; of a batch, it is `one_of` its questions, and one line of JSON."""
    if CALL.as_json:
        print(json.dumps(document, ensure_ascii=False, indent=2 if one_of is None else None), flush=True)
    else:
        print(text if one_of is None else f"{one_of}\n\n{text}\n", flush=True)


GLOBAL_FLAGS = ("--json", "--debug")
GLOBAL_VALUES = ("--library", "--tenant")


def hoist_global_options(arguments: Sequence[str]) -> list[str]:
    """Move the options of `playhead` before the command, so that they may be written after it too."""
    hoisted: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return [*hoisted, *rest, argument, *waiting]
        if argument in GLOBAL_FLAGS or argument.startswith(tuple(f"{name}=" for name in GLOBAL_VALUES)):
            hoisted.append(argument)
        elif argument in GLOBAL_VALUES and waiting:
            hoisted += [argument, waiting.pop(0)]
        else:
            rest.append(argument)
    return [*hoisted, *rest]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 something failed, 2 wrong call."""
    given = hoist_global_options(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    CALL.debug = "--debug" in given
    try:
        return int(cli(args=given, prog_name="playhead", standalone_mode=False) or DONE)
    except USAGE_ERROR as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "playhead"
        return complain(error, f"{error.format_message()} See: {command} --help", WRONG_CALL)
    except (typer.Abort, KeyboardInterrupt):
        return complain(None, "Stopped.", 130)
    except WrongCallError as error:
        return complain(error, str(error), WRONG_CALL)
    except (PlayheadError, OSError) as error:
        return complain(error, str(error), FAILED)
    except Exception as error:  # a fault of ours: still one line, and the rest on demand
        return complain(error, f"{type(error).__name__}: {error}. Run it again with --debug and report it.", FAILED)


def entry() -> None:
    """The console command; what a terminal cannot show is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())


def complain(error: BaseException | None, message: str, status: int) -> int:
    """One line on stderr; the traceback only with --debug."""
    if CALL.debug and error:
        traceback.print_exception(error)
    print("playhead: " + " ".join(message.split()), file=sys.stderr)
    return status
