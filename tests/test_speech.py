"""Speech recognisers: real decoding of a synthetic talker and of a Whisper model made to say known words."""

from __future__ import annotations

import json
import os
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.word_errors import comparable_words, word_errors
from ingest.schema import PlayheadError
from ingest.speech import (
    BLOCK_SECONDS,
    SAMPLES_PER_SECOND,
    HeardWord,
    PocketSphinxTranscriber,
    WhisperTranscriber,
    audio_blocks,
    is_speech,
    load_transcriber,
    segments_of_words,
    speech_spans,
)

DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
VOWEL_FORMANTS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (530, 1840, 2480), (300, 870, 2240), (570, 840, 2410))
LANGUAGES = ("en", "de", "fr")
WHISPER_TIMESTAMPS = 1501


def write_wav(path: Path, samples: NDArray[np.int16], rate: int = SAMPLES_PER_SECOND) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def pcm(signal: NDArray[np.float64]) -> NDArray[np.int16]:
    return (signal / max(1e-9, float(np.abs(signal).max())) * 12_000).astype(np.int16)


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * SAMPLES_PER_SECOND), dtype=np.int16)


def talker(seconds: float) -> NDArray[np.int16]:
    """Four syllables a second: glottal pulses through the formants of vowels. A voice without words."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(0)
    length = SAMPLES_PER_SECOND // 4
    syllables = []
    for _ in range(round(seconds * 4)):
        pitch_hz = np.linspace(rng.uniform(110, 140), rng.uniform(95, 120), length)
        sound = np.diff(np.floor(np.cumsum(pitch_hz) / SAMPLES_PER_SECOND), prepend=0.0)
        for formant_hz, width_hz in zip(VOWEL_FORMANTS_HZ[rng.integers(5)], (80, 100, 140), strict=True):
            radius = np.exp(-np.pi * width_hz / SAMPLES_PER_SECOND)
            poles = [1.0, -2 * radius * np.cos(2 * np.pi * formant_hz / SAMPLES_PER_SECOND), radius**2]
            sound = lfilter([sum(poles)], poles, sound)
        syllables.append(sound * np.sin(np.linspace(0, np.pi, length)) ** 0.5)
    return pcm(np.concatenate(syllables))


def tone(seconds: float) -> NDArray[np.int16]:
    return pcm(np.sin(2 * np.pi * 440 * np.arange(round(seconds * SAMPLES_PER_SECOND)) / SAMPLES_PER_SECOND))


def noise(seconds: float) -> NDArray[np.int16]:
    return pcm(np.random.default_rng(0).standard_normal(round(seconds * SAMPLES_PER_SECOND)))


def chords(seconds: float) -> NDArray[np.int16]:
    """Struck chords with a beat: music without a voice."""
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLES_PER_SECOND // 2) / SAMPLES_PER_SECOND
    beats = []
    for _ in range(round(seconds * 2)):
        notes_hz = 220 * 2 ** (rng.integers(0, 24, 3) / 12)
        strings = sum(np.sin(2 * np.pi * note * n * time) / n for note in notes_hz for n in range(1, 6))
        drum = rng.standard_normal(len(time)) * np.exp(-80 * time)
        beats.append(strings * np.exp(-4 * time) + drum)
    return pcm(np.concatenate(beats))


def make_whisper(folder: Path, says: str, language: str) -> Path:
    """A Whisper model in CTranslate2 form that hears `says` in its first second of speech, whatever the sound.

    Attention and feed-forward layers are zero, so the state at a position is its position embedding, which is set to
    the embedding of the token to say there.
    """
    import torch
    from ctranslate2.converters import TransformersConverter
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        GenerationConfig,
        PreTrainedTokenizerFast,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    words = [("\u0120" if n else "") + word for n, word in enumerate(says.split())]  # byte-level BPE writes a space so
    # CTranslate2 takes a model for a multilingual one when its vocabulary has the empty token.
    vocabulary = dict.fromkeys([*sorted(pre_tokenizers.ByteLevel.alphabet()), *words, ""])
    tokenizer = Tokenizer(models.BPE(vocab={text: n for n, text in enumerate(vocabulary)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = ("endoftext", "startoftranscript", *LANGUAGES, "translate", "transcribe", "startoflm", "startofprev")
    special = [f"<|{name}|>" for name in (*names, "nospeech", "notimestamps")]
    tokenizer.add_special_tokens(special)
    ids = {token: tokenizer.token_to_id(token) for token in special}
    first_timestamp = tokenizer.get_vocab_size()

    torch.manual_seed(0)
    end = ids["<|endoftext|>"]
    config = WhisperConfig(
        vocab_size=first_timestamp + WHISPER_TIMESTAMPS,
        d_model=64,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=1,
        decoder_attention_heads=1,
        encoder_ffn_dim=8,
        decoder_ffn_dim=8,
        decoder_start_token_id=ids["<|startoftranscript|>"],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = WhisperForConditionalGeneration(config).eval()
    one_second = first_timestamp + 50
    script = [first_timestamp, *map(tokenizer.token_to_id, words), one_second, end]
    at_position = [ids[f"<|{language}|>"], end, *script]
    with torch.no_grad():
        decoder = model.model.decoder
        for parameter in decoder.layers[0].parameters():
            parameter.zero_()
        embeddings = torch.nn.functional.normalize(torch.randn_like(decoder.embed_tokens.weight)) * 10
        decoder.embed_tokens.weight.copy_(embeddings)
        decoder.embed_positions.weight[: len(at_position)] = embeddings[at_position] * 20
    model.generation_config = GenerationConfig(
        suppress_tokens=[],
        begin_suppress_tokens=[end],
        lang_to_id={f"<|{code}|>": ids[f"<|{code}|>"] for code in LANGUAGES},
        decoder_start_token_id=ids["<|startoftranscript|>"],
    )
    source = folder / "transformers"
    model.save_pretrained(source)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    ).save_pretrained(source)
    WhisperFeatureExtractor().save_pretrained(source)
    converter = TransformersConverter(str(source), copy_files=["tokenizer.json", "preprocessor_config.json"])
    return Path(converter.convert(str(folder / says[:5].strip())))


@pytest.fixture(scope="module")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_whisper(tmp_path_factory.mktemp("whisper"), "hello world", "de")


@pytest.fixture(scope="module")
def sphinx() -> PocketSphinxTranscriber:
    pytest.importorskip("pocketsphinx")
    return PocketSphinxTranscriber()


def test_whisper_hears_what_its_weights_say_at_the_time_it_is_said(whisper_folder: Path, tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", np.concatenate([silence(3), talker(4), silence(3)]))
    transcriber = load_transcriber(str(whisper_folder))
    assert isinstance(transcriber, WhisperTranscriber)
    (segment,) = transcriber.transcribe(audio, None)
    assert segment.text == "hello world"
    assert segment.language == "de"
    assert segment.source == "speech recogniser"
    assert segment.start_seconds == pytest.approx(3.0, abs=0.6)
    assert segment.end_seconds - segment.start_seconds == pytest.approx(1.0, abs=0.1)
    assert segment.confidence is not None and 0.9 < segment.confidence <= 1.0


def test_whisper_takes_a_language_it_knows_and_detects_otherwise(whisper_folder: Path, tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", talker(4))
    transcriber = WhisperTranscriber(whisper_folder)
    assert {segment.language for segment in transcriber.transcribe(audio, "fr")} == {"fr"}
    assert {segment.language for segment in transcriber.transcribe(audio, "und")} == {"de"}


@pytest.mark.parametrize("sound", [tone, noise, silence, chords])
def test_whisper_is_not_asked_about_sounds_without_a_voice(whisper_folder: Path, tmp_path: Path, sound: object) -> None:
    assert callable(sound)
    audio = write_wav(tmp_path / "a.wav", sound(6))
    assert WhisperTranscriber(whisper_folder).transcribe(audio, None) == []


def test_whisper_text_that_repeats_itself_is_dropped(tmp_path: Path) -> None:
    loop = make_whisper(tmp_path, "la la la la la la la la la la la la la la la la la la la la", "en")
    audio = write_wav(tmp_path / "a.wav", talker(4))
    assert WhisperTranscriber(loop).transcribe(audio, None) == []


def test_whisper_runs_on_the_cpu_when_the_gpu_cannot_be_used(
    whisper_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has a GPU that works")
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    assert WhisperTranscriber(whisper_folder, "base").name == "faster-whisper base int8"
    assert "runs on the CPU" in caplog.text


def test_damaged_whisper_weights_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"not a model")
    with pytest.raises(PlayheadError, match="cannot be read") as told:
        load_transcriber(str(tmp_path))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("no_speech", "log_probability", "compression", "kept"),
    [
        (0.1, -0.3, 1.4, True),
        (0.9, -0.3, 1.4, True),
        (0.1, -1.5, 1.4, True),
        (0.9, -1.5, 1.4, False),
        (0.1, -0.3, 3.0, False),
    ],
)
def test_what_counts_as_speech(no_speech: float, log_probability: float, compression: float, kept: bool) -> None:
    assert is_speech(no_speech, log_probability, compression) is kept


def test_the_ladder_without_network_is_quick_and_ends_with_pocketsphinx(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert load_transcriber("small") is None
    assert load_transcriber("somebody/some-whisper") is None
    pytest.importorskip("pocketsphinx")
    last = load_transcriber("auto")
    assert last is not None and last.name == "PocketSphinx en-us"


def test_auto_steps_over_damaged_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("pocketsphinx")
    (tmp_path / "model.bin").write_bytes(b"not a model")
    monkeypatch.setattr("ingest.speech.find_weights", lambda name, patterns: tmp_path)
    transcriber = load_transcriber("auto")
    assert isinstance(transcriber, PocketSphinxTranscriber)
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("sound", [tone, noise, silence, chords])
def test_sounds_without_a_voice_give_no_words(sphinx: PocketSphinxTranscriber, tmp_path: Path, sound: object) -> None:
    assert callable(sound)
    assert sphinx.transcribe(write_wav(tmp_path / "a.wav", sound(6)), None) == []


def test_a_voice_is_found_where_it_is() -> None:
    spans = speech_spans(np.concatenate([tone(3), talker(4), silence(3)]))
    assert spans[0][0] / SAMPLES_PER_SECOND == pytest.approx(2.7, abs=0.5)
    assert spans[-1][1] / SAMPLES_PER_SECOND == pytest.approx(7.3, abs=0.5)


def test_another_language_is_not_read_as_english(sphinx: PocketSphinxTranscriber, tmp_path: Path) -> None:
    assert sphinx.transcribe(write_wav(tmp_path / "a.wav", talker(2)), "de") == []


def real_clip(path: str) -> Path:
    if not (DATA / path).is_file():
        pytest.skip(f"no real speech at {DATA / path}")
    return DATA / path


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
    (segment,) = sphinx.transcribe(decode_to_wav(real_clip(clip), tmp_path / "a.wav"), "en")
    assert segment.text == said
    assert segment.confidence is not None and segment.confidence > 0.8


@pytest.mark.slow
def test_word_error_rate_on_real_clips(sphinx: PocketSphinxTranscriber, tmp_path: Path) -> None:
    references = real_clip("speech/references.jsonl")
    wrong = words = 0
    for line in references.read_text().splitlines():
        clip = json.loads(line)
        audio = decode_to_wav(references.parent / clip["audio"], tmp_path / "clip.wav")
        heard = " ".join(segment.text for segment in sphinx.transcribe(audio, "en"))
        truth = comparable_words(clip["text"])
        wrong, words = wrong + word_errors(truth, comparable_words(heard)), words + len(truth)
    assert words == 112
    assert wrong / words < 0.31


@pytest.mark.slow
def test_real_speech_is_timed(sphinx: PocketSphinxTranscriber, tmp_path: Path) -> None:
    video = real_clip("media/auto-editor/example.mp4")
    segments = sphinx.transcribe(decode_to_wav(video, tmp_path / "a.wav"), None)
    assert (segments[0].text, segments[-1].text) == ("hello", "banana")
    assert segments[0].start_seconds == pytest.approx(0.1, abs=0.2)
    assert segments[-1].start_seconds == pytest.approx(39.97, abs=0.2)
    assert not [s for s in segments if 17.5 < s.start_seconds < 39.5], "the silent stretch has no words"


def decode_to_wav(source: Path, target: Path) -> Path:
    import av

    with av.open(str(source)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLES_PER_SECOND)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        frames += resampler.resample(None)
    return write_wav(target, np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]))


def word(text: str, start: float, end: float, probability: float = 0.9) -> HeardWord:
    return HeardWord(text, start, end, probability)


def test_segments_end_at_pauses() -> None:
    words = [word("one", 0.0, 0.5), word("two", 0.8, 1.0), word("three", 1.45, 2.0)]
    assert [segment.text for segment in segments_of_words(words)] == ["one two", "three"]


def test_long_segments_are_cut_at_their_longest_late_pause() -> None:
    words = [word(f"w{n}", n + (0.3 if n == 7 else 0.0), n + 0.95) for n in range(14)]
    first, second = segments_of_words(words)
    assert (first.text.split()[-1], second.text.split()[0]) == ("w6", "w7")
    assert max(s.end_seconds - s.start_seconds for s in (first, second)) <= 10.0


def test_one_word_longer_than_a_segment_stays_whole() -> None:
    assert [segment.text for segment in segments_of_words([word("om", 0.0, 12.0), word("end", 12.0, 12.5)])] == [
        "om",
        "end",
    ]


def test_a_segment_that_was_hardly_heard_is_left_out() -> None:
    assert segments_of_words([word("maybe", 0.0, 0.5, 0.2)]) == []
    (kept,) = segments_of_words([word("so", 0.0, 0.2, 0.2), word("banana", 0.2, 0.7, 0.8)])
    assert kept.confidence == pytest.approx(0.5)


def test_long_audio_is_read_in_blocks_cut_where_it_is_quiet(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = rng.integers(-9000, 9000, (BLOCK_SECONDS + 60) * SAMPLES_PER_SECOND, dtype=np.int16)
    quiet = (BLOCK_SECONDS - 12) * SAMPLES_PER_SECOND
    samples[quiet : quiet + SAMPLES_PER_SECOND] //= 100
    blocks = list(audio_blocks(write_wav(tmp_path / "a.wav", samples)))
    assert len(blocks) == 2
    assert quiet < blocks[1][0] * SAMPLES_PER_SECOND < quiet + SAMPLES_PER_SECOND
    assert np.array_equal(np.concatenate([block for _, block in blocks]), samples)


def test_an_empty_recording_has_no_segments(sphinx: PocketSphinxTranscriber, tmp_path: Path) -> None:
    assert sphinx.transcribe(write_wav(tmp_path / "a.wav", silence(0)), None) == []


def test_other_audio_formats_are_refused_with_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="16000 Hz.*44100"):
        list(audio_blocks(write_wav(tmp_path / "a.wav", silence(1), rate=44_100)))
