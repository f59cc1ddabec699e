"""Masks e-mail addresses, phone numbers, payment cards and names in what is shown and in what a model endpoint is sent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ingest.schema import Moment, Video
from retrievers.evidence import Evidence, SearchResult
from retrievers.planned_search import PlannedResult

KINDS = ("e-mail", "phone", "card", "name")
PLACEHOLDER = re.compile(rf"‹({'|'.join(KINDS)})›")
# What a text cannot be without: of a span that goes on in the next piece, the next piece keeps this.
GONE = "…"

EMAIL = re.compile(
    r"\b[\w.+%-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}\b"
    # As it is heard: "jane dot doe at example dot org".
    r"|\b[\w-]+(?: dot [\w-]+)* at [\w-]+(?: dot [\w-]+)* dot (?:com|org|net|edu|gov|io|info|eu|de|fr|uk|ch|at|nl|es|it|ca|in)\b",
    re.IGNORECASE,
)
CARD = re.compile(r"(?<![\d.-])[2-6](?:[ -]?\d){12,18}(?![\d-])")
# Local numbers are read as those of North America and of Britain, which between them take the local form of every region.
PHONE_REGIONS = ("US", "GB")
# Of those, what has no sign of a telephone (+, 0 or a bracket first, 555-0199) needs more digits than counts and years do:
# of the library's example numbers all are masked in international form (489), 304 in local form; in 34 hours of lectures nothing is.
MIN_PHONE_DIGITS, MIN_UNSIGNED_DIGITS = 7, 9
PHONE_SIGN = re.compile(r"[+0(＋]|\d{3}[-.]\d{4}\b")
NO_PHONE = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}|\d+\.\d+|\d{1,2}([ /.-])\d{1,2}\1\d{2,4}|(?:(?:1[0-9]|20)\d\d\W*)+|(?:\d{1,2} )+\d{1,2}"
)

CAPITALISED = r"[^\W\d_a-zß-öø-ÿ][\w'’-]+"
NAME = rf"{CAPITALISED}(?:(?: (?:de|da|di|van|von|der|den|bin|al|el|la|le|[A-Z]\.))* {CAPITALISED}){{0,2}}"
TITLED = re.compile(rf"\b(?:Mr|Mrs|Ms|Mx|Miss|Dr|Prof|Professor|Doctor|Sir|Dame|Herr|Frau|Monsieur|Madame)\.? ({NAME})")
INTRODUCED = re.compile(
    rf"(?i:\b(?:my name is|my name's|i am called|i'm|i am|mein name ist|ich heiße|je m'appelle|me llamo)) "
    rf"({CAPITALISED}(?: {CAPITALISED}){{1,2}})"
    rf"|(?i:\b(?:my name is|my name's|i am called|mein name ist|ich heiße|je m'appelle|me llamo)) ({CAPITALISED})"
)
MIN_NAME_PART = 3

Found = tuple[int, int, str]
Result = TypeVar("Result", bound=SearchResult)


@dataclass(frozen=True, slots=True)
class Masker:
    """Masks the given kinds; `names` are masked wherever they stand, whole and each part of them."""

    kinds: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = self.kinds - set(KINDS)
        if unknown:
            raise ValueError(f"there is nothing to mask called {min(unknown)!r}, known are {', '.join(KINDS)}")

    def text(self, text: str) -> str:
        """The text with a placeholder such as ‹e-mail› for each value."""
        return self.texts([text])[0]

    def texts(self, texts: Sequence[str]) -> list[str]:
        """Neighbouring texts, in which a number may begin in one and end in the next."""
        if not self.kinds:
            return list(texts)
        masked, offset = [], 0
        spans = list(self._spans(" ".join(texts)))
        for text in texts:
            masked.append(_cut(text, offset, spans))
            offset += len(text) + 1
        return masked

    def evidence(self, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
        """Moments and titles masked; numbers, times, ids, paths and links stay as they are."""
        if not self.kinds:
            return tuple(evidence)
        knowing = self.knowing(evidence)
        return tuple(
            replace(item, moment=knowing.moment(item.moment), video=knowing.video(item.video)) for item in evidence
        )

    def result(self, result: Result) -> Result:
        """What a search found, masked."""
        masked = replace(result, evidence=self.evidence(result.evidence))
        if isinstance(masked, PlannedResult):
            counts = tuple(replace(one, video=self.video(one.video)) for one in masked.counts)
            masked = replace(masked, counts=counts)
        return masked

    def knowing(self, evidence: Sequence[Evidence]) -> Masker:
        """This masker with the names that are introduced anywhere in the evidence."""
        if "name" not in self.kinds:
            return self
        told = (told for item in evidence for told in introduced_names(item.moment.speech))
        speakers = (segment.speaker for item in evidence for segment in item.moment.transcript)
        people = (speaker for speaker in speakers if speaker and re.fullmatch(NAME, speaker))
        return replace(self, names=tuple(dict.fromkeys((*self.names, *told, *people))))

    def moment(self, moment: Moment) -> Moment:
        said = self.texts([segment.text for segment in moment.transcript])
        shown = self.texts([line.text for line in moment.screen_text])
        return replace(
            moment,
            transcript=tuple(replace(one, text=text) for one, text in zip(moment.transcript, said, strict=True)),
            screen_text=tuple(replace(one, text=text) for one, text in zip(moment.screen_text, shown, strict=True)),
            description=self.text(moment.description),
            chapter=self.text(moment.chapter),
        )

    def video(self, video: Video) -> Video:
        return replace(video, title=self.text(video.title), tags=tuple(self.text(tag) for tag in video.tags))

    def _spans(self, text: str) -> Iterator[Found]:
        """What is to be masked, from left to right, none over another."""
        finders = {"e-mail": _emails, "card": _cards, "phone": _phones, "name": self._named}
        found = [(*span, kind) for kind, find in finders.items() if kind in self.kinds for span in find(text)]
        end = 0
        for start, stop, kind in sorted(found, key=lambda one: (one[0], -one[1])):
            if start >= end:
                yield start, stop, kind
                end = stop

    def _named(self, text: str) -> Iterator[tuple[int, int]]:
        names = [*self.names, *introduced_names(text)]
        parts = {part for name in names for part in name.split() if len(part) >= MIN_NAME_PART and part[0].isupper()}
        parts.update(names)
        if parts:
            longest_first = "|".join(re.escape(part) for part in sorted(parts, key=len, reverse=True))
            for match in re.finditer(rf"\b(?:{longest_first})(?: (?:{longest_first}))*\b", text):
                yield match.span()


def introduced_names(text: str) -> list[str]:
    """The names after a title such as Dr, and those with which somebody introduces themselves."""
    titled = [match[1] for match in TITLED.finditer(text)]
    return titled + [match[1] or match[2] for match in INTRODUCED.finditer(text)]


def masked_counts(texts: Iterable[str]) -> dict[str, int]:
    """How many values of each kind are masked in what is shown."""
    counts = Counter(match[1] for text in texts for match in PLACEHOLDER.finditer(text))
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def _emails(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in EMAIL.finditer(text))


def _cards(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in CARD.finditer(text) if luhn_holds(match[0]))


def luhn_holds(number: str) -> bool:
    """Whether the check digit of a card number is right (ISO/IEC 7812-1)."""
    digits = [int(digit) for digit in reversed(number) if digit.isdigit()]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def _phones(text: str) -> Iterator[tuple[int, int]]:
    import phonenumbers

    for region in PHONE_REGIONS:
        for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=phonenumbers.Leniency.POSSIBLE):
            if looks_like_phone(match.raw_string):
                yield match.start, match.end


def looks_like_phone(number: str) -> bool:
    """Whether a possible number is not rather an address, a decimal, a date, a run of years or a count."""
    digits = sum(character.isdigit() for character in number)
    enough = MIN_PHONE_DIGITS if PHONE_SIGN.match(number) else MIN_UNSIGNED_DIGITS
    return digits >= enough and not NO_PHONE.fullmatch(number)


def _cut(text: str, offset: int, spans: Sequence[Found]) -> str:
    """One of several joined texts, which begins at `offset`, with its spans replaced."""
    masked, done = "", 0
    for start, stop, kind in ((start - offset, stop - offset, kind) for start, stop, kind in spans):
        if start < len(text) and stop > 0:
            masked += text[done : max(start, 0)] + (f"‹{kind}›" if start >= 0 else "")
            done = min(stop, len(text))
    masked += text[done:]
    return masked if masked.strip() or not text.strip() else GONE
