"""The numbers of a text, whether it writes them in digits or, as a recogniser hears them, in English words."""

from __future__ import annotations

import re
from functools import lru_cache

from text_to_num import alpha2digit

NUMBER = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
# "seventeen forty five", "nineteen oh five": a year as it is read out.
SPOKEN_YEAR = re.compile(r"\b(1\d|20) (?:(?:oh|o|0) (\d)|([1-9]\d))\b")
# "one point five million", "3 billion".
SCALED = re.compile(r"\b(\d+(?:\.\d+)?) (?:(1000|1000000|1000000000)\b|(thousand|million|billion)\b)")
SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9}
# A question that asks for one. "How long did it take" may be answered by a number or not; both are quoted.
ASKED = re.compile(
    r"\b(?:when|how (?:many|much|long|old|far|large|big|tall|high|deep|fast|heavy|often)"
    r"|(?:what|which) (?:year|date|day|month|decade|century|percent\w*|number|age|population|price|time))\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def numbers_in(text: str) -> frozenset[str]:
    """Every number of the text in digits, years read out in two halves and thousands, millions and billions joined too."""
    digits = alpha2digit(text, "en")
    found = {_plain(match[0].replace(",", "")) for match in NUMBER.finditer(digits)}
    found |= {match[1] + (f"0{match[2]}" if match[2] else match[3]) for match in SPOKEN_YEAR.finditer(digits)}
    for match in SCALED.finditer(digits):
        scale = float(match[2]) if match[2] else SCALES[match[3]]
        found.add(_plain(f"{float(match[1]) * scale:.6f}"))
    return frozenset(found)


def asks_for_number(question: str) -> bool:
    """Whether a question asks for a number or a date."""
    return bool(ASKED.search(question))


def _plain(number: str) -> str:
    """The number without what does not change its value."""
    return (number.rstrip("0").rstrip(".") if "." in number else number).lstrip("0") or "0"
