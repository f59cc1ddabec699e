"""Words that are spelt nearly alike: so a name is found that speech recognition, or the user, has mangled."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from ingest.bm25 import stem

MIN_SIMILARITY = 0.3  # of two words, else they have nothing to do with each other
RARITY_FLOOR = 0.02  # a word in no candidate counts as if it were in one of fifty


def near_words(asked: Sequence[str], words: Collection[str]) -> dict[str, list[tuple[int, float]]]:
    """For each of the words that is near an asked one: (position in `asked`, similarity up to 1, of one stem)."""
    near: dict[str, list[tuple[int, float]]] = {}
    for position, word in enumerate(asked):
        mine, own_stem = trigrams(word), stem(word)
        for other in words:
            theirs = trigrams(other)
            if mine.isdisjoint(theirs):
                continue
            alike = stem(other) == own_stem
            similarity = 1.0 if alike else 2 * len(mine & theirs) / (len(mine) + len(theirs))
            if similarity > MIN_SIMILARITY:
                near.setdefault(other, []).append((position, similarity))
    return near


def nearest_words(asked: Sequence[str], words: Collection[str]) -> list[float]:
    """For each asked word the similarity of the nearest of the words, 0 where none is near."""
    best = [0.0] * len(asked)
    for pairs in near_words(asked, words).values():
        for position, similarity in pairs:
            best[position] = max(best[position], similarity)
    return best


def rarities(asked: Sequence[str], texts: Sequence[Iterable[str]]) -> list[float]:
    """What each asked word counts: the more, the fewer of the texts hold it."""
    stems = [{stem(word) for word in text} for text in texts]
    shares = [sum(stem(word) in held for held in stems) / max(len(stems), 1) for word in asked]
    return [math.log(1 + 1 / (share + RARITY_FLOOR)) for share in shares]


@lru_cache(maxsize=100_000)
def trigrams(word: str) -> frozenset[str]:
    """The runs of three characters of a word with its ends marked."""
    marked = f"#{word}#"
    return frozenset(marked[start : start + 3] for start in range(max(len(marked) - 2, 1)))
