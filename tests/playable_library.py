"""A small library for the tests of the doors: two real clips, one video of captions alone, and scripted answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.answer import Answer, Citation, Status
from app.citing import moment_url
from ingest.schema import Moment, TranscriptSegment, Video
from prompts.followup import Turn
from retrievers.evidence import ChannelScore, Evidence, SearchResult

Ask = Callable[[str, Callable[[str], None]], Answer]


def make_picture(path: Path, hue: int) -> None:
    from PIL import Image

    Image.new("RGB", (320, 180), tuple(210 if channel == hue else 70 for channel in range(3))).save(path)


def make_video(video_id: str, title: str, seconds: float = 40.0, **more: object) -> Video:
    return Video(tenant="local", video_id=video_id, title=title, duration_seconds=seconds, fingerprint="f", **more)  # type: ignore[arg-type]


def make_evidence(number: int, video: Video, start: float, text: str, end: float | None = None) -> Evidence:
    """One moment of 10 s with one utterance, found by speech."""
    end = start + 10 if end is None else end
    moment = Moment(
        tenant=video.tenant,
        video_id=video.video_id,
        start_seconds=start,
        end_seconds=end,
        transcript=(TranscriptSegment(start, end, text, "sidecar captions"),),
        keyframe_seconds=(start,),
    )
    return Evidence(
        number, moment, video, 1.0 / number, {"speech": ChannelScore(number, 9.5), "visual": ChannelScore(3, 0.3)}
    )


def cite(evidence: Evidence, quote: str, seconds: float, url: str | None = None) -> Citation:
    return Citation(
        evidence.number, evidence, quote, seconds, moment_url(evidence.video, seconds) if url is None else url
    )


def make_answer(
    question: str, text: str, citations: Sequence[Citation], evidence: Sequence[Evidence], status: Status = "answered", reason: str = "",
    confidence: float = 0.87,
) -> Answer:  # fmt: skip
    return Answer(
        question=question,
        route="answer",
        topic="none",
        status=status,
        text=text,
        citations=tuple(citations),
        evidence=tuple(evidence),
        confidence=confidence,
        reason=reason,
        tiers={"answer": "extractive", "text embedding": "all-MiniLM-L6-v2", "speech": "PocketSphinx"},
        timings_ms={"total": 412.0},
    )


@dataclass
class PlayableLibrary:
    """Holds videos and files; `asker` is what the test scripts."""

    asker: Ask
    known: list[Video]
    media: dict[str, Path] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    found: tuple[Evidence, ...] = ()
    told_before: list[tuple[Turn, ...]] = field(default_factory=list)

    def ask(
        self, question: str, on_sentence: Callable[[str], None] = lambda sentence: None, turns: Sequence[Turn] = ()
    ) -> Answer:
        self.told_before.append(tuple(turns))
        return self.asker(question, on_sentence)

    def search(self, query: str, limit: int) -> SearchResult:
        return SearchResult(query, self.found[:limit], {"rerank": "off"}, {"total": 1.5})

    def videos(self) -> Sequence[Video]:
        return self.known

    def video(self, video_id: str) -> Video | None:
        return next((video for video in self.known if video.video_id == video_id), None)

    def media_path(self, video_id: str) -> Path | None:
        return self.media.get(video_id)

    def thumbnail_path(self, video_id: str, seconds: float) -> Path | None:
        return self.pictures.get(video_id)
