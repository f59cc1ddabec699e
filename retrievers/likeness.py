"""How alike two videos are and why: by the recording they share, what is said, the topic, the look and the text on screen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ingest.bm25 import STOP_WORDS, tokenize
from ingest.schema import Timeline, Video
from retrievers.alignment import AlignedRange, Track, is_plain, picture_evidence, run_numbers, track_of, word_numbers

Label = Literal[
    "exact copy", "same recording, altered", "same recording, trimmed", "same pictures, other speech",
    "same speech, other pictures", "shares a part", "shares an intro", "shares an outro", "same topic", "loosely related",
]  # fmt: skip
LABELS: tuple[Label, ...] = get_args(Label)
"""From the closest to the loosest."""
Kind = Literal["intro", "outro", "part"]

# An intro begins with both videos, an outro ends with both, and neither is most of one of them.
EDGE_SECONDS = 3.0
MAX_INTRO_SHARE = 0.5
# A copy covers so much of its original; containers and encoders round the rest away.
WHOLE_SHARE = 0.9
EXACT_LOOK = 0.95  # a re-encoded copy's pictures 1.0; with a bar, a logo and a title over them 0.7 to 0.9
SAME_LOOK = 0.25
SAME_SPEECH = 0.3  # captions against a recogniser that misses half of the words; other speech by chance 0.1
SOME_WORDS = 10
ALIKE_EVIDENCE = 0.5  # 11 bits: without an offset that others share, a picture needs to be closer
SAME_TOPIC = 0.4
# Pictures make a recording more than speech does, which may be dubbed; how much of the video asked about is
# found counts more than how much of the other it is.
RECORDING_WEIGHTS = (0.4, 0.6)
OWN_WEIGHT = 0.7
MIN_SHOWN_RARITY = 5.0  # about three words: less on a screen does not make two videos alike
RUN_WORDS = 3
QUOTED_WORDS = (10, 6, 4, 3)
NAMED_WORDS = 5
MIN_NAMED_CHARACTERS = 3
# (what chance brings, what a clear case reaches). 72 pairs of unrelated lectures, median and 95th percentile: runs of three words
# 0.013, 0.032; cosine 0.26, 0.43; weighted words 0.07, 0.11. The upper ends were set by eye.
RUNS_RANGE = (0.03, 0.3)
COSINE_RANGE = (0.3, 0.75)
WORDS_RANGE = (0.1, 0.4)
# Each reason alone brings the likeness up to its weight; together they go on from there towards 1.
WEIGHTS = {"speech": 0.5, "topic": 0.8, "look": 0.35, "screen_text": 0.25}
SOME_RECORDING = 0.1  # a shared recording counts fully from this share on


@dataclass(frozen=True, slots=True)
class Reason:
    """How much one thing speaks for the similarity, 0..1, and what supports it, in words."""

    score: float
    because: str

    def __post_init__(self) -> None:
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"a reason's score is 0..1, got {self.score}")


@dataclass(frozen=True, slots=True)
class Profile:
    """What of a video is compared: its track, how often each content word is said or shown, and its runs of three words."""

    video: Video
    track: Track
    said: Mapping[str, int]
    shown: Mapping[str, int]
    runs: NDArray[np.int64]
    captioned: bool


@dataclass(frozen=True, slots=True)
class SharedRange:
    """An aligned range, and whether it is what the videos of a series begin or end with."""

    aligned: AlignedRange
    kind: Kind


def profile_of(video: Video, timeline: Timeline) -> Profile:
    """What of a video is compared."""
    track = track_of(timeline, video.duration_seconds)
    shown = tokenize(" ".join(span.text for span in timeline.screen_text))
    return Profile(
        video=video,
        track=track,
        said=_counts(track.said),
        shown=_counts(shown),
        runs=np.unique(run_numbers(word_numbers(track.said), RUN_WORDS)),
        captioned=any(segment.source != "speech recogniser" for segment in timeline.transcript),
    )


def rarity_of(profiles: Sequence[Profile]) -> dict[str, float]:
    """How much each word tells, by the number of these videos that say or show it."""
    seen = Counter(word for profile in profiles for word in profile.said.keys() | profile.shown.keys())
    return {word: math.log((len(profiles) + 1) / count) for word, count in seen.items()}


def reasons(one: Profile, other: Profile, rarity: Mapping[str, float], topic_cosine: float | None) -> dict[str, Reason]:
    """The reasons by name; only what both videos have is compared. `topic_cosine` is that of their text vectors."""
    found: dict[str, Reason] = {}
    if one.said and other.said:
        found["speech"] = _speech(one, other)
    if (one.said or one.shown) and (other.said or other.shown):
        found["topic"] = _topic(one, other, rarity, topic_cosine)
    if len(one.track.pictures) and len(other.track.pictures):
        found["look"] = _look(one.track, other.track)
    if one.shown and other.shown:
        found["screen_text"] = _screen_text(one, other, rarity)
    return found


def shared_ranges(aligned: Iterable[AlignedRange], one_seconds: float, other_seconds: float) -> tuple[SharedRange, ...]:
    """The ranges with their kinds."""
    return tuple(SharedRange(found, _kind(found, one_seconds, other_seconds)) for found in aligned)


def covered(ranges: Sequence[SharedRange], one_seconds: float, other_seconds: float) -> tuple[float, float]:
    """The share of each video (0..1) that the ranges cover, intros and outros left out."""
    seconds = sum(found.aligned.seconds for found in ranges if found.kind == "part")
    return (min(1.0, seconds / one_seconds), min(1.0, seconds / other_seconds)) if seconds else (0.0, 0.0)


def agreement(ranges: Sequence[SharedRange]) -> tuple[bool | None, bool | None]:
    """Whether the speech, and the pictures, of the ranges are the same; None where one side has none."""
    parts = [found.aligned for found in ranges if found.kind == "part"]
    speech = _mean([(found.speech, found.seconds) for found in parts])
    look = _mean([(found.look, found.seconds) for found in parts])
    return None if speech is None else speech >= SAME_SPEECH, None if look is None else look >= SAME_LOOK


def total_score(
    reasons: Mapping[str, Reason], shares: tuple[float, float], agrees: tuple[bool | None, bool | None]
) -> float:
    """One number, 0..1: up to a half for likeness, from there on for how much of the recording is shared.

    `shares` and `agrees` are those of the ranges. What they share is not counted again as speech or look.
    """
    weighed = [(same, weight) for same, weight in zip(agrees, RECORDING_WEIGHTS, strict=True) if same is not None]
    agreeing = (
        sum(weight for same, weight in weighed if same) / sum(weight for _, weight in weighed) if weighed else 0.0
    )
    recording = agreeing * (OWN_WEIGHT * shares[0] + (1 - OWN_WEIGHT) * shares[1])
    likeness = 1.0 - math.prod(1.0 - WEIGHTS[name] * reason.score for name, reason in reasons.items())
    alike_by_itself = 0.5 * likeness
    same = 0.5 + 0.45 * recording + 0.05 * likeness
    step = min(1.0, recording / SOME_RECORDING)
    return (1.0 - step) * alike_by_itself + step * same


def label_of(one: Profile, other: Profile, ranges: Sequence[SharedRange], reasons: Mapping[str, Reason]) -> Label:
    """What the other video is to this one, in a few words."""
    shares = covered(ranges, one.video.duration_seconds, other.video.duration_seconds)
    if max(shares) >= WHOLE_SHARE:
        return _copy_label(one, other, ranges, min(shares) >= WHOLE_SHARE)
    if any(found.kind == "part" for found in ranges):
        return "shares a part"
    if ranges:
        return "shares an intro" if ranges[0].kind == "intro" else "shares an outro"
    topic = reasons.get("topic")
    return "same topic" if topic and topic.score >= SAME_TOPIC else "loosely related"


def _copy_label(one: Profile, other: Profile, ranges: Sequence[SharedRange], whole: bool) -> Label:
    same_speech, same_look = agreement(ranges)
    silent = [len(profile.track.words) < SOME_WORDS for profile in (one, other)]
    if same_look is False:
        return "same speech, other pictures"
    if same_speech is False or silent[0] != silent[1]:
        return "same pictures, other speech"
    if not whole:
        return "same recording, trimmed"
    look = _mean([(found.aligned.look, found.aligned.seconds) for found in ranges])
    return "exact copy" if look is None or look >= EXACT_LOOK else "same recording, altered"


def _kind(found: AlignedRange, one_seconds: float, other_seconds: float) -> Kind:
    if found.seconds > MAX_INTRO_SHARE * min(one_seconds, other_seconds):
        return "part"
    if max(found.start_seconds, found.other_start_seconds) <= EDGE_SECONDS:
        return "intro"
    left = max(one_seconds - found.end_seconds, other_seconds - found.other_end_seconds)
    return "outro" if left <= EDGE_SECONDS else "part"


def _speech(one: Profile, other: Profile) -> Reason:
    """The share of the runs of three words of the one who says less that the other says too."""
    fewest = min(len(one.runs), len(other.runs))
    same = len(np.intersect1d(one.runs, other.runs, assume_unique=True))
    score = _between(same / fewest, RUNS_RANGE) if fewest else 0.0
    return Reason(score, f'both say "{_quote(one.track.said, other.track.said)}"' if score else "other words")


def _quote(one: Sequence[str], other: Sequence[str]) -> str:
    """A long run of words that both say, the first of its length."""
    for length in QUOTED_WORDS:
        theirs = set(_runs(other, length))
        for run in _runs(one, length):
            if run in theirs:
                return " ".join(run)
    return ""


def _topic(one: Profile, other: Profile, rarity: Mapping[str, float], cosine: float | None) -> Reason:
    first, second = (_weighted(profile, rarity) for profile in (one, other))
    product = {word: weight * second[word] for word, weight in first.items() if word in second}
    length = math.sqrt(sum(w * w for w in first.values()) * sum(w * w for w in second.values()))
    words = _between(sum(product.values()) / length if length else 0.0, WORDS_RANGE)
    score = words if cosine is None else 0.5 * words + 0.5 * _between(cosine, COSINE_RANGE)
    named = _named(product)
    return Reason(score, "other topics" if not score else f"both speak of {named}" if named else "the same meaning")


def _look(one: Track, other: Track) -> Reason:
    """The share of the pictures of the one with fewer that the other shows too, plain ones left out."""
    alike = picture_evidence(one, other) >= ALIKE_EVIDENCE
    matched = (int(alike.any(axis=1).sum()), int((~is_plain(one.pictures)).sum()))
    there = (int(alike.any(axis=0).sum()), int((~is_plain(other.pictures)).sum()))
    seen, pictures = min(matched, there, key=lambda pair: pair[1])
    return Reason(seen / pictures if pictures else 0.0, f"{seen} of {pictures} pictures alike")


def _screen_text(one: Profile, other: Profile, rarity: Mapping[str, float]) -> Reason:
    """The share of the words on screen, by rarity, of the one with less of them that the other shows too."""
    words = [{word for word in profile.shown if len(word) >= MIN_NAMED_CHARACTERS} for profile in (one, other)]
    shared = {word: rarity.get(word, 0.0) for word in words[0] & words[1]}
    least = max(MIN_SHOWN_RARITY, min(sum(rarity.get(word, 0.0) for word in shown) for shown in words))
    named = _named(shared)
    return Reason(min(1.0, sum(shared.values()) / least), f"both show {named}" if named else "other words")


def _weighted(profile: Profile, rarity: Mapping[str, float]) -> dict[str, float]:
    words = Counter(profile.said) + Counter(profile.shown)
    return {word: (1.0 + math.log(count)) * rarity.get(word, 0.0) for word, count in words.items()}


def _named(weights: Mapping[str, float]) -> str:
    """The words that weigh most."""
    telling = [word for word, weight in weights.items() if len(word) >= MIN_NAMED_CHARACTERS and weight > 0]
    return ", ".join(sorted(telling, key=lambda word: (-weights[word], word))[:NAMED_WORDS])


def _counts(tokens: Iterable[str]) -> dict[str, int]:
    return Counter(token for token in tokens if token not in STOP_WORDS)


def _runs(tokens: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    return zip(*(tokens[start:] for start in range(length)), strict=False)


def _between(value: float, bounds: tuple[float, float]) -> float:
    return float(np.clip((value - bounds[0]) / (bounds[1] - bounds[0]), 0.0, 1.0))


def _mean(weighted: Sequence[tuple[float | None, float]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None]
    return sum(value * weight for value, weight in known) / sum(w for _, w in known) if known else None
