"""Describes the pictures of a video in words, as far as a vision model and its budget reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ingest.checkpoint import StageLog
from ingest.moments import split_long
from ingest.schema import Description, PlayheadError, TranscriptSegment

# What is said this long before and after a picture helps to understand it.
SAID_SECONDS = 5.0
DESCRIPTION_WARNING = "descriptions: "


class PictureDescriber(Protocol):
    """Says in words what a picture shows."""

    @property
    def name(self) -> str:
        """The model's name: a description that another model made is not taken up."""

    @property
    def tokens_left(self) -> int:
        """What the budget of this run still allows; describing stops at 0."""

    def describe(self, picture: Path, said: str) -> str:
        """One or two sentences; empty when it declines. Raises PlayheadError when the endpoint cannot be used."""


def describe_frames(
    describer: PictureDescriber,
    frames: Mapping[float, Path],
    transcript: Sequence[TranscriptSegment],
    duration_seconds: float,
    log: StageLog,
    known: Sequence[Description] = (),
) -> tuple[tuple[Description, ...], str | None]:
    """Descriptions of pictures, given by their time in seconds, each until the next picture.

    `known` are descriptions that the same model made before. Beside them a warning where not every picture could be
    described, because the budget ended or the endpoint failed; None where all were.
    """
    texts = dict(log.done) | {d.start_seconds: d.text for d in known}
    spoken = [piece for segment in transcript for piece in split_long(segment)]
    problem = _describe_missing(describer, frames, spoken, texts, log)
    times = sorted(frames)
    ends = [*times[1:], max([duration_seconds, *times[-1:]])]
    described = tuple(
        Description(start, end, texts[start], "vision model")
        for start, end in zip(times, ends, strict=False)  # without pictures there is one end too many
        if texts.get(start)
    )
    if problem is None:
        return described, None
    missing = len(set(times) - set(texts))
    return described, (
        f"{DESCRIPTION_WARNING}{missing} of {len(times)} pictures are not described. {problem} "
        "To go on: playhead reindex --channel description"
    )


def _describe_missing(
    describer: PictureDescriber,
    frames: Mapping[float, Path],
    spoken: Sequence[TranscriptSegment],
    texts: dict[float, str],
    log: StageLog,
) -> str | None:
    """Add the text of each picture that has none; what kept it from doing all, in a sentence."""
    for seconds in spread_order(sorted(frames)):
        if seconds in texts:
            continue
        if describer.tokens_left <= 0:
            return "The budget of this run is used up; PLAYHEAD_DESCRIBE_TOKENS sets it."
        try:
            text = describer.describe(frames[seconds], said_around(spoken, seconds))
        except PlayheadError as error:
            return str(error)
        texts[seconds] = text
        log.add([seconds, text])
    return None


def spread_order(times: Sequence[float]) -> list[float]:
    """The times in an order whose beginning, however long, is spread over all of them: bit-reversed positions."""
    bits = len(times).bit_length()
    return [times[i] for i in sorted(range(len(times)), key=lambda i: f"{i:0{bits}b}"[::-1])]


def said_around(spoken: Sequence[TranscriptSegment], seconds: float) -> str:
    """What is said around a picture, as one line."""
    first, last = seconds - SAID_SECONDS, seconds + SAID_SECONDS
    return " ".join(s.text for s in spoken if s.start_seconds < last and s.end_seconds > first)
