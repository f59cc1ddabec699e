"""Reads the transcripts that Whisper, WhisperX and whisper.cpp write as JSON: words with times, scores and speakers."""

from __future__ import annotations

import html
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ingest.cues import Cue, Word
from ingest.schema import VideoError
from ingest.text_decoding import MAX_CAPTION_BYTES, read_text

# A day of speech has 250,000 words of five values each; 50 MB of empty lists would be 17 million and 1.4 GB of memory.
MAX_JSON_VALUES = 3_000_000
MAX_NUMBER = 1e9  # larger ones, which may not fit a float, are no times
MARKS = ((b'"segments"', b'"start"', b'"text"'), (b'"transcription"', b'"offsets"', b'"text"'))

Entry = dict[str, Any]


def is_whisper_json(path: Path) -> bool:
    """Whether a file is such a transcript and says something; other JSON is only searched, not parsed."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CAPTION_BYTES)
        if not any(all(mark in data for mark in marks) for marks in MARKS):
            return False
        cues, _ = whisper_cues(read_text(path)[0])
    except (OSError, ValueError, VideoError):
        return False
    return any(cue.start_seconds <= cue.end_seconds and cue.text.strip() for cue in cues)


def whisper_cues(text: str) -> tuple[list[Cue], str | None]:
    """The cues of a transcript, one for each turn of a speaker, and its language; raises ValueError for other JSON."""
    if text.count(",") + text.count("[") + text.count("{") > MAX_JSON_VALUES:
        raise ValueError(f"it holds more than {MAX_JSON_VALUES} values")
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("it is no object")
    if "transcription" in document:
        cues = [_whisper_cpp_cue(entry) for entry in _entries(document, "transcription")]
        return cues, _text(_entry(document.get("result")), "language")
    segments = _entries(document, "segments")
    return [cue for segment in segments for cue in _segment_cues(segment)], _text(document, "language")


def _whisper_cpp_cue(entry: Entry) -> Cue:
    offsets = _entry(entry.get("offsets"))
    start, end = (_number(offsets, key) / 1000 for key in ("from", "to"))
    return Cue(start, end, _escaped(_text(entry, "text") or ""))


def _segment_cues(segment: Entry) -> Iterator[Cue]:
    """One cue, or one for each turn where the words of a segment have several speakers."""
    start, end = _number(segment, "start"), _number(segment, "end")
    text, speaker = _text(segment, "text") or "", _text(segment, "speaker")
    words = _spoken_words(segment, text, speaker)
    turns = [list(turn) for _, turn in itertools.groupby(words, key=lambda word: word.speaker)]
    if len(turns) <= 1:
        scores = [_score(entry) for entry in _entries(segment, "words")] or [_segment_score(segment)]
        speaker = words[0].speaker if words else speaker
        yield Cue(start, end, _escaped(text), speaker, _mean(scores), tuple(word.word for word in words))
        return
    for turn in turns:
        timed = tuple(word.word for word in turn)
        said = "".join(word.text for word in timed)
        scores = [word.score for word in turn]
        yield Cue(timed[0].start_seconds, timed[-1].end_seconds, said, turn[0].speaker, _mean(scores), timed)


@dataclass(frozen=True, slots=True)
class _SpokenWord:
    word: Word
    score: float | None
    speaker: str | None


def _spoken_words(segment: Entry, text: str, speaker: str | None) -> list[_SpokenWord]:
    """The words, joined the text; none if they are not. One without a time, such as a number, goes to its neighbour."""
    entries = _entries(segment, "words")
    raw = [_text(entry, "word") or "" for entry in entries]
    between = next((joint for joint in ("", " ") if joint.join(raw).split() == text.split()), None)
    if between is None:
        return []
    spoken: list[_SpokenWord] = []
    untimed = ""
    for entry, said in zip(entries, raw, strict=True):
        piece = _escaped(between + said)
        start, end = _number(entry, "start"), _number(entry, "end")
        if start <= end:
            speaker = _text(entry, "speaker") or speaker
            spoken.append(_SpokenWord(Word(start, end, untimed + piece), _score(entry), speaker))
            untimed = ""
        elif spoken:
            before = spoken[-1]
            spoken[-1] = replace(before, word=replace(before.word, text=before.word.text + piece))
        else:
            untimed += piece
    return spoken


def _score(entry: Entry) -> float | None:
    """How sure the recogniser is of a word, 0..1: `score` in WhisperX, `probability` in Whisper."""
    scores = [_number(entry, key) for key in ("score", "probability")]
    return next((score for score in scores if 0.0 <= score <= 1.0), None)


def _segment_score(segment: Entry) -> float | None:
    """Whisper's mean log probability of the tokens as a probability."""
    logarithm = _number(segment, "avg_logprob")
    return math.exp(logarithm) if logarithm <= 0.0 else None


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return round(sum(known) / len(known), 3) if known else None


def _escaped(text: str) -> str:
    """Plain text as a cue, whose `<` would begin a tag."""
    return html.escape(text, quote=False)


def _entry(value: object) -> Entry:
    return value if isinstance(value, dict) else {}


def _entries(owner: Entry, key: str) -> list[Entry]:
    value = owner.get(key)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(owner: Entry, key: str) -> str | None:
    value = owner.get(key)
    return value if isinstance(value, str) else None


def _number(owner: Entry, key: str) -> float:
    """A number, NaN for anything else."""
    value = owner.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_NUMBER:
        return float(value)
    return math.nan
