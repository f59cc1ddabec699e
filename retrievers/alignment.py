"""Aligns two videos: which seconds of one are the same recording as which seconds of the other.

Pairs of alike words and pictures vote for the seconds between them; along each likely offset the best runs are found as in
Smith and Waterman's local alignment, every half second scoring for what agrees and against what does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.bm25 import STOP_WORDS, tokenize
from ingest.schema import Timeline, TranscriptSegment

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BIN_SECONDS = 0.5
# Bits of 64 between the hashes of two pictures, measured: a copy 0 to 6, with a bar, a logo and a title over it 2 to 18, other
# videos' pictures 28 (one in twenty below 18). Evidence falls from 1 to -1 around the middle.
MIDDLE_BITS, SPREAD_BITS = 15.0, 8.0
# Where most of a video is found, what is left of it before and after may differ more.
LOOSE_MIDDLE_BITS = 20.0
MAX_EXTENSION_SHARE = 0.3
# A usual picture's hash has 32 bits set, as it is cut at the median; a plain one, black or one colour, has next to none.
MIN_PICTURE_BITS, MAX_PICTURE_BITS = 20, 44
PICTURE_SECONDS = 1.5  # how much earlier or later two encodings keep their pictures of one scene
SHOT_SECONDS = 1.0  # two encodings have their cuts less far apart
CUT_ALONE = 2.0  # what a cut counts against that the other has not
STALE_WEIGHT = 0.15  # of a difference to a picture that was kept long before: the camera may have moved since
WORD_SECONDS = 1.5  # how far interpolation inside a cue may be wrong
# Two recognisers share half of their words or more. What that makes likelier than chance counts, in logarithms, so weighed that a
# rare word counts like a second of pictures.
WORD_KEPT = 0.6
WORD_WEIGHT = 0.3
MIN_CHANCE, RARE_CHANCE = 0.02, 0.2
LOOK_A_SECOND = 1.0
NOTHING_A_SECOND = -0.02  # seconds without evidence do not join what lies on either side
WORD_STEP_SECONDS = 1e7  # longer than any video, so that a word and its second make one number
RUN_FACTOR = 1_000_003
NEVER = -1e9  # what no run makes up for
MAX_WORD_PAIRS = 9  # pairs of one word, or two in a row, that may vote: what is said often tells no offset
OFFSETS_TRIED = 8
REFINED_VOTES = 40
FINE_SECONDS = 0.1
MIN_RUN_SECONDS = 4.0
MIN_RUN_SCORE = 6.0
MIN_ALIKE_WORDS = 8
MIN_ALIKE_PICTURES = 2
SNAP_TO_END_SECONDS = 3.0
SNAP_TO_CUT_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Track:
    """What of a video can be aligned, in order of time.

    `said` is every word in order. `words` (words,) are numbers of the content words among them, `word_seconds` (words,) when
    they are said. `pictures` (frames,) are 64-bit hashes kept at `picture_seconds` (frames,), each of which stands until the
    next unless the camera moves. `shots` (shots,) are the seconds at which shots begin.
    """

    duration_seconds: float
    said: tuple[str, ...]
    words: Integers
    word_seconds: Floats
    pictures: NDArray[np.uint64]
    picture_seconds: Floats
    shots: Floats


@dataclass(frozen=True, slots=True)
class AlignedRange:
    """The same recording in two videos; `speech` and `look` are the shares of it (0..1) that agree, None where one has none."""

    start_seconds: float
    end_seconds: float
    other_start_seconds: float
    other_end_seconds: float
    speech: float | None
    look: float | None

    def __post_init__(self) -> None:
        if self.start_seconds >= self.end_seconds or self.other_start_seconds >= self.other_end_seconds:
            raise ValueError(f"an aligned range needs start < end on both sides, got {self!r}")

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.start_seconds


def track_of(timeline: Timeline, duration_seconds: float) -> Track:
    """What of a timeline can be aligned."""
    said = sorted(item for segment in timeline.transcript for item in timed_words(segment))
    content = [(seconds, word) for seconds, word in said if word not in STOP_WORDS]
    frames = sorted(timeline.keyframes, key=lambda frame: frame.time_seconds)
    starts = {0.0, *(shot.start_seconds for shot in timeline.shots)}
    return Track(
        duration_seconds=duration_seconds,
        said=tuple(word for _, word in said),
        words=word_numbers(word for _, word in content),
        word_seconds=np.array([seconds for seconds, _ in content], dtype=np.float64),
        pictures=np.array([frame.perceptual_hash for frame in frames], dtype=np.uint64),
        picture_seconds=np.array([frame.time_seconds for frame in frames], dtype=np.float64),
        shots=np.array(sorted(starts), dtype=np.float64),
    )


def timed_words(segment: TranscriptSegment) -> Iterator[tuple[float, str]]:
    """The words of a segment, each with the second it is likely said at."""
    tokens = tokenize(segment.text)
    lasts = segment.end_seconds - segment.start_seconds
    for position, token in enumerate(tokens):
        yield segment.start_seconds + lasts * (position + 0.5) / len(tokens), token


def word_numbers(words: Iterable[str]) -> Integers:
    """A number for each word, the same within one process; not stemmed, as stemming a lecture takes longer than the rest."""
    return np.fromiter((hash(word) for word in words), dtype=np.int64)


def run_numbers(words: Integers, length: int) -> Integers:
    """A number for each run of so many words: (words - length + 1,)."""
    runs = np.zeros(max(0, len(words) - length + 1), dtype=np.int64)
    for place in range(length if len(runs) else 0):
        runs = runs * RUN_FACTOR + words[place : place + len(runs)]  # wraps around, as hashes may
    return runs


def picture_evidence(one: Track, other: Track, middle_bits: float = MIDDLE_BITS) -> Floats:
    """How surely each picture of one is each of the other: (frames, frames), 1 the same to -1 another; 0 for plain ones."""
    differing = (one.pictures[:, None] ^ other.pictures[None, :])[..., None].view(np.uint8)
    bits = np.unpackbits(differing, axis=-1).sum(axis=-1).astype(np.float64)
    evidence: Floats = np.clip((middle_bits - bits) / SPREAD_BITS, -1.0, 1.0)
    evidence[is_plain(one.pictures)] = 0.0
    evidence[:, is_plain(other.pictures)] = 0.0
    return evidence


def is_plain(pictures: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which hashes are those of a picture without structure."""
    bits = np.unpackbits(pictures[:, None].view(np.uint8), axis=-1).sum(axis=-1)
    plain: NDArray[np.bool_] = (bits < MIN_PICTURE_BITS) | (bits > MAX_PICTURE_BITS)
    return plain


def align(one: Track, other: Track) -> list[AlignedRange]:
    """The ranges that are the same recording, in order of time; those of one side do not overlap."""
    return Pair(one, other).ranges()


class Pair:
    """Two tracks and what of them is alike, computed once for every offset."""

    def __init__(self, one: Track, other: Track) -> None:
        self.one, self.other = one, other
        self.evidence = picture_evidence(one, other)
        self.loose_evidence = picture_evidence(one, other, LOOSE_MIDDLE_BITS)
        known = np.unique(np.concatenate([one.words, other.words]), return_inverse=True)[1]
        self.chances = (
            _chances(known[: len(one.words)], known[len(one.words) :], other.duration_seconds),
            _chances(known[len(one.words) :], known[: len(one.words)], one.duration_seconds),
        )
        self.spoken = _keys(known[: len(one.words)], one.word_seconds)
        self.spoken_there = _keys(known[len(one.words) :], other.word_seconds)
        self.spoken_sorted, self.there_sorted = np.sort(self.spoken), np.sort(self.spoken_there)
        self.bins = np.arange(0.0, one.duration_seconds, BIN_SECONDS) + BIN_SECONDS / 2

    def ranges(self) -> list[AlignedRange]:
        """The best runs over all likely offsets, best first, then in order of time."""
        free = np.ones(len(self.bins), dtype=np.bool_)
        taken: list[AlignedRange] = []
        offsets = self.offsets()
        scores = [self.scores(offset) for offset in offsets]
        while True:
            runs = [best_run(np.where(free, score, -np.inf)) for score in scores]
            best = max(range(len(runs)), key=lambda at: runs[at][2], default=None)
            if best is None or runs[best][2] < MIN_RUN_SCORE:
                return sorted(taken, key=lambda found: found.start_seconds)
            first, last, _ = runs[best]
            offset = self.refined(offsets[best], first * BIN_SECONDS, last * BIN_SECONDS)
            finer = best_run(np.where(free, self.scores(offset), -np.inf))
            free[first:last] = False
            free[finer[0] : finer[1]] = False
            found = self.whole_range(offset, finer[0] * BIN_SECONDS, finer[1] * BIN_SECONDS)
            if found and not any(_overlap(found, before) for before in taken):
                taken.append(found)

    def offsets(self) -> list[float]:
        """The likely seconds from a moment of one to the same of the other, the surest first."""
        pairs = [*self.word_votes(), *self.picture_votes()]
        likely = [0.0, self.other.duration_seconds - self.one.duration_seconds]
        self.votes = np.array(pairs).reshape(-1, 2).T
        voted, weights = self.votes
        if not pairs:
            return likely
        lowest = voted.min()
        counts = np.bincount(((voted - lowest) / BIN_SECONDS).astype(int), weights)
        smooth = np.convolve(counts, (0.5, 1.0, 1.0, 1.0, 0.5), mode="same")
        found: list[float] = []
        while len(found) < OFFSETS_TRIED and smooth.max() > 1.0:
            peak = int(smooth.argmax())
            near = np.abs(voted - lowest - (peak + 0.5) * BIN_SECONDS) <= WORD_SECONDS
            found.append(_weighted_median(voted[near], weights[near]) if near.any() else lowest + peak * BIN_SECONDS)
            smooth[max(0, peak - 3) : peak + 4] = 0.0
        return [*found, *(offset for offset in likely if all(abs(offset - known) > 1.0 for known in found))]

    def refined(self, offset: float, start: float, end: float) -> float:
        """The offset near this one at which words and pictures of a run change together, to a tenth of a second."""
        voted, weights = self.votes
        near = np.abs(voted - offset) <= WORD_SECONDS
        surest = voted[near][np.argsort(-weights[near])][:REFINED_VOTES]
        tried = np.unique(np.round([offset, *surest], 1))
        fine = np.arange(start, end, FINE_SECONDS)
        own = self.spoken[_inside(self.one.word_seconds, start, end)]
        together = [self._shown_together(fine, at) + self._said_together(own, at) for at in tried]
        return float(tried[int(np.argmax(together))])

    def _shown_together(self, seconds: Floats, offset: float) -> float:
        """The evidence of the pictures that stand at these times, in seconds."""
        if not self.evidence.size:
            return 0.0
        own = _standing(self.one.picture_seconds, seconds)
        return float(self.evidence[own, _standing(self.other.picture_seconds, seconds + offset)].sum()) * FINE_SECONDS

    def _said_together(self, spoken: Floats, offset: float) -> float:
        """How near the same words are said: the sum over words of 1 at the same time to 0 at `WORD_SECONDS` apart."""
        return float((1.0 - np.minimum(_apart(spoken + offset, self.there_sorted) / WORD_SECONDS, 1.0)).sum())

    def word_votes(self) -> Iterator[tuple[float, float]]:
        """(offset, weight) of rare words, and of two in a row, that both say."""
        for length, weight in ((1, 0.5), (2, 1.0)):
            for own, others in _rare_pairs(run_numbers(self.one.words, length), run_numbers(self.other.words, length)):
                offsets = self.other.word_seconds[others][None, :] - self.one.word_seconds[own][:, None]
                yield from ((offset, weight / offsets.size) for offset in offsets.ravel().tolist())

    def picture_votes(self) -> Iterator[tuple[float, float]]:
        """(offset, weight) of pictures that are alike; one that is alike to many tells little."""
        alike = np.maximum(self.evidence, 0.0)
        shares = alike / np.maximum(1.0, np.sqrt(np.outer(alike.sum(axis=1), alike.sum(axis=0))))
        for at, there in np.argwhere(alike > 0):
            yield (
                float(self.other.picture_seconds[there] - self.one.picture_seconds[at]),
                2.0 * float(shares[at, there]),
            )

    def scores(self, offset: float) -> Floats:
        """What every half second of one says for (or against) the other showing and saying the same `offset` later."""
        inside = (self.bins + offset >= 0.0) & (self.bins + offset <= self.other.duration_seconds)
        return np.where(inside, self._score(offset, self.evidence), -np.inf)

    def _score(self, offset: float, evidence: Floats) -> Floats:
        look = LOOK_A_SECOND * BIN_SECONDS * self.look(offset, evidence)
        score: Floats = look + self.speech(offset) + NOTHING_A_SECOND * BIN_SECONDS
        return score - CUT_ALONE * self._cuts_alone(offset)

    def _cuts_alone(self, offset: float) -> Floats:
        """How many shots of either begin at each half second of one where none of the other does: (bins,)."""
        ours, theirs = self.one.shots, self.other.shots - offset
        alone = np.concatenate([
            ours[_apart(ours, theirs) > SHOT_SECONDS], theirs[_apart(theirs, ours) > SHOT_SECONDS],
        ])  # fmt: skip
        bins = (alone[_inside(alone, 0.0, len(self.bins) * BIN_SECONDS)] / BIN_SECONDS).astype(int)
        return np.bincount(bins, minlength=len(self.bins)).astype(np.float64)

    def look(self, offset: float, evidence: Floats) -> Floats:
        """The evidence of the pictures that stand at each half second of one and at the same of the other: (bins,)."""
        if not evidence.size:
            return np.zeros(len(self.bins))
        there = _near(self.one.picture_seconds, self.bins)
        others = _near(self.other.picture_seconds, self.bins + offset)
        ours = np.max([evidence[there[0], frames] for frames in others], axis=0)
        theirs = np.max([evidence[frames, others[0]] for frames in there], axis=0)
        mean = (ours + theirs) / 2
        stale = _is_stale(self.one.picture_seconds, self.bins) | _is_stale(
            self.other.picture_seconds, self.bins + offset
        )
        mean[stale & (mean < 0)] *= STALE_WEIGHT
        alike: Floats = np.maximum(mean, self._shots_begin_alike(offset, evidence))
        return alike

    def _shots_begin_alike(self, offset: float, evidence: Floats) -> Floats:
        """The evidence of the first pictures of two shots that begin together, -1 elsewhere: (bins,)."""
        own, frames = _shot_at(self.one, self.bins)
        theirs, other_frames = _shot_at(self.other, self.bins + offset)
        together = (np.abs(theirs - own - offset) <= SHOT_SECONDS) & (frames >= 0) & (other_frames >= 0)
        begins: Floats = np.where(together, evidence[frames, other_frames], -1.0)
        return begins

    def alike_words(self, offset: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which words of one, and of the other, are said on both sides at the same time."""
        ours = _apart(self.spoken + offset, self.there_sorted) <= WORD_SECONDS
        return ours, _apart(self.spoken_there - offset, self.spoken_sorted) <= WORD_SECONDS

    def speech(self, offset: float) -> Floats:
        """What the words of both sides say for and against, at each half second of one: (bins,)."""
        score = np.zeros(len(self.bins))
        if not (len(self.one.words) and len(self.other.words)):
            return score
        times = self.one.word_seconds, self.other.word_seconds - offset
        for alike, seconds, chance in zip(self.alike_words(offset), times, self.chances, strict=True):
            bins = np.floor(seconds / BIN_SECONDS).astype(int)
            inside = (bins >= 0) & (bins < len(score))
            likelier = np.where(alike, WORD_KEPT / chance, (1 - WORD_KEPT) / (1 - chance))
            np.add.at(score, bins[inside], WORD_WEIGHT * np.log(likelier[inside]) / 2)
        return score

    def whole_range(self, offset: float, start: float, end: float) -> AlignedRange | None:
        """The range of a run, its ends moved to a cut or an end of the video near them; None when too little is alike."""
        earliest = max(0.0, -offset)
        latest = min(self.one.duration_seconds, self.other.duration_seconds - offset)
        cuts = np.concatenate([self.one.shots[1:], self.other.shots[1:] - offset])
        loose = self._score(offset, self.loose_evidence)
        reach = MAX_EXTENSION_SHARE * (end - start)
        if start - earliest <= reach and loose[_inside(self.bins, earliest, start)].sum() > 0:
            start = earliest
        if latest - end <= reach and loose[_inside(self.bins, end, latest)].sum() > 0:
            end = latest
        start = _snapped(max(start, earliest), earliest, cuts)
        end = _snapped(min(end, latest), latest, cuts)
        if end - start < MIN_RUN_SECONDS:
            return None
        ours, theirs = self.alike_words(offset)
        own = _inside(self.one.word_seconds, start, end) & (self.chances[0] < RARE_CHANCE)
        others = _inside(self.other.word_seconds - offset, start, end) & (self.chances[1] < RARE_CHANCE)
        pictures = self.alike_pictures(offset, start, end)
        if ours[own].sum() < MIN_ALIKE_WORDS and pictures < MIN_ALIKE_PICTURES:
            return None
        shown = self.look(offset, self.evidence)[(self.bins >= start) & (self.bins < end)]
        return AlignedRange(
            round(start, 3), round(end, 3), round(max(0.0, start + offset), 3), round(end + offset, 3),
            speech=float((ours[own].mean() + theirs[others].mean()) / 2) if own.any() and others.any() else None,
            look=float(np.maximum(shown, 0.0).mean()) if self.evidence.size else None,
        )  # fmt: skip

    def alike_pictures(self, offset: float, start: float, end: float) -> int:
        """How many different pictures of the range stand on both sides at the same time."""
        if not self.evidence.size:
            return 0
        inside = np.flatnonzero(_inside(self.one.picture_seconds, start - PICTURE_SECONDS, end)).tolist()
        seen = [at for at in inside if self._stands_there(at, offset)]
        different: list[int] = []
        for at in seen:
            if all(
                (int(self.one.pictures[at]) ^ int(self.one.pictures[d])).bit_count() > MIDDLE_BITS for d in different
            ):
                different.append(at)
        return len(different)

    def _stands_there(self, picture: int, offset: float) -> bool:
        near = _near(self.other.picture_seconds, self.one.picture_seconds[picture : picture + 1] + offset)
        return max(float(self.evidence[picture, frames[0]]) for frames in near) > 0


def best_run(scores: Floats) -> tuple[int, int, float]:
    """(first, last + 1, sum) of the run with the largest sum; a run never crosses -inf."""
    sums = np.concatenate([[0.0], np.cumsum(np.maximum(scores, NEVER))])
    gains = sums - np.minimum.accumulate(sums)
    last = int(gains.argmax())
    return int(sums[: last + 1].argmin()), last, float(gains[last])


def _near(kept: Floats, seconds: Floats) -> list[Integers]:
    """For each time the picture that stands, then those just before and after, or the standing one again: three of (times,)."""
    standing = _standing(kept, seconds)
    found = [standing]
    for step in (-1, 1):
        beside = np.clip(standing + step, 0, len(kept) - 1)
        until = kept[standing] if step < 0 else kept[beside]  # the one before stood until this one came
        found.append(np.where(np.abs(until - seconds) <= PICTURE_SECONDS, beside, standing))
    return found


def _is_stale(kept: Floats, seconds: Floats) -> NDArray[np.bool_]:
    """Whether no picture was kept near a time, so that what is seen there may have moved on since the last."""
    return _apart(seconds, kept) > PICTURE_SECONDS


def _shot_at(track: Track, seconds: Floats) -> tuple[Floats, Integers]:
    """For each time the start of its shot and that shot's first picture, -1 when none was kept near: (times,), (times,)."""
    starts = track.shots[np.maximum(np.searchsorted(track.shots, seconds, side="right") - 1, 0)]
    first = np.minimum(np.searchsorted(track.picture_seconds, starts - 0.1), len(track.picture_seconds) - 1)
    near = np.abs(track.picture_seconds[first] - starts) <= PICTURE_SECONDS
    return starts, np.where(near, first, -1)


def _keys(words: Integers, seconds: Floats) -> Floats:
    """One number for a word and its time, far from that of every other word: (words,)."""
    return words * WORD_STEP_SECONDS + seconds


def _chances(words: Integers, there: Integers, seconds: float) -> Floats:
    """How likely each word is said on the other side within `WORD_SECONDS` of any time: (words,)."""
    counts = np.bincount(there, minlength=int(words.max(initial=0)) + 1)[words]
    likely: Floats = 1.0 - np.exp(-counts * 2 * WORD_SECONDS / max(seconds, 2 * WORD_SECONDS))
    return np.clip(likely, MIN_CHANCE, 1.0 - MIN_CHANCE)


def _apart(wanted: Floats, there: Floats) -> Floats:
    """How far each key is from the nearest of the others, which are sorted: (wanted,)."""
    if not len(there):
        return np.full(len(wanted), np.inf)
    above = np.searchsorted(there, wanted)
    after, before = there[np.minimum(above, len(there) - 1)], there[np.maximum(above - 1, 0)]
    apart: Floats = np.minimum(np.abs(after - wanted), np.abs(before - wanted))
    return apart


def _standing(kept: Floats, seconds: Floats) -> Integers:
    """The last picture kept up to each time, or the first: (times,)."""
    standing: Integers = np.maximum(np.searchsorted(kept, seconds, side="right") - 1, 0)
    return standing


def _rare_pairs(one: Integers, other: Integers) -> Iterator[tuple[Integers, Integers]]:
    """The positions on both sides of each number that both have, and few times."""
    first, second = (np.argsort(numbers, kind="stable") for numbers in (one, other))
    there = np.searchsorted(other[second], one[first]), np.searchsorted(other[second], one[first], side="right")
    own = np.searchsorted(one[first], one[first]), np.searchsorted(one[first], one[first], side="right")
    pairs = (own[1] - own[0]) * (there[1] - there[0])
    begins = own[0] == np.arange(len(first))
    for at in np.flatnonzero(begins & (pairs > 0) & (pairs <= MAX_WORD_PAIRS)):
        yield first[own[0][at] : own[1][at]], second[there[0][at] : there[1][at]]


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _inside(seconds: Floats, start: float, end: float) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (seconds >= start) & (seconds < end)
    return inside


def _snapped(second: float, end: float, cuts: Floats) -> float:
    """The video's end when near, else the nearest cut when near, else the second itself."""
    if abs(second - end) <= SNAP_TO_END_SECONDS:
        return end
    if len(cuts) and np.abs(cuts - second).min() <= SNAP_TO_CUT_SECONDS:
        return float(cuts[np.abs(cuts - second).argmin()])
    return second


def _overlap(one: AlignedRange, other: AlignedRange) -> bool:
    """Whether two ranges share more than half a second on either side."""
    here = min(one.end_seconds, other.end_seconds) - max(one.start_seconds, other.start_seconds)
    there = min(one.other_end_seconds, other.other_end_seconds) - max(
        one.other_start_seconds, other.other_start_seconds
    )
    return max(here, there) > BIN_SECONDS
