"""The token vectors of a moment with the second at which each is said or shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.points import TEXT_CHANNELS, Piece, joined, with_header
from ingest.schema import Moment, Video
from ingest.text_embedding import TextEmbedder, TokenVectors, Vectors
from ingest.token_vectors import VideoTokens

Seconds = NDArray[np.float32]

MOST_READ_NOW = 20  # moments without stored tokens, as in older libraries, take 15 ms each


@dataclass(frozen=True, slots=True)
class TimedTokens:
    """Unit rows (tokens, dimension), said or shown from start to end; tokens of the title have no time, and are NaN.

    `pieces` are what the tokens were made of, each with whether it is spoken.
    """

    vectors: Vectors
    start_seconds: Seconds
    end_seconds: Seconds
    pieces: tuple[tuple[Piece, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class _Text:
    """One channel of a moment as it was embedded."""

    text: str
    pieces: list[Piece]
    spoken: bool


class MomentTokens:
    """Reads the tokens of moments from the library's files; those of older libraries it makes, for a few moments."""

    def __init__(self, embedder: TextEmbedder, tokens_folder: Callable[[str, str], Path]) -> None:
        self.model = embedder.name
        self._embedder = embedder
        self._folder = tokens_folder

    def read(self, moments: Sequence[tuple[Video, Moment]]) -> list[TimedTokens | None]:
        """The tokens of each moment; None for a moment without text, and for those that would take too long."""
        held = [_texts(video, moment) for video, moment in moments]
        tokens = self._stored([video for video, _ in moments], held)
        missing = [one.text for texts in held for one in texts if one.text not in tokens][:MOST_READ_NOW]
        tokens |= dict(zip(missing, self._embedder.embed_with_tokens(missing)[1], strict=True)) if missing else {}
        return [_timed([(one, tokens[one.text]) for one in texts if one.text in tokens]) for texts in held]

    def _stored(self, videos: Sequence[Video], held: Sequence[Sequence[_Text]]) -> dict[str, TokenVectors]:
        wanted: dict[tuple[str, str], list[str]] = {}
        for video, texts in zip(videos, held, strict=True):
            wanted.setdefault((video.tenant, video.video_id), []).extend(one.text for one in texts)
        found: dict[str, TokenVectors] = {}
        for (tenant, video_id), of_video in wanted.items():
            found |= VideoTokens(self._folder(tenant, video_id), self._embedder.revision).read(of_video)
        return found


def _texts(video: Video, moment: Moment) -> list[_Text]:
    pieces = {name: channel.pieces(moment) for name, channel in TEXT_CHANNELS.items()}
    texts = {name: with_header(video.title, moment, name, joined(held)) for name, held in pieces.items()}
    return [_Text(text, pieces[name], name == "speech") for name, text in texts.items() if text]


def _timed(read: Sequence[tuple[_Text, TokenVectors]]) -> TimedTokens | None:
    if not read:
        return None
    columns = [
        (tokens.vectors, *token_seconds(one.pieces, len(one.text), tokens.starts, one.spoken)) for one, tokens in read
    ]
    vectors, starts, ends = columns[0] if len(columns) == 1 else map(np.concatenate, zip(*columns, strict=True))
    return TimedTokens(vectors, starts, ends, tuple((piece, one.spoken) for one, _ in read for piece in one.pieces))


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
