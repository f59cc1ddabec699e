"""Runs `playhead evaluate`: a questions file through the search that users get, through its parts, and what others build."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.build import OpenLibrary
from app.evaluating_answers import Answers, Fitted, answer_all, calibrate
from app.gold_questions import GoldQuestion, LeftOut, Line, draw, read_lines, resolve
from app.progress import Progress
from app.questions import AskedQuestion
from app.settings import Settings
from evaluation.ranking import Gold, ReturnedSpan
from evaluation.scoring import DEPTH, Figure, Kind, MethodRow, Scored, lead, method_row, score_ranking
from ingest.index import Scope
from ingest.schema import PlayheadError, WrongCallError
from retrievers.channels import CHANNELS

SEED = 7
OWN = "playhead"
LEAD_METRIC = "recall_at_1"
NAMED_AT_MOST = 5

Rank = Callable[[AskedQuestion, Scope], Sequence[ReturnedSpan]]


@dataclass(frozen=True, slots=True)
class Options:
    """What `evaluate` was asked for; `limit` questions are drawn by `seed`, `calibrate` is the risk to calibrate for."""

    limit: int | None = None
    seed: int = SEED
    baselines: bool = False
    plots: Path | None = None
    answers: bool = False
    calibrate: float | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """One way to rank moments for a question."""

    name: str
    kind: Kind
    rank: Rank


@dataclass(frozen=True, slots=True)
class Run:
    """What one method did: each question's values and milliseconds in the order of the questions, and the moments found."""

    method: Method
    scored: Sequence[Scored]
    spent_ms: Sequence[float]
    found: int


@dataclass(frozen=True, slots=True)
class Lead:
    """How far the search is above the best baseline of the same run in R@1, paired by question."""

    baseline: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Report:
    """What `playhead evaluate` found; `silent` channels found nothing for any question, `seed` is None when all were asked."""

    file: Path
    lines: int
    ranked: int
    videos: int
    unanswerable: int
    left_out: Sequence[LeftOut]
    seed: int | None
    tiers: Mapping[str, str]
    rows: Sequence[MethodRow]
    silent: Sequence[str]
    lead: Lead | None
    plots: Sequence[Path]
    answers: Answers | None
    fitted: Fitted | None


def evaluate(settings: Settings, file: Path, options: Options) -> Report:
    """Measure how well the library answers the questions of a file; WrongCallError names the line that cannot be used."""
    check_extras(options)
    lines = read_lines(file)
    fitted = fit(settings, lines, options) if options.calibrate else None
    with OpenLibrary(settings, "playhead evaluate") as library:
        questions, left_out = resolve(lines, library.catalog, settings.tenant)
        drawn = draw(questions, options.limit, options.seed)
        ranked = [(question, question.gold.gold) for question in drawn if question.gold.gold]
        if not ranked and not (options.answers and drawn):
            raise WrongCallError(f"{file} has no question to rank: {why_none(left_out)}")
        runs = rank_all(library, ranked, baselines=options.baselines) if ranked else []
        tiers = library.planned_searcher.search(OWN, Scope(settings.tenant), 1).tiers
        answers = answer_all(library, drawn) if options.answers else None
    heard = [run for run in runs if run.found or run.method.kind != "channel"]
    rows = [method_row(run.method.name, run.method.kind, run.scored, run.spent_ms) for run in heard]
    return Report(
        file=file,
        lines=len(lines),
        ranked=len(ranked),
        videos=len({gold.video for _, gold in ranked}),
        unanswerable=len(drawn) - len(ranked),
        left_out=left_out,
        seed=options.seed if len(drawn) < len(questions) else None,
        tiers=tiers,
        rows=rows,
        silent=[run.method.name for run in runs if run not in heard],
        lead=lead_over_baselines(heard),
        plots=draw_plots(options.plots, heard, rows, answers) if options.plots else (),
        answers=answers,
        fitted=fitted,
    )


def fit(settings: Settings, lines: Sequence[Line], options: Options) -> Fitted:
    """Calibrate the library with the questions; what opens it next judges by that."""
    assert options.calibrate
    with OpenLibrary(settings, "playhead evaluate") as library:
        questions, _ = resolve(lines, library.catalog, settings.tenant)
        return calibrate(library, draw(questions, options.limit, options.seed), options.calibrate)


def check_extras(options: Options) -> None:
    """Refuse at once what would fail after minutes."""
    for package, wanted in (("bm25s", options.baselines), ("matplotlib", options.plots)):
        if wanted and importlib.util.find_spec(package) is None:
            raise PlayheadError(f"{package} is not installed. Run: pip install 'playhead[evaluation]'")
    if options.plots:
        try:
            options.plots.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WrongCallError(f"{options.plots} cannot be a folder ({error.strerror}). Name another.") from None


def why_none(left_out: Sequence[LeftOut]) -> str:
    if not left_out:
        return "every line is unanswerable. Give it questions with gold."
    names = ", ".join(dict.fromkeys(item.video for item in left_out[:NAMED_AT_MOST]))
    return f"the library does not hold its videos ({names}). Ingest them first."


def rank_all(library: OpenLibrary, ranked: Sequence[tuple[GoldQuestion, Gold]], *, baselines: bool) -> list[Run]:
    """Every question by every method, one method after the other so that their times compare."""
    methods = [*own_methods(library), *(baseline_methods(library) if baselines else ())]
    total = len(methods) * len(ranked)
    with Progress("evaluate") as progress:
        return [run(method, ranked, lambda name: progress.step(name, total)) for method in methods]


def own_methods(library: OpenLibrary) -> list[Method]:
    """The search that users get, the same without reranking, and each channel alone, which reads a question's words only."""

    def method(name: str, kind: Kind, channels: Sequence[str], *, rerank: bool = False) -> Method:
        def rank(asked: AskedQuestion, scope: Scope) -> list[ReturnedSpan]:
            if asked.image and kind == "search":
                found = library.search_image(asked.image, scope, DEPTH, asked.text)
            elif asked.text.strip():
                found = library.planned_searcher.search(asked.text, scope, DEPTH, channels=channels, rerank=rerank)
            else:
                return []
            moments = [item.moment for item in found.evidence]
            return [ReturnedSpan(moment.video_id, moment.start_seconds, moment.end_seconds) for moment in moments]

        return Method(name, kind, rank)

    whole = [method(OWN, "search", CHANNELS, rerank=True), method(f"{OWN} --no-rerank", "search", CHANNELS)]
    return whole + [method(f"{channel} alone", "channel", (channel,)) for channel in CHANNELS]


def baseline_methods(library: OpenLibrary) -> list[Method]:
    """Known retrievers on fixed windows of the library's transcripts, and the control that reads titles only."""
    from evaluation.baselines import Baseline, WindowSearch, cut_windows

    catalog, tenant = library.catalog, library.settings.tenant
    windows = [
        window
        for video in catalog.videos(tenant)
        for window in cut_windows(video, catalog.timeline(tenant, video.video_id).transcript)
    ]
    if not windows:
        raise WrongCallError("No video of the library has a transcript for --baselines to search. Leave it out.")
    with Progress("encode windows") as progress:
        search = WindowSearch(windows, library.embedder, lambda total: progress.step("for the baselines", total))

    def method(name: str, kind: Kind, baseline: Baseline) -> Method:
        return Method(name, kind, lambda asked, scope: baseline(asked.text, scope))

    named = [method(name, "baseline", baseline) for name, baseline in search.baselines().items()]
    return [*named, method("titles only", "control", search.blind)]


def run(method: Method, questions: Sequence[tuple[GoldQuestion, Gold]], on_question: Callable[[str], None]) -> Run:
    """Ask everything by one method; the first question is asked once before, so that loading is not timed."""
    method.rank(questions[0][0].asked, questions[0][0].scope)
    scored, spent_ms, found = [], [], 0
    for question, gold in questions:
        on_question(method.name)
        started = time.perf_counter()
        returned = method.rank(question.asked, question.scope)
        spent_ms.append((time.perf_counter() - started) * 1000)
        scored.append(score_ranking(returned, gold, question.gold.slices))
        found += len(returned)
    return Run(method, scored, spent_ms, found)


def lead_over_baselines(runs: Sequence[Run]) -> Lead | None:
    """The search of users against the baseline with the highest R@1; None without baselines."""
    baselines = [run for run in runs if run.method.kind == "baseline"]
    if not baselines:
        return None
    best = max(baselines, key=lambda run: sum(question.values[LEAD_METRIC] for question in run.scored))
    return Lead(best.method.name, lead(LEAD_METRIC, runs[0].scored, best.scored))


def draw_plots(folder: Path, runs: Sequence[Run], rows: Sequence[MethodRow], answers: Answers | None) -> Sequence[Path]:
    from evaluation.plots import write_answer_plots, write_plots

    drawn = write_plots(folder, rows, {run.method.name: run.spent_ms for run in runs}) if rows else []
    return [*drawn, *(write_answer_plots(folder, answers.judged) if answers else ())]
