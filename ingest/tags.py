"""Tells in words what the pictures show: an editable list, matched by a model that knows pictures and texts."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ingest.schema import Description, PlayheadError
from ingest.visual_embedding import ImageEmbedder

WORDS = Path(__file__).with_name("tags.txt")
PROMPT = "a photo of {}"
MAX_TAGS = 3
# A word's share of the softmax over the whole list, which the model's own scale makes about the probability that it is the
# right one. Chosen so that a picture of three things keeps them; not measured, since that needs real weights.
MIN_SHARE = 0.15


def read_tag_words(path: Path | None = None) -> list[str]:
    """The words of a file, one a line, `#` begins a comment; None is the list that comes with Playhead."""
    source = path or WORDS
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlayheadError(f"{source} cannot be read as a list of tags ({error}). Save it as UTF-8 text.") from error
    words = (" ".join(line.partition("#")[0].split()) for line in lines)
    return list(dict.fromkeys(word for word in words if word))


def tag_frames(
    embedder: ImageEmbedder,
    vectors: NDArray[np.float32],
    times: Sequence[float],
    duration_seconds: float,
    words: Sequence[str],
) -> list[Description]:
    """What each key frame shows, as spans in order of time; none where the embedder knows no text.

    `vectors` has the shape (frames, dimension), `times` are seconds in ascending order. A frame has three words at most,
    the likeliest first; they hold until the next frame, and neighbours with the same word are one span. How often a word is
    right was not measured.
    """
    shares = _shares(embedder, vectors, tuple(words))
    if shares is None:
        return []
    ends = [*times[1:], duration_seconds]
    spans: list[Description] = []
    shown: dict[str, int] = {}  # word of the former frame -> its place in spans
    for row, start, end in zip(shares, times, ends, strict=True):
        likeliest = [word for word in np.argsort(-row, kind="stable")[:MAX_TAGS] if row[word] >= MIN_SHARE]
        now: dict[str, int] = {}
        for word in (words[position] for position in likeliest):
            begun = shown.get(word)
            if begun is None:
                now[word] = len(spans)
                spans.append(Description(start, max(start, end), word, "tags"))
            else:
                now[word] = begun
                spans[begun] = Description(spans[begun].start_seconds, max(start, end), word, "tags")
        shown = now
    return spans


def _shares(
    embedder: ImageEmbedder, vectors: NDArray[np.float32], words: tuple[str, ...]
) -> NDArray[np.float64] | None:
    """The softmax over the words for each picture: shape (frames, words)."""
    if not words or not len(vectors):
        return None
    known = _word_vectors(cast(Hashable, embedder), words)
    if known is None:
        return None
    logits = embedder.logit_scale * (vectors.astype(np.float64) @ known.T)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


@functools.lru_cache(maxsize=1)  # the same for every video of a run
def _word_vectors(embedder: Hashable, words: tuple[str, ...]) -> NDArray[np.float32] | None:
    return cast(ImageEmbedder, embedder).embed_text([PROMPT.format(word) for word in words])
