"""Tells whether a video shows the same as one of the library: another encoding, another size, the same captions twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.schema import Keyframe, Timeline, TranscriptSegment

# A copy lasts as long as its original, up to what containers round and encoders pad.
MAX_DURATION_SHARE = 0.01
MAX_DURATION_SECONDS = 1.0
# Pictures of copies differ by 0 to 6 bits of 64 (see pictures.py), and lie at the same second.
SAME_PICTURE_BITS = 8
SAME_SECONDS = 1.5
MIN_SAME_PICTURES = 0.8
MIN_SAME_WORDS = 0.8
MIN_WORDS = 20
SHINGLE_WORDS = 3


def duration_range(duration_seconds: float) -> tuple[float, float]:
    """The least and the most seconds that a copy of a video of this length can last."""
    slack = max(MAX_DURATION_SECONDS, duration_seconds * MAX_DURATION_SHARE)
    return duration_seconds - slack, duration_seconds + slack


def shows_the_same(one: Timeline, other: Timeline) -> bool:
    """Whether two videos of about one length are copies: by their pictures where both have some, else by their words.

    A still lecture has few pictures, so pictures that agree do not count against words that do not.
    """
    pictures = _share_of_same_pictures(one.keyframes, other.keyframes)
    words = _share_of_same_words(one.transcript, other.transcript)
    if pictures is None:
        return words is not None and words >= MIN_SAME_WORDS
    return pictures >= MIN_SAME_PICTURES and (words is None or words >= MIN_SAME_WORDS / 2)


def _share_of_same_pictures(one: Sequence[Keyframe], other: Sequence[Keyframe]) -> float | None:
    """The share of the pictures of either video that the other shows at the same second; None where one stands still."""
    if not all(len(frames) and _bits_apart(frames, frames).max() > SAME_PICTURE_BITS for frames in (one, other)):
        return None
    alike = _bits_apart(one, other) <= SAME_PICTURE_BITS
    first = (alike & _shown_at(_times(one), _times(other))).any(axis=1).mean()
    second = (alike.T & _shown_at(_times(other), _times(one))).any(axis=1).mean()
    return float(min(first, second))


def _shown_at(
    seconds: np.ndarray[tuple[int], np.dtype[np.float64]], frames: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """For each time the pictures taken near it, and the last one before it, which still stands: (times, frames)."""
    shown = np.abs(seconds[:, None] - frames[None, :]) <= SAME_SECONDS
    last = np.searchsorted(frames, seconds, side="right") - 1
    shown[np.arange(len(seconds)), np.maximum(last, 0)] = True
    return shown


def _bits_apart(one: Sequence[Keyframe], other: Sequence[Keyframe]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    first, second = (np.array([frame.perceptual_hash for frame in frames], dtype=np.uint64) for frames in (one, other))
    differing = (first[:, None] ^ second[None, :])[..., None].view(np.uint8)
    bits: np.ndarray[tuple[int, int], np.dtype[np.uint8]] = np.unpackbits(differing, axis=-1).sum(
        axis=-1, dtype=np.uint8
    )
    return bits


def _times(frames: Sequence[Keyframe]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([frame.time_seconds for frame in frames])


def _share_of_same_words(one: Sequence[TranscriptSegment], other: Sequence[TranscriptSegment]) -> float | None:
    """The Jaccard similarity of the runs of three words in two transcripts; None when one has too few to tell."""
    first, second = _shingles(one), _shingles(other)
    if min(len(first), len(second)) < MIN_WORDS:
        return None
    return len(first & second) / len(first | second)


def _shingles(transcript: Sequence[TranscriptSegment]) -> set[tuple[str, ...]]:
    words = " ".join(segment.text.casefold() for segment in transcript).split()
    return {tuple(words[n : n + SHINGLE_WORDS]) for n in range(len(words) - SHINGLE_WORDS + 1)}
