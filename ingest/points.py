"""Embeds a video's moments: from what was heard and seen to the points that the index stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ingest.bm25 import bm25_document
from ingest.checkpoint import Checkpoint
from ingest.index import VISUAL_LEG, LegVector, Point
from ingest.moments import cut_moments
from ingest.reading import Content
from ingest.schema import Moment, ScreenText, TranscriptSegment, Video
from ingest.screen_text import without_counters
from ingest.text_embedding import TextEmbedder, Vectors
from ingest.token_vectors import VideoTokens


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what a moment holds, and when it is said or shown."""

    text: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class TextChannel:
    """How a moment's channel becomes text, after a label: `words` for BM25, `pieces` joined for the dense vector."""

    label: str
    words: Callable[[Moment], str]
    pieces: Callable[[Moment], list[Piece]]


TEXT_CHANNELS = {
    "speech": TextChannel("", lambda moment: moment.speech, lambda moment: _pieces(moment.transcript)),
    # A running clock in the picture would drown the meaning of what else is written there.
    "screen": TextChannel(
        "On screen: ", lambda moment: moment.screen, lambda moment: _pieces(without_counters(moment.screen_text))
    ),
    "description": TextChannel(
        "Shown: ",
        lambda moment: moment.description,
        lambda moment: [Piece(moment.description, moment.start_seconds, moment.end_seconds)],
    ),
}
TEXTS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """The vectors of one video that the index holds: of texts by the text, of pictures by their time in seconds."""

    texts: Mapping[str, Vectors] = field(default_factory=dict)
    frames: Mapping[float, Vectors] = field(default_factory=dict)


def stored_vectors(title: str, points: Iterable[Point]) -> StoredVectors:
    """What need not be embedded again of a video that had this title."""
    texts: dict[str, Vectors] = {}
    frames: dict[float, Vectors] = {}
    for point in points:
        for channel in TEXT_CHANNELS:
            vector = point.vectors.get(f"{channel}_dense")
            if isinstance(vector, np.ndarray):
                texts[embedded_text(title, point.moment, channel)] = vector
        seen = point.vectors.get(VISUAL_LEG)
        if isinstance(seen, np.ndarray) and len(seen) == len(point.moment.keyframe_seconds):
            frames.update(zip(point.moment.keyframe_seconds, seen, strict=True))
    return StoredVectors(texts, frames)


def embedded_text(title: str, moment: Moment, channel: str) -> str:
    """What is embedded of a moment's channel, empty where it holds nothing."""
    return with_header(title, moment, channel, joined(TEXT_CHANNELS[channel].pieces(moment)))


def joined(pieces: Iterable[Piece]) -> str:
    """The pieces of a channel as one line."""
    return " ".join(piece.text for piece in pieces)


def with_header(title: str, moment: Moment, channel: str, words: str) -> str:
    """A moment's words after what they belong to: title, chapter and channel; empty where there are none."""
    chapter = f"{moment.chapter}. " if moment.chapter else ""
    return f"{title}. {chapter}{TEXT_CHANNELS[channel].label}{words}" if words else ""


def make_points(
    video: Video,
    content: Content,
    embedder: TextEmbedder | None,
    stored: Mapping[str, Vectors],
    checkpoint: Checkpoint,
    tokens: Path,
) -> list[Point]:
    """The points of a whole video, ready to be published in one call; texts with a stored vector are not embedded again.

    The folder `tokens` holds the token vectors of the same texts when this returns.
    """
    moments = cut_moments(video, content.timeline)
    texts = [{channel: embedded_text(video.title, moment, channel) for channel in TEXT_CHANNELS} for moment in moments]
    wanted = list(dict.fromkeys(text for by_channel in texts for text in by_channel.values() if text))
    dense = _embed(wanted, embedder, stored, checkpoint, VideoTokens(tokens, embedder.revision)) if embedder else {}
    points = []
    for moment, by_channel in zip(moments, texts, strict=True):
        vectors: dict[str, LegVector] = {}
        for channel, text in by_channel.items():
            words = with_header(video.title, moment, channel, TEXT_CHANNELS[channel].words(moment))
            weights = bm25_document(words) if words else None
            if weights:
                vectors[f"{channel}_bm25"] = weights
            if text in dense:
                vectors[f"{channel}_dense"] = dense[text]
        seen = [content.frame_vectors[s] for s in moment.keyframe_seconds if s in content.frame_vectors]
        if seen:
            vectors[VISUAL_LEG] = np.array(seen)
        points.append(Point(moment, vectors, labels(video)))
    return points


def labels(video: Video) -> dict[str, tuple[str, ...]]:
    """What a search can filter a video's moments by."""
    found = {
        "language": (video.language,) if video.language else (),
        "tag": video.tags,
        "year": (video.published_at[:4],) if video.published_at else (),
    }
    return {key: values for key, values in found.items() if values}


def _embed(
    texts: Sequence[str],
    embedder: TextEmbedder,
    stored: Mapping[str, Vectors],
    checkpoint: Checkpoint,
    tokens: VideoTokens,
) -> dict[str, Vectors]:
    """The vector of each text: stored, made by a run that was killed, or made now; `tokens` then holds their tokens."""
    log = checkpoint.log("texts", f"{embedder.name} {embedder.revision}")
    begun = {text: np.array(vector, dtype=np.float32) for part in log.done for text, vector in part}
    vectors = {text: vector for known in (stored, begun) for text in texts if (vector := known.get(text)) is not None}
    with_tokens = tokens.known(texts)
    missing = [text for text in texts if text not in vectors or text not in with_tokens]
    for first in range(0, len(missing), TEXTS_AT_ONCE):
        batch = missing[first : first + TEXTS_AT_ONCE]
        made, made_tokens = embedder.embed_with_tokens(batch)
        vectors |= dict(zip(batch, made, strict=True))
        tokens.add(dict(zip(batch, made_tokens, strict=True)))
        log.add(list(zip(batch, made.tolist(), strict=True)))
    tokens.keep(texts)
    return vectors


def _pieces(spans: Sequence[TranscriptSegment] | Sequence[ScreenText]) -> list[Piece]:
    return [Piece(span.text, span.start_seconds, span.end_seconds) for span in spans]
