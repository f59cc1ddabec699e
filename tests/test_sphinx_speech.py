"""PocketSphinx: real decoding of a synthetic talker and of real clips, and what is kept of its words."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import chords, decode_to_wav, noise, real_clip, silence, talker, tone, write_wav

from evaluation.word_errors import comparable_words, word_errors
from ingest.heard_words import HeardWord
from ingest.schema import PlayheadError, TranscriptSegment
from ingest.sphinx_speech import PocketSphinxTranscriber, SphinxChild, utterances_of


@pytest.fixture(scope="module")
def sphinx() -> PocketSphinxTranscriber:
    pytest.importorskip("pocketsphinx")
    return PocketSphinxTranscriber()


def heard(sphinx: PocketSphinxTranscriber, audio: Path, language: str | None = None) -> list[TranscriptSegment]:
    return [segment for block in sphinx.transcribe(audio, language) for segment in block.segments]


@pytest.mark.parametrize("sound", [tone, noise, silence, chords])
def test_sounds_without_a_voice_give_no_words(sphinx: PocketSphinxTranscriber, tmp_path: Path, sound: Any) -> None:
    (block,) = sphinx.transcribe(write_wav(tmp_path / "a.wav", sound(6)))
    assert (block.end_seconds, block.segments, block.not_understood_seconds) == (6.0, (), 0.0)


def test_another_language_is_not_read_as_english(
    sphinx: PocketSphinxTranscriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SphinxChild, "words", lambda child, samples: [("english", 0.1, 0.4, 0.9)])
    audio = write_wav(tmp_path / "a.wav", talker(2))
    assert [segment.text for segment in heard(sphinx, audio, "en-GB")] == ["english"]
    (block,) = sphinx.transcribe(audio, "de")
    assert (block.end_seconds, block.segments) == (2.0, ())


def test_an_empty_recording_has_no_blocks(sphinx: PocketSphinxTranscriber, tmp_path: Path) -> None:
    assert list(sphinx.transcribe(write_wav(tmp_path / "a.wav", silence(0)))) == []


@pytest.mark.slow
def test_what_was_heard_before_changes_nothing() -> None:
    """Else a run that goes on after a kill would hear other words."""
    pytest.importorskip("pocketsphinx")
    child = SphinxChild()
    first = child.words(talker(2))
    child.words(np.concatenate([noise(1), talker(0.5)]) // 3)
    assert child.words(talker(2)) == first != []


def test_a_recogniser_that_dies_is_told_and_replaced(sphinx: PocketSphinxTranscriber, tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", talker(1))
    before = list(sphinx.transcribe(audio))
    child = sphinx._idle.get_nowait()
    os.kill(child._process.pid, signal.SIGKILL)
    child._process.wait()
    others = [sphinx._idle.get_nowait() for _ in range(sphinx._idle.qsize())]
    sphinx._idle.put(child)
    with pytest.raises(PlayheadError, match="ended while it listened"):
        list(sphinx.transcribe(audio))
    for other in others:
        sphinx._idle.put(other)
    assert list(sphinx.transcribe(audio)) == before


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        ("speech/edge-ai/how_are_you_doing.wav", "how are you doing"),
        ("speech/speechbrain/spk1_snt5.wav", "sunday is the best part of the week"),
    ],
)
def test_clear_real_speech_is_written_word_for_word(
    sphinx: PocketSphinxTranscriber, tmp_path: Path, clip: str, said: str
) -> None:
    (segment,) = heard(sphinx, decode_to_wav(real_clip(clip), tmp_path / "a.wav"), "en")
    assert segment.text == said
    assert segment.confidence is not None and segment.confidence > 0.8


@pytest.mark.slow
def test_word_error_rate_on_real_clips(sphinx: PocketSphinxTranscriber, tmp_path: Path) -> None:
    references = real_clip("speech/references.jsonl")
    wrong = words = 0
    for line in references.read_text().splitlines():
        clip = json.loads(line)
        audio = decode_to_wav(references.parent / clip["audio"], tmp_path / "clip.wav")
        said = " ".join(segment.text for segment in heard(sphinx, audio, "en"))
        truth = comparable_words(clip["text"])
        wrong, words = wrong + word_errors(truth, comparable_words(said)), words + len(truth)
    assert words == 112
    assert wrong / words < 0.31


@pytest.mark.slow
def test_real_speech_is_timed(sphinx: PocketSphinxTranscriber, tmp_path: Path) -> None:
    video = real_clip("media/auto-editor/example.mp4")
    segments = heard(sphinx, decode_to_wav(video, tmp_path / "a.wav"))
    assert (segments[0].text, segments[-1].text) == ("hello", "banana")
    assert segments[0].start_seconds == pytest.approx(0.1, abs=0.2)
    assert segments[-1].start_seconds == pytest.approx(39.97, abs=0.2)
    assert not [s for s in segments if 17.5 < s.start_seconds < 39.5], "the silent stretch has no words"


@pytest.mark.slow
def test_a_run_that_goes_on_hears_the_same(sphinx: PocketSphinxTranscriber, tmp_path: Path) -> None:
    video = real_clip("media/auto-editor/example.mp4")
    audio = decode_to_wav(video, tmp_path / "a.wav")
    blocks = list(sphinx.transcribe(audio))
    assert len(blocks) > 1
    assert list(sphinx.transcribe(audio, None, blocks[0].end_seconds)) == blocks[1:]


def word(text: str, start: float, end: float, probability: float = 0.9) -> HeardWord:
    return HeardWord(f" {text}", start, end, probability, "en")


def texts(words: list[HeardWord]) -> list[str]:
    return ["".join(word.text for word in part).strip() for part in utterances_of(words)]


def test_utterances_end_at_pauses() -> None:
    assert texts([word("one", 0.0, 0.5), word("two", 0.8, 1.0), word("three", 1.45, 2.0)]) == ["one two", "three"]


def test_an_utterance_that_was_hardly_heard_is_left_out() -> None:
    assert texts([word("maybe", 0.0, 0.5, 0.2)]) == []
    assert texts([word("so", 0.0, 0.2, 0.2), word("banana", 0.2, 0.7, 0.8)]) == ["so banana"]


@pytest.mark.parametrize(("count", "probability", "kept"), [(20, 0.39, False), (19, 0.39, True), (20, 0.41, True)])
def test_a_block_that_is_hardly_english_is_left_out(count: int, probability: float, kept: bool) -> None:
    words = [word("the", n * 0.3, n * 0.3 + 0.25, probability) for n in range(count)]
    assert bool(utterances_of(words)) is kept


def test_what_is_left_out_is_counted(
    sphinx: PocketSphinxTranscriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = [("maybe", 0.1, 0.6, 0.2), ("clear", 1.2, 1.7, 0.9)]
    monkeypatch.setattr(SphinxChild, "words", lambda child, samples: scripted)
    (block,) = sphinx.transcribe(write_wav(tmp_path / "a.wav", talker(2)))
    assert [segment.text for segment in block.segments] == ["clear"]
    assert block.not_understood_seconds == pytest.approx(0.5)
