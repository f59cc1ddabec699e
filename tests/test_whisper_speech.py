"""Whisper: real decoding with a model made to say known words, and its rules on scripted hearings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import chords, noise, silence, talker, tone, write_wav
from tiny_whisper import make_whisper

from ingest.heard_words import HeardWord
from ingest.schema import PlayheadError, TranscriptSegment
from ingest.sound_blocks import SAMPLES_PER_SECOND
from ingest.speech import load_transcriber
from ingest.whisper_speech import (
    WhisperTranscriber,
    batch_windows,
    is_within,
    remember_last,
    speech_windows,
    utterances_of,
)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> WhisperTranscriber:
    """A model that writes down "hello world" whatever it hears, in German if it may choose."""
    return load(make_whisper(tmp_path_factory.mktemp("whisper"), "hello world", "de"))


def load(weights: Path) -> WhisperTranscriber:
    transcriber = load_transcriber(str(weights))
    assert isinstance(transcriber, WhisperTranscriber)
    return transcriber


def heard(transcriber: WhisperTranscriber, audio: Path, language: str | None = None) -> list[TranscriptSegment]:
    return [segment for block in transcriber.transcribe(audio, language) for segment in block.segments]


def test_whisper_hears_what_its_weights_say_where_somebody_speaks(whisper: WhisperTranscriber, tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", np.concatenate([silence(3), talker(4), silence(3)]))
    (block,) = whisper.transcribe(audio)
    assert (block.start_seconds, block.end_seconds) == (0.0, 10.0)
    (segment,) = block.segments
    assert (segment.text, segment.language, segment.source) == ("hello world", "de", "speech recogniser")
    assert segment.start_seconds == pytest.approx(3.0, abs=0.6)
    assert 3.0 - 0.6 <= segment.end_seconds <= 7.6
    assert segment.confidence is not None and 0.9 < segment.confidence <= 1.0
    assert segment.speaker is None


def test_whisper_takes_a_language_it_knows_and_detects_otherwise(whisper: WhisperTranscriber, tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", talker(4))
    assert {segment.language for segment in heard(whisper, audio, "fr-CA")} == {"fr"}
    assert {segment.language for segment in heard(whisper, audio, "und")} == {"de"}


def test_each_window_of_a_batch_is_written_down_at_its_own_time(whisper: WhisperTranscriber, tmp_path: Path) -> None:
    sound = np.concatenate([talker(4), silence(28), talker(4), silence(28), talker(4), silence(5)])
    audio = write_wav(tmp_path / "a.wav", sound)
    whisper._batch, before = 8, whisper._batch
    try:
        (first, second, third) = heard(whisper, audio)
    finally:
        whisper._batch = before
    assert [round(s.start_seconds) for s in (first, second, third)] == [0, 32, 64]


@pytest.mark.parametrize("sound", [tone, noise, silence, chords])
def test_whisper_is_not_asked_about_sounds_without_a_voice(
    whisper: WhisperTranscriber, tmp_path: Path, sound: Any
) -> None:
    assert heard(whisper, write_wav(tmp_path / "a.wav", sound(6))) == []


def test_whisper_text_that_repeats_itself_is_dropped(tmp_path: Path) -> None:
    loop = make_whisper(tmp_path, "la la la la la la la la la la la la la la la la la la la la", "en")
    assert heard(load(loop), write_wav(tmp_path / "a.wav", talker(4))) == []


def test_whisper_runs_on_the_cpu_when_the_gpu_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has a GPU that works")
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    assert load(make_whisper(tmp_path, "hello world", "de")).name == "faster-whisper hello int8"
    assert "runs on the CPU" in caplog.text


def test_damaged_whisper_weights_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"not a model")
    with pytest.raises(PlayheadError, match="cannot be read") as told:
        load_transcriber(str(tmp_path))
    assert "\n" not in str(told.value)


@dataclass
class Word:
    word: str
    start: float
    end: float
    probability: float = 0.9


@dataclass
class Segment:
    """What faster-whisper gives for one window."""

    words: list[Word]
    seek: int = 0
    no_speech_prob: float = 0.01
    avg_logprob: float = -0.2
    compression_ratio: float = 1.2

    @property
    def text(self) -> str:
        return "".join(word.word for word in self.words)


@dataclass
class ScriptedModel:
    """A faster-whisper model that hears what is written for it; its languages go by the loudness of the window."""

    alone: list[Segment] = field(default_factory=list)
    encoded: int = 0
    supported_languages: Sequence[str] = ("en", "de", "fr")
    device: str = "cpu"

    @property
    def model(self) -> ScriptedModel:
        return self

    def feature_extractor(self, part: np.ndarray) -> np.ndarray:
        return np.full((80, 3001), float(np.abs(part).max()), dtype=np.float32)

    def encode(self, features: np.ndarray) -> np.ndarray:
        self.encoded += len(features)
        return features

    def detect_language(self, encoded: np.ndarray) -> list[list[tuple[str, float]]]:
        return [[("<|de|>", 0.95)] if window.max() > 0.2 else [("<|en|>", 0.95)] for window in encoded]

    def transcribe(self, sound: np.ndarray, **options: Any) -> tuple[list[Segment], None]:
        return self.alone, None


class ScriptedPipeline:
    """Says its language in each window, and encodes it as faster-whisper does."""

    def __init__(self, model: ScriptedModel, segments: list[Segment] | None = None) -> None:
        self.model, self.segments = model, segments
        self.languages: list[str] = []

    def transcribe(
        self, sound: np.ndarray, language: str, clip_timestamps: list[dict[str, float]], **options: Any
    ) -> tuple[list[Segment], None]:
        self.languages.append(language)
        parts = [sound[int(c["start"] * 16_000) : int(c["end"] * 16_000)] for c in clip_timestamps]
        self.model.encode(np.stack([self.model.feature_extractor(part)[..., :-1] for part in parts]))
        said = [
            Segment([Word(f" {language}.", c["start"] + 1, c["start"] + 2)], seek=int(c["start"] * 100))
            for c in clip_timestamps
        ]
        return self.segments if self.segments is not None else said, None


def scripted(segments: list[Segment] | None = None, alone: Sequence[Segment] = ()) -> WhisperTranscriber:
    transcriber = WhisperTranscriber(ScriptedModel(list(alone)), "scripted")
    transcriber._pipeline = ScriptedPipeline(transcriber._model, segments)
    return transcriber


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Six seconds of a voice between two silences: speech from 3 to 9."""
    return write_wav(tmp_path / "talk.wav", np.concatenate([silence(3), talker(6), silence(3)]))


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_a_switch_of_language_inside_a_file_is_followed(tmp_path: Path, batch: int) -> None:
    """English for two windows, then German, then so short a German word that it is taken for English."""
    quiet, loud = talker(6) // 4, talker(6)
    parts = [part for sound in (quiet, quiet, loud, talker(2)) for part in (sound, silence(29))]
    transcriber = scripted()
    transcriber._batch = batch
    segments = heard(transcriber, write_wav(tmp_path / "a.wav", np.concatenate(parts)))
    assert [segment.text for segment in segments] == ["en.", "en.", "de.", "en."]
    assert [segment.language for segment in segments] == ["en", "en", "de", "en"]
    assert heard(transcriber, tmp_path / "a.wav", "fr")[0].language == "fr"


def test_a_window_is_encoded_once(talk: Path) -> None:
    transcriber = scripted()
    assert heard(transcriber, talk)
    assert transcriber._model.encoded == 1


def test_the_last_encoding_is_remembered_and_no_other() -> None:
    asked = []
    encode = remember_last(lambda features: asked.append(features) or len(asked))
    first, second = np.zeros(3, np.float32), np.ones(3, np.float32)
    assert [encode(first), encode(first.copy()), encode(second), encode(first)] == [1, 1, 2, 3]


def test_words_over_silence_are_dropped(talk: Path) -> None:
    words = [Word(" nobody", 0.5, 1.0), Word(" heard", 4.0, 4.5), Word(" this", 8.0, 8.6), Word(" here", 10.5, 11.0)]
    assert [segment.text for segment in heard(scripted([Segment(words, seek=300)]), talk)] == ["heard", "this"]


def test_a_phrase_said_over_and_over_is_kept_once(talk: Path) -> None:
    loop = [Word(word, 4 + n / 10, 4.1 + n / 10) for n, word in enumerate([" well", *[" I", " see"] * 8, " now"])]
    segments = heard(scripted([Segment(loop, seek=300)]), talk)
    assert " ".join(segment.text for segment in segments) == "well I see now"


@pytest.mark.parametrize(("no_speech", "log_probability", "kept"), [(0.01, -0.2, 1), (0.5, -0.2, 0), (0.01, -0.9, 0)])
def test_thanks_for_watching_must_be_heard_clearly(
    talk: Path, no_speech: float, log_probability: float, kept: int
) -> None:
    segment = Segment([Word(" Thanks", 4, 4.5), Word(" for", 4.5, 5), Word(" watching!", 5, 5.5)], 300)
    segment.no_speech_prob, segment.avg_logprob = no_speech, log_probability
    assert len(heard(scripted([segment]), talk)) == kept


def test_a_window_that_fails_is_heard_again_alone(talk: Path) -> None:
    """Its times are then from the start of the window, which begins at 2.7 s."""
    failed = Segment([Word(" blah", 4, 5)], seek=270, compression_ratio=3.0)
    better, worse = Segment([Word(" better", 1.0, 1.5)]), Segment([Word(" worse", 2.0, 2.5)], compression_ratio=3.0)
    (segment,) = heard(scripted([failed], alone=[better, worse]), talk)
    assert segment.text == "better"
    assert segment.start_seconds == pytest.approx(3.7, abs=0.3)


def test_times_are_from_the_start_of_the_file(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", np.concatenate([silence(70), talker(6), silence(2)]))
    blocks = list(scripted().transcribe(audio))
    assert len(blocks) > 1
    (segment,) = [segment for block in blocks for segment in block.segments]
    assert segment.start_seconds == pytest.approx(71.0, abs=0.6)
    later = next(block for block in blocks if block.segments)
    assert next(scripted().transcribe(audio, None, later.start_seconds)) == later


def said(text: str, start: float, seconds: float = 0.4, language: str = "en") -> HeardWord:
    return HeardWord(text, start, start + seconds, 0.9, language)


def texts(words: Sequence[HeardWord]) -> list[str]:
    return ["".join(word.text for word in part).strip() for part in utterances_of(words)]


def test_an_utterance_ends_with_its_sentence_a_long_pause_or_its_language() -> None:
    words = [said(" Bees", 0), said(" dance.", 0.5), said(" Why", 1), said(" so", 2.2), said(" far", 3.7)]
    assert texts([*words, said(" fort", 4.2, language="de")]) == ["Bees dance.", "Why so", "far", "fort"]


def test_a_long_sentence_is_cut() -> None:
    parts = utterances_of([said(f" w{n}", n, 0.9) for n in range(40)])
    assert sum(map(len, parts)) == 40
    assert all(part[-1].end_seconds - part[0].start_seconds <= 15.0 for part in parts)


def test_windows_hold_half_a_minute_at_most() -> None:
    second = SAMPLES_PER_SECOND
    spans = [(0, 10 * second), (12 * second, 30 * second), (30 * second, 50 * second), (90 * second, 91 * second)]
    assert speech_windows(spans) == [spans[:2], [spans[2]], [spans[3]]]
    assert speech_windows([]) == []


def test_a_word_is_within_speech_by_its_middle() -> None:
    window = [(SAMPLES_PER_SECOND, 2 * SAMPLES_PER_SECOND)]
    assert is_within(said("a", 0.9), window) and is_within(said("a", 1.9), window)
    assert not is_within(said("a", 0.3), window) and not is_within(said("a", 2.1), window)


def test_batches_grow_with_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert (batch_windows("cpu"), batch_windows("cuda")) == (1, 8)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert batch_windows("cpu") == 8
