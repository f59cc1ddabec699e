"""Sound from media files: one channel or two, on the clock of the video."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import SOUND_RATE, Caption, CaptionStream, Scene, make_clip, silence, tone
from numpy.typing import NDArray

from ingest import sound_track
from ingest.media import DecodedMedia, decode_media
from ingest.media_clock import Clock
from ingest.sound_track import Likeness, SoundTrack


def turns(first: int) -> NDArray[np.int16]:
    """Six seconds in which one of two people speaks every other second."""
    parts = [tone(1, 300 + 100 * first) if second % 2 == first else silence(1) for second in range(6)]
    return np.concatenate(parts)


def samples_of(media: DecodedMedia) -> NDArray[np.int16]:
    """(n, channels)."""
    assert media.audio_path
    with wave.open(str(media.audio_path)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (SOUND_RATE, 2)
        assert file.getnchannels() == media.audio_channels
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, file.getnchannels())


def noise(seed: int, seconds: float = 3) -> NDArray[np.int16]:
    return np.random.default_rng(seed).normal(0, 3000, round(seconds * SOUND_RATE)).astype(np.int16)


@pytest.mark.parametrize(
    ("name", "left", "right", "channels"),
    [
        ("an interview", turns(0), turns(1), 2),
        ("two noises", noise(1), noise(2), 2),
        ("one microphone on both", tone(3), tone(3), 1),
        ("louder on one side", tone(3), tone(3) // 3, 1),
        ("a wide recording of one thing", noise(1), (0.95 * noise(1) + 0.3 * noise(2)).astype(np.int16), 1),
        ("opposite phase", tone(3), -tone(3), 1),
        ("one side silent", tone(3), silence(3), 1),
        ("silence", silence(3), silence(3), 1),
    ],
)
def test_two_channels_are_kept_where_they_differ(
    tmp_path: Path, name: str, left: NDArray[np.int16], right: NDArray[np.int16], channels: int
) -> None:
    path = make_clip(tmp_path / "talk.wav", sound=np.stack([left, right]), audio_codec="pcm_s16le")
    media = decode_media(path, tmp_path / "work")
    samples = samples_of(media)
    assert media.audio_channels == channels, name
    assert len(samples) / SOUND_RATE == pytest.approx(len(left) / SOUND_RATE, abs=0.01)
    if channels == 2:
        assert np.abs(samples[:, 0].astype(int) - left).max() <= 2
        assert np.abs(samples[:, 1].astype(int) - right).max() <= 2
    elif name != "silence":
        assert np.abs(samples.astype(int)).mean() >= 0.4 * np.abs(left.astype(int)).mean(), "the channels cancelled out"


def test_who_speaks_when_stays_on_the_clock_of_the_video(tmp_path: Path) -> None:
    sound = np.stack([turns(0), turns(1)])
    path = make_clip(tmp_path / "talk.mkv", [Scene(9, 1)], sound=sound, sound_start_seconds=2.0, audio_codec="flac")
    samples = samples_of(decode_media(path, tmp_path / "work")).astype(int)
    loud = np.abs(samples[: 8 * SOUND_RATE].reshape(8, SOUND_RATE, 2)).mean(axis=1) > 2000
    assert loud.tolist() == [[False, False]] * 2 + [[True, False], [False, True]] * 3


@pytest.mark.parametrize(("limit", "value"), [("LISTEN_SAMPLES", SOUND_RATE), ("MAX_STEREO_BYTES", 3 * SOUND_RATE)])
def test_long_sound_is_folded_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    """As the child does it, in this process: what comes before and after the fold joins on."""
    import av

    monkeypatch.setattr(sound_track, limit, value)
    monkeypatch.setattr(sound_track, "FOLD_BLOCK_SAMPLES", 700)
    right = tone(4) if limit == "LISTEN_SAMPLES" else noise(1, 4) // 2
    path = make_clip(tmp_path / "a.wav", sound=np.stack([tone(4), right]), audio_codec="pcm_s16le")
    with av.open(str(path)) as container:
        track = SoundTrack(container.streams.audio[0], Clock(0.0, 100.0), tmp_path / "audio.wav")
        for packet in container.demux():
            if packet.size:
                track.take(packet)
        track.finish()
    assert (track.channels, track.written) == (1, 4 * SOUND_RATE)
    with wave.open(str(tmp_path / "audio.wav")) as file:
        assert (file.getnchannels(), file.getnframes()) == (1, 4 * SOUND_RATE)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(int)
    assert np.abs(samples - (tone(4).astype(int) + right) // 2).max() <= 2


def test_likeness_of_nothing_heard_is_the_same() -> None:
    assert Likeness().is_same


def test_the_language_of_the_sound_is_told(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", sound=tone(1), sound_language="ger")
    assert decode_media(path, tmp_path / "german").audio_language == "de"
    assert decode_media(make_clip(tmp_path / "b.mkv", sound=tone(1)), tmp_path / "untold").audio_language is None


def test_embedded_tracks_say_what_they_are(tmp_path: Path) -> None:
    import av

    kinds: dict[str, Any] = {
        "partial": av.stream.Disposition.forced,
        "described": av.stream.Disposition.descriptions,
        "whole": av.stream.Disposition.default | av.stream.Disposition.hearing_impaired,
    }
    tracks = [
        CaptionStream("subrip", [Caption(1, 2, f"This one is {name}")], language, int(disposition))
        for (name, disposition), language in zip(kinds.items(), ("eng", "fre", "ger"), strict=True)
    ]
    media = decode_media(make_clip(tmp_path / "a.mkv", [Scene(3, 1)], tracks=tracks), tmp_path / "work")
    assert [(t.segments[0].text, t.language, t.kind, t.is_partial) for t in media.subtitles] == [
        ("This one is whole", "de", "captions", False),
        ("This one is described", "fr", "descriptions", False),
        ("This one is partial", "en", "captions", True),
    ]
