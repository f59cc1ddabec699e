"""The draft when no model is configured: the spans of the evidence that answer, quoted word for word and cited."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np

from ingest.bm25 import content_stems
from prompts.draft import Draft, DraftSentence, quoting
from prompts.fencing import visible_text
from retrievers.close_reading import ReadEvidence, ReadPiece, read_closely, unread_pieces
from retrievers.evidence import Evidence
from retrievers.rerank import LateInteractionReranker
from retrievers.spoken_numbers import asks_for_number, numbers_in

READ_EVIDENCE = 3
# Of one quote, and of all quotes of an answer. On spoken_library 60 words hold the answer for 0.77 of questions, 40 for 0.70.
MAX_SPAN_WORDS = 40
MAX_QUOTED_WORDS = 60
# The chance that a word answers grows with its nearness to the question, e-fold for each 1/12. A word or a quote more must
# bring so much of it: what all words of the evidence share out among them is 1.
SHARPNESS = 12.0
COST_OF_A_WORD, COST_OF_A_QUOTE = 0.002, 0.03
# Longer utterances are cut at the end of a sentence or after so many words, so that a quote can begin inside them.
MAX_PIECE_WORDS = 24
EDGE_PART = 0.1  # of the likeliest piece's chance a word; 0.2 shortens quotes to 51 words and loses 0.025
NUMBER_GAIN = 2.0  # where a number is asked for, of pieces that hold one; 1 to 3 quote the answer equally often
MOST_RUNS = 300
SENTENCE_END = re.compile(r"[.!?…]$")
NUMBER_IN_BRACKETS = re.compile(
    r"[\[［【]\s*(\d[\d\s,;-]*)[\]］】]"
)  # said in a video, it must not look like a citation


@dataclass(frozen=True, slots=True)
class Span:
    """A run of neighbouring utterances, or the lines of one screen, of one moment: pieces of (start in seconds, text)."""

    number: int
    video_id: str
    pieces: tuple[tuple[float, str], ...]

    @property
    def text(self) -> str:
        """The pieces as one line."""
        return " ".join(text for _, text in self.pieces)


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring pieces of one reading, from..to; the chance that they answer, less what their words cost."""

    reading: int
    first: int
    last: int
    words: int
    value: float


def extractive_draft(question: str, evidence: Sequence[Evidence], similarity: LateInteractionReranker | None) -> Draft:
    """One or two quotes of MAX_QUOTED_WORDS together, every one citing the evidence that it stands in."""
    readings = read_closely(question, evidence[:READ_EVIDENCE], similarity)
    spans = best_spans(question, readings)
    sentences = tuple(DraftSentence(f"“{quoted(span.text)}”", (span.number,)) for span in spans)
    return quoting(sentences)


def quoted(text: str) -> str:
    """The text with numbers in brackets put in parentheses: said in a video, they must not look like citations."""
    return NUMBER_IN_BRACKETS.sub(r"(\1)", visible_text(text))


def best_spans(question: str, readings: Sequence[ReadEvidence]) -> list[Span]:
    """The one or two runs of pieces that most likely hold the answer, the likelier first."""
    held = [[part for piece in read.pieces for part in short_pieces(piece)] for read in readings]
    known = [content_stems(f"{question} {read.evidence.video.title}") for read in readings]
    chances = [
        [answer_chance(question, piece, words) for piece in pieces] for pieces, words in zip(held, known, strict=True)
    ]
    total = sum(itertools.chain.from_iterable(chances))
    if not total:
        return []
    runs = [
        run for number, words in enumerate(known) for run in _runs(number, held[number], chances[number], total, words)
    ]
    runs = sorted(runs, key=lambda run: -run.value)[:MOST_RUNS]
    spans = []
    for run in _best_together(runs):
        item = readings[run.reading].evidence
        pieces = without_edges(held[run.reading][run.first : run.last], chances[run.reading][run.first : run.last])
        spans.append(Span(item.number, item.moment.video_id, tuple((p.start_seconds, p.text) for p in pieces)))
    return spans


def without_edges(pieces: Sequence[ReadPiece], chances: Sequence[float]) -> Sequence[ReadPiece]:
    """The pieces without those at both ends whose words hardly answer, beside the likeliest."""
    rates = [chance / len(piece.nearness) for piece, chance in zip(pieces, chances, strict=True)]
    likely = [place for place, rate in enumerate(rates) if rate >= EDGE_PART * max(rates)]
    return pieces[likely[0] : likely[-1] + 1]


def answer_chance(question: str, piece: ReadPiece, known: Set[str] = frozenset()) -> float:
    """How likely a piece holds the answer, against others.

    0 where it asks itself, for what a model wrote, and for a screen with nothing but `known` words, such as a title card.
    """
    is_title = piece.channel == "screen" and content_stems(piece.text) <= known
    if piece.text.rstrip().endswith("?") or piece.channel == "description" or is_title:
        return 0.0
    gain = NUMBER_GAIN if asks_for_number(question) and numbers_in(piece.text) else 1.0
    return gain * float(np.exp(SHARPNESS * (piece.nearness - 1.0)).sum())


def short_pieces(piece: ReadPiece) -> Iterator[ReadPiece]:
    """The piece, or when it is longer than MAX_PIECE_WORDS its sentences and parts; a screen is cut where a quote ends.

    A part plays from where the piece does.
    """
    words = piece.text.split()
    most = MAX_PIECE_WORDS if piece.channel == "speech" else MAX_QUOTED_WORDS
    first = 0
    for last, word in enumerate(words, start=1):
        ends = SENTENCE_END.search(word) or last - first == most
        if last == len(words) or (len(words) > most and ends):
            nearness = piece.nearness[first:last]
            yield ReadPiece(" ".join(words[first:last]), piece.start_seconds, piece.channel, nearness)
            first = last


def _runs(
    number: int, pieces: Sequence[ReadPiece], chances: Sequence[float], total: float, known: Set[str]
) -> Iterator[_Run]:
    """The runs that say something that is not `known`."""
    new = [bool(content_stems(piece.text) - known) for piece in pieces]
    for first, start in enumerate(pieces):
        words, value = 0, -COST_OF_A_QUOTE
        for last in range(first, len(pieces)):
            piece = pieces[last]
            words += len(piece.nearness)
            # Screens are quoted one by one, and nothing runs from speech to a screen.
            if words > MAX_QUOTED_WORDS or (last > first and "screen" in (piece.channel, start.channel)):
                break
            value += chances[last] / total - COST_OF_A_WORD * len(piece.nearness)
            if chances[first] > 0 and chances[last] > 0 and any(new[first : last + 1]):
                yield _Run(number, first, last + 1, words, value)


def _best_together(runs: Sequence[_Run]) -> list[_Run]:
    """Of runs sorted by value the one, or two of two moments, with most of it within MAX_QUOTED_WORDS.

    One quote of each moment: a citation plays one second of it.
    """
    best: tuple[float, list[_Run]] = (-1.0, [])
    for place, run in enumerate(runs):
        if run.value > best[0]:
            best = (run.value, [run])
        for other in runs[place + 1 :]:
            if run.value + other.value <= best[0]:
                break
            if run.words + other.words <= MAX_QUOTED_WORDS and run.reading != other.reading:
                best = (run.value + other.value, [run, other])
                break
    return best[1]


def all_spans(evidence: Evidence) -> Iterator[Span]:
    """Every run of the pieces of a moment that is no longer than a quote, and neither begins nor ends with a question."""
    quotable = (piece for piece in unread_pieces(evidence) if piece.channel != "description")
    pieces = [part for piece in quotable for part in short_pieces(piece)]
    plain = [0.0 if piece.text.rstrip().endswith("?") else 1.0 for piece in pieces]
    for run in _runs(0, pieces, plain, 1.0, set()):
        chosen = pieces[run.first : run.last]
        yield Span(
            evidence.number, evidence.moment.video_id, tuple((piece.start_seconds, piece.text) for piece in chosen)
        )


def moment_spans(evidence: Evidence) -> list[Span]:
    """From each piece on the longest run of at most MAX_SPAN_WORDS, and each screen."""
    longest: dict[tuple[float, str], Span] = {}
    for span in all_spans(evidence):
        if len(span.text.split()) <= MAX_SPAN_WORDS or len(span.pieces) == 1:
            longest[span.pieces[0]] = span
    return list(longest.values())
