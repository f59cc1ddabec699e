"""What a question says, whatever courtesies it is wrapped in: the form by which two questions are taken for the same."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.bm25 import STOP_WORDS, stem, tokenize

# Least cosine by MiniLM, courtesies left out, of two questions of one form that are taken for the same. One form and
# another meaning have words that share a stem: of such pairs the nearest has 0.80 ("who is the marketer", "the market"),
# while rewordings of one form have 0.88 and more.
SAME_MEANING = 0.85

COURTESY = re.compile(
    r"^(?:please|okay|ok|hi|hello|hey|so|well|and|now|then)\b[\s,.!]*"
    r"|^(?:can|could|would|will) you (?:please )?(?:tell|explain|show|say|describe|remind)(?: to)?(?: me| us)?\b"
    r"|^(?:tell|remind)(?: me| us)\b|^(?:do|does) (?:you|anyone|anybody|someone|somebody) know\b"
    r"|^i(?:'d| would) (?:like|love) to (?:know|learn|hear|understand)\b|^i (?:want|need) to (?:know|learn)\b"
    r"|^i(?:'m| am) (?:wondering|curious)\b|^i wonder\b"
    r"|^(?:in|according to|from) (?:the|this|these|my) videos?,"
    r"|\b(?:in|according to|from) (?:the|this|these|my) videos?\W*$|\b(?:please|thanks|thank you)\W*$",
    re.IGNORECASE,
)
APOSTROPHE_IS = re.compile(r"\b(what|who|where|when|how|why|that|there)['’]s\b", re.IGNORECASE)
SAYS_NOTHING = frozenset(["a", "an", "the", "do", "does", "s"])
# Where these stand depends on whether a question is asked outright ("what is it") or within another ("tell me what it is").
HELPERS = {
    "is": "is",
    "are": "is",
    "was": "was",
    "were": "was",
    "did": "did",
    "has": "has",
    "have": "has",
    "had": "had",
}


@dataclass(frozen=True, slots=True)
class Form:
    """What a question says, without courtesies and articles: its words in their order, and its helping verbs.

    Words of content are stemmed; question words, negations, prepositions and numbers stand as they are.
    """

    words: tuple[str, ...]
    helpers: frozenset[str]


def without_courtesies(question: str) -> str:
    """The question without what is only said to be polite; as it is where nothing else is left."""
    plain = APOSTROPHE_IS.sub(r"\1 is", question).strip()
    while (shorter := COURTESY.sub("", plain).strip()) != plain:
        if not tokenize(shorter):
            break
        plain = shorter
    return plain


def question_form(question: str) -> Form:
    """The form of a question; two questions of one form ask the same but for words that share a stem."""
    plain = without_courtesies(question)
    tokens = [token for token in tokenize(plain) if token not in SAYS_NOTHING] or tokenize(plain)
    words = tuple(token if token in STOP_WORDS else stem(token) for token in tokens if token not in HELPERS)
    return Form(words, frozenset(HELPERS[token] for token in tokens if token in HELPERS))
