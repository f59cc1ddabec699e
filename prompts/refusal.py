"""Tells from a reply's first sentence that a model declined to answer, which is no answer whatever it cites."""

from __future__ import annotations

import re

from prompts.draft import DraftSentence

# An answer may well begin with "Unfortunately" or quote an "I"; it never speaks of what the model can or may do.
REFUSAL = re.compile(
    r"(?:(?:i['’]?m|i am|my|i apologi[sz]e)?\s*(?:so |very |really )?(?:sorry|afraid|apologies)?[,.!;:]*\s*(?:but |that )?)?"
    r"(?:i\s+(?:can(?:['’]t|not| not)|could(?:n['’]t| not)|won['’]t|will not|do not|don['’]t|am (?:not able|unable) to"
    r"|(?:must|have to) decline(?: to)?|decline(?: to)?)\s+(?:be able to\s+)?"
    r"(?:help|assist|answer|provide|comply|fulfil|discuss|engage|support|do (?:that|this)|share|give|respond|continue"
    r"|feel comfortable|create|generate|write)"
    r"|i['’]?m\s+(?:not able|unable)\s+to\b"
    r"|as an? (?:ai|language model|assistant|artificial)\b"
    r"|(?:this|that|your) (?:request|question) (?:violates|goes against|is against|cannot be answered))",
    re.IGNORECASE,
)
BARE_APOLOGY = re.compile(r"(?:i['’]?m|i am)\s+(?:so |very |really )?sorry\b(?:[,.!]|\s+but\b|\s*$)", re.IGNORECASE)


def is_refusal(sentence: DraftSentence) -> bool:
    """Whether the sentence refuses; asked of the first one."""
    if sentence.numbers and sentence.text.lstrip().startswith(("“", '"', "„", "«")):
        return False  # it quotes somebody
    text = sentence.text.strip("\"“”'* ")
    return bool(REFUSAL.match(text) or (BARE_APOLOGY.match(text) and not sentence.numbers))
