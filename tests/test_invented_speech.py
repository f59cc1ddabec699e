"""What Whisper invents: truth tables."""

from __future__ import annotations

import pytest

from ingest.invented_speech import INVENTED_PHRASES, is_invented_phrase, is_speech


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


@pytest.mark.parametrize(
    ("text", "no_speech", "confidence", "invented"),
    [
        ("Thanks for watching!", 0.5, 0.9, True),
        ("Thanks for watching!", 0.1, 0.4, True),
        ("Thanks for watching!", 0.1, 0.9, False),
        ("Thank you for watching the pot while I was away.", 0.5, 0.4, False),
        ("Untertitel der Amara.org-Community", 0.5, 0.9, True),
        ("Untertitelung des ZDF, 2020", 0.5, 0.9, True),
        ("Sous-titrage ST' 501", 0.5, 0.9, True),
        ("Субтитры создавал DimaTorzok", 0.5, 0.9, True),
        ("ご視聴ありがとうございました。", 0.5, 0.9, True),
        ("Subtitles by the Amara.org community", 0.1, 0.9, False),
        ("Subtitles by hand take an hour for each minute, and that is why we let a machine do it", 0.5, 0.4, False),
        ("The bees dance.", 0.5, 0.4, False),
        ("", 0.9, 0.1, False),
    ],
)
def test_phrases_are_dropped_only_where_nobody_seems_to_speak(
    text: str, no_speech: float, confidence: float, invented: bool
) -> None:
    assert is_invented_phrase(text, no_speech, confidence) is invented


def test_every_phrase_is_found() -> None:
    assert all(phrase == phrase.strip() and is_invented_phrase(phrase, 0.9, 0.1) for phrase in INVENTED_PHRASES)
