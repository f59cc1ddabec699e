"""Reads a question as its rules do: without invisible characters, and once more with masked letters put back."""

from __future__ import annotations

import re

from prompts.fencing import clean_text

QUOTES = str.maketrans({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})
LEET = str.maketrans("013457@$", "oieastas")
# Letters of other scripts that look like Latin ones.
LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁһԛԝкмтвнАЕОРСУХІЈЅКМТВНαοερτυκνι", "aeopcyxijsdhqwkmtbhAEOPCYXIJSKMTBHaoeptukvi"
)
MASKED_WORD = re.compile(r"(?<![\w@$])(?=[\w@$]*[a-z])(?=[\w@$]*[013457@$])[\w@$]+", re.IGNORECASE)
MEASURE = re.compile(r"\d+\w{0,2}|\w\d+|mp[34]|covid\w*", re.IGNORECASE)  # 50mm, 1st, 3D, C4, mp3
MIXED_WORD = re.compile(r"\b(?=\w*[a-z])(?=\w*[а-яіјѕԁһԛԝα-ω])\w+\b", re.IGNORECASE)
# Letters set apart: k i l l, k.i.l.l; the same separator throughout.
SPACED_WORD = re.compile(r"(?<!\w)[a-z]([ .*_-])[a-z](?:\1[a-z]){1,}(?!\w)", re.IGNORECASE)
MIN_MASKED_WORDS_FOR_LONE_DIGITS = 2


def readings(question: str) -> tuple[str, ...]:
    """The question cleaned and, when something in it looks masked, once more as it was meant."""
    plain = clean_text(question).translate(QUOTES)
    meant = unmasked(plain)
    return (plain,) if meant == plain else (plain, meant)


def unmasked(text: str) -> str:
    """The text with digits, letters of other scripts and gaps that stand for Latin letters put right."""
    text = MIXED_WORD.sub(lambda word: word[0].translate(LOOK_ALIKES), text)
    text = SPACED_WORD.sub(lambda word: word[0].replace(word[1], ""), text)
    masked = [word for word in MASKED_WORD.findall(text) if not MEASURE.fullmatch(word)]
    if not masked:
        return text
    text = MASKED_WORD.sub(lambda word: word[0] if MEASURE.fullmatch(word[0]) else word[0].translate(LEET), text)
    if len(masked) >= MIN_MASKED_WORDS_FOR_LONE_DIGITS:
        text = re.sub(r"(?<!\S)[14](?!\S)", lambda digit: digit[0].translate(LEET), text)
    return text
