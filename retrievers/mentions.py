"""Finds where words or a phrase are said or shown: every moment that holds them, and the seconds inside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ingest.bm25 import STOP_WORDS, stem, token_id, tokenize
from ingest.index import SPARSE_LEGS, Scope, SparseVector, VideoIndex
from ingest.schema import Moment
from retrievers.time_operators import Span

# What one word of a search is looked up in; a rarer word of the same search decides before this is reached.
MOST_MOMENTS = 20_000
MOST_READ = 2_000  # moments loaded to look for a phrase, the best by BM25 first: 0.2 s on two idle cores
MAX_MENTION_SECONDS = 20.0  # words further apart than a block of a moment are not said together
NEGATIONS = frozenset({"without", "no", "not", "never", "nor", "non", "except", "excluding", "lacks", "lacking"})
DETERMINERS = frozenset({"a", "an", "any", "the", "much", "more"})  # "without any yeast"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Stems that must all be there in any order, or when `exact` words one after the other as they are."""

    tokens: tuple[str, ...]
    exact: bool

    def __post_init__(self) -> None:
        if not self.tokens:
            raise ValueError("nothing to look for, got no words")

    @property
    def stems(self) -> tuple[str, ...]:
        """What the index knows of it."""
        return tuple(map(stem, self.tokens)) if self.exact else self.tokens


def phrase(text: str) -> Wanted:
    """Word for word, case and accents aside; ValueError for a text without words."""
    return Wanted(tuple(tokenize(text)), exact=True)


def topic(text: str) -> Wanted:
    """The content words of a text by their stems; what has none is a phrase."""
    stems = tuple(dict.fromkeys(stem(token) for token in tokenize(text) if token not in STOP_WORDS))
    return Wanted(stems, exact=False) if stems else phrase(text)


def holds(text: str, wanted: Wanted) -> bool:
    """Whether a text holds what is wanted."""
    tokens = tokenize(text)
    return bool(_starts(tokens, wanted.tokens)) if wanted.exact else set(wanted.tokens) <= {stem(t) for t in tokens}


def is_about(text: str, wanted: Wanted) -> bool:
    """Whether a text holds what is wanted other than to deny it: "bread without yeast" is not about yeast."""
    tokens = tokenize(text)
    if wanted.exact:
        return any(not _denied(tokens, start) for start in _starts(tokens, wanted.tokens))
    affirmed = {stem(token) for place, token in enumerate(tokens) if not _denied(tokens, place)}
    return set(wanted.tokens) <= affirmed


def mentions(moment: Moment, wanted: Wanted) -> list[Span]:
    """The shortest stretches of one moment that hold what is wanted, channel by channel, in seconds."""
    channels = {
        "speech": [(piece.start_seconds, piece.end_seconds, piece.text) for piece in moment.transcript],
        "screen": [(piece.start_seconds, piece.end_seconds, piece.text) for piece in moment.screen_text],
        "description": [(moment.start_seconds, moment.end_seconds, moment.description)],
    }
    return [
        Span(moment.video_id, start, end, channel=channel)
        for channel, pieces in channels.items()
        for start, end in _stretches(pieces, wanted)
        if end - start <= MAX_MENTION_SECONDS or channel != "speech"
    ]


def moments_with(index: VideoIndex, scope: Scope, wanted: Sequence[Wanted]) -> tuple[list[Moment], bool]:
    """Every moment that may hold all that is wanted, and whether some were left unread because there were too many.

    The index tells which moments have all the words; a phrase has still to be looked for in their text.
    """
    found: dict[str, float] | None = None
    for stemmed in dict.fromkeys(stemmed for one in wanted for stemmed in one.stems):
        query = SparseVector((token_id(stemmed),), (1.0,))
        hits = index.search(dict.fromkeys(SPARSE_LEGS, query), scope, MOST_MOMENTS)
        scores: dict[str, float] = {}
        for hit in (hit for own in hits.values() for hit in own):
            scores[hit.moment_id] = max(hit.score, scores.get(hit.moment_id, 0.0))
        found = scores if found is None else {key: old + scores[key] for key, old in found.items() if key in scores}
        if not found:
            return [], False
    ranked = sorted(found or (), key=lambda key: (-(found or {})[key], key))
    return index.fetch(scope.tenant, ranked[:MOST_READ]), len(ranked) > MOST_READ


def _stretches(pieces: Sequence[tuple[float, float, str]], wanted: Wanted) -> Iterator[tuple[float, float]]:
    """Start and end of each shortest run of pieces that holds what is wanted."""
    tokens = [(token, place) for place, (_, _, text) in enumerate(pieces) for token in tokenize(text)]
    words = [token for token, _ in tokens]
    if wanted.exact:
        runs: Iterable[tuple[int, int]] = (
            (start, start + len(wanted.tokens) - 1) for start in _starts(words, wanted.tokens)
        )
    else:
        runs = _covers([stem(word) for word in words], set(wanted.tokens))
    places = dict.fromkeys((tokens[first][1], tokens[last][1]) for first, last in runs)
    for first, last in places:
        inside = any((a, b) != (first, last) and first <= a and b <= last for a, b in places)
        if not inside:
            yield pieces[first][0], max(end for _, end, _ in pieces[first : last + 1])


def _covers(stems: Sequence[str], needed: set[str]) -> Iterator[tuple[int, int]]:
    """For every place where all needed words have been seen, the shortest run that ends there."""
    last_seen: dict[str, int] = {}
    for place, word in enumerate(stems):
        if word in needed:
            last_seen[word] = place
            if len(last_seen) == len(needed):
                yield min(last_seen.values()), place


def _starts(tokens: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where a run of words begins."""
    length, target = len(wanted), list(wanted)
    return [
        start
        for start in range(len(tokens) - length + 1)
        if tokens[start] == target[0] and list(tokens[start : start + length]) == target
    ]


def _denied(tokens: Sequence[str], place: int) -> bool:
    before = place - 2 if place > 1 and tokens[place - 1] in DETERMINERS else place - 1
    return before >= 0 and tokens[before] in NEGATIONS
