"""What Whisper writes down although nobody said it: noise read as words, loops, and the last lines of subtitle files."""

from __future__ import annotations

import re

# Whisper's own limits (openai/whisper, transcribe.py): a segment is noise, or repeats itself above the ratio.
MAX_NO_SPEECH_PROBABILITY = 0.6
MIN_AVERAGE_LOG_PROBABILITY = -1.0
MAX_COMPRESSION_RATIO = 2.4

# A phrase that subtitles end with is dropped already at these: people do say "Thank you".
MAX_NO_SPEECH_PROBABILITY_OF_PHRASE = 0.3
MIN_CONFIDENCE_OF_PHRASE = 0.5
# What Whisper is known to write over silence and music (lists in its issues, and Baranski et al. 2025, "Investigation of
# Whisper ASR hallucinations induced by non-speech audio"), in lower case, without punctuation.
INVENTED_PHRASES = frozenset(
    """thank you|thank you very much|thank you so much|thank you for watching|thanks for watching|thank you for listening
    |please subscribe|please subscribe to my channel|like and subscribe|see you next time|see you in the next video|you
    |bye|bye bye|vielen dank|vielen dank fürs zuschauen|bis zum nächsten mal|merci|merci d avoir regardé cette vidéo
    |gracias|gracias por ver el video|obrigado|obrigado por assistir|grazie|grazie per la visione
    |bedankt voor het kijken|dziękuję za uwagę|продолжение следует|спасибо за просмотр|ご視聴ありがとうございました
    |请不吝点赞 订阅 转发 打赏支持明镜与点点栏目|시청해주셔서 감사합니다|구독과 좋아요 부탁드립니다
    |izlediğiniz için teşekkür ederim""".replace("\n    ", "").split("|")
)
# Credits of whoever made the subtitles: nobody says them.
CREDIT = re.compile(
    r"amara org|opensubtitles|^(sub)?(titles|captions|transcription|transcribed|translated) by|^untertitel(ung)?\b"
    r"|^sous titr(es|age)|^subt[ií]tul(os|ado) por|^sottotitoli|^legendas|^ondertitel|^napisy|^субтитры|^редактор субтитров"
    r"|^字幕|^mbc 뉴스|^altyazı"
)
MAX_CREDIT_WORDS = 12


def is_speech(no_speech_probability: float, average_log_probability: float, compression_ratio: float) -> bool:
    """Whether a Whisper segment is something heard, rather than words invented over noise or repeated in a loop."""
    invented = (
        no_speech_probability > MAX_NO_SPEECH_PROBABILITY and average_log_probability < MIN_AVERAGE_LOG_PROBABILITY
    )
    return not invented and compression_ratio <= MAX_COMPRESSION_RATIO


def is_invented_phrase(text: str, no_speech_probability: float, confidence: float) -> bool:
    """Whether a whole segment is a phrase that Whisper invents, and its own figures doubt that anybody spoke."""
    doubted = no_speech_probability > MAX_NO_SPEECH_PROBABILITY_OF_PHRASE or confidence < MIN_CONFIDENCE_OF_PHRASE
    words = re.sub(r"[^\w\s]|_", " ", text.lower()).split()
    phrase = " ".join(words)
    is_credit = len(words) <= MAX_CREDIT_WORDS and CREDIT.search(phrase) is not None
    return doubted and (is_credit or phrase in INVENTED_PHRASES)
