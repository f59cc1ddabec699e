"""BM25 as sparse vectors: a text becomes hashed, stemmed tokens with weights; the engine adds their rarity (IDF)."""

from __future__ import annotations

import re
import threading
import unicodedata
import zlib
from collections import Counter
from functools import lru_cache

from snowballstemmer.english_stemmer import EnglishStemmer

from ingest.index import SparseVector

K1 = 1.2  # how fast a repeated word stops adding; Robertson and Zaragoza 2009
B = 0.75  # how much a long text is held against its words; same source
AVERAGE_CONTENT_WORDS = 75  # a full moment: 60 s at 150 spoken words a minute, half of them stop words
MAX_TOKEN_CHARACTERS = 64  # a longer "word" is data; its start is enough to find it

# The words of English that carry no topic, with the stumps that apostrophes leave ("don't" is read as "don", "t").
_STOP_WORDS = """
a an the and or but if so than then that this these those there here
i me my we us our you your he him his she her it its they them their who whom whose which what when where why how
am is are was were be been being do does did doing done have has had having will would shall should can could may
might must not no nor
of in on at to from by for with about into over under after before between through during out up down off as
all any both each few more most other some such only own same too very just also again once
s t d ll m re ve don doesn didn isn aren wasn weren haven hasn hadn won wouldn shouldn couldn mustn
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

# Scripts written without spaces, as character classes: kana, Han, Hangul, and Thai, Lao, Myanmar, Khmer.
_UNSPACED = (
    "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
    "\u1100-\u11ff\uac00-\ud7af\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"
)
# Vowel signs and the like, which belong to the word around them but are not \w (Hindi, Tamil, Arabic, Hebrew ...).
_MARKS = "".join(chr(code) for code in range(0x0300, 0x1E00) if unicodedata.category(chr(code))[0] == "M")
_RUN = re.compile(f"(?P<unspaced>[{_UNSPACED}]+)|(?:(?![{_UNSPACED}_])[\\w{_MARKS}])+")
_LATIN_ACCENTS = re.compile("[\u0300-\u036f]")

_STEMMER = EnglishStemmer()
_STEMMER_LOCK = threading.Lock()  # a stemmer keeps its word in fields


def bm25_document(text: str) -> SparseVector | None:
    """The BM25 vector of a stored text, or None for a text without a token.

    Stop words are stored, so that a question of nothing else ("The Who") still finds, but they do not count as length.
    """
    tokens = tokenize(text)
    if not tokens:
        return None
    length = sum(token not in STOP_WORDS for token in tokens)
    norm = K1 * (1 - B + B * length / AVERAGE_CONTENT_WORDS)
    counts = sorted(Counter(token_id(stem(token)) for token in tokens).items())
    return SparseVector(
        indices=tuple(index for index, _ in counts),
        values=tuple(count * (K1 + 1) / (count + norm) for _, count in counts),
    )


def bm25_query(text: str) -> SparseVector | None:
    """The BM25 vector of a question: weight 1 a distinct content token, or stop word when there is nothing else."""
    indices = tuple(sorted({token_id(stem(token)) for token in content_words(text)}))
    return SparseVector(indices, (1.0,) * len(indices)) if indices else None


@lru_cache(maxsize=20_000)
def content_words(text: str) -> tuple[str, ...]:
    """The words of a text without stop words, or all where there are only those; utterances come again and again."""
    tokens = tuple(tokenize(text))
    return tuple(token for token in tokens if token not in STOP_WORDS) or tokens


@lru_cache(maxsize=20_000)
def stems(text: str) -> frozenset[str]:
    """The stems of all words of a text."""
    return frozenset(map(stem, tokenize(text)))


@lru_cache(maxsize=20_000)
def content_stems(text: str) -> frozenset[str]:
    """The stems of the words of a text without stop words; none where there are only those."""
    return frozenset(stem(token) for token in tokenize(text) if token not in STOP_WORDS)


def tokenize(text: str) -> list[str]:
    """The words of a text, folded but not stemmed; scripts without spaces give overlapping pairs of characters."""
    tokens: list[str] = []
    for match in _RUN.finditer(fold(text)):
        run = match.group()
        if match["unspaced"] and len(run) > 1:
            tokens.extend(run[start : start + 2] for start in range(len(run) - 1))
        else:
            tokens.append(run[:MAX_TOKEN_CHARACTERS])
    return tokens


def fold(text: str) -> str:
    """Lower case, one form for every spelling, no accents on Latin, Greek, Cyrillic; other scripts keep their marks."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _LATIN_ACCENTS.sub("", decomposed))


@lru_cache(maxsize=100_000)
def stem(token: str) -> str:
    """The English stem of a word; words of other languages mostly stay as they are."""
    with _STEMMER_LOCK:
        stemmed: str = _STEMMER.stemWord(token)
    return stemmed


def token_id(stemmed: str) -> int:
    """A uint32 for a token, the same in every process and version."""
    return zlib.crc32(stemmed.encode())
