"""Fences untrusted text for a prompt: cleaned, capped, defused, marked word by word, between lines it cannot forge."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

# Datamarking, the middle way of spotlighting (Hines et al. 2024, arXiv:2403.14720): a mark before every word tells the
# model, all along the text, that it reads data. The paper's caret stands in formulas; the broken bar is rare.
MARK = "¦"
# A longer run without a space (an address, base64, a language written without spaces) is marked inside too.
MAX_UNMARKED_CHARACTERS = 24

# What only a prompt of ours may hold: citation marks, tags, chat tokens such as <|im_start|> and [INST].
STAND_INS = str.maketrans(
    {
        MARK: "|",
        **dict.fromkeys("[【〔〖", "⟦"),
        **dict.fromkeys("]】〕〗", "⟧"),
        **dict.fromkeys("<〈", "‹"),
        **dict.fromkeys(">〉", "›"),
    }
)
ROLE_LABEL = re.compile(
    r"\b(system|assistant|developer|user|human|evidence|question|instructions?)(\s?\d*)\s*:", re.IGNORECASE
)

# Letters and marks that draw nothing, which Unicode does not class as format characters.
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
REPLACEMENT = "\ufffd"
# NFKC would turn 10² into 102 and 3½ into 31⁄2.
NOT_NUMERIC_FORMS = re.compile(r"[^²³¹⁰⁴-⁹₀-₉¼-¾⅐-⅞]+")


def clean_text(text: str) -> str:
    """One line of NFKC text: white space joined; control, format, invisible and private characters removed.

    Removed are the zero-width and bidi characters, the tag characters and the variation selectors that smuggle text
    past a reader's eyes. Lone surrogates become U+FFFD.
    """
    # Twice: NFKC can bring out a character of the first kind, and removing one can bring out a new composition.
    for _ in range(2):
        text = NOT_NUMERIC_FORMS.sub(lambda run: unicodedata.normalize("NFKC", run[0]), visible_text(text))
    return " ".join(text.split())


def visible_text(text: str) -> str:
    """The text without what nobody can see, its line breaks kept."""
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() or character == "\n" else " "
    category = unicodedata.category(character)
    if category == "Cs":
        return REPLACEMENT
    if category == "Cc":
        return " "
    variation_selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    hidden = category in ("Cf", "Co", "Cn") or variation_selector or character in INVISIBLE
    return "" if hidden else character


def defuse(text: str) -> str:
    """Clean text in which nothing looks like our citations, tags, chat tokens or role labels."""
    return ROLE_LABEL.sub(r"\1\2 -", text.translate(STAND_INS))


def datamark(text: str) -> str:
    """The text with a mark before every word, none of them longer than MAX_UNMARKED_CHARACTERS; empty stays empty."""
    pieces = [
        word[start : start + MAX_UNMARKED_CHARACTERS]
        for word in text.split()
        for start in range(0, len(word), MAX_UNMARKED_CHARACTERS)
    ]
    return "".join(MARK + piece for piece in pieces)


def unmarked(text: str) -> str:
    """What a model copied from marked text, as people write it."""
    return text.replace(MARK, " ")


@dataclass(frozen=True, slots=True)
class Fence:
    """One prompt's fence; its boundary is drawn anew for every prompt, so that no video can have foreseen it."""

    boundary: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{8,}", self.boundary):
            raise ValueError(f"a boundary is at least 8 hexadecimal digits, got {self.boundary!r}")

    def text(self, untrusted: str, max_characters: int) -> str:
        """The untrusted text as one marked line of at most `max_characters` before marking, without the boundary."""
        # Cut before and after: normalising is bounded work, and one character can become eighteen.
        cleaned = defuse(clean_text(untrusted[: 2 * max_characters]))[:max_characters]
        return re.sub(self.boundary, "-", datamark(cleaned), flags=re.IGNORECASE)

    def block(self, name: str, fields: Mapping[str, tuple[str, int]]) -> str:
        """Named lines between BEGIN and END lines; `fields` gives each label its untrusted text and its cap."""
        lines = {label: self.text(text, limit) for label, (text, limit) in fields.items()}
        body = [f"{label}: {line}" for label, line in lines.items() if line]
        return "\n".join([f"{name} BEGIN {self.boundary}", *body, f"{name} END {self.boundary}"])
