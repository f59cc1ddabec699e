"""Packs evidence into a budget of tokens: of each moment the words near what is asked, the most value per token first."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from ingest.bm25 import content_stems
from ingest.schema import Moment
from prompts.fencing import MARK
from retrievers.evidence import Evidence

# English has about four bytes a token. The mark before a word is a token of its own.
BYTES_PER_TOKEN = 4
# Two fence lines with a boundary of 16 digits, the number and the labels.
FENCE_TOKENS = 40
# What is kept or left out as a whole: a long utterance is cut into pieces of so many words.
PIECE_WORDS = 25
# What a piece is worth apart from the words of the question that it holds, which count 1 where every piece holds them and
# more where few do; and the part that the words of the piece beside it count. Tried on 441 questions of spoken_library.
PLAIN_VALUE = 0.6
NEIGHBOUR_PART = 0.9


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of one utterance, screen text or description; `part` counts those of the moment."""

    part: int
    text: str


@dataclass(slots=True)
class Track:
    """One channel of one moment, of which the pieces `first` to `last` are taken; none where `last` is below `first`."""

    number: int
    channel: str
    pieces: Sequence[Piece]
    values: Sequence[float]
    first: int = 0
    last: int = -1

    def taken(self) -> Sequence[Piece]:
        return self.pieces[self.first : self.last + 1]


def pack_evidence(question: str, evidence: Sequence[Evidence], budget_tokens: int) -> tuple[Evidence, ...]:
    """The evidence with as many of its words as the budget holds, its numbers and order kept.

    Each channel of a moment keeps one run of words around the best match. Evidence of which no word fits is left out;
    one without words stays as it is. The first piece is taken whatever it costs.
    """
    tracks = _tracks(question, evidence)
    titles = {item.number: FENCE_TOKENS + _tokens(item.video.title) for item in evidence}
    worded = {track.number for track in tracks}
    left = budget_tokens - sum(cost for number, cost in titles.items() if number not in worded)
    open_numbers: set[int] = set()
    heap: list[tuple[float, int, int]] = []

    def offer(at: int, position: int) -> None:
        track = tracks[at]
        if 0 <= position < len(track.pieces):
            density = track.values[position] / _tokens(track.pieces[position].text)
            heapq.heappush(heap, (-density, at, position))

    for at, track in enumerate(tracks):
        offer(at, max(range(len(track.pieces)), key=lambda position: (track.values[position], -position)))
    while heap:
        _, at, position = heapq.heappop(heap)
        track = tracks[at]
        cost = _tokens(track.pieces[position].text) + (0 if track.number in open_numbers else titles[track.number])
        if cost > left and open_numbers:
            continue
        left -= cost
        open_numbers.add(track.number)
        is_first = track.last < track.first
        if is_first or position < track.first:
            track.first = position
            offer(at, position - 1)
        if is_first or position > track.last:
            track.last = position
            offer(at, position + 1)
    kept = {number: [track for track in tracks if track.number == number] for number in open_numbers}
    return tuple(
        replace(item, moment=_trimmed(item.moment, kept[item.number])) if item.number in kept else item
        for item in evidence
        if item.number in kept or item.number not in worded
    )


def estimate_tokens(text: str) -> int:
    """About how many tokens a text takes, marked or not; tokenizers differ by a fifth."""
    marks = text.count(MARK)
    return math.ceil((len(text.encode("utf-8", "replace")) - marks * len(MARK.encode())) / BYTES_PER_TOKEN) + marks


def _tokens(unmarked: str) -> int:
    """The tokens of a text once its words are marked: the marks take the place of the spaces."""
    words = unmarked.split()
    return estimate_tokens("".join(words)) + len(words)


def _tracks(question: str, evidence: Sequence[Evidence]) -> list[Track]:
    asked = content_stems(question)
    found = [
        (item.number, channel, pieces)
        for item in evidence
        for channel, pieces in _channels(item.moment).items()
        if pieces
    ]
    held = [[asked & content_stems(piece.text) for piece in pieces] for _, _, pieces in found]
    counts = Counter(word for track in held for words in track for word in words)
    every = sum(len(track) for track in held)
    weights = {word: 1 + math.log(every / count) for word, count in counts.items()}
    return [
        Track(number, channel, pieces, [value / number for value in _values(words, weights)])
        for (number, channel, pieces), words in zip(found, held, strict=True)
    ]


def _values(held: Sequence[Set[str]], weights: Mapping[str, float]) -> Iterator[float]:
    """What each piece of a track is worth, with a part of what the better piece beside it holds."""
    own = [sum(weights[word] for word in words) for words in held]
    for position, value in enumerate(own):
        beside = own[position - 1 : position] + own[position + 1 : position + 2]
        yield PLAIN_VALUE + value + NEIGHBOUR_PART * max(beside, default=0.0)


def _channels(moment: Moment) -> dict[str, list[Piece]]:
    """The pieces of each channel, in their order."""
    texts = {
        "speech": [segment.text for segment in moment.transcript],
        "screen": [span.text for span in moment.screen_text],
        "description": [moment.description] if moment.description else [],
    }
    return {
        channel: [Piece(part, words) for part, text in enumerate(parts) for words in _cut(text)]
        for channel, parts in texts.items()
    }


def _cut(text: str) -> Iterator[str]:
    words = text.split()
    for start in range(0, len(words), PIECE_WORDS):
        yield " ".join(words[start : start + PIECE_WORDS])


def _trimmed(moment: Moment, tracks: Sequence[Track]) -> Moment:
    """The moment with only what was taken of it."""
    texts = {track.channel: _joined(track.taken()) for track in tracks}
    speech, screen = texts.get("speech", {}), texts.get("screen", {})
    return replace(
        moment,
        transcript=tuple(replace(moment.transcript[part], text=text) for part, text in speech.items()),
        screen_text=tuple(replace(moment.screen_text[part], text=text) for part, text in screen.items()),
        description=texts.get("description", {}).get(0, ""),
    )


def _joined(pieces: Sequence[Piece]) -> dict[int, str]:
    """The words taken of each part."""
    joined: dict[int, str] = {}
    for piece in pieces:
        joined[piece.part] = f"{joined[piece.part]} {piece.text}" if piece.part in joined else piece.text
    return joined
