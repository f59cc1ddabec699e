"""The token vectors of a moment with the second at which each is said or shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.points import TEXT_CHANNELS, Piece, embedded_text
from ingest.schema import Moment, Video
from ingest.text_embedding import TextEmbedder, TokenVectors, Vectors
from ingest.token_vectors import VideoTokens

Seconds = NDArray[np.float32]

MOST_READ_NOW = 20  # moments without stored tokens, as in older libraries, take 15 ms each


@dataclass(frozen=True, slots=True)
class TimedTokens:
    """Unit rows (tokens, dimension), said or shown from start to end; tokens of the title have no time, and are NaN."""

    vectors: Vectors
    start_seconds: Seconds
    end_seconds: Seconds


class MomentTokens:
    """Reads the tokens of moments from the library's files; those of older libraries it makes, for a few moments."""

    def __init__(self, embedder: TextEmbedder, tokens_folder: Callable[[str, str], Path]) -> None:
        self.model = embedder.name
        self._embedder = embedder
        self._folder = tokens_folder

    def read(self, moments: Sequence[tuple[Video, Moment]]) -> list[TimedTokens | None]:
        """The tokens of each moment; None for a moment without text, and for those that would take too long."""
        texts = [
            {channel: text for channel in TEXT_CHANNELS if (text := embedded_text(video.title, moment, channel))}
            for video, moment in moments
        ]
        tokens = self._stored(moments, texts)
        missing = [text for by_channel in texts for text in by_channel.values() if text not in tokens][:MOST_READ_NOW]
        tokens |= dict(zip(missing, self._embedder.embed_with_tokens(missing)[1], strict=True)) if missing else {}
        return [
            _timed(moment, {channel: (text, tokens[text]) for channel, text in by_channel.items() if text in tokens})
            for (_, moment), by_channel in zip(moments, texts, strict=True)
        ]

    def _stored(
        self, moments: Sequence[tuple[Video, Moment]], texts: Sequence[dict[str, str]]
    ) -> dict[str, TokenVectors]:
        wanted: dict[tuple[str, str], list[str]] = {}
        for (video, _), by_channel in zip(moments, texts, strict=True):
            wanted.setdefault((video.tenant, video.video_id), []).extend(by_channel.values())
        found: dict[str, TokenVectors] = {}
        for (tenant, video_id), of_video in wanted.items():
            found |= VideoTokens(self._folder(tenant, video_id), self._embedder.revision).read(of_video)
        return found


def _timed(moment: Moment, channels: dict[str, tuple[str, TokenVectors]]) -> TimedTokens | None:
    if not channels:
        return None
    parts = [
        (
            tokens.vectors,
            *token_seconds(TEXT_CHANNELS[channel].pieces(moment), len(text), tokens.starts, channel == "speech"),
        )
        for channel, (text, tokens) in channels.items()
    ]
    return TimedTokens(
        *(np.concatenate(column) if len(parts) > 1 else column[0] for column in zip(*parts, strict=True))
    )


def token_seconds(
    pieces: Sequence[Piece], text_length: int, starts: NDArray[np.uint32], as_spoken: bool
) -> tuple[Seconds, Seconds]:
    """From when to when each token is said or shown, by the character where it starts; NaN in the header before the pieces.

    Spoken words follow each other evenly within their piece; what is shown is there as long as its piece.
    """
    lengths = np.array([len(piece.text) for piece in pieces])
    header = text_length - lengths.sum() - (len(pieces) - 1)
    begins = header + np.concatenate([[0], np.cumsum(lengths[:-1] + 1)])  # a space between two
    number = np.searchsorted(begins, starts, side="right") - 1
    spans = np.array([(piece.start_seconds, piece.end_seconds) for piece in pieces], dtype=np.float32)
    times = np.where(number[:, None] >= 0, spans[number], np.float32(np.nan))
    if as_spoken:
        share = (starts - begins[number]) / np.maximum(lengths[number], 1)
        times[:, 0] += share * (times[:, 1] - times[:, 0])
        times[:, 1] = times[:, 0]
    return times[:, 0], times[:, 1]
