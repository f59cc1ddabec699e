"""What a search may return: conditions on videos and on the words of their moments, with counts of what each removed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Protocol, TypeVar

from ingest.bm25 import fold
from ingest.index import Scope
from ingest.schema import Moment, Video

UNKNOWN = "unknown"  # among the languages: a video whose language nobody knows
# Words end at white space and punctuation (ASCII, Latin-1, Arabic, Hindi, general, CJK), not at vowel signs.
WORD = re.compile(
    r"[^\s!-/:-@\[-`{-~\u00a0-\u00bf\u060c\u061b\u061f\u06d4\u0964\u0965\u2000-\u206f\u3000-\u3004\u3008-\u303f]+"
)
# Thai to Khmer, kana, Han, Hangul: written without spaces, so a term of theirs is found inside of what seems one word.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
ISO_DAY = re.compile(r"(\d{4})(?:-?(\d\d))?(?:-?(\d\d))?(?!\d)")


class Placed(Protocol):
    """Anything that names a moment and its video: a candidate, or evidence."""

    @property
    def moment(self) -> Moment: ...

    @property
    def video(self) -> Video: ...


P = TypeVar("P", bound=Placed)


class Terms:
    """Words and phrases to look for, without regard to case, accents and punctuation; only whole words match."""

    def __init__(self, terms: Iterable[str]) -> None:
        """`ValueError` for a term without a letter or digit, which would be found nowhere."""
        self._words: set[str] = set()
        self._phrases: dict[str, list[str]] = {}
        self._unspaced: list[str] = []
        for term in terms:
            words = WORD.findall(fold(term))
            if not words:
                raise ValueError(f"holds {term!r}, which has no letter or digit. Take it out.")
            if UNSPACED.search(term):
                self._unspaced.append(fold(term).strip())
            elif len(words) == 1:
                self._words.add(words[0])
            else:
                self._phrases.setdefault(words[0], []).append(f" {' '.join(words)} ")

    def are_in(self, text: str) -> bool:
        """Whether the text holds any of them."""
        folded = fold(text)
        words = WORD.findall(folded)
        if not self._words.isdisjoint(words):
            return True
        begun = [phrase for word in self._phrases.keys() & set(words) for phrase in self._phrases[word]]
        line = f" {' '.join(words)} " if begun else ""
        return any(phrase in line for phrase in begun) or any(term in folded for term in self._unspaced)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a video and its moment must meet to be returned; what is None or empty forbids nothing.

    Tags and languages are compared without regard to case; `en` stands for `en-GB` too. `published` days are the first
    and the last one allowed, and a video without a date passes only with `keep_undated`.
    """

    min_seconds: float | None = None
    max_seconds: float | None = None
    tags_allowed: frozenset[str] = frozenset()
    tags_denied: frozenset[str] = frozenset()
    languages_allowed: frozenset[str] = frozenset()
    languages_denied: frozenset[str] = frozenset()
    published_from: date | None = None
    published_to: date | None = None
    keep_undated: bool = False
    profanity: Terms | None = None
    blocked_terms: Terms | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The conditions that hold for everybody, and those that a tenant adds; `warning` says why newer ones do not hold yet."""

    common: Conditions = field(default_factory=Conditions)
    tenants: Mapping[str, Conditions] = field(default_factory=dict)
    warning: str = ""


def apply_rules(rules: Rules, tenant: str, candidates: Sequence[P]) -> tuple[list[P], Counter[str]]:
    """The candidates that every rule allows, in their order, and how many each rule removed.

    What several rules forbid is counted for the first of them, so that the counts add up.
    """
    kept: list[P] = []
    removed: Counter[str] = Counter()
    for candidate in candidates:
        broken = next(broken_rules(rules, tenant, candidate.video, candidate.moment), None)
        if broken is None:
            kept.append(candidate)
        else:
            removed[broken] += 1
    return kept, removed


def allowed_videos(rules: Rules, tenant: str, videos: Iterable[Video]) -> list[Video]:
    """The videos that may be returned; single moments of them may still be forbidden."""
    return [video for video in videos if next(broken_rules(rules, tenant, video), None) is None]


def narrowed(rules: Rules, scope: Scope, videos: Iterable[Video]) -> Scope | None:
    """The scope without the videos that the rules forbid, None where they leave none; `videos` are all of the tenant."""
    wanted = set(scope.video_ids)
    inside = [video for video in videos if not wanted or video.video_id in wanted]
    allowed = tuple(video.video_id for video in allowed_videos(rules, scope.tenant, inside))
    if len(allowed) == len(inside):
        return scope
    return replace(scope, video_ids=allowed) if allowed else None


def broken_rules(rules: Rules, tenant: str, video: Video, moment: Moment | None = None) -> Iterator[str]:
    """The names of the rules that forbid a moment, or a video as a whole: their places in the file, as `tags.deny`."""
    yield from _broken(rules.common, video, moment)
    if tenant in rules.tenants:
        for name in _broken(rules.tenants[tenant], video, moment):
            yield f"tenants.{tenant}.{name}"


def _broken(conditions: Conditions, video: Video, moment: Moment | None) -> Iterator[str]:
    if conditions.min_seconds is not None and video.duration_seconds < conditions.min_seconds:
        yield "length.min_seconds"
    if conditions.max_seconds is not None and video.duration_seconds > conditions.max_seconds:
        yield "length.max_seconds"
    tags = {fold(tag.strip()) for tag in video.tags}
    if conditions.tags_allowed and not tags & conditions.tags_allowed:
        yield "tags.allow"
    if tags & conditions.tags_denied:
        yield "tags.deny"
    languages = language_names(video.language)
    if conditions.languages_allowed and not languages & conditions.languages_allowed:
        yield "language.allow"
    if languages & conditions.languages_denied:
        yield "language.deny"
    published = published_day(video.published_at)
    if published is None:
        if (conditions.published_from or conditions.published_to) and not conditions.keep_undated:
            yield "published.keep_undated"
    elif conditions.published_from and published < conditions.published_from:
        yield "published.from"
    elif conditions.published_to and published > conditions.published_to:
        yield "published.to"
    texts = [video.title]
    if moment is not None:
        texts += [moment.chapter, moment.speech, moment.screen, moment.description]
    for name, terms in (("profanity", conditions.profanity), ("blocked_terms", conditions.blocked_terms)):
        if terms is not None and any(terms.are_in(text) for text in texts):
            yield name


def language_names(language: str | None) -> frozenset[str]:
    """The names that a rule may call a video's language by: `pt-BR` is `pt-br` and `pt`."""
    if not language:
        return frozenset({UNKNOWN})
    tag = language.casefold().replace("_", "-")
    return frozenset({tag, tag.split("-")[0]})


def published_day(published_at: str | None) -> date | None:
    """The day of an ISO date or time, the first one of a year or month alone; None for anything else."""
    found = ISO_DAY.match((published_at or "").strip())
    if not found:
        return None
    try:
        return date(int(found[1]), int(found[2] or 1), int(found[3] or 1))
    except ValueError:
        return None
