"""The answers of `playhead evaluate`: judged, asked again where the answer is absent, and confidence fitted anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.build import OpenLibrary
from app.gold_questions import GoldQuestion
from app.progress import Progress
from evaluation.answering import GivenAnswer, auroc, score_answer
from evaluation.calibration import Judged, area_under_risk, calibration_error, fit_logistic, threshold_at
from evaluation.ranking import ReturnedSpan
from evaluation.scoring import Figure, Scored, figures
from guards.sufficiency import JUDGED_EVIDENCE, Calibration, SufficiencyJudge, write_calibration
from ingest.index import Scope
from ingest.schema import PlayheadError
from prompts.kinds import subject_of

ABSENT = "abstained_where_absent"


@dataclass(frozen=True, slots=True)
class Answers:
    """How well questions were answered.

    `auroc` of confidence is against the lines that no video answers, `absent_auroc` against the same questions with their
    video shut out; None without either. `judged` has all of them.
    """

    figures: Mapping[str, Figure]
    auroc: float | None
    absent_auroc: float | None
    aurc: float
    calibration_error: float
    judged: Sequence[Judged]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration that was written, with what it reaches on recordings that its fit had not seen."""

    calibration: Calibration
    auroc: float
    figures: Mapping[str, Figure]


def answer_all(library: OpenLibrary, questions: Sequence[GoldQuestion]) -> Answers | None:
    """Answer every question that has words, those that no video answers too; then where its own video is shut out.

    None when no question has words.
    """
    questions = [question for question in questions if question.asked.text.strip()]
    if not questions:
        return None
    absent = without_their_video(library, questions)
    scored: list[Scored] = []
    answerable: list[Judged] = []
    unanswerable: list[Judged] = []
    elsewhere: list[Judged] = []
    with Progress("answer") as progress:
        for question in questions:
            progress.step(question.asked.text, len(questions) + len(absent))
            given = ask(library, question.asked.text, question.scope)
            gold = question.gold.gold
            values = score_answer(given, gold, question.gold.answers, gold.video if gold else "")
            right = bool(values.values.get("right_words", values.values.get("right_moment", 0.0)))
            (answerable if gold else unanswerable).append(Judged(given.confidence, gold is not None, right))
            words = {"words_shown": float(len(given.text.split()))} if given.answered else {}
            scored.append(replace(values, values={**values.values, **words}))
        for question, scope in absent:
            progress.step(question.asked.text, len(questions) + len(absent))
            given = ask(library, question.asked.text, scope)
            elsewhere.append(Judged(given.confidence, False, False))
            recording = question.gold.gold.video if question.gold.gold else ""
            scored.append(Scored(recording, (), {ABSENT: float(not given.answered)}))
    known, judged = confidences(answerable), [*answerable, *unanswerable, *elsewhere]
    return Answers(
        figures=figures(scored),
        auroc=auroc(known, confidences(unanswerable)),
        absent_auroc=auroc(known, confidences(elsewhere)),
        aurc=area_under_risk(judged),
        calibration_error=calibration_error(judged),
        judged=judged,
    )


def ask(library: OpenLibrary, question: str, scope: Scope) -> GivenAnswer:
    """One answer as plain values."""
    answer = library.answerer.ask(question, scope)
    moments = [citation.evidence.moment for citation in answer.citations]
    cited = tuple(ReturnedSpan(m.video_id, m.start_seconds, m.end_seconds) for m in moments)
    return GivenAnswer(answer.text, answer.status in ("answered", "restricted"), answer.confidence, cited)


def without_their_video(library: OpenLibrary, questions: Sequence[GoldQuestion]) -> list[tuple[GoldQuestion, Scope]]:
    """The questions with an answer, each in a scope of all videos but its own, where there are others."""
    videos = [video.video_id for video in library.catalog.videos(library.settings.tenant)]
    found = []
    for question in questions:
        gold = question.gold.gold
        others = tuple(video for video in videos if gold and video != gold.video)
        if gold and others and not question.scope.video_ids:
            found.append((question, replace(question.scope, video_ids=others)))
    return found


def confidences(judged: Sequence[Judged]) -> list[float]:
    return [one.confidence for one in judged]


def calibrate(library: OpenLibrary, questions: Sequence[GoldQuestion], risk: float) -> Fitted:
    """Fit confidence on the library's own questions, asked with and without their video, and write it for the library.

    Recordings are split in two; each half's confidences come from a fit on the other, and the threshold from all of these.
    Raises PlayheadError without a text model, and when there are too few questions.
    """
    if library.embedder is None:
        raise PlayheadError("Without a text model there is no confidence to fit. See: playhead doctor")
    asked = [q for q in questions if q.gold.gold and q.asked.text.strip() and not q.scope.video_ids]
    absent = without_their_video(library, asked)
    rows, labels, recordings = [], [], []
    judge = SufficiencyJudge(library.similarity)
    with Progress("calibrate") as progress:
        for question, scope, held in [*((q, q.scope, True) for q in asked), *((q, s, False) for q, s in absent)]:
            progress.step(question.asked.text, len(asked) + len(absent))
            evidence = library.gatherer.search(question.asked.text, scope, JUDGED_EVIDENCE).evidence
            rows.append(judge.signals(subject_of(question.asked.text), evidence))
            labels.append(held)
            recordings.append(question.gold.gold.video if question.gold.gold else "")
    signals, known = np.array(rows, dtype=np.float64), np.array(labels)
    first = np.isin(recordings, sorted(set(recordings))[::2])
    try:
        held_out = np.zeros(len(known))
        for half in (first, ~first):
            held_out[~half] = fit_logistic(signals[half], known[half]).probabilities(signals[~half])
        threshold = threshold_at(risk, held_out[known].tolist())
        whole = fit_logistic(signals, known)
        calibration = Calibration(
            model=library.embedder.revision,
            weights=whole.weights,
            offset=whole.offset,
            threshold=float(threshold),
            risk=risk,
            questions=int(known.sum()),
        )
    except (ValueError, IndexError) as error:
        raise PlayheadError(f"Too few questions to calibrate with: {error}.") from None
    write_calibration(library.folder.calibration_path(library.settings.tenant), calibration)
    scored = [
        Scored(recording, (), {"wrongly_abstained" if held else ABSENT: float(value < threshold)})
        for recording, held, value in zip(recordings, labels, held_out, strict=True)
    ]
    chances = auroc(held_out[known].tolist(), held_out[~known].tolist())
    return Fitted(calibration, 0.5 if chances is None else chances, figures(scored))
